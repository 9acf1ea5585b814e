from __future__ import annotations

import math

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vla_driving import paths
from vla_driving.camera.decoding import decode
from vla_driving.camera.health import CameraHealth, Finding, measure
from vla_driving.camera.sources import open_source
from vla_driving.camera.warp import Warp
from vla_driving.contract.cameras import load_camera
from vla_driving.contract.frames import FrameStatus, Image
from vla_driving.vla.manifest import load_manifest

from .conditions import GOOD, SPOILT
from .real import HIGHWAY, NAME
from .scenes import HEALTH, picture

OK = FrameStatus.OK


def seen(images: list[Image], moving: bool = True) -> list[FrameStatus]:
    health = CameraHealth(HEALTH)
    return [health.look(image, moving).status for image in images]


def road(k: int = 0) -> Image:
    """256x128 pixels: sky, grass, asphalt and broken white lines, `k` pixels further on."""
    image = np.empty((128, 256, 3), np.uint8)
    image[:45], image[45:] = (150, 185, 220), (90, 110, 55)
    cv2.fillPoly(image, [np.array([[118, 45], [138, 45], [290, 128], [-34, 128]])], (70, 72, 75))
    for side in (-1.0, -0.35, 0.35, 1.0):
        for row in range(46, 128):
            if abs(side) == 1.0 or (row + k) // 8 % 2:
                column = 128 + side * (row - 43) * 1.5
                cv2.line(image, (int(column), row), (int(column + row / 40), row), (235, 235, 230))
    return image


def test_different_images_are_fine() -> None:
    assert seen([road(k) for k in range(6)]) == [OK] * 6


def test_equal_images_while_moving_are_frozen_until_they_change() -> None:
    same, frozen = road(1), FrameStatus.FROZEN
    assert seen([same, same, same, same, road(2)]) == [OK, OK, frozen, frozen, OK]


def test_equal_images_while_standing_are_fine() -> None:
    assert seen([road(1)] * 8, moving=False) == [OK] * 8


@pytest.mark.parametrize("name", sorted(GOOD))
def test_weather_and_light_are_no_fault(name: str) -> None:
    rng = np.random.default_rng(1)
    assert seen([GOOD[name](road(k), rng) for k in range(6)]) == [OK] * 6


@pytest.mark.parametrize("name", sorted(SPOILT))
def test_what_spoils_a_picture_counts_once_confirmed(name: str) -> None:
    status, spoil = SPOILT[name]
    rng = np.random.default_rng(1)
    found = seen([spoil(road(k), rng) for k in range(3)] + [road(9)])
    assert found == [OK, status, status, OK]


def test_a_black_picture_is_dark_rather_than_frozen() -> None:
    assert seen([np.zeros((128, 256, 3), np.uint8)] * 9)[1:] == [FrameStatus.DARK] * 8


def test_findings_hold_value_and_limit() -> None:
    health = CameraHealth(HEALTH)
    for k in range(2):
        finding = health.look((road(k) * 0.04).astype(np.uint8), True)
    assert finding == Finding(FrameStatus.DARK, health.measures.brightness, HEALTH.dark_level)
    assert 0.0 < finding.value < HEALTH.dark_level


@pytest.mark.parametrize("share", [0.3, 0.6])
def test_what_a_camera_does_not_see_is_not_measured(share: float) -> None:
    """A camera that sees part of the view is judged on that part."""
    inside = np.zeros((128, 256), np.bool_)
    inside[:, : int(256 * (1.0 - share))] = True
    image = np.where(inside[..., None], road(), 0).astype(np.uint8)
    health = CameraHealth(HEALTH, inside)
    assert health.look(image, True).status == OK
    blind = CameraHealth(HEALTH, inside)
    covered = np.where(inside[..., None], 40, 0).astype(np.uint8)
    covered = np.repeat(covered, 3, axis=2)
    assert [blind.look(covered, True).status for _ in range(2)][-1] == FrameStatus.COVERED


@settings(max_examples=30, deadline=None)
@given(st.floats(0.08, 1.0))
def test_sharpness_does_not_follow_the_light(gain: float) -> None:
    full, dim = measure(road()), measure((road() * gain).astype(np.uint8))
    assert dim.sharpness == pytest.approx(full.sharpness, rel=0.35)
    assert dim.brightness == pytest.approx(full.brightness * gain, abs=2)


@pytest.mark.parametrize("size", [(1, 1), (1, 500), (3000, 2), (576, 1024)])
def test_any_size_can_be_judged(size: tuple[int, int]) -> None:
    found = measure(picture(1, size[1], size[0]))
    assert not any(map(math.isnan, (found.brightness, found.contrast, found.sharpness)))


@pytest.fixture(scope="module")
def highway() -> list[tuple[Image, Warp]]:
    """Every tenth picture of a real drive as the shipped model is to see it."""
    if HIGHWAY is None:
        pytest.skip(f"needs {NAME}, a highway video that is not part of the project")
    virtual = load_manifest(paths.model("pilot") / "manifest.yaml").inputs.cameras[0]
    warp = Warp(load_camera(paths.config("cameras/dashcam_960x540.yaml")), virtual)
    source = open_source(HIGHWAY, 25.0)
    return [
        (warp(decode(s.image, warp.reduction)), warp)
        for k, s in enumerate(source.images(loop=False)) if k % 10 == 0
    ]


@pytest.mark.parametrize("name", sorted(GOOD))
def test_a_real_drive_is_no_fault(name: str, highway: list[tuple[Image, Warp]]) -> None:
    rng = np.random.default_rng(2)
    health = CameraHealth(HEALTH, highway[0][1].seen)
    found = [health.look(GOOD[name](image, rng), True).status for image, _ in highway]
    assert found == [OK] * len(highway)


@pytest.mark.parametrize("name", sorted(SPOILT))
def test_a_real_drive_that_is_spoilt_is_told(name: str, highway: list[tuple[Image, Warp]]) -> None:
    status, spoil = SPOILT[name]
    rng = np.random.default_rng(2)
    health = CameraHealth(HEALTH, highway[0][1].seen)
    found = [health.look(spoil(image, rng), True).status for image, _ in highway]
    assert found == [OK] + [status] * (len(highway) - 1)
