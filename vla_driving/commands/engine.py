"""`vla-driving engine`: compile a model's network for a device, look at the result, check it."""

from __future__ import annotations

import argparse
import dataclasses
from pathlib import Path
from typing import Any

from vla_driving import paths
from vla_driving.contract.settings import from_mapping, read_yaml
from vla_driving.vla.engines import tensorrt as building
from vla_driving.vla.engines.layers import LayerType, counted, crept_in
from vla_driving.vla.engines.store import (
    EngineError,
    EngineStore,
    engine_key,
    read,
)
from vla_driving.vla.engines.verify import SAMPLES, reference, samples, verify
from vla_driving.vla.manifest import PRECISIONS, Model, ModelError, load_model
from vla_driving.vla.runtimes.base import InferenceError
from vla_driving.vla.runtimes.choose import create, open_runtime
from vla_driving.vla.runtimes.openvino import OpenVinoRuntime
from vla_driving.vla.runtimes.tensorrt import TensorRtRuntime
from vla_driving.vla.settings import RUNTIMES, RuntimeSettings, VlaInferenceSettings

_BUILT = ("tensorrt/GPU", "tensorrt_rtx/GPU", "openvino/CPU", "openvino/GPU")
"""Runtimes whose engines this command builds; the others compile as they load."""


