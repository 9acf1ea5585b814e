"""ONNX Runtime: every CPU, NVIDIA GPUs through CUDA."""

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

_PROVIDERS = {"CPU": "CPUExecutionProvider", "CUDA": "CUDAExecutionProvider"}
_TYPES = {"tensor(float)": "float32", "tensor(uint8)": "uint8"}


class OnnxRuntime:
    """Runs an ONNX network on one execution provider, with no silent move to another."""

    def __init__(self, device: str, threads: int) -> None:
        self._device = device
        self._threads = threads
        self._session: Any = None

    @property
    def name(self) -> str:
        """Library and device."""
        return f"onnxruntime/{self._device}"

    def load(self, model: Model) -> None:
        """See Runtime.load."""
        library, provider = self._library()
        options = library.SessionOptions()
        options.intra_op_num_threads = self._threads
        options.inter_op_num_threads = 1
        options.log_severity_level = 3
        # Spinning threads would take the other nodes' time between two frames.
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        try:
            session = library.InferenceSession(
                model.network_path, options, providers=[provider]
            )
        except Exception as error:  # the library's own exceptions share no base class
            raise ModelError(f"{model.network_path}: {self.name}: {_line(error)}") from None
        if session.get_providers()[0] != provider:
            raise RuntimeUnavailableError(
                f"{self.name}: {provider} did not start; ONNX Runtime chose"
                f" {session.get_providers()[0]}"
            )
        check_tensors(
            model,
            [_spec(t) for t in session.get_inputs()],
            [_spec(t) for t in session.get_outputs()],
        )
        self._model, self._session = model, session
        self._outputs = [t.name for t in model.manifest.output_tensors()]

    def warm_up(self, passes: int) -> None:
        """See Runtime.warm_up."""
        for _ in range(passes):
            self.infer(zeros(self._model))

    def infer(self, tensors: Tensors) -> dict[str, npt.NDArray[np.float32]]:
        """See Runtime.infer."""
        try:
            answers = self._session.run(self._outputs, dict(tensors))
        except Exception as error:  # the library's own exceptions share no base class
            raise InferenceError(f"{self.name}: {_line(error)}") from None
        return dict(zip(self._outputs, answers, strict=True))

    def close(self) -> None:
        """See Runtime.close."""
        self._session = None

    def _library(self) -> tuple[Any, str]:
        try:
            import onnxruntime
        except ImportError as error:
            raise RuntimeUnavailableError(
                f"{self.name}: the Python package onnxruntime cannot be imported ({_line(error)});"
                " install it or name another runtime in vla_inference.runtime.order"
            ) from None
        provider = _PROVIDERS[self._device]
        if provider not in onnxruntime.get_available_providers():
            raise RuntimeUnavailableError(
                f"{self.name}: this build of ONNX Runtime has no {provider}; it has"
                f" {', '.join(onnxruntime.get_available_providers())}"
            )
        return onnxruntime, provider


def _spec(node: Any) -> TensorSpec:
    shape = tuple(d if isinstance(d, int) else -1 for d in node.shape)
    return TensorSpec(node.name, _TYPES.get(node.type, node.type), shape)


def _line(error: Exception) -> str:
    return " ".join(str(error).split())[:300]
