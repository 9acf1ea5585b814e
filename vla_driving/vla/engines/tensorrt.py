"""Builds, refits and reads engines with TensorRT 10, TensorRT 11 or TensorRT for RTX.

Networks are strongly typed: their precision is that of the ONNX file, Q/DQ for int8 and fp8
included (TensorRT 11 knows nothing else). TensorRT for RTX builds without a GPU.
"""

from __future__ import annotations

import importlib
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from vla_driving.vla.engines.layers import LayerType, crept_in, of_engine, of_network
from vla_driving.vla.engines.progress import BuildProgress, Say, monitor
from vla_driving.vla.engines.store import EngineError
from vla_driving.vla.manifest import Model, ModelError
from vla_driving.vla.runtimes.base import RuntimeAbsentError, one_line
from vla_driving.vla.settings import EngineSettings

_MODULES = {
    "tensorrt": ("tensorrt",),
    # Its wheels install the bindings under a name of their own.
    "tensorrt_rtx": ("tensorrt_rtx", "tensorrt_rtx_bindings"),
}


@dataclass(frozen=True)
class Built:
    """A serialised engine, what it took and the types of its network's layers."""

    content: bytes
    seconds: float
    layers: tuple[LayerType, ...]


def open_library(name: str) -> Any:
    """The module of "tensorrt" or "tensorrt_rtx". Raises RuntimeAbsentError."""
    reason = ""
    for module in _MODULES[name]:
        try:
            return importlib.import_module(module)
        except (ImportError, OSError) as error:
            reason = reason or one_line(error)
    raise RuntimeAbsentError(
        f"{name}/GPU: the Python package {name} cannot be imported ({reason});"
        " it comes with JetPack, DriveOS or NVIDIA's packages"
    )


def logger(library: Any) -> Any:
    """A logger that keeps the library's errors in `.errors` and prints nothing."""

    class Logger(library.ILogger):
        def __init__(self) -> None:
            library.ILogger.__init__(self)
            self.errors: list[str] = []

        def log(self, severity: Any, msg: str) -> None:
            if severity in (library.ILogger.ERROR, library.ILogger.INTERNAL_ERROR):
                self.errors.append(one_line(msg))

    return Logger()


def options(settings: EngineSettings, target: str = "") -> dict[str, Any]:
    """Builder options that belong to an engine's key."""
    chosen: dict[str, Any] = {
        "optimisation_level": settings.optimisation_level,
        "workspace": settings.workspace,
        "refittable": settings.refittable,
    }
    return chosen | ({"target": target} if target else {})


def build(
    library: Any, model: Model, settings: EngineSettings, say: Say,
    target: str = "", allowed: Sequence[str] = (),
) -> Built:
    """Engine of the model's ONNX file; minutes on a GPU. Raises ModelError, EngineError.

    `target` is a compute capability such as "SM89" to build for with TensorRT for RTX, where this
    machine has no GPU. A layer that computes in float32 in a network of another precision fails
    the build unless its name fits a pattern in `allowed`.
    """
    began, log = time.monotonic(), logger(library)
    builder = library.Builder(log)
    network = _parse(library, builder, log, model)
    layers = of_network(network)
    refuse_float32(layers, model, allowed)
    config = _config(library, builder, settings, target)
    progress = BuildProgress(say, time.monotonic)
    config.progress_monitor = monitor(library, progress)
    serialised = builder.build_serialized_network(network, config)
    if serialised is None:
        raise EngineError(
            f"{model.network_path}: {library.__name__} {library.__version__} could not build an"
            f" engine: {log.errors[-1] if log.errors else 'no reason given'}"
        )
    return Built(bytes(serialised), time.monotonic() - began, layers)


def refuse_float32(
    layers: Sequence[LayerType], model: Model, allowed: Sequence[str] = ()
) -> None:
    """Raises EngineError with the names of layers in which float32 crept in."""
    if found := crept_in(layers, model.precision, allowed):
        names = ", ".join(layer.name or layer.kind for layer in found[:8])
        more = f" and {len(found) - 8} more" if len(found) > 8 else ""
        raise EngineError(
            f"{model.network_path}: {len(found)} layers compute in float32 in a network of"
            f" {model.precision}: {names}{more}; convert them or allow them by name"
        )


def _parse(library: Any, builder: Any, log: Any, model: Model) -> Any:
    # Version 11 types every network strongly and ignores the flag.
    flag = getattr(library.NetworkDefinitionCreationFlag, "STRONGLY_TYPED", None)
    network = builder.create_network(0 if flag is None else 1 << int(flag))
    parser = library.OnnxParser(network, log)
    # Some files that are no network at all are parsed to one without outputs.
    if not parser.parse_from_file(str(model.network_path)) or not network.num_outputs:
        reasons = "; ".join(str(parser.get_error(i)) for i in range(parser.num_errors))
        raise ModelError(
            f"{model.network_path}: {library.__name__} cannot read this network:"
            f" {one_line(reasons) or 'it has no outputs'}"
        )
    return network


def _config(library: Any, builder: Any, settings: EngineSettings, target: str) -> Any:
    config = builder.create_builder_config()
    config.builder_optimization_level = settings.optimisation_level
    config.set_memory_pool_limit(
        library.MemoryPoolType.WORKSPACE, settings.workspace * 2**20
    )
    # float32 is then float32, not the 10 bits of TF32, and fits the reference.
    config.clear_flag(library.BuilderFlag.TF32)
    # Without it the engine does not tell its layers' types.
    config.profiling_verbosity = library.ProfilingVerbosity.DETAILED
    if settings.refittable:
        config.set_flag(library.BuilderFlag.REFIT)
    if target:
        capability = getattr(getattr(library, "ComputeCapability", None), target, None)
        if capability is None:
            raise EngineError(f"{library.__name__}: cannot build for {target!r} ahead of time")
        config.num_compute_capabilities = 1
        config.set_compute_capability(capability, 0)
    return config


def deserialise(library: Any, content: bytes, where: str) -> tuple[Any, Any]:
    """Runtime and engine of serialised bytes. Raises EngineError with the library's reason."""
    log = logger(library)
    runtime = library.Runtime(log)
    engine = runtime.deserialize_cuda_engine(content)
    if engine is None:
        reason = log.errors[-1] if log.errors else "no reason given"
        raise EngineError(f"{where}: {library.__name__} cannot read this engine: {reason}")
    return runtime, engine


def engine_layers(library: Any, engine: Any) -> tuple[LayerType, ...]:
    """Types as the built engine states them, after fusion. Raises EngineError without details."""
    inspector = engine.create_engine_inspector()
    text = inspector.get_engine_information(library.LayerInformationFormat.JSON)
    try:
        return of_engine(text)
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise EngineError(
            f"{library.__name__} {library.__version__}: the engine does not tell its layers' types:"
            f" {one_line(error)}"
        ) from None


def refit(library: Any, content: bytes, model: Model) -> bytes | None:
    """An engine of the same graph with the weights of `model`; None where it does not fit."""
    log = logger(library)
    runtime = library.Runtime(log)
    engine = runtime.deserialize_cuda_engine(content)
    if engine is None or not engine.refittable:
        return None
    refitter = library.Refitter(engine, log)
    parser = library.OnnxParserRefitter(refitter, log)
    if not parser.refit_from_file(str(model.network_path)) or not refitter.refit_cuda_engine():
        return None
    return bytes(engine.serialize())
