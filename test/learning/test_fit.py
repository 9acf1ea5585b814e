from dataclasses import replace

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="torch is not installed: requirements/learning.txt")

from vla_driving.learning.augment import augment  # noqa: E402
from vla_driving.learning.dataset import read_all, write_episode  # noqa: E402
from vla_driving.learning.fit import FitSettings, blur_navigation, fit  # noqa: E402
from vla_driving.learning.network import KNOTS_S, PilotSettings, interpolation  # noqa: E402

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
