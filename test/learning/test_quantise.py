from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="torch is not installed: requirements/learning.txt")
onnx = pytest.importorskip("onnx", reason="onnx is not installed: requirements/learning.txt")

from vla_driving import paths
from vla_driving.learning.baseline import PilotNet
from vla_driving.learning.baseline import release as release_baseline
from vla_driving.learning.clips import clip_paths, read_clip
from vla_driving.learning.dataset import DatasetError
from vla_driving.learning.export import Deployed, example, export_program, inputs_of, outputs_of
from vla_driving.learning.network import Pilot, PilotSettings
from vla_driving.learning.quantise import (
    calibration_frames,
    frame_tensors,
    measure,
    with_scores,
    write,
)
from vla_driving.learning.release import Provenance, release
from vla_driving.learning.tensors import VIRTUAL_CAMERA
from vla_driving.vla.engines import tensorrt as building
from vla_driving.vla.engines.layers import crept_in
from vla_driving.vla.engines.verify import reference, samples, verify
from vla_driving.vla.manifest import Model, ModelFile, load_model, save_manifest
from vla_driving.vla.runtimes.openvino import OpenVinoRuntime

from ..vla.tiny_model import runtime_settings
from .synthetic_clips import write_clips

SMALL = PilotSettings(
    widths=(16, 16, 16, 16), blocks=(1, 1, 1, 1), hidden=32, scene_hidden=16, reason_hidden=16
)
PRECISIONS = ("float32", "float16", "int8")


