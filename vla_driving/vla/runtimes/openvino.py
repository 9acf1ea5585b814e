"""OpenVINO: CPUs, Intel GPUs."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from vla_driving.vla.manifest import Model, ModelError, TensorSpec
from vla_driving.vla.runtimes.base import (
    InferenceError,
    RuntimeUnavailableError,
    Tensors,
    check_tensors,
    zeros,
)


class OpenVinoRuntime:
    """Runs an ONNX network with one request in flight, in single precision."""

    def __init__(self, device: str, threads: int) -> None:
        self._device = device
        self._threads = threads
        self._request: Any = None

    @property
    def name(self) -> str:
        """Library and device."""
        return f"openvino/{self._device}"

    def load(self, model: Model) -> None:
        """See Runtime.load."""
        core = self._core()
        try:
            network = core.read_model(model.network_path)
        except RuntimeError as error:
            raise ModelError(f"{model.network_path}: {self.name}: {_line(error)}") from None
        check_tensors(
            model, [_spec(t) for t in network.inputs], [_spec(t) for t in network.outputs]
        )
        try:
            compiled = core.compile_model(network, self._device, self._options())
        except RuntimeError as error:
            raise ModelError(f"{model.network_path}: {self.name}: {_line(error)}") from None
        self._model = model
        self._request = compiled.create_infer_request()
        self._outputs = {t.name: t.name for t in model.manifest.output_tensors()}

    def warm_up(self, passes: int) -> None:
        """See Runtime.warm_up."""
        for _ in range(passes):
            self.infer(zeros(self._model))

    def infer(self, tensors: Tensors) -> dict[str, npt.NDArray[np.float32]]:
        """See Runtime.infer."""
        try:
            self._request.infer(dict(tensors), share_inputs=True)
        except (RuntimeError, ValueError) as error:
            raise InferenceError(f"{self.name}: {_line(error)}") from None
        return {name: self._request.get_tensor(name).data.copy() for name in self._outputs}

    def close(self) -> None:
        """See Runtime.close."""
        self._request = None

    def _core(self) -> Any:
        try:
            import openvino
        except ImportError as error:
            raise RuntimeUnavailableError(
                f"{self.name}: the Python package openvino cannot be imported ({_line(error)});"
                " install it or name another runtime in vla_inference.runtime.order"
            ) from None
        core = openvino.Core()
        if self._device not in {d.split(".")[0] for d in core.available_devices}:
            raise RuntimeUnavailableError(
                f"{self.name}: no such device; OpenVINO sees {', '.join(core.available_devices)}"
            )
        return core

    def _options(self) -> dict[str, Any]:
        options: dict[str, Any] = {
            "PERFORMANCE_HINT": "LATENCY", "NUM_STREAMS": 1, "INFERENCE_PRECISION_HINT": "f32",
        }
        if self._device == "CPU":
            # Pinning would bind every process of the stack to the same first core.
            options |= {"INFERENCE_NUM_THREADS": self._threads, "ENABLE_CPU_PINNING": False}
        return options


def _spec(port: Any) -> TensorSpec:
    shape = tuple(
        d.get_length() if d.is_static else -1 for d in port.get_partial_shape()
    )
    return TensorSpec(port.get_any_name(), np.dtype(port.get_element_type().to_dtype()).name, shape)


def _line(error: Exception) -> str:
    return " ".join(str(error).split())[:300]
