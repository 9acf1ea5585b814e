"""From the order of preference in the settings to a loaded, warmed-up runtime."""

from __future__ import annotations

from dataclasses import dataclass

from vla_driving.vla.manifest import REFERENCE, Model, ModelError
from vla_driving.vla.runtimes.base import (
    InferenceError,
    OutOfMemoryError,
    Runtime,
    RuntimeAbsentError,
    RuntimeUnavailableError,
)
from vla_driving.vla.runtimes.onnxruntime import OnnxRuntime
from vla_driving.vla.runtimes.openvino import OpenVinoRuntime
from vla_driving.vla.runtimes.tensorrt import TensorRtRuntime
from vla_driving.vla.runtimes.torch import TorchRuntime
from vla_driving.vla.settings import AUTO, AUTO_ORDER, RuntimeSettings


@dataclass(frozen=True)
class Chosen:
    """A runtime ready to infer.

    `passed_over` are pairs of what was wanted and why it was not used; `absent` says what `auto`
    did not find on this machine, which is no fault; `notes` are the runtime's own.
    """

    runtime: Runtime
    name: str
    passed_over: tuple[tuple[str, str], ...] = ()
    absent: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()


def open_runtime(model: Model, settings: RuntimeSettings) -> Chosen:
    """First runtime of the order that can run the model here, loaded and warmed up.

    An absent library or device, an engine that cannot be used and memory that does not suffice
    move on to the next; a model that does not fit its manifest does not. Raises ModelError.
    """
    passed_over: list[tuple[str, str]] = []
    absent: list[str] = []
    model = _in_precision(model, settings.precision, passed_over)
    for wanted, is_auto in _candidates(settings.order):
        runtime = create(wanted, settings)
        try:
            _start(runtime, model, settings.warm_up_passes)
        except RuntimeUnavailableError as error:
            runtime.close()
            if is_auto and isinstance(error, RuntimeAbsentError):
                absent.append(str(error))
            else:
                passed_over.append((wanted, str(error)))
            continue
        name = f"{runtime.name} {model.precision}"
        if passed_over:
            name += f" (instead of {', '.join(w for w, _ in passed_over)})"
        return Chosen(runtime, name, tuple(passed_over), tuple(absent), tuple(runtime.notes))
    reasons = "; ".join([line for _, line in passed_over] + absent) or "the list is empty"
    raise RuntimeUnavailableError(f"vla_inference.runtime.order: none can be used: {reasons}")


def create(wanted: str, settings: RuntimeSettings) -> Runtime:
    """The runtime called "library/device", not yet loaded."""
    library, _, device = wanted.partition("/")
    if library == "openvino":
        return OpenVinoRuntime(device, settings.threads, settings.engine)
    if library == "onnxruntime":
        return OnnxRuntime(device, settings)
    if library == "torch":
        return TorchRuntime(device, settings)
    return TensorRtRuntime(library, settings.engine, settings.cuda_graphs)


def _candidates(order: tuple[str, ...]) -> list[tuple[str, bool]]:
    """Each runtime to try, and whether it stands there for `auto`."""
    found: list[tuple[str, bool]] = []
    for wanted in order:
        found += [(name, True) for name in AUTO_ORDER] if wanted == AUTO else [(wanted, False)]
    return found


def _in_precision(model: Model, wanted: str, passed_over: list[tuple[str, str]]) -> Model:
    try:
        return model.at(wanted)
    except ModelError as error:
        passed_over.append((wanted, str(error)))
        return model.at(REFERENCE)


def _start(runtime: Runtime, model: Model, passes: int) -> None:
    runtime.load(model)
    try:
        runtime.warm_up(passes)
    except OutOfMemoryError as error:
        raise RuntimeUnavailableError(str(error)) from None
    except InferenceError as error:
        raise ModelError(f"{model.network_path}: first pass: {error}") from None