@pytest.fixture(scope="module")
def data(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("clips")
    write_clips(folder)
    return folder


@pytest.fixture(scope="module")
def folder(tmp_path_factory, data) -> Path:
    """A model's folder of a small untrained pilot in all precisions and as a program."""
    torch.manual_seed(2)
    pilot = Pilot(SMALL).eval()
    made = tmp_path_factory.mktemp("pilot")
    torch.save(pilot.state_dict(), made / "weights.pt")
    release(
        made / "weights.pt", made, VIRTUAL_CAMERA, Provenance("0.0.1", "none", 0, "none", ()),
        SMALL,
    )
    model = write(made, ("float16", "int8"), data, None)
    export_program(pilot, made / "pilot.pt2")
    files = (*model.manifest.files, ModelFile("pilot.pt2", "", "program"))
    save_manifest(replace(model.manifest, files=files), made)
    return made


def test_images_are_cast_before_all_else_and_no_shape_is_computed(folder):
    for precision in PRECISIONS:
        graph = onnx.load(load_model(folder).at(precision).network_path).graph
        assert [n.op_type for n in graph.node if "images" in n.input] == ["Cast"], precision
        assert not [n for n in graph.node if n.op_type == "Shape"], precision


def test_int8_is_explicit_symmetric_and_per_channel(folder):
    graph = onnx.load(load_model(folder).at("int8").network_path).graph
    values = {i.name: onnx.numpy_helper.to_array(i) for i in graph.initializer}
    makers = {name: node for node in graph.node for name in node.output}
    convolutions = [n for n in graph.node if n.op_type == "Conv"]
    assert len(convolutions) >= 10
    for k, convolution in enumerate(convolutions):
        image, weight = (makers[name] for name in convolution.input[:2])
        assert image.op_type == weight.op_type == "DequantizeLinear"
        assert makers[image.input[0]].op_type == "QuantizeLinear"
        stored = values[weight.input[0]]
        assert stored.dtype == np.int8
        assert values[weight.input[1]].shape == (stored.shape[0],)
        for node in (image, weight):
            assert not values[node.input[2]].any()
            assert values[node.input[1]].dtype == np.float16
        # 2 * 255 * 64 fits into 16 bits: the first layer's input alone is signed.
        assert np.abs(stored.astype(int)).max() <= (64 if k == 0 else 127)


def test_answers_move_little(folder, data):
    found = measure(load_model(folder), ("float16", "int8"), data, 10)
    for precision, farthest in (("float16", 0.02), ("int8", 0.3)):
        assert found[precision]["frames"] == 10
        assert 0.0 < found[precision]["mean_2s"] < farthest
        assert found[precision]["mean_2s"] <= found[precision]["p95_2s"]


def test_the_program_answers_as_the_network_does(folder):
    program = torch.export.load(load_model(folder).program_path)
    names = inputs_of(SMALL)
    answers = program.module()(**dict(zip(names, example(names), strict=True)))
    torch.manual_seed(2)
    pilot = Pilot(SMALL).eval()
    with torch.no_grad():
        expected = Deployed(pilot)(*example(names))
    assert list(answers) == list(outputs_of(SMALL))
    for name, value in zip(outputs_of(SMALL), expected, strict=True):
        torch.testing.assert_close(answers[name], value, msg=name)


def test_what_was_measured_goes_into_the_manifest_once(folder):
    figures = {"frames": 8, "same_candidate": 0.875, "mean_2s": 0.0123}
    model = with_scores(load_model(folder), {"int8": figures})
    model = with_scores(model, {"int8": figures})
    scores = {s.name: s.value for s in model.manifest.scores}
    assert scores == {"int8_shift_2s": 0.0123, "int8_same_candidate": 0.875}


def test_motion_is_that_since_the_frame_before_and_none_where_it_starts_anew(data):
    clip = read_clip(clip_paths(data)[0])
    names = [t.name for t in load_model(paths.model("pilot")).manifest.input_tensors()]
    assert set(frame_tensors(clip, 1, names)) == set(names)
    motion = [frame_tensors(clip, k, ["motion"])["motion"][0] for k in range(len(clip))]
    assert not motion[0].any() and not motion[6].any()  # the first, and one that is fresh
    assert motion[1][0] == pytest.approx(1.0, abs=0.01)  # 5 m/s for 0.2 s
    assert motion[1][2] == pytest.approx(0.2 * clip.labels["yaw_rate"][0], rel=1e-3)


def test_without_clips_there_is_nothing_to_calibrate_on(tmp_path):
    with pytest.raises(DatasetError, match="no clips to calibrate on"):
        calibration_frames(tmp_path, 4, ["images"])


@pytest.fixture(scope="module")
def baseline(tmp_path_factory) -> Model:
    torch.manual_seed(3)
    made = tmp_path_factory.mktemp("baseline")
    release_baseline(PilotNet(), made, 10, {"frames": 10.0, "ade": 1.0, "position_2s": 0.5})
    return load_model(made)


@pytest.mark.parametrize("precision", PRECISIONS)
def test_openvino_answers_as_the_reference(folder, precision):
    compare(load_model(folder).at(precision))


def test_the_baseline_is_a_model_like_any_other(baseline):
    compare(baseline)
    assert baseline.manifest.candidates == 1 and baseline.manifest.title == "baseline/0.1.0"


def compare(model: Model) -> None:
    runtime = OpenVinoRuntime("CPU", 1)
    runtime.load(model)
    against = reference(model, runtime_settings("onnxruntime/CPU"))
    deviations = verify(model, runtime, against, samples(model, 4))
    assert all(d.passed for d in deviations), [str(d) for d in deviations]


@pytest.mark.parametrize("precision", PRECISIONS)
def test_tensorrt_takes_the_graph_and_keeps_its_types(folder, precision):
    built = build(load_model(folder).at(precision))
    assert crept_in(built.layers, precision) == []
    assert len([layer for layer in built.layers if layer.kind == "CONVOLUTION"]) >= 10


def test_tensorrt_takes_the_baseline(baseline):
    assert len(build(baseline).content) > 100_000


def build(model: Model) -> building.Built:
    library = pytest.importorskip(
        "tensorrt_rtx_bindings", reason="needs TensorRT for RTX: requirements/tensorrt_rtx.txt"
    )
    settings = runtime_settings("tensorrt_rtx/GPU").engine
    return building.build(library, model, settings, lambda line: None, "SM89")
