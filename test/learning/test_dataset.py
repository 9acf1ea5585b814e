from dataclasses import replace

import numpy as np
import pytest

from vla_driving.learning.dataset import LABELS, DatasetError, read_all, read_episode, write_episode


def test_labels_come_back_exactly_and_images_nearly(samples, tmp_path):
    path = tmp_path / "episode.npz"
    assert write_episode(path, samples) == len(samples)
    frames = read_episode(path)
    assert len(frames) == len(samples)
    for name in LABELS:
        expected = np.array([getattr(s, name) for s in samples], np.float32)
        np.testing.assert_array_equal(frames.labels[name], expected)
    difference = frames.images.astype(int) - np.array([s.image for s in samples]).astype(int)
    assert np.abs(difference).mean() < 3.0


def test_same_samples_give_the_same_bytes(samples, tmp_path):
    write_episode(tmp_path / "a.npz", samples)
    write_episode(tmp_path / "b.npz", samples)
    assert (tmp_path / "a.npz").read_bytes() == (tmp_path / "b.npz").read_bytes()


def test_episodes_are_joined_in_order(samples, tmp_path):
    write_episode(tmp_path / "a.npz", samples[:3])
    write_episode(tmp_path / "b.npz", [])
    write_episode(tmp_path / "c.npz", samples[3:5])
    frames = read_all(sorted(tmp_path.glob("*.npz")))
    np.testing.assert_array_equal(
        frames.labels["speed"], np.array([s.speed for s in samples[:5]], np.float32)
    )


def test_a_broken_file_is_named(tmp_path):
    path = tmp_path / "broken.npz"
    path.write_bytes(b"nothing of use")
    with pytest.raises(DatasetError, match=r"broken\.npz: not an episode"):
        read_episode(path)
    with pytest.raises(DatasetError, match="no such file"):
        read_episode(tmp_path / "absent.npz")
    with pytest.raises(DatasetError, match="no episodes"):
        read_all([])


def test_an_image_of_the_wrong_size_is_refused(samples, tmp_path):
    small = replace(samples[0], image=samples[0].image[:, :100])
    with pytest.raises(DatasetError, match="expected uint8"):
        write_episode(tmp_path / "x.npz", [small])
