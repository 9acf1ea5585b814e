"""The few calls of the CUDA runtime that TensorRT leaves to its user, through cuda-python."""

from __future__ import annotations

import ctypes
import importlib
from collections.abc import Callable, Iterable
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


@dataclass(frozen=True)
class CudaDevice:
    """What an engine depends on: name, compute capability as "8.7", driver's and runtime's CUDA."""

    name: str
    compute_capability: str
    driver: int
    runtime: int


@dataclass(frozen=True, eq=False)
class CudaGraph:
    """Work captured once and launched as a whole."""

    handle: Any


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

    def properties(self) -> CudaDevice:
        """The GPU and the versions of its software."""
        found = self._call("cudaGetDeviceProperties", 0)
        name = found.name
        name = name.decode(errors="replace") if isinstance(name, bytes) else str(name)
        return CudaDevice(
            name=name.strip(chr(0)), compute_capability=f"{found.major}.{found.minor}",
            driver=int(self._call("cudaDriverGetVersion")),
            runtime=int(self._call("cudaRuntimeGetVersion")),
        )

    def buffer(self, shape: tuple[int, ...], dtype: str) -> CudaBuffer:
        """Pinned host memory, mapped as an array of `shape`, and device memory of the same size."""
        size = int(np.prod(shape)) * np.dtype(dtype).itemsize
        address = int(self._call("cudaMallocHost", size))
        memory = memoryview((ctypes.c_uint8 * size).from_address(address))
        host = np.ndarray(shape, dtype, buffer=memory)
        try:
            device = int(self._call("cudaMalloc", size))
        except CudaError:
            self._call("cudaFreeHost", address)
            raise
        return CudaBuffer(host, address, device)

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

    def capture(self, enqueue: Callable[[], None]) -> CudaGraph:
        """What `enqueue` queues on the stream, as a graph; nothing of it runs."""
        mode = self._cudart.cudaStreamCaptureMode.cudaStreamCaptureModeThreadLocal
        self._call("cudaStreamBeginCapture", self._stream, mode)
        try:
            enqueue()
        finally:
            # Ends the capture even where queueing failed, or the stream stays unusable.
            captured = self._call("cudaStreamEndCapture", self._stream)
        try:
            return CudaGraph(self._call("cudaGraphInstantiate", captured, 0))
        finally:
            self._call("cudaGraphDestroy", captured)

    def launch(self, graph: CudaGraph) -> None:
        """Queue a captured graph."""
        self._call("cudaGraphLaunch", graph.handle, self._stream)

    def free(self, buffer: CudaBuffer) -> None:
        """Give back one buffer."""
        self._call("cudaFree", buffer.device)
        self._call("cudaFreeHost", buffer.host_address)

    def close(self, buffers: Iterable[CudaBuffer], graph: CudaGraph | None = None) -> None:
        """Give back the stream, the buffers and the graph."""
        if graph is not None:
            self._call("cudaGraphExecDestroy", graph.handle)
        for buffer in buffers:
            self.free(buffer)
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
