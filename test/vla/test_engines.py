from __future__ import annotations

import dataclasses
import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from vla_driving import paths
from vla_driving.vla.engines import tensorrt as building
from vla_driving.vla.engines.layers import LayerType, crept_in, of_engine
from vla_driving.vla.engines.progress import BuildProgress
from vla_driving.vla.engines.store import (
    EngineError,
    EngineKey,
    EngineStore,
    engine_key,
    read,
)
from vla_driving.vla.engines.verify import reference, samples, verify
from vla_driving.vla.manifest import Model, ModelError, load_model
from vla_driving.vla.runtimes.base import Tensors
from vla_driving.vla.runtimes.openvino import OpenVinoRuntime

from .tiny_model import ModelFactory, runtime_settings

LAYERS = (LayerType("conv", "CONVOLUTION", ("float16",)), LayerType("io", "CAST", ("float32",)))


def key(model: Model, **changes: str) -> EngineKey:
    made = engine_key(model, "tensorrt/GPU", "tensorrt 10.9", "Orin", "8.7", "driver 12060", {})
    return dataclasses.replace(made, **changes)


def stored(model: Model, folder: Path) -> tuple[EngineStore, EngineKey, Path]:
    store, wanted = EngineStore(folder), key(model)
    return store, wanted, store.save(wanted, b"engine" * 100, 1.0, LAYERS)


def test_an_engine_survives_storing(make_model: ModelFactory, tmp_path: Path) -> None:
    store, wanted, path = stored(make_model(), tmp_path / "engines")
    assert store.load(wanted) == b"engine" * 100
    assert store.paths() == [path]
    content, record = read(path)
    assert (content, record.key, record.layers) == (b"engine" * 100, wanted, LAYERS)
    assert not list(path.parent.glob("*.part"))


@pytest.mark.parametrize("field", [f.name for f in dataclasses.fields(EngineKey)])
def test_each_part_of_the_key_names_another_engine(
    field: str, make_model: ModelFactory, tmp_path: Path
) -> None:
    store, wanted, path = stored(make_model(), tmp_path / "engines")
    other = dataclasses.replace(wanted, **{field: "other"})
    assert store.load(other) is None
    assert store.path(other) != path


def test_an_engine_under_anothers_name_is_refused(
    make_model: ModelFactory, tmp_path: Path
) -> None:
    store, wanted, path = stored(make_model(), tmp_path / "engines")
    other = dataclasses.replace(wanted, device="Thor", compute_capability="11.0")
    path.rename(store.path(other))
    path.with_suffix(".json").rename(store.path(other).with_suffix(".json"))
    with pytest.raises(
        EngineError, match=r"built for device 'Orin', not 'Thor'; compute_capability '8\.7'"
    ):
        store.load(other)


@pytest.mark.parametrize("damage", ["truncated", "flipped", "empty"])
def test_a_damaged_engine_is_refused_with_both_hashes(
    damage: str, make_model: ModelFactory, tmp_path: Path
) -> None:
    store, wanted, path = stored(make_model(), tmp_path / "engines")
    content = bytearray(path.read_bytes())
    content[7] ^= 1
    damaged = {"truncated": bytes(content[:50]), "flipped": bytes(content), "empty": b""}
    path.write_bytes(damaged[damage])
    with pytest.raises(EngineError, match=rf"{re.escape(str(path))}: sha256 expected \w+, found"):
        store.load(wanted)


@pytest.mark.parametrize("text", ["", "{", "{}", "[]", '{"key": {"model": "x"}}'])
def test_a_damaged_record_is_one_line(
    text: str, make_model: ModelFactory, tmp_path: Path
) -> None:
    store, wanted, path = stored(make_model(), tmp_path / "engines")
    path.with_suffix(".json").write_text(text)
    with pytest.raises(EngineError, match="not an engine's record") as caught:
        store.load(wanted)
    assert "\n" not in str(caught.value)


def test_an_engine_without_its_record_is_refused(
    make_model: ModelFactory, tmp_path: Path
) -> None:
    store, wanted, path = stored(make_model(), tmp_path / "engines")
    path.with_suffix(".json").unlink()
    with pytest.raises(EngineError, match="cannot be read"):
        store.load(wanted)


def test_a_folder_that_cannot_be_written_is_one_line(
    make_model: ModelFactory, tmp_path: Path
) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(EngineError, match="cannot be written"):
        stored(make_model(), tmp_path / "file" / "engines")


def test_only_the_weights_of_another_model_can_be_refitted(
    make_model: ModelFactory, tmp_path: Path
) -> None:
    store, wanted, path = stored(make_model(), tmp_path / "engines")
    retrained = dataclasses.replace(wanted, network_sha256="f" * 64, model="tiny/0.2.0")
    assert list(store.refittable(retrained)) == [b"engine" * 100]
    assert not list(store.refittable(dataclasses.replace(retrained, device="Thor")))
    path.write_bytes(b"damaged")
    assert not list(store.refittable(retrained))


