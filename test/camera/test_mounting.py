from __future__ import annotations

import dataclasses
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from vla_driving.camera.mounting import (
    MAX_YAW,
    MIN_SPEED,
    CalibrationRefused,
    MountEstimate,
    MountEstimator,
    _angles,
    _checked_angle,
    _height,
    mounted,
)
from vla_driving.camera.warp import project_directions
from vla_driving.contract.cameras import Camera, Mount
from vla_driving.contract.clock import SECOND

from .scenes import camera
from .still_world import StillWorld

RATE_HZ, SPEED = 8.0, 6.5
ANGLE, HEIGHT = math.radians(0.2), 0.05
"""Tolerances: 0.2 degrees, 5 % of the height."""


def filmed_by(pitch: float, yaw: float, height: float, roll: float = 0.0, **lens: object) -> Camera:
    mount = Mount(1.5, 0.1, height, roll, math.radians(pitch), math.radians(yaw))
    made = camera(width=400, height=240, fx=330.0, fy=330.0, cx=199.5, cy=119.5, mount=mount)
    return dataclasses.replace(made, **lens)  # type: ignore[arg-type]


def directions_of(truth: Camera) -> np.ndarray:
    """Found by turning the projection around: Newton's steps from the pinhole's directions."""
    v, u = np.mgrid[0 : truth.height, 0 : truth.width].astype(float)
    pixels = np.stack([u.ravel(), v.ravel()], axis=1)
    plane = (pixels - [truth.cx, truth.cy]) / [truth.fx, truth.fy]
    ray = plane.copy()
    for _ in range(20):
        optical = np.column_stack([ray, np.ones(len(ray))])
        seen = project_directions(truth, optical @ truth.rotation())
        ray += (plane - (seen - [truth.cx, truth.cy]) / [truth.fx, truth.fy])
    return np.column_stack([ray, np.ones(len(ray))]) @ truth.rotation()


def drive(
    truth: Camera, assumed: Camera | None = None, duration_s: float = 6.25,
    speed: float | None = SPEED, turn: float = 0.0,
) -> MountEstimator:
    """Straight on at SPEED, `speed` of which is told; the file assumes another mount."""
    unknown = dataclasses.replace(
        truth, mount=dataclasses.replace(truth.mount, pitch=0.0, yaw=0.0, z=1.0)
    )
    estimator = MountEstimator(assumed or unknown)
    world = StillWorld(truth, directions_of(truth))
    for k in range(round(duration_s * RATE_HZ)):
        seconds = k / RATE_HZ
        picture = world.picture(SPEED * seconds, heading=turn * seconds)
        estimator.add(round(seconds * SECOND), picture, speed)
    return estimator


def assert_close(found: MountEstimate, truth: Camera) -> None:
    assert found.pitch.value == pytest.approx(truth.mount.pitch, abs=ANGLE)
    assert found.yaw.value == pytest.approx(truth.mount.yaw, abs=ANGLE)
    assert found.height is not None, found.why_no_height
    assert found.height.value == pytest.approx(truth.mount.z, rel=HEIGHT)


def test_mount_of_a_camera_in_a_still_world() -> None:
    truth = filmed_by(6.0, -2.0, 1.5, roll=0.03)
    found = drive(truth).estimate()
    assert_close(found, truth)
    assert found.stretches == 3
    assert found.pairs >= 3 * 10
    assert 0.0 < found.pitch.deviation < ANGLE
    assert found.height is not None
    written = mounted(truth, found).mount
    assert (written.x, written.roll) == (truth.mount.x, truth.mount.roll)
    assert (written.pitch, written.z) == (found.pitch.value, found.height.value)


def test_a_lens_that_bends_lines() -> None:
    lens = (-0.2, 0.05, 0.0, 0.0, 0.0)
    truth = filmed_by(3.0, 1.0, 1.4, distortion_model="plumb_bob", distortion=lens)
    assert_close(drive(truth).estimate(), truth)


