"""Where a point of the world falls in the image."""

import dataclasses

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from vla_driving.contract.cameras import Camera, Mount

LEVEL = Mount(x=1.5, y=0.0, z=1.4, roll=0.0, pitch=0.0, yaw=0.0)
CAMERA = Camera("front", 256, 128, 200.0, 200.0, 128.0, 64.0, LEVEL, "none", ())


def test_a_point_on_the_axis_falls_on_the_principal_point() -> None:
    pixels, ahead = CAMERA.project([[20.0, 0.0, 1.4]])
    assert ahead[0] and pixels[0] == pytest.approx([128.0, 64.0])


def test_left_is_left_and_low_is_low() -> None:
    pixels, _ = CAMERA.project([[11.5, 1.0, 0.4]])
    assert pixels[0] == pytest.approx([128.0 - 20.0, 64.0 + 20.0])


def test_points_behind_are_told() -> None:
    assert not CAMERA.project([[-5.0, 0.0, 1.0]])[1][0]


def test_positive_pitch_looks_down() -> None:
    tilted = dataclasses.replace(CAMERA, mount=dataclasses.replace(LEVEL, pitch=0.1))
    pixels, _ = tilted.project([[50.0, 0.0, 1.4]])
    assert pixels[0][1] < 64.0


def test_positive_yaw_looks_left() -> None:
    turned = dataclasses.replace(CAMERA, mount=dataclasses.replace(LEVEL, yaw=0.1))
    pixels, _ = turned.project([[50.0, 0.0, 1.4]])
    assert pixels[0][0] > 128.0


@given(*(st.floats(-0.4, 0.4) for _ in range(3)))
def test_rotation_is_a_rotation(roll: float, pitch: float, yaw: float) -> None:
    mount = Mount(0.0, 0.0, 1.0, roll, pitch, yaw)
    rotation = dataclasses.replace(CAMERA, mount=mount).rotation()
    assert np.allclose(rotation @ rotation.T, np.eye(3), atol=1e-9)
    assert np.linalg.det(rotation) == pytest.approx(1.0)