def test_float32_that_crept_in_is_named_unless_allowed() -> None:
    layers = (*LAYERS, LayerType("head/softmax", "SOFTMAX", ("float32",)))
    assert [layer.name for layer in crept_in(layers, "int8")] == ["head/softmax"]
    assert crept_in(layers, "int8", ["head/*"]) == []
    assert crept_in(layers, "float32") == []


@pytest.mark.parametrize("version", [10, 11])
def test_types_are_read_from_the_inspector_of_both_versions(version: int) -> None:
    """Texts in the layout that NVIDIA documents for each version."""
    if version == 10:
        inner: dict[str, Any] = {"Name": "a", "Format/Datatype": "Row major linear FP16 format"}
        wide = {"Name": "b", "Format/Datatype": "Row major linear FP32"}
        rim: dict[str, Any] = {"Bindings": ["out"]}
    else:
        inner = {"Name": "a", "Format": "Row major linear", "DataType": "Half"}
        wide = {"Name": "b", "Format": "Row major linear", "DataType": "Float"}
        rim = {"I/O Tensors": [{"Name": "out", "IOMode": "Output", "DataType": "Float"}]}
    text = json.dumps({
        "Layers": [
            {"Name": "conv", "LayerType": "CaskConvolution", "Outputs": [inner]},
            {"Name": "slow", "LayerType": "CaskGemm", "Outputs": [wide]},
            {"Name": "last", "LayerType": "Myelin", "Outputs": [{**wide, "Name": "out"}]},
        ],
        **rim,
    })
    layers = of_engine(text)
    assert [layer.types for layer in layers] == [("float16",), ("float32",), ()]
    assert [layer.name for layer in crept_in(layers, "float16")] == ["slow"]


def test_an_engine_that_tells_no_types_is_refused() -> None:
    with pytest.raises(ValueError, match="no types in it"):
        of_engine('{"Layers": ["conv"], "Bindings": []}')


def test_progress_counts_nested_phases_and_the_time_left() -> None:
    now, said = [0.0], list[str]()
    progress = BuildProgress(said.append, lambda: now[0])
    progress.start("build", None, 2)
    progress.step("build", 0)
    progress.start("tactics", "build", 4)
    now[0] = 30.0
    progress.step("tactics", 1)
    assert progress.share == pytest.approx(0.75)
    assert said[-1] == "building 75 %, about 10 s left (tactics)"
    progress.step("tactics", 2)
    assert len(said) == 2
    progress.finish("tactics")
    progress.start("cleaning", None, 10)
    progress.step("cleaning", 0)
    assert progress.share > 0.75


class _Twisted:
    """A runtime whose curvature is wrong by a tenth, or not finite."""

    name = "twisted"

    def __init__(self, inner: Any, factor: float) -> None:
        self._inner = inner
        self._factor = factor
        self.notes: list[str] = []

    def load(self, model: Model) -> None:
        self._inner.load(model)

    def warm_up(self, passes: int) -> None:
        self._inner.warm_up(passes)

    def infer(self, tensors: Tensors) -> dict[str, np.ndarray]:
        answer: dict[str, np.ndarray] = self._inner.infer(tensors)
        return {**answer, "curvature": self._factor * answer["curvature"]}

    def close(self) -> None:
        self._inner.close()


def test_verification_tells_a_right_engine_from_a_wrong_one(make_model: ModelFactory) -> None:
    model, settings = make_model(), runtime_settings("openvino/CPU")
    runtime, against = OpenVinoRuntime("CPU", 1), reference(model, settings)
    runtime.load(model)
    assert all(d.passed for d in verify(model, runtime, against, samples(model, 3)))
    wrong = verify(model, _Twisted(runtime, 1.1), against, samples(model, 3))
    assert [d.tensor for d in wrong if not d.passed] == ["curvature"]
    assert wrong[0].share == pytest.approx(0.1, rel=1e-3)
    broken = verify(model, _Twisted(runtime, float("nan")), against, samples(model, 1))
    assert broken[0].tensor == "curvature"
    assert not broken[0].passed


def test_openvino_takes_its_engine_and_compiles_anew_where_it_is_damaged(
    make_model: ModelFactory, tmp_path: Path
) -> None:
    model = make_model()
    settings = runtime_settings("openvino/CPU", cache=tmp_path / "engines").engine
    path = OpenVinoRuntime("CPU", 1, settings).build(model)
    inputs = samples(model, 1)[0]
    answers = []
    for damaged in (False, True):
        if damaged:
            path.write_bytes(path.read_bytes()[:-100])
        runtime = OpenVinoRuntime("CPU", 1, settings)
        runtime.load(model)
        answers.append(runtime.infer(inputs))
        runtime.close()
        assert bool(runtime.notes) == damaged
    assert str(path) in runtime.notes[0]
    for name, value in answers[0].items():
        np.testing.assert_array_equal(value, answers[1][name])


