"""The few calls of the CUDA runtime that TensorRT leaves to its user, through cuda-python."""

from __future__ import annotations

import ctypes
import importlib
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt


class CudaError(RuntimeError):
    """One line: the call and the driver's answer."""


@dataclass(frozen=True, eq=False)
class CudaBuffer:
    """One tensor twice: a view of pinned host memory, and the address of device memory."""

    host: npt.NDArray[Any]
    host_address: int
    device: int


class Cuda:
    """One stream on device 0, with copies that run beside the host."""

    def __init__(self, library: Any) -> None:
        self._cudart = library
        self._call("cudaSetDevice", 0)
        self._stream = self._call("cudaStreamCreate")

    @property
    def stream(self) -> int:
        """Handle of the stream."""
        return int(self._stream)

    def description(self) -> str:
        """GPU, compute capability and driver, for the key of an engine."""
        properties = self._call("cudaGetDeviceProperties", 0)
        driver = self._call("cudaDriverGetVersion")
        name = properties.name
        name = name.decode(errors="replace") if isinstance(name, bytes) else str(name)
        return f"{name.strip(chr(0))} {properties.major}.{properties.minor} driver {driver}"

    def buffer(self, shape: tuple[int, ...], dtype: str) -> CudaBuffer:
        """Pinned host memory, mapped as an array of `shape`, and device memory of the same size."""
        size = int(np.prod(shape)) * np.dtype(dtype).itemsize
        address = int(self._call("cudaMallocHost", size))
        memory = memoryview((ctypes.c_uint8 * size).from_address(address))
        host = np.ndarray(shape, dtype, buffer=memory)
        return CudaBuffer(host, address, int(self._call("cudaMalloc", size)))

    def to_device(self, buffer: CudaBuffer) -> None:
        """Queue the copy of the host's side."""
        kind = self._cudart.cudaMemcpyKind.cudaMemcpyHostToDevice
        self._copy(buffer.device, buffer.host_address, buffer, kind)

    def to_host(self, buffer: CudaBuffer) -> None:
        """Queue the copy of the device's side."""
        kind = self._cudart.cudaMemcpyKind.cudaMemcpyDeviceToHost
        self._copy(buffer.host_address, buffer.device, buffer, kind)

    def synchronise(self) -> None:
        """Wait for all that was queued."""
        self._call("cudaStreamSynchronize", self._stream)

    def close(self, buffers: Iterable[CudaBuffer]) -> None:
        """Give back the stream and the buffers."""
        for buffer in buffers:
            self._call("cudaFree", buffer.device)
            self._call("cudaFreeHost", buffer.host_address)
        self._call("cudaStreamDestroy", self._stream)

    def _copy(self, target: int, source: int, buffer: CudaBuffer, kind: Any) -> None:
        self._call("cudaMemcpyAsync", target, source, buffer.host.nbytes, kind, self._stream)

    def _call(self, function: str, *arguments: Any) -> Any:
        # cuda-python answers (error,) or (error, result).
        error, *result = getattr(self._cudart, function)(*arguments)
        if int(error) != 0:
            raise CudaError(f"{function}: {error.name if hasattr(error, 'name') else error}")
        return result[0] if result else None


def open_cuda() -> Cuda:
    """CUDA on device 0. Raises CudaError where package, driver or device is absent."""
    for module in ("cuda.bindings.runtime", "cuda.cudart"):  # the second: before cuda-python 12.6
        try:
            return Cuda(importlib.import_module(module))
        except ImportError as error:
            reason = str(error)
    raise CudaError(f"the Python package cuda-python cannot be imported ({reason})")
