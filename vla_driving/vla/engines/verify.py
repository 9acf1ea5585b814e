"""Does a runtime answer as the ONNX file says? Compared with ONNX Runtime, node by node."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from vla_driving.vla.manifest import Model, TensorSpec
from vla_driving.vla.runtimes.base import InferenceError, Runtime, Tensors
from vla_driving.vla.runtimes.onnxruntime import OnnxRuntime
from vla_driving.vla.settings import RuntimeSettings

TOLERANCES = {"float32": 1e-3, "float16": 2e-2, "int8": 1.5e-1}
"""Root mean square of the difference from the reference, as a share of the tensor's own.

float16 rounds at 5e-4 a layer. int8 moves by a whole step of 1/127 where two libraries round
differently, and some dozen layers follow; a wrong scale moves it by its whole size.
"""
SAMPLES = 16
MAX_EGO = 15.0
"""m/s and the like: range of the samples' ego values."""
CELLS = 8
"""Samples are smooth pictures of so many cells a side, rather than noise no camera shows."""
_CLASS_COLUMN = -1
"""Of `objects`: an index, which a difference of any size may change."""


@dataclass(frozen=True)
class Deviation:
    """How far one output is from the reference, root mean square as a share of its own."""

    tensor: str
    share: float
    tolerance: float

    @property
    def passed(self) -> bool:
        """Within tolerance; an output that is not finite never is."""
        return self.share <= self.tolerance

    def __str__(self) -> str:
        verdict = "ok" if self.passed else "TOO FAR"
        return f"{self.tensor}: {self.share:.1e} of at most {self.tolerance:g}: {verdict}"


def samples(model: Model, count: int = SAMPLES) -> list[dict[str, npt.NDArray[Any]]]:
    """Inputs that are the same on every machine: smooth pictures, values within their range."""
    chance = np.random.default_rng(0)
    return [
        {spec.name: _sample(spec, chance) for spec in model.manifest.input_tensors()}
        for _ in range(count)
    ]


def reference(model: Model, settings: RuntimeSettings) -> Runtime:
    """ONNX Runtime on the CPU with nothing fused, loaded. Raises ModelError."""
    runtime = OnnxRuntime("CPU", settings, literal=True)
    runtime.load(model)
    return runtime


def verify(
    model: Model, runtime: Runtime, against: Runtime, inputs: Sequence[Tensors]
) -> list[Deviation]:
    """One Deviation an output, worst first. Raises InferenceError."""
    tolerance = TOLERANCES[model.precision]
    pairs = [(against.infer(tensors), runtime.infer(tensors)) for tensors in inputs]
    found = [
        Deviation(spec.name, _share(spec.name, pairs), tolerance)
        for spec in model.manifest.output_tensors()
    ]
    return sorted(found, key=lambda d: -d.share)


def _share(
    name: str, pairs: Sequence[tuple[Mapping[str, Any], Mapping[str, Any]]]
) -> float:
    expected, found = (np.stack([_values(name, p[side][name]) for p in pairs]) for side in (0, 1))
    if expected.shape != found.shape:
        raise InferenceError(f"{name}: shape {found.shape[1:]} instead of {expected.shape[1:]}")
    if not np.isfinite(found).all():
        return float("inf")
    return float(np.sqrt(np.mean((found - expected) ** 2) / max(np.mean(expected**2), 1e-12)))


def _values(name: str, value: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    return value[..., :_CLASS_COLUMN] if name == "objects" else value


def _sample(spec: TensorSpec, chance: np.random.Generator) -> npt.NDArray[Any]:
    if spec.name == "images":
        return _picture(spec.shape, chance)
    if spec.name.startswith("state_"):
        return np.zeros(spec.shape, spec.dtype)
    top = MAX_EGO if spec.name == "ego" else 1.0
    return chance.uniform(0.0, top, spec.shape).astype(spec.dtype)


def _picture(shape: tuple[int, ...], chance: np.random.Generator) -> npt.NDArray[np.uint8]:
    """Random colours at CELLS x CELLS places and linear in between."""
    coarse = chance.uniform(0.0, 255.0, (*shape[:2], CELLS, CELLS, shape[-1]))
    for axis in (2, 3):
        at = np.linspace(0.0, CELLS - 1.0, shape[axis])
        low = np.minimum(at.astype(int), CELLS - 2)
        wide = [1] * coarse.ndim
        wide[axis] = -1
        part = (at - low).reshape(wide)
        coarse = np.take(coarse, low, axis) * (1 - part) + np.take(coarse, low + 1, axis) * part
    return coarse.astype(np.uint8)
