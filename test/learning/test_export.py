import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="torch is not installed: requirements/learning.txt")
pytest.importorskip("onnx", reason="onnx is not installed: requirements/learning.txt")
onnxruntime = pytest.importorskip("onnxruntime", reason="onnxruntime is not installed")

from vla_driving.learning.export import Deployed, example, export
from vla_driving.learning.network import Pilot, PilotSettings
from vla_driving.learning.tensors import INPUTS, OUTPUTS, SHAPES


@pytest.fixture
def pilot():
    torch.manual_seed(2)
    return Pilot(PilotSettings(widths=(8, 8, 16, 16), blocks=(1, 1, 1, 1), hidden=32)).eval()


def test_the_graph_answers_as_torch_does(pilot, tmp_path):
    export(pilot, tmp_path / "pilot.onnx")
    session = onnxruntime.InferenceSession(
        tmp_path / "pilot.onnx", providers=["CPUExecutionProvider"]
    )
    assert [i.name for i in session.get_inputs()] == list(INPUTS)
    rng = np.random.default_rng(4)
    images = rng.integers(0, 256, (1, *SHAPES["images"]), np.uint8)
    ego = np.array([[7.0]], np.float32)
    navigation = rng.random((1, *SHAPES["navigation"]), np.float32)
    answers = session.run(list(OUTPUTS), dict(zip(INPUTS, (images, ego, navigation), strict=True)))
    with torch.no_grad():
        expected = Deployed(pilot)(*map(torch.from_numpy, (images, ego, navigation)))
    for name, answer, truth in zip(OUTPUTS, answers, expected, strict=True):
        assert answer.shape == (1, *SHAPES[name]), name
        # Weights in half precision: 11 bits of mantissa.
        np.testing.assert_allclose(answer, truth.numpy(), rtol=5e-3, atol=5e-4, err_msg=name)


def test_controls_stay_within_what_the_car_can_do(pilot):
    for weight in pilot.control_head.parameters():
        torch.nn.init.normal_(weight, std=50.0)
    with torch.no_grad():
        acceleration, curvature, probability, *_ = Deployed(pilot)(*example())
    limits = pilot.settings
    assert curvature.abs().max() <= limits.max_curvature + 1e-6
    assert acceleration.max() <= limits.max_acceleration + 1e-4
    assert acceleration.min() >= -limits.max_deceleration - 1e-4
    assert probability.sum().item() == pytest.approx(1.0, abs=1e-5)
