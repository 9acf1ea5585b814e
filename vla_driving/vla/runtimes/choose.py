"""From the order of preference in the settings to a loaded, warmed-up runtime."""

from __future__ import annotations

from dataclasses import dataclass

from vla_driving.vla.manifest import Model, ModelError
from vla_driving.vla.runtimes.base import InferenceError, Runtime, RuntimeUnavailableError
from vla_driving.vla.runtimes.onnxruntime import OnnxRuntime
from vla_driving.vla.runtimes.openvino import OpenVinoRuntime
from vla_driving.vla.runtimes.tensorrt import TensorRtRuntime
from vla_driving.vla.settings import RuntimeSettings


@dataclass(frozen=True)
class Chosen:
    """A runtime ready to infer; `passed_over` says why each one before it was not used."""

    runtime: Runtime
    name: str
    passed_over: tuple[str, ...]


def open_runtime(model: Model, settings: RuntimeSettings) -> Chosen:
    """First runtime of the order that this machine has, loaded and warmed up.

    Only an absent library or device moves on to the next; a model that does not fit its manifest
    does not. Raises ModelError.
    """
    passed_over: list[str] = []
    for wanted in settings.order:
        runtime = _create(wanted, settings)
        try:
            runtime.load(model)
        except RuntimeUnavailableError as error:
            passed_over.append(str(error))
            continue
        try:
            runtime.warm_up(settings.warm_up_passes)
        except InferenceError as error:
            raise ModelError(f"{model.network_path}: first pass: {error}") from None
        name = runtime.name
        if passed_over:
            name += f" (instead of {settings.order[0]})"
        return Chosen(runtime, name, tuple(passed_over))
    reasons = "; ".join(passed_over) or "the list is empty"
    raise RuntimeUnavailableError(f"vla_inference.runtime.order: none can be used: {reasons}")


def _create(wanted: str, settings: RuntimeSettings) -> Runtime:
    library, _, device = wanted.partition("/")
    if library == "openvino":
        return OpenVinoRuntime(device, settings.threads)
    if library == "onnxruntime":
        return OnnxRuntime(device, settings.threads)
    return TensorRtRuntime(settings.engine_cache)
