"""The interface of all runtimes and the comparison of a network with its manifest."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from vla_driving.vla.manifest import Model, ModelError, TensorSpec

Tensors = Mapping[str, npt.NDArray[Any]]


class RuntimeUnavailableError(ModelError):
    """This runtime cannot run the model here; the next one of the order may."""


class RuntimeAbsentError(RuntimeUnavailableError):
    """The library, device or driver that a runtime needs is not on this machine."""


class InferenceError(RuntimeError):
    """One pass failed; the line names the runtime and its cause."""


class OutOfMemoryError(InferenceError):
    """One pass failed for want of memory on the CPU or the device."""


class Runtime(Protocol):
    """Runs one network: load, warm_up, infer any number of times, close.

    `notes` are lines that a person should read, for instance that an engine was built anew.
    """

    notes: list[str]

    @property
    def name(self) -> str:
        """Library and device, for instance "openvino/CPU"."""

    def load(self, model: Model) -> None:
        """Read and compile the network in the model's precision.

        Raises ModelError where the file is wrong, RuntimeUnavailableError where another runtime
        may do.
        """

    def warm_up(self, passes: int) -> None:
        """Run on zeros, so that the first frame waits for nothing. Raises InferenceError."""

    def infer(self, tensors: Tensors) -> dict[str, npt.NDArray[np.float32]]:
        """Outputs by name, owned by the caller. Raises InferenceError."""

    def close(self) -> None:
        """Give back memory and device."""


def zeros(model: Model) -> dict[str, npt.NDArray[Any]]:
    """Input tensors full of zeros."""
    return {t.name: np.zeros(t.shape, t.dtype) for t in model.manifest.input_tensors()}


def check_tensors(
    model: Model, inputs: Iterable[TensorSpec], outputs: Iterable[TensorSpec]
) -> None:
    """Compare what the file holds with the manifest. Raises ModelError."""
    _compare(model, "input", model.manifest.input_tensors(), inputs)
    _compare(model, "output", model.manifest.output_tensors(), outputs)


def _compare(
    model: Model, kind: str, expected: Iterable[TensorSpec], found: Iterable[TensorSpec]
) -> None:
    path, found_by_name = model.network_path, {t.name: t for t in found}
    for spec in expected:
        if spec.name not in found_by_name:
            names = ", ".join(found_by_name) or "none"
            raise ModelError(f"{path}: {kind} {spec.name!r} ({spec}) is missing; it has: {names}")
        if not _fits(found_by_name[spec.name], spec, free=kind == "output"):
            raise ModelError(
                f"{path}: {kind} {spec.name!r}: manifest says {spec}, file has"
                f" {found_by_name[spec.name]}"
            )
    extra = sorted(set(found_by_name) - {t.name for t in expected})
    if extra:
        raise ModelError(f"{path}: {kind} {extra[0]!r} is not in the manifest")


def _fits(found: TensorSpec, spec: TensorSpec, free: bool) -> bool:
    """Same type and shape; sizes of outputs that the file leaves open are checked pass by pass."""
    if found.dtype != spec.dtype or len(found.shape) != len(spec.shape):
        return False
    pairs = zip(found.shape, spec.shape, strict=True)
    return all(size == wanted or (free and size == -1) for size, wanted in pairs)


def one_line(error: object) -> str:
    """What a library says, in one line of bearable length."""
    return " ".join(str(error).split())[:300]


def lacks_memory(error: BaseException) -> bool:
    """Whether a library failed for want of memory: each says so in words of its own."""
    said = str(error).lower()
    return isinstance(error, MemoryError) or any(words in said for words in _NO_MEMORY)


_NO_MEMORY = (
    "out of memory", "bad_alloc", "bad alloc", "failed to allocate", "cannot allocate",
    "could not allocate", "memoryallocation", "available memory",
)
