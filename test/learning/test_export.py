from dataclasses import replace

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="torch is not installed: requirements/learning.txt")
pytest.importorskip("onnx", reason="onnx is not installed: requirements/learning.txt")
onnxruntime = pytest.importorskip("onnxruntime", reason="onnxruntime is not installed")

from vla_driving.learning.export import Deployed, example, export, inputs_of, outputs_of
from vla_driving.learning.memory import gather, kept
from vla_driving.learning.network import Pilot, PilotSettings, Told
from vla_driving.learning.release import Provenance, manifest_of
from vla_driving.learning.tensors import SHAPES, TEXT, VIRTUAL_CAMERA

SMALL = PilotSettings(
    widths=(8, 8, 16, 16), blocks=(1, 1, 1, 1), hidden=32, scene_hidden=16, reason_hidden=16
)


@pytest.fixture(params=["all parts", "memory", "text", "route"])
def pilot(request):
    """A small pilot, whole or without one part."""
    torch.manual_seed(2)
    part = request.param
    return Pilot(
        replace(SMALL, memory=part != "memory", text=part != "text", route=part != "route")
    ).eval()


def tensors(names, chance):
    """Inputs within their range."""
    made = {n: chance.random((1, *SHAPES[n]), np.float32) for n in names}
    made["images"] = chance.integers(0, 256, (1, *SHAPES["images"]), np.uint8)
    made["ego"] = np.array([[7.0]], np.float32)
    if "text" in made:
        made["text"] /= np.linalg.norm(made["text"])
    if "state_poses" in made:
        made["state_poses"][..., 4] = 1.0
        made["motion"] = np.array([[0.7, 0.01, 0.02, 0.1]], np.float32)
    return made


def test_the_graph_answers_as_torch_does_and_as_the_manifest_says(pilot, tmp_path):
    export(pilot, tmp_path / "pilot.onnx")
    session = onnxruntime.InferenceSession(
        tmp_path / "pilot.onnx", providers=["CPUExecutionProvider"]
    )
    names, outputs = inputs_of(pilot.settings), outputs_of(pilot.settings)
    manifest = manifest_of(
        VIRTUAL_CAMERA, Provenance("0.0.1", "none", 0, "none", ()), pilot.settings
    )
    assert {i.name: tuple(i.shape) for i in session.get_inputs()} == {
        t.name: t.shape for t in manifest.input_tensors()
    }
    assert {t.name for t in manifest.output_tensors()} == set(outputs)
    given = tensors(names, np.random.default_rng(4))
    answers = session.run(list(outputs), given)
    with torch.no_grad():
        expected = Deployed(pilot)(*(torch.from_numpy(given[n]) for n in names))
    shapes = {t.name: t.shape for t in manifest.output_tensors()}
    for name, answer, truth in zip(outputs, answers, expected, strict=True):
        assert answer.shape == shapes[name], name
        # Weights in half precision: 11 bits of mantissa.
        np.testing.assert_allclose(answer, truth.numpy(), rtol=1e-2, atol=2e-3, err_msg=name)


def test_frame_by_frame_it_answers_as_in_training():
    torch.manual_seed(3)
    pilot = Pilot(SMALL).eval()
    chance = np.random.default_rng(5)
    frames, speed, turn, period = 8, 6.0, 0.2, 0.2
    images = chance.integers(0, 256, (frames, *SHAPES["images"]), np.uint8)
    times = torch.arange(frames) * period
    heading = turn * times
    pose = torch.stack([
        speed / turn * torch.sin(heading), speed / turn * (1.0 - torch.cos(heading)), heading
    ], 1)
    chord = 2.0 * speed / turn * np.sin(turn * period / 2.0)
    motion = torch.tensor([[
        chord * np.cos(turn * period / 2.0), chord * np.sin(turn * period / 2.0),
        turn * period, period,
    ]], dtype=torch.float32)
    given = dict(zip(
        inputs_of(pilot.settings), example(inputs_of(pilot.settings)), strict=True
    ))
    given["ego"] = torch.full((1, 1), speed)
    deployed, answers = Deployed(pilot), []
    with torch.no_grad():
        for k in range(frames):
            given["images"] = torch.from_numpy(images[k:k + 1])
            given["motion"] = motion if k else torch.zeros(1, 4)
            answer = dict(zip(
                deployed.outputs, deployed(*(given[n] for n in deployed.inputs)), strict=True
            ))
            given["state_tokens"] = answer["next_state_tokens"]
            given["state_poses"] = answer["next_state_poses"]
            answers.append(answer["acceleration"])
        seen = pilot.encoder(torch.from_numpy(images[:, 0]).permute(0, 3, 1, 2).float() / 255.0)
        table = kept(times, torch.zeros(frames, dtype=torch.bool))
        tokens, poses = gather(pilot.token(seen), pose, times, table)
        at_once = pilot.decide(seen, Told(
            speed=torch.full((frames, 1), speed), navigation=torch.zeros(frames, 8),
            route=torch.zeros(frames, 12), text=torch.zeros(frames, TEXT),
            command=torch.zeros(frames, 1), tokens=tokens, poses=poses,
        ))
    torch.testing.assert_close(torch.cat(answers), at_once.acceleration, rtol=1e-4, atol=1e-4)


def test_controls_stay_within_what_the_car_can_do():
    pilot = Pilot(SMALL).eval()
    for weight in pilot.control_head.parameters():
        torch.nn.init.normal_(weight, std=50.0)
    with torch.no_grad():
        acceleration, curvature, probability, *_ = Deployed(pilot)(
            *example(inputs_of(pilot.settings))
        )
    limits = pilot.settings
    assert curvature.abs().max() <= limits.max_curvature + 1e-6
    assert acceleration.max() <= limits.max_acceleration + 1e-4
    assert acceleration.min() >= -limits.max_deceleration - 1e-4
    assert probability.sum().item() == pytest.approx(1.0, abs=1e-5)
