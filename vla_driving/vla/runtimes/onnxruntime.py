"""ONNX Runtime: every CPU; NVIDIA GPUs through its CUDA and TensorRT execution providers."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from vla_driving.vla.manifest import Model, ModelError, TensorSpec
from vla_driving.vla.runtimes.base import (
    InferenceError,
    OutOfMemoryError,
    RuntimeAbsentError,
    RuntimeUnavailableError,
    Tensors,
    check_tensors,
    lacks_memory,
    one_line,
    zeros,
)
from vla_driving.vla.settings import RuntimeSettings

_PROVIDERS = {
    "CPU": "CPUExecutionProvider",
    "CUDA": "CUDAExecutionProvider",
    "TensorRT": "TensorrtExecutionProvider",
}
_TYPES = {"tensor(float)": "float32", "tensor(uint8)": "uint8"}


class OnnxRuntime:
    """Runs an ONNX network on one execution provider, with no silent move to another.

    Tensors stay bound to one place in the device's memory, as CUDA graphs need it.
    """

    def __init__(self, device: str, settings: RuntimeSettings, literal: bool = False) -> None:
        """`literal` runs every node of the graph as it stands, nothing fused: the reference."""
        self._device = device
        self._literal = literal
        self._settings = settings
        self._session: Any = None
        self._binding: Any = None
        self._inputs: dict[str, Any] = {}
        self._outputs: dict[str, Any] = {}
        self.notes: list[str] = []

    @property
    def name(self) -> str:
        """Library and device."""
        return f"onnxruntime/{self._device}"

    def load(self, model: Model) -> None:
        """See Runtime.load."""
        library, provider = self._library()
        try:
            session = library.InferenceSession(
                model.network_path, self._session_options(library),
                providers=self._providers(provider, model.precision),
            )
        except Exception as error:  # the library's own exceptions share no base class
            raise self._load_error(model, error) from None
        if session.get_providers()[0] != provider:
            raise RuntimeUnavailableError(
                f"{self.name}: {provider} did not start; ONNX Runtime chose"
                f" {session.get_providers()[0]}"
            )
        session.disable_fallback()
        check_tensors(
            model,
            [_spec(t) for t in session.get_inputs()],
            [_spec(t) for t in session.get_outputs()],
        )
        self._model, self._session = model, session
        self._bind(library)

    def warm_up(self, passes: int) -> None:
        """See Runtime.warm_up."""
        for _ in range(passes):
            self.infer(zeros(self._model))

    def infer(self, tensors: Tensors) -> dict[str, npt.NDArray[np.float32]]:
        """See Runtime.infer."""
        if self._session is None:
            raise InferenceError(f"{self.name}: closed")
        try:
            for name, place in self._inputs.items():
                value = tensors[name]
                if list(value.shape) != place.shape():
                    raise ValueError(f"{name}: shape {value.shape} instead of {place.shape()}")
                place.update_inplace(np.ascontiguousarray(value))
            self._session.run_with_iobinding(self._binding)
            return {name: np.array(place.numpy()) for name, place in self._outputs.items()}
        except Exception as error:  # the library's own exceptions share no base class
            kind = OutOfMemoryError if lacks_memory(error) else InferenceError
            raise kind(f"{self.name}: {one_line(error)}") from None

    def close(self) -> None:
        """See Runtime.close."""
        self._session = self._binding = None
        self._inputs, self._outputs = {}, {}

    def _bind(self, library: Any) -> None:
        """Give each tensor of the contract a fixed place on the device."""
        device = "cpu" if self._device == "CPU" else "cuda"
        self._binding = self._session.io_binding()
        for spec in self._model.manifest.input_tensors():
            value = np.zeros(spec.shape, spec.dtype)
            place = library.OrtValue.ortvalue_from_numpy(value, device, 0)
            self._binding.bind_ortvalue_input(spec.name, place)
            self._inputs[spec.name] = place
        for spec in self._model.manifest.output_tensors():
            place = library.OrtValue.ortvalue_from_shape_and_type(
                spec.shape, np.dtype(spec.dtype), device, 0
            )
            self._binding.bind_ortvalue_output(spec.name, place)
            self._outputs[spec.name] = place

    def _session_options(self, library: Any) -> Any:
        options = library.SessionOptions()
        options.intra_op_num_threads = self._settings.threads
        options.inter_op_num_threads = 1
        options.log_severity_level = 3
        if self._literal:
            options.graph_optimization_level = library.GraphOptimizationLevel.ORT_DISABLE_ALL
        # Spinning threads would take the other nodes' time between two frames.
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        if self._device != "CPU":
            # A network half on the CPU would be slow without a word, and no CUDA graph.
            options.add_session_config_entry("session.disable_cpu_ep_fallback", "1")
        return options

    def _providers(self, provider: str, precision: str) -> list[Any]:
        graphs = "1" if self._settings.cuda_graphs else "0"
        cuda = {"device_id": "0", "enable_cuda_graph": graphs, "do_copy_in_default_stream": "1"}
        if self._device == "CPU":
            return [provider]
        if self._device == "CUDA":
            return [(provider, cuda)]
        cache = Path(self._settings.engine.cache).expanduser() / "onnxruntime"
        cache.mkdir(parents=True, exist_ok=True)
        tensorrt = {
            "device_id": "0",
            "trt_cuda_graph_enable": graphs,
            "trt_engine_cache_enable": "1",
            "trt_engine_cache_path": str(cache),
            "trt_timing_cache_enable": "1",
            "trt_timing_cache_path": str(cache),
            "trt_max_workspace_size": str(self._settings.engine.workspace * 2**20),
            "trt_builder_optimization_level": str(self._settings.engine.optimisation_level),
            # TensorRT 10 alone asks for these; 11 takes the types of the graph.
            "trt_fp16_enable": "0" if precision == "float32" else "1",
            "trt_int8_enable": "1" if precision == "int8" else "0",
        }
        # What TensorRT leaves to CUDA must not capture a graph of its own.
        return [(provider, tensorrt), (_PROVIDERS["CUDA"], {**cuda, "enable_cuda_graph": "0"})]

    def _load_error(self, model: Model, error: Exception) -> ModelError:
        line = f"{model.network_path}: {self.name}: {one_line(error)}"
        # On a GPU the provider may be at fault, and another may do; on the CPU it is the file.
        movable = lacks_memory(error) or self._device != "CPU"
        return RuntimeUnavailableError(line) if movable else ModelError(line)

    def _library(self) -> tuple[Any, str]:
        try:
            import onnxruntime
        except ImportError as error:
            raise RuntimeAbsentError(
                f"{self.name}: the Python package onnxruntime cannot be imported"
                f" ({one_line(error)}); install it or name another runtime in"
                " vla_inference.runtime.order"
            ) from None
        provider = _PROVIDERS[self._device]
        if provider not in onnxruntime.get_available_providers():
            raise RuntimeAbsentError(
                f"{self.name}: this build of ONNX Runtime has no {provider}; it has"
                f" {', '.join(onnxruntime.get_available_providers())}"
            )
        return onnxruntime, provider


def _spec(node: Any) -> TensorSpec:
    shape = tuple(d if isinstance(d, int) else -1 for d in node.shape)
    return TensorSpec(node.name, _TYPES.get(node.type, node.type), shape)
