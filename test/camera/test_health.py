from __future__ import annotations

import cv2
import numpy as np
import pytest

from vla_driving.camera.health import CameraHealth, Finding
from vla_driving.contract.frames import FrameStatus, Image

from .scenes import HEALTH, picture


def seen(images: list[Image], moving: bool = True) -> list[FrameStatus]:
    health = CameraHealth(HEALTH)
    return [health.look(image, moving).status for image in images]


def noisy(level: float, spread: float, seed: int) -> Image:
    rng = np.random.default_rng(seed)
    return np.clip(rng.normal(level, spread, (96, 128, 3)), 0, 255).astype(np.uint8)


def blurred(seed: int) -> Image:
    rough = np.random.default_rng(seed).integers(0, 255, (6, 8, 3), np.uint8)
    return np.asarray(cv2.resize(rough, (640, 480), interpolation=cv2.INTER_CUBIC), np.uint8)


def test_different_images_are_fine() -> None:
    assert seen([picture(k) for k in range(6)]) == [FrameStatus.OK] * 6


def test_equal_images_while_moving_are_frozen_until_they_change() -> None:
    same, ok, frozen = picture(1), FrameStatus.OK, FrameStatus.FROZEN
    assert seen([same, same, same, same, picture(2)]) == [ok, ok, frozen, frozen, ok]


def test_equal_images_while_standing_are_fine() -> None:
    assert seen([picture(1)] * 8, moving=False) == [FrameStatus.OK] * 8


@pytest.mark.parametrize(
    ("make", "status"),
    [
        (lambda k: noisy(2.0, 2.0, k), FrameStatus.DARK),
        (lambda k: noisy(300.0, 20.0, k), FrameStatus.OVEREXPOSED),
        (lambda k: noisy(90.0, 2.0, k), FrameStatus.COVERED),
        (blurred, FrameStatus.BLURRED),
    ],
)
def test_bad_images_count_once_confirmed(make, status: FrameStatus) -> None:
    found = seen([make(k) for k in range(3)] + [picture(9)])
    assert found == [FrameStatus.OK, status, status, FrameStatus.OK]


def test_findings_hold_value_and_limit() -> None:
    health = CameraHealth(HEALTH)
    health.look(noisy(2.0, 2.0, 0), True)
    finding = health.look(noisy(2.0, 2.0, 1), True)
    assert finding == Finding(FrameStatus.DARK, finding.value, HEALTH.dark_level)
    assert 0.0 < finding.value < HEALTH.dark_level


@pytest.mark.parametrize("size", [(1, 1), (1, 500), (3000, 2)])
def test_any_size_can_be_judged(size: tuple[int, int]) -> None:
    assert seen([np.full((*size, 3), 120, np.uint8)] * 3)[0] == FrameStatus.OK
