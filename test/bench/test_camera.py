from __future__ import annotations

import dataclasses
import os

import cv2
import numpy as np
import pytest

from vla_driving.bench import camera as bench
from vla_driving.bench.pictures import CAMERA, encoded, jpeg, road_pictures
from vla_driving.camera.decoding import decode
from vla_driving.camera.images import CompressedImage
from vla_driving.camera.warp import Warp


@pytest.fixture(scope="module")
def pictures() -> list[np.ndarray]:
    return road_pictures(2)


def test_pictures_are_as_hard_to_decode_as_a_cameras(pictures: list[np.ndarray]) -> None:
    """At quality 90 a frame of a real highway video takes 0.11 bytes a pixel, of noise alone 1."""
    for picture in pictures:
        assert picture.shape == (1080, 1920, 3)
        assert 0.11 < len(jpeg(picture)) / (1920 * 1080) < 0.25
    assert not np.array_equal(pictures[0], pictures[1])


@pytest.mark.parametrize("encoding", bench._ENCODINGS)
def test_every_encoding_shows_the_same_road(encoding: str, pictures: list[np.ndarray]) -> None:
    again = decode(encoded(pictures[0], encoding), 4).astype(int)
    expected = decode(pictures[0], 4)
    assert np.abs(again - expected).mean() < 3.0


def test_both_ways_end_with_the_same_road(pictures: list[np.ndarray]) -> None:
    file = jpeg(pictures[0])
    # The plain way neither turns the view nor changes its focal length, so for a view of the same
    # kind both must agree.
    view = bench._view()
    same = CAMERA.matrix()
    scale = view.width / CAMERA.width, view.height / CAMERA.height
    shown = dataclasses.replace(
        view, fx=same[0, 0] * scale[0], fy=same[1, 1] * scale[1],
        cx=(same[0, 2] + 0.5) * scale[0] - 0.5, cy=(same[1, 2] + 0.5) * scale[1] - 0.5,
        mount=CAMERA.mount,
    )
    ours = bench.ready(CompressedImage(file), Warp(CAMERA, shown))
    plain = bench.plain_way(file, shown)
    assert plain.shape == (3, view.height, view.width)
    assert 0.0 <= plain.min() < plain.max() <= 1.0
    blurred = [cv2.GaussianBlur(i.astype(np.float32), (5, 5), 0) for i in
               (ours, 255.0 * plain.transpose(1, 2, 0))]
    assert np.abs(blurred[0] - blurred[1])[4:-4, 4:-4].mean() < 3.0


def test_figures_are_measured_for_every_way() -> None:
    lines: list[str] = []
    with bench.one_core():
        assert len(os.sched_getaffinity(0)) == 1
        figures = bench._images(1, lines.append, 2)
    assert len(os.sched_getaffinity(0)) >= 1
    for key in ("jpeg_1080p_ms", "jpeg_1080p_plain_ms", "raw_1080p_ms", "jpeg_1080p_ms_p99"):
        figure = figures[key]
        assert isinstance(figure, float)
        assert figure > 0.0
    by_encoding = figures["raw_1080p_by_encoding_ms"]
    assert isinstance(by_encoding, dict)
    assert set(by_encoding) == set(bench._ENCODINGS)
    assert len(lines) == 4 + len(by_encoding)
