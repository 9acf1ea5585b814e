from __future__ import annotations

import itertools
import math
from pathlib import Path

import av
import cv2
import numpy as np
import pytest

from vla_driving.camera.decoding import decode
from vla_driving.camera.sources import SourceError, assumed_camera, open_source

FRAMES, RATE = 12, 25


def write_video(path: Path, frames: int = FRAMES) -> Path:
    """96x64 pixels whose brightness grows from frame to frame; its index lies in front."""
    with av.open(str(path), "w", options={"movflags": "faststart"}) as container:
        stream = container.add_stream("mpeg4", rate=RATE)
        stream.width, stream.height, stream.pix_fmt = 96, 64, "yuv420p"
        for k in range(frames):
            image = np.full((64, 96, 3), 20 + 15 * (k % FRAMES), np.uint8)
            for packet in stream.encode(av.VideoFrame.from_ndarray(image, "rgb24")):
                container.mux(packet)
        for packet in stream.encode():
            container.mux(packet)
    return path


def write_pictures(folder: Path) -> Path:
    for k in range(3):
        cv2.imwrite(str(folder / f"{k:03}.png"), np.full((8, 10, 3), 50 * k, np.uint8))
    return folder


def test_a_video_comes_at_its_own_times(tmp_path: Path) -> None:
    source = open_source(write_video(tmp_path / "a.mp4"), 10.0)
    assert (source.width, source.height, source.rate_hz) == (96, 64, 25.0)
    images = list(source.images(loop=False))
    assert [i.offset_ns for i in images] == [k * 40_000_000 for k in range(FRAMES)]
    levels = [float(decode(i.image).mean()) for i in images]
    np.testing.assert_allclose(levels, [20 + 15 * k for k in range(FRAMES)], atol=4)


def test_a_loop_goes_on_without_a_gap(tmp_path: Path) -> None:
    source = open_source(write_video(tmp_path / "a.mp4"), 10.0)
    offsets = [i.offset_ns for i in itertools.islice(source.images(loop=True), 3 * FRAMES)]
    assert offsets == [k * 40_000_000 for k in range(3 * FRAMES)]


def test_a_folder_of_pictures_comes_at_the_given_rate(tmp_path: Path) -> None:
    source = open_source(write_pictures(tmp_path), 10.0)
    assert (source.width, source.height, source.rate_hz) == (10, 8, 10.0)
    images = list(source.images(loop=False))
    assert [i.offset_ns for i in images] == [0, 100_000_000, 200_000_000]
    assert [int(decode(i.image)[0, 0, 0]) for i in images] == [0, 50, 100]


def test_files_that_cannot_be_shown_are_one_line_with_their_name(tmp_path: Path) -> None:
    (tmp_path / "empty.mp4").touch()
    (tmp_path / "junk.mp4").write_bytes(b"this is no video " * 100)
    whole = write_video(tmp_path / "whole.mp4").read_bytes()
    (tmp_path / "cut.mp4").write_bytes(whole[:200])
    (tmp_path / "nothing").mkdir()
    for name, line in (
        ("absent.mp4", "absent.mp4: no such file"),
        ("empty.mp4", "empty.mp4: is no readable video"),
        ("junk.mp4", "junk.mp4: is no readable video"),
        ("cut.mp4", "cut.mp4: "),
        ("nothing", "nothing: holds no .jpg, .jpeg, .png file"),
    ):
        with pytest.raises(SourceError, match=line) as caught:
            open_source(tmp_path / name, 10.0)
        assert "\n" not in str(caught.value)


def test_a_video_that_breaks_off_says_where(tmp_path: Path) -> None:
    path = write_video(tmp_path / "whole.mp4", 60)
    data = path.read_bytes()
    path.write_bytes(data[: len(data) * 8 // 10])
    images = open_source(path, 10.0).images(loop=True)
    with pytest.raises(SourceError, match=r"whole\.mp4: (corrupt|breaks off) after \d"):
        list(itertools.islice(images, 200))


def test_sound_alone_is_no_video(tmp_path: Path) -> None:
    path = tmp_path / "sound.mp4"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("aac", rate=8000)
        frame = av.AudioFrame.from_ndarray(np.zeros((1, 1024), np.float32), "fltp", "mono")
        frame.sample_rate = 8000
        for packet in [*stream.encode(frame), *stream.encode()]:
            container.mux(packet)
    with pytest.raises(SourceError, match=r"sound\.mp4: holds no video stream"):
        open_source(path, 10.0)


def test_pictures_of_two_sizes_or_broken_ones_are_named(tmp_path: Path) -> None:
    source = open_source(write_pictures(tmp_path), 10.0)
    cv2.imwrite(str(tmp_path / "001.png"), np.zeros((9, 10, 3), np.uint8))
    with pytest.raises(SourceError, match=r"001\.png: 10x9 pixels, the first picture has 10x8"):
        list(source.images(loop=False))
    (tmp_path / "001.png").write_bytes(b"broken")
    with pytest.raises(SourceError, match=r"001\.png: compressed image of 6 bytes"):
        list(source.images(loop=False))


def test_an_assumed_camera_says_so() -> None:
    camera, warning = assumed_camera("front", 960, 540, math.radians(60.0))
    assert camera.fx == pytest.approx(480.0 / math.tan(math.radians(30.0)))
    assert (camera.width, camera.height, camera.cx) == (960, 540, 479.5)
    assert "60 degrees of view" in warning
    assert "assumed" in warning