def test_without_a_speed_there_are_angles_and_no_height() -> None:
    lens = (0.02, -0.004, 0.0, 0.0)
    truth = filmed_by(1.0, 2.0, 1.3, distortion_model="equidistant", distortion=lens)
    found = drive(truth, speed=None).estimate()
    assert found.pitch.value == pytest.approx(truth.mount.pitch, abs=ANGLE)
    assert found.yaw.value == pytest.approx(truth.mount.yaw, abs=ANGLE)
    assert found.height is None
    assert "seen in 0 stretches, at least 3 needed: it takes the speed" in found.why_no_height
    assert mounted(truth, found).mount.z == truth.mount.z


@pytest.mark.parametrize(
    ("angles", "line"),
    [
        ([9.0, 9.1, 8.9], "yaw is 9.00 degrees off the direction of travel, at most 6.9"),
        ([-8.0, -8.0, -8.2], "yaw is -8.07 degrees off the direction of travel, at most 6.9"),
        ([0.0, 2.0, -2.0],
         "yaw differs by 2.00 degrees (standard deviation) between 3 stretches, at most 0.75"),
    ],
)
def test_angles_that_cannot_be_are_refused(angles: list[float], line: str) -> None:
    with pytest.raises(CalibrationRefused) as caught:
        _checked_angle("yaw", [math.radians(angle) for angle in angles], MAX_YAW)
    assert str(caught.value).startswith(line)


@pytest.mark.parametrize(
    ("heights", "why"),
    [
        ([1.2, None, 1.3], "seen in 2 stretches, at least 3 needed"),
        ([1.0, 1.5, 2.0], "differs by 0.50 m (standard deviation) between stretches around 1.50"),
        ([5.0, 5.1, 4.9], "5.00 m is outside 0.5 to 3.5 m"),
    ],
)
def test_heights_that_cannot_be_are_left_out(heights: list[float | None], why: str) -> None:
    found, said = _height(heights)
    assert found is None
    assert said.startswith(why)


def test_a_curve_is_no_straight_stretch() -> None:
    estimator = drive(filmed_by(2.0, 0.0, 1.4), duration_s=2.4, turn=math.radians(3.0))
    assert estimator.progress.stretches == 0
    assert "turning at 3.0 degrees/s, at most 1" in estimator.progress.held_up_by
    with pytest.raises(CalibrationRefused, match="0 straight stretches of 2 s"):
        estimator.estimate()


def test_slow_driving_does_not_count() -> None:
    estimator = drive(filmed_by(2.0, 0.0, 1.4), duration_s=1.0, speed=3.0)
    assert estimator.progress.pairs == 0
    assert estimator.progress.held_up_by == f"speed 3.0 m/s, at least {MIN_SPEED}"


def test_a_picture_without_anything_to_follow_does_not_count() -> None:
    estimator = MountEstimator(filmed_by(0.0, 0.0, 1.4))
    grey = np.full((240, 400, 3), 90, np.uint8)
    for k in range(20):
        estimator.add(round(k / RATE_HZ * SECOND), grey, SPEED)
    assert estimator.progress.held_up_by == "too few points to follow"
    with pytest.raises(CalibrationRefused, match="the last images: too few points to follow"):
        estimator.estimate()


def test_gaps_and_stamps_that_run_backwards_end_a_stretch() -> None:
    estimator = MountEstimator(filmed_by(0.0, 0.0, 1.4))
    grey = np.full((240, 400, 3), 90, np.uint8)
    for stamp_s in (0.0, 1.0, 0.5):
        estimator.add(round(stamp_s * SECOND), grey, SPEED)
        assert estimator.progress.pairs == 0
    assert estimator.progress.held_up_by == "-0.50 s from image to image, at most 0.26"


def test_an_image_of_another_size_is_refused() -> None:
    with pytest.raises(CalibrationRefused, match="64x48 pixels instead of the 400x240"):
        MountEstimator(filmed_by(0.0, 0.0, 1.4)).add(0, np.zeros((48, 64, 3), np.uint8), None)


@given(st.floats(-0.3, 0.3), st.floats(-0.3, 0.3), st.floats(-0.3, 0.3))
def test_angles_are_those_of_the_direction_of_travel(
    roll: float, pitch: float, yaw: float
) -> None:
    made = camera(mount=Mount(0.0, 0.0, 1.0, roll, pitch, yaw))
    found = _angles(made.rotation() @ np.array([1.0, 0.0, 0.0]), roll)
    np.testing.assert_allclose(found, (pitch, yaw), atol=1e-9)
