from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="torch is not installed: requirements/learning.txt")

from vla_driving.learning.augment import augment, mirror
from vla_driving.learning.dataset import read_all, write_episode
from vla_driving.learning.fit import (
    Data,
    FitSettings,
    blur_navigation,
    calibrate_doubt,
    fit,
    split,
)
from vla_driving.learning.loss import TWO_SECONDS, chosen_error
from vla_driving.learning.network import (
    KNOTS_S,
    Pilot,
    PilotSettings,
    interpolation,
)

TINY = PilotSettings(widths=(16, 16, 16, 16), blocks=(1, 1, 1, 1), hidden=16)
SETTINGS = FitSettings(epochs=6, batch=8, learning_rate=1e-2, average=0.5)


@pytest.fixture
def frames(samples, tmp_path):
    path = tmp_path / "data" / "episode.npz"
    write_episode(path, samples)
    return read_all([path])


def test_loss_decreases_and_weights_are_written(frames, tmp_path):
    torch.set_num_threads(1)
    last = fit(frames, frames, SETTINGS, tmp_path / "run", TINY)
    first = fit(frames, frames, replace(SETTINGS, epochs=1), tmp_path / "short", TINY)
    assert last["held_out_loss"] < 0.8 * first["held_out_loss"]
    assert (tmp_path / "run" / "weights.pt").is_file()


def test_a_stopped_run_goes_on_where_it_was(frames, tmp_path, monkeypatch):
    torch.set_num_threads(1)
    import vla_driving.learning.fit as module

    whole = fit(frames, frames, replace(SETTINGS, epochs=3), tmp_path / "whole", TINY)
    saved, save = [], module._save

    def stop_after_two(*arguments):
        save(*arguments)
        saved.append(1)
        if len(saved) == 2:
            raise KeyboardInterrupt

    monkeypatch.setattr(module, "_save", stop_after_two)
    with pytest.raises(KeyboardInterrupt):
        fit(frames, frames, replace(SETTINGS, epochs=3), tmp_path / "halves", TINY)
    monkeypatch.setattr(module, "_save", save)
    resumed = fit(frames, frames, replace(SETTINGS, epochs=3), tmp_path / "halves", TINY)
    assert resumed["held_out_loss"] == pytest.approx(whole["held_out_loss"], rel=1e-4)


def test_augmentation_is_seeded_and_stays_an_image(frames):
    images = torch.from_numpy(frames.images[:4]).permute(0, 3, 1, 2).float() / 255.0
    first = augment(images, torch.Generator().manual_seed(5))
    again = augment(images, torch.Generator().manual_seed(5))
    other = augment(images, torch.Generator().manual_seed(6))
    assert torch.equal(first, again) and not torch.equal(first, other)
    assert first.shape == images.shape and first.min() >= 0.0 and first.max() <= 1.0


def test_a_mirrored_mirror_image_is_the_frame_itself(frames):
    images = torch.from_numpy(frames.images[:6]).float() / 255.0
    images = images.permute(0, 3, 1, 2)
    labels = {n: torch.from_numpy(v[:6]) for n, v in frames.labels.items()}
    labels["navigation"] = torch.eye(8)[1].repeat(6, 1)
    once = mirror(images, labels, torch.Generator().manual_seed(1), share=1.0)
    assert torch.equal(once[1]["curvature"], -labels["curvature"])
    assert (once[1]["navigation"][:, 2] == 1.0).all()
    assert once[1]["lane_lines"][0, 1, 1] == -labels["lane_lines"][0, 0, 1]
    twice = mirror(*once, torch.Generator().manual_seed(1), share=1.0)
    assert torch.equal(twice[0], images)
    for name, value in labels.items():
        assert torch.equal(twice[1][name], value), name
    kept = mirror(images, labels, torch.Generator().manual_seed(1), share=0.0)
    assert torch.equal(kept[0], images)


def test_doubt_is_scaled_to_the_errors_on_held_out_frames(frames):
    torch.manual_seed(4)
    model = Pilot(TINY)
    data = Data(frames, torch.device("cpu"))
    calibrate_doubt(model, data)
    truth = data.take(torch.arange(len(data))).truth()
    decoded = model(
        data.take(torch.arange(len(data))).images, truth.speed[:, None],
        data.labels["navigation"],
    )
    error = chosen_error(decoded, truth)[:, TWO_SECONDS].clamp(max=10.0)
    assert (0.5 * error**2 / decoded.uncertainty**2).mean().item() == pytest.approx(1.0, rel=1e-3)


def test_some_episodes_are_held_out():
    paths = [Path(f"{k:03d}.npz") for k in range(45)]
    train, held = split(paths[::-1])
    assert held == [paths[19], paths[39]] and split(paths[5:])[1] == held
    assert sorted(train + held) == paths
    assert split(paths[:2]) == (paths[:1], paths[1:2])


def test_no_turn_in_range_stays_so():
    navigation = torch.zeros(200, 8)
    navigation[:, 1] = navigation[:, 6] = 1.0
    blurred = blur_navigation(navigation, torch.Generator().manual_seed(1))
    silent = blurred[:, 0] == 1.0
    assert torch.equal(blurred[~silent], navigation[~silent])
    assert 0 < silent.sum() < 30 and (blurred[silent, 6] == 1.0).all()


def test_controls_are_linear_between_knots():
    matrix = interpolation()
    times = np.arange(1, 65) * 0.1
    np.testing.assert_allclose(np.array(KNOTS_S) @ matrix, times, atol=1e-6)
    np.testing.assert_allclose(matrix.sum(0), 1.0, atol=1e-6)