def rtx() -> Any:
    return pytest.importorskip(
        "tensorrt_rtx_bindings", reason="needs TensorRT for RTX: requirements/tensorrt_rtx.txt"
    )


@pytest.fixture(scope="module")
def pilot() -> Model:
    return load_model(paths.model("pilot"))


@pytest.fixture(scope="module")
def half_pilot(tmp_path_factory: pytest.TempPathFactory, pilot: Model) -> Model:
    """The shipped model with its graph converted to float16."""
    pytest.importorskip("onnxscript", reason="needs the packages of learning")
    from vla_driving.learning.quantise import write

    folder = tmp_path_factory.mktemp("half")
    for file in pilot.manifest.files:
        (folder / file.path).write_bytes((pilot.folder / file.path).read_bytes())
    (folder / "manifest.yaml").write_bytes((pilot.folder / "manifest.yaml").read_bytes())
    return write(folder, ["float16"], folder, None)


@pytest.mark.parametrize("precision", ["float32", "int8", "float16"])
def test_tensorrt_builds_the_shipped_model_without_a_gpu(
    precision: str, pilot: Model, half_pilot: Model
) -> None:
    library, lines = rtx(), list[str]()
    model = (half_pilot if precision == "float16" else pilot).at(precision)
    settings = runtime_settings("tensorrt_rtx/GPU").engine
    built = building.build(library, model, settings, lines.append, "SM89")
    assert len(built.content) > 1_000_000
    assert lines and all(line.startswith("building ") for line in lines)
    convolutions = [layer for layer in built.layers if layer.kind == "CONVOLUTION"]
    half = "float32" if precision == "float32" else "float16"
    assert len(convolutions) == 22
    assert {layer.types for layer in convolutions} == {(half,)}
    quantised = [layer for layer in built.layers if layer.kind == "QUANTIZE"]
    assert len(quantised) == (18 if precision == "int8" else 0)
    assert crept_in(built.layers, precision) == []


def test_float32_in_a_network_of_another_precision_fails_the_build(pilot: Model) -> None:
    library = rtx()
    files = tuple(
        dataclasses.replace(f, precision="float16") if f.role == "network" else f
        for f in pilot.manifest.files if f.precision != "int8"
    )
    model = Model(
        pilot.folder, dataclasses.replace(pilot.manifest, files=files), "float16"
    )
    settings = runtime_settings("tensorrt_rtx/GPU").engine
    with pytest.raises(EngineError, match=r"layers compute in float32 .*Conv"):
        building.build(library, model, settings, print, "SM89")
    built = building.build(library, model, settings, print, "SM89", ["*"])
    assert built.layers


def test_tensorrt_names_a_network_it_cannot_read(make_model: ModelFactory) -> None:
    library, model = rtx(), make_model()
    model.network_path.write_bytes(b"this is no network")
    with pytest.raises(ModelError, match=r"tiny\.onnx: .* cannot read this network"):
        building.build(library, model, runtime_settings("x").engine, print, "SM89")


@pytest.mark.parametrize("content", [b"", b"no engine", b"\0" * 10_000])
def test_tensorrt_refuses_what_is_no_engine(content: bytes) -> None:
    with pytest.raises(EngineError, match=r"x\.engine: .* cannot read this engine"):
        building.deserialise(rtx(), content, "x.engine")


def test_an_unknown_target_is_named(make_model: ModelFactory) -> None:
    with pytest.raises(EngineError, match="cannot build for 'SM1'"):
        building.build(rtx(), make_model(), runtime_settings("x").engine, print, "SM1")


def test_what_tensorrt_is_asked_for_exists_in_its_api() -> None:
    """Classes and members that run only on a GPU; TensorRT for RTX has TensorRT's names."""
    library = rtx()
    for owner, names in {
        library.IOutputAllocator: (), library.IProgressMonitor: ("phase_start", "phase_finish"),
        library.Refitter: ("refit_cuda_engine",), library.OnnxParserRefitter: ("refit_from_file",),
        library.IExecutionContext: (
            "execute_async_v3", "set_tensor_address", "set_output_allocator",
        ),
        library.ICudaEngine: (
            "get_tensor_name", "get_tensor_mode", "get_tensor_dtype", "get_tensor_shape",
            "num_io_tensors", "create_engine_inspector", "refittable", "serialize",
        ),
        library.TensorIOMode: ("INPUT",), library.LayerInformationFormat: ("JSON",),
    }.items():
        for name in names:
            assert hasattr(owner, name), f"{owner.__name__}.{name}"
