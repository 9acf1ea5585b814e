"""Clips on disk: what is written is read again, and nothing else is."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from vla_driving.learning.clips import (
    LABELS,
    Header,
    Moment,
    clip_path,
    clip_paths,
    read_clip,
    read_header,
    write_clip,
)
from vla_driving.learning.dataset import DatasetError
from vla_driving.learning.tensors import HEIGHT, WIDTH

HEADER = Header(7, "night", "teacher", "arrived", True, 3)


def moments(count=3):
    rng = np.random.default_rng(1)
    return [
        Moment(
            np.full((HEIGHT, WIDTH, 3), 40 * (i + 1), np.uint8),
            {name: rng.normal(size=shape) for name, shape in LABELS.items()},
        )
        for i in range(count)
    ]


@pytest.fixture
def path(tmp_path) -> Path:
    where = clip_path(tmp_path, 1234)
    write_clip(where, HEADER, moments())
    return where


def rewritten(path, **changes):
    """The file with some of its arrays changed or, where None, left out."""
    with np.load(path) as data:
        content = dict(data) | changes
    np.savez(path, **{k: v for k, v in content.items() if v is not None})


def test_what_is_written_is_read_again(path, tmp_path):
    assert path == tmp_path / "12" / "01234.npz"
    assert clip_paths(tmp_path) == [path]
    clip = read_clip(path)
    assert clip.header == read_header(path) == HEADER
    assert len(clip) == 3
    for i, moment in enumerate(moments()):
        assert abs(clip.image(i).astype(int) - moment.image).max() <= 3
        for name in LABELS:
            np.testing.assert_allclose(clip.labels[name][i], moment.labels[name], rtol=1e-6)
    np.testing.assert_array_equal(clip.decode(1, 3)[1], clip.image(2))
    assert not list(tmp_path.rglob("*.part"))


def test_the_same_content_gives_the_same_bytes(path, tmp_path):
    again = tmp_path / "again.npz"
    write_clip(again, HEADER, moments())
    assert again.read_bytes() == path.read_bytes()


def test_a_drive_that_failed_is_on_record_without_frames(tmp_path):
    failed = Header(3, "cut_in", "teacher", "collision", False, 0)
    write_clip(tmp_path / "a.npz", failed, [])
    clip = read_clip(tmp_path / "a.npz")
    assert clip.header == failed and len(clip) == 0 and len(clip.decode()) == 0


@pytest.mark.parametrize(("changes", "what"), [
    ({"speed": np.zeros((2,), np.float32)}, "speed: float32 (2,)"),
    ({"speed": np.zeros((3,), np.float64)}, "speed: float64 (3,)"),
    ({"pose": np.full((3, 3), np.nan, np.float32)}, "pose: not all numbers are finite"),
    ({"cause": None}, "cause"),
    ({"sizes": np.array([1, 2, 3])}, "pictures and their sizes"),
    ({"header": np.frombuffer(b"{", np.uint8)}, "header"),
])
def test_a_file_that_does_not_fit_is_refused_by_name(path, changes, what):
    rewritten(path, **changes)
    with pytest.raises(DatasetError) as refused:
        read_clip(path)
    assert what in str(refused.value) and str(path) in str(refused.value)
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize(("key", "value", "what"), [
    ("format", 2, "format 2 instead of 1"), ("driver", "cat", "'cat'"), ("ended", "?", "'?'"),
    ("colour", 1, "colour"),
])
def test_so_is_a_header_of_another_kind(path, key, value, what):
    with np.load(path) as data:
        header = json.loads(bytes(data["header"]))
    text = json.dumps(header | {key: value}).encode()
    rewritten(path, header=np.frombuffer(text, np.uint8))
    with pytest.raises(DatasetError, match=what):
        read_header(path)


def test_a_cut_off_file_is_refused(path):
    path.write_bytes(path.read_bytes()[:2000])
    with pytest.raises(DatasetError, match="collect again"):
        read_clip(path)
    with pytest.raises(DatasetError, match="no such file"):
        read_clip(path.with_name("none.npz"))


def test_a_broken_picture_is_refused(path):
    with np.load(path) as data:
        pictures = data["pictures"].copy()
    pictures[:200] = 0
    rewritten(path, pictures=pictures)
    with pytest.raises(DatasetError, match="picture 0"):
        read_clip(path).decode()


def test_frames_and_header_must_agree(tmp_path):
    with pytest.raises(DatasetError, match="2 frames, the header says 3"):
        write_clip(tmp_path / "a.npz", HEADER, moments(2))
    small = replace(moments(1)[0], image=np.zeros((4, 4, 3), np.uint8))
    with pytest.raises(DatasetError, match="expected uint8"):
        write_clip(tmp_path / "a.npz", replace(HEADER, frames=1), [small])
