"""torch: runs what torch.export wrote (`program` in the manifest), compiled where it is asked for.

torch is imported when this runtime is chosen and not before. The program is read without any of
the code that trained it.
"""

from __future__ import annotations

import importlib
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


class TorchRuntime:
    """Runs an exported program; on a GPU its work is replayed as a CUDA graph."""

    def __init__(self, device: str, settings: RuntimeSettings) -> None:
        self._device = device
        self._settings = settings
        self._torch: Any = None
        self._call: Any = None
        self.notes: list[str] = []

    @property
    def name(self) -> str:
        """Library and device."""
        return f"torch/{self._device}"

    def load(self, model: Model) -> None:
        """See Runtime.load."""
        path = model.program_path
        if path is None:
            raise RuntimeUnavailableError(
                f"{self.name}: {model.folder} has no torch.export program in {model.precision}"
            )
        torch = self._library()
        try:
            program = torch.export.load(path)
            check_tensors(model, _inputs(program), model.manifest.output_tensors())
            if self._device == "CUDA":
                passes = importlib.import_module("torch.export.passes")
                program = passes.move_to_device_pass(program, "cuda")
            call = program.module()
            if self._settings.torch_compile:
                call = torch.compile(call, mode=self._mode())
        except ModelError:
            raise
        except Exception as error:  # torch raises everything from KeyError to its own
            kind = RuntimeUnavailableError if lacks_memory(error) else ModelError
            raise kind(f"{path}: {self.name}: {one_line(error)}") from None
        self._torch, self._model, self._call = torch, model, call
        check_tensors(model, model.manifest.input_tensors(), self._outputs())

    def warm_up(self, passes: int) -> None:
        """See Runtime.warm_up; a compiled program compiles in the first pass."""
        for _ in range(passes):
            self.infer(zeros(self._model))

    def infer(self, tensors: Tensors) -> dict[str, npt.NDArray[np.float32]]:
        """See Runtime.infer."""
        if self._call is None:
            raise InferenceError(f"{self.name}: closed")
        torch = self._torch
        device = "cuda" if self._device == "CUDA" else "cpu"
        try:
            given = {n: torch.from_numpy(np.array(v)).to(device) for n, v in tensors.items()}
            with torch.inference_mode():
                answer = self._call(**given)
            return {name: value.cpu().numpy().copy() for name, value in answer.items()}
        except Exception as error:  # torch raises everything from KeyError to its own
            kind = OutOfMemoryError if lacks_memory(error) else InferenceError
            raise kind(f"{self.name}: {one_line(error)}") from None

    def close(self) -> None:
        """See Runtime.close."""
        self._call = None
        if self._torch is not None and self._device == "CUDA":
            self._torch.cuda.empty_cache()

    def _library(self) -> Any:
        try:
            torch = importlib.import_module("torch")
        except ImportError as error:
            raise RuntimeAbsentError(
                f"{self.name}: the Python package torch cannot be imported ({one_line(error)});"
                " install it or name another runtime in vla_inference.runtime.order"
            ) from None
        if self._device == "CUDA" and not torch.cuda.is_available():
            raise RuntimeAbsentError(f"{self.name}: torch {torch.__version__} sees no CUDA device")
        if self._device == "CPU":
            torch.set_num_threads(self._settings.threads)
        return torch

    def _mode(self) -> str:
        # torch's names: the first captures CUDA graphs.
        return "reduce-overhead" if self._settings.cuda_graphs else "default"

    def _outputs(self) -> list[TensorSpec]:
        """What the program answers, known only by running it. Raises ModelError."""
        try:
            answer = self.infer(zeros(self._model))
        except OutOfMemoryError as error:
            raise RuntimeUnavailableError(str(error)) from None
        except InferenceError as error:
            raise ModelError(f"{self._model.program_path}: {error}") from None
        return [TensorSpec(n, v.dtype.name, v.shape) for n, v in answer.items()]


def _inputs(program: Any) -> list[TensorSpec]:
    """The tensors that an exported program is called with."""
    nodes = {n.name: n for n in program.graph.nodes if n.op == "placeholder"}
    specs = []
    for name in program.graph_signature.user_inputs:
        value = nodes[name].meta["val"]
        dtype = str(value.dtype).removeprefix("torch.")
        specs.append(TensorSpec(name, dtype, tuple(int(d) for d in value.shape)))
    return specs
