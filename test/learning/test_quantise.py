from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="torch is not installed: requirements/learning.txt")
onnx = pytest.importorskip("onnx", reason="onnx is not installed: requirements/learning.txt")

from vla_driving.learning.export import Deployed, example, export, export_program
from vla_driving.learning.graph import tidy
from vla_driving.learning.network import Pilot, PilotSettings
from vla_driving.learning.quantise import shift, to_float16, to_int8, with_scores
from vla_driving.learning.release import Provenance, _manifest
from vla_driving.learning.tensors import INPUTS, OUTPUTS, SHAPES, VIRTUAL_CAMERA
from vla_driving.vla.manifest import ModelFile, load_model, save_manifest
from vla_driving.vla.runtimes.openvino import OpenVinoRuntime


def frames(count):
    rng = np.random.default_rng(6)
    return [
        {
            "images": rng.integers(0, 256, (1, *SHAPES["images"]), np.uint8),
            "ego": rng.uniform(0.0, 15.0, (1, 1)).astype(np.float32),
            "navigation": rng.random((1, *SHAPES["navigation"]), np.float32),
        }
        for _ in range(count)
    ]


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    """A model's folder of a small untrained pilot in all precisions and as a program."""
    torch.manual_seed(2)
    pilot = Pilot(PilotSettings(widths=(8, 8, 16, 16), blocks=(1, 1, 1, 1), hidden=32)).eval()
    made = tmp_path_factory.mktemp("pilot")
    export(pilot, made / "pilot.onnx")
    for precision, convert in (("float16", to_float16), ("int8", lambda g: to_int8(g, frames(4)))):
        graph = tidy(onnx.load(made / "pilot.onnx"))
        onnx.save(convert(graph), made / f"pilot.{precision}.onnx")
    export_program(pilot, made / "pilot.pt2")
    (made / "README.md").write_text("card\n")
    manifest = _manifest(VIRTUAL_CAMERA, Provenance("0.0.1", "none", 0, "none", ()))
    files = (
        *manifest.files,
        ModelFile("pilot.float16.onnx", "", "network", "float16"),
        ModelFile("pilot.int8.onnx", "", "network", "int8"),
        ModelFile("pilot.pt2", "", "program"),
    )
    save_manifest(type(manifest)(**{**vars(manifest), "files": files}), made)
    return made



def test_images_are_cast_before_all_else_and_no_shape_is_computed(folder):
    for precision in ("float32", "float16", "int8"):
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


@pytest.mark.parametrize(("precision", "farthest"), [("float16", 0.01), ("int8", 0.3)])
def test_answers_move_little(folder, precision, farthest):
    model = load_model(folder)
    reference, other = OpenVinoRuntime("CPU", 1), OpenVinoRuntime("CPU", 1)
    reference.load(model.at("float32"))
    other.load(model.at(precision))
    found = shift(reference, other, frames(8))
    assert found["frames"] == 8
    assert 0.0 < found["mean_2s"] < farthest
    assert found["mean_2s"] <= found["p95_2s"]


def test_the_program_answers_as_the_network_does(folder):
    program = torch.export.load(load_model(folder).program_path)
    answers = program.module()(**dict(zip(INPUTS, example(), strict=True)))
    torch.manual_seed(2)
    pilot = Pilot(PilotSettings(widths=(8, 8, 16, 16), blocks=(1, 1, 1, 1), hidden=32)).eval()
    with torch.no_grad():
        expected = Deployed(pilot)(*example())
    assert list(answers) == list(OUTPUTS)
    for name, value in zip(OUTPUTS, expected, strict=True):
        torch.testing.assert_close(answers[name], value, msg=name)


def test_what_was_measured_goes_into_the_manifest_once(folder):
    figures = {"frames": 8, "same_candidate": 0.875, "mean_2s": 0.0123}
    model = with_scores(load_model(folder), {"int8": figures})
    model = with_scores(model, {"int8": figures})
    scores = {s.name: s.value for s in model.manifest.scores}
    assert scores == {"int8_shift_2s": 0.0123, "int8_same_candidate": 0.875}
