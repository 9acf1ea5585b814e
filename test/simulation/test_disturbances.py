"""Camera faults on cue."""

import numpy as np
import pytest

from vla_driving.simulation.disturbances import CameraDisturbances
from vla_driving.simulation.scenario import Disturbance

RANDOM = np.random.default_rng(1)
FRAMES = [RANDOM.integers(0, 255, (36, 64, 3), dtype=np.uint8) for _ in range(3)]


def one(kind: str) -> CameraDisturbances:
    return CameraDisturbances([Disturbance(kind, start=1.0, duration=2.0)])


def test_nothing_happens_before_and_after() -> None:
    camera = one("missing")
    assert camera.apply(FRAMES[0], 0.9) is FRAMES[0]
    assert camera.apply(FRAMES[1], 1.0) is None
    assert camera.apply(FRAMES[1], 2.9) is None
    assert camera.apply(FRAMES[2], 3.0) is FRAMES[2]


def test_a_frozen_camera_repeats_its_last_frame() -> None:
    camera = one("frozen")
    camera.apply(FRAMES[0], 0.9)
    assert camera.apply(FRAMES[1], 1.0) is FRAMES[0]
    assert camera.apply(FRAMES[2], 1.1) is FRAMES[0]


@pytest.mark.parametrize(
    ("kind", "low", "high"), [("dark", 0, 12), ("overexposed", 200, 255), ("covered", 30, 50)]
)
def test_brightness(kind: str, low: float, high: float) -> None:
    result = one(kind).apply(FRAMES[0], 1.5)
    assert result is not None and result.shape == FRAMES[0].shape and result.dtype == np.uint8
    assert low <= result.mean() <= high


def test_blur_keeps_the_mean_and_takes_the_detail() -> None:
    result = one("blurred").apply(FRAMES[0], 1.5)
    assert result is not None and result.shape == FRAMES[0].shape
    assert result.mean() == pytest.approx(FRAMES[0].mean(), abs=3.0)
    assert result.std() < 0.2 * FRAMES[0].std()


def test_two_at_once() -> None:
    camera = CameraDisturbances([Disturbance("dark", 0.0, 5.0), Disturbance("missing", 1.0, 1.0)])
    assert camera.apply(FRAMES[0], 1.5) is None
    dark = camera.apply(FRAMES[0], 2.5)
    assert dark is not None and dark.mean() < 12
