"""The action space: acceleration and curvature through the unicycle model."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from vla_driving.contract.trajectory import HORIZON_S, POINTS, TIMES_S, integrate, standing

FLAT = np.zeros(POINTS)


def test_straight_at_constant_speed_covers_speed_times_horizon() -> None:
    trajectory = integrate(10.0, FLAT, FLAT)
    assert np.allclose(trajectory.x, 10.0 * TIMES_S, atol=1e-4)
    assert np.allclose(trajectory.y, 0.0)


def test_constant_curvature_stays_on_its_circle() -> None:
    radius = 20.0
    trajectory = integrate(10.0, FLAT, np.full(POINTS, 1.0 / radius))
    angle = 10.0 * HORIZON_S / radius
    assert abs(trajectory.x[-1] - radius * np.sin(angle)) < 0.01
    assert abs(trajectory.y[-1] - radius * (1 - np.cos(angle))) < 0.01
    assert abs(trajectory.heading[-1] - angle) < 1e-4


def test_braking_ends_in_standstill_and_never_reverses() -> None:
    trajectory = integrate(5.0, np.full(POINTS, -2.0), FLAT)
    assert trajectory.speed[-1] == 0.0
    assert abs(trajectory.x[-1] - 5.0**2 / 4.0) < 0.1
    assert np.all(np.diff(trajectory.x) >= -1e-6)


def test_standing_stays() -> None:
    assert not standing().x.any() and not standing().speed.any()


@given(
    speed=st.floats(0.0, 40.0),
    acceleration=st.floats(-8.0, 4.0),
    curvature=st.floats(-0.3, 0.3),
)
def test_path_length_equals_the_integral_of_speed(
    speed: float, acceleration: float, curvature: float
) -> None:
    trajectory = integrate(speed, np.full(POINTS, acceleration), np.full(POINTS, curvature))
    v = np.concatenate([[speed], trajectory.speed])
    length = np.sum(0.5 * (v[1:] + v[:-1]) * 0.1)
    x = np.concatenate([[0.0], trajectory.x])
    y = np.concatenate([[0.0], trajectory.y])
    assert np.sum(np.hypot(np.diff(x), np.diff(y))) <= length + 1e-3
    assert np.all(trajectory.speed >= 0.0)
