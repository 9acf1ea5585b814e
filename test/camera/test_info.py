from __future__ import annotations

import dataclasses
import math
from typing import Any

import pytest

from vla_driving.camera.info import CameraInfo, contradiction
from vla_driving.contract.cameras import Camera

from .scenes import camera

BARREL = (-0.25, 0.06, 0.001, -0.0005, 0.0)
CAMERA = camera(
    width=640, height=480, fx=500.0, fy=505.0, cx=320.0, cy=240.0,
    distortion_model="plumb_bob", distortion=BARREL,
)


def info(**changes: Any) -> CameraInfo:
    made = CameraInfo("front", 640, 480, 500.0, 505.0, 320.0, 240.0, "plumb_bob", BARREL)
    return dataclasses.replace(made, **changes)


@pytest.mark.parametrize(
    "same",
    [info(), info(fx=501.0, cx=321.0), info(fx=0.0, fy=0.0, cx=0.0, cy=0.0, distortion=())],
    ids=["equal", "nearly", "not calibrated"],
)
def test_what_agrees_is_no_fault(same: CameraInfo) -> None:
    assert contradiction(CAMERA, same) is None


def test_a_camera_without_distortion_may_be_stated_with_zeros() -> None:
    plain = dataclasses.replace(CAMERA, distortion_model="none", distortion=())
    assert contradiction(plain, info(distortion=(0.0,) * 5)) is None


def test_a_rational_camera_agrees_with_its_own_name_for_it() -> None:
    coefficients = (0.3, 0.05, 0.0, 0.0, 0.01, 0.6, 0.1, 0.02)
    rational = dataclasses.replace(
        CAMERA, distortion_model="rational", distortion=coefficients
    )
    said = info(distortion_model="rational_polynomial", distortion=coefficients)
    assert contradiction(rational, said) is None


@pytest.mark.parametrize(
    ("said", "detail"),
    [
        (info(width=1280), "camera_info: it has 1280x480 pixels, not 640x480"),
        (info(fx=math.nan), "camera_info: its intrinsics are not finite"),
        (info(distortion=(math.inf, 0.0, 0.0, 0.0)), "camera_info: its intrinsics are not finite"),
        (info(fx=-500.0), "camera_info: its focal lengths are -500 and 505"),
        (info(distortion_model="fov"),
         "camera_info: distortion 'fov' is none of plumb_bob, rational_polynomial, equidistant"),
        (info(distortion=(0.1, 0.2)),
         "camera_info: camera 'front': distortion_model plumb_bob takes 4 or 5 coefficients,"
         " got 2"),
    ],
)
def test_what_contradicts_is_named(said: CameraInfo, detail: str) -> None:
    fault = contradiction(CAMERA, said)
    assert fault is not None
    assert (fault.name, fault.subject, fault.detail) == ("camera_info_contradicts", "front", detail)


@pytest.mark.parametrize(
    "said",
    [info(fx=560.0), info(cx=335.0), info(distortion=()), info(fx=1e-3), info(fy=1e6)],
    ids=["focal length", "principal point", "no distortion", "tiny", "huge"],
)
def test_other_intrinsics_are_measured_in_pixels(said: CameraInfo) -> None:
    fault = contradiction(CAMERA, said)
    assert fault is not None
    assert fault.unit == "pixels"
    assert fault.value > fault.limit == pytest.approx(6.4)


def test_the_deviation_is_that_of_the_outermost_directions() -> None:
    plain: Camera = dataclasses.replace(CAMERA, distortion_model="none", distortion=())
    fault = contradiction(plain, info(fx=550.0, distortion=()))
    assert fault is not None
    assert fault.value == pytest.approx(32.0 * 8 / 9, rel=0.02)