def add_parser(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Options of the command."""
    parser = commands.add_parser("engine", help="build, inspect, verify and list engines")
    actions = parser.add_subparsers(metavar="action", required=True)
    build = actions.add_parser("build", help="compile a model for a device and check the result")
    _common(build)
    build.add_argument("--runtime", choices=_BUILT, required=True)
    build.add_argument(
        "--target", default="", metavar="SM89",
        help="compute capability to build for without a GPU, tensorrt_rtx alone",
    )
    build.add_argument(
        "--allow-float32", nargs="*", default=[], metavar="NAME",
        help="layers that may compute in float32 in a network of another precision; * and ? fit",
    )
    build.add_argument(
        "--refit", action="store_true",
        help="put the weights into a refittable engine of the same graph instead, TensorRT alone",
    )
    build.set_defaults(run=run_build)
    check = actions.add_parser("verify", help="compare a runtime's answers with the ONNX file's")
    _common(check)
    check.add_argument("--runtime", choices=RUNTIMES, help="config/stack.yaml's if left out")
    check.add_argument("--samples", type=int, default=SAMPLES)
    check.set_defaults(run=run_verify)
    inspect = actions.add_parser("inspect", help="what an engine depends on, its layers' types")
    inspect.add_argument("engine", type=Path, help="file as `list` names it")
    inspect.add_argument("--layers", action="store_true", help="each layer, not counts alone")
    inspect.set_defaults(run=run_inspect)
    listing = actions.add_parser("list", help="engines in the cache and whether they are sound")
    listing.add_argument("--cache", type=Path, help="config/stack.yaml's if left out")
    listing.set_defaults(run=run_list)


def _common(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--model", default="pilot", help="name of a folder in models, or a path")
    parser.add_argument("--precision", choices=PRECISIONS, help="config/stack.yaml's if left out")
    parser.add_argument("--cache", type=Path, help="folder; config/stack.yaml's if left out")


def run_build(arguments: argparse.Namespace) -> int:
    """Build, keep and, where it can run here, verify an engine."""
    settings = _settings(arguments)
    model = _model(arguments, settings)
    if arguments.target:
        _build_ahead(model, settings, arguments)
        return 0
    runtime = create(arguments.runtime, settings)
    if isinstance(runtime, OpenVinoRuntime):
        print(f"{runtime.build(model)}: built")
    elif isinstance(runtime, TensorRtRuntime):
        _build_on_gpu(runtime, model, arguments)
    return _verify(arguments.runtime, model, settings, SAMPLES)


def _build_ahead(model: Model, settings: RuntimeSettings, arguments: argparse.Namespace) -> None:
    """With TensorRT for RTX, for a GPU that is not here; the engine is kept but not run."""
    if arguments.runtime != "tensorrt_rtx/GPU":
        raise EngineError("--target: tensorrt_rtx/GPU alone builds for a GPU that is not here")
    library = building.open_library("tensorrt_rtx")
    built = building.build(
        library, model, settings.engine, print, arguments.target, arguments.allow_float32
    )
    key = engine_key(
        model, arguments.runtime, f"tensorrt_rtx {library.__version__}", "any",
        arguments.target, "any", building.options(settings.engine, arguments.target),
    )
    store = EngineStore(Path(settings.engine.cache).expanduser())
    path = store.save(key, built.content, built.seconds, built.layers)
    print(f"{path}: built in {built.seconds:.1f} s for {arguments.target}; not run here")


def _build_on_gpu(
    runtime: TensorRtRuntime, model: Model, arguments: argparse.Namespace
) -> None:
    library, cuda = runtime.open()
    if arguments.refit:
        runtime.refit(model, library, cuda)
    else:
        runtime.build(model, library, cuda, print, arguments.allow_float32)
    for note in runtime.notes:
        print(note)
    runtime.close()


def run_verify(arguments: argparse.Namespace) -> int:
    """Print one line an output; 1 where one is too far from the reference."""
    settings = _settings(arguments)
    model = _model(arguments, settings)
    return _verify(arguments.runtime, model, settings, arguments.samples)


def _verify(wanted: str | None, model: Model, settings: RuntimeSettings, count: int) -> int:
    if wanted is not None:
        settings = dataclasses.replace(settings, order=(wanted,))
    settings = dataclasses.replace(settings, precision=model.precision)
    chosen = open_runtime(model, settings)
    for note in chosen.notes:
        print(note)
    against = reference(model, settings)
    try:
        deviations = verify(model, chosen.runtime, against, samples(model, count))
    except InferenceError as error:
        raise ModelError(str(error)) from None
    finally:
        chosen.runtime.close()
        against.close()
    print(f"{model.manifest.title} on {chosen.name} against ONNX Runtime, {count} samples:")
    for deviation in deviations:
        print(f"  {deviation}")
    return 0 if all(d.passed for d in deviations) else 1


def run_inspect(arguments: argparse.Namespace) -> int:
    """Print the key, the layers' types and which of them compute in float32."""
    content, record = read(arguments.engine)
    for name, value in dataclasses.asdict(record.key).items():
        print(f"{name}: {value}")
    print(f"size: {len(content) / 1e6:.1f} MB, built in {record.build_seconds} s")
    for (kind, types), count in counted(record.layers).items():
        print(f"{count:5d} {kind}: {', '.join(types) or '-'}")
    if arguments.layers:
        for layer in record.layers:
            print(_line(layer))
    if not record.key.runtime.startswith("tensorrt"):
        return 0  # what is not int8 is float32 on a CPU
    found = crept_in(record.layers, record.key.precision)
    print(f"layers that compute in float32 against {record.key.precision}: {len(found) or 'none'}")
    for layer in found:
        print(_line(layer))
    return 0


def _line(layer: LayerType) -> str:
    return f"  {layer.name} ({layer.kind}): {', '.join(layer.types) or '-'}"


def run_list(arguments: argparse.Namespace) -> int:
    """Print one line an engine; one that cannot be used is named with the reason."""
    folder = (arguments.cache or Path(_stack().engine.cache)).expanduser()
    found = EngineStore(folder).paths()
    if not found:
        print(f"{folder}: no engines")
    for path in found:
        try:
            content, record = read(path)
        except EngineError as error:
            print(f"unfit  {error}")
            continue
        key = record.key
        print(f"sound  {path.name}: {key.model} {key.precision}, {key.library}, {key.device}"
              f" {key.compute_capability}, {len(content) / 1e6:.1f} MB")
    return 0


def _stack() -> RuntimeSettings:
    path = paths.config("stack.yaml")
    values: Any = read_yaml(path)["vla_inference"]["ros__parameters"]
    return from_mapping(VlaInferenceSettings, values, f"{path}: vla_inference").runtime


def _settings(arguments: argparse.Namespace) -> RuntimeSettings:
    """Those of config/stack.yaml with what the command line says."""
    settings = _stack()
    if arguments.cache is not None:
        engine = dataclasses.replace(settings.engine, cache=str(arguments.cache))
        settings = dataclasses.replace(settings, engine=engine)
    return settings


def _model(arguments: argparse.Namespace, settings: RuntimeSettings) -> Model:
    name = arguments.model
    folder = Path(name) if "/" in name else paths.model(name)
    return load_model(folder).at(arguments.precision or settings.precision)


