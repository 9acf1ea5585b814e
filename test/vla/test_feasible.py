"""What the network wants, held to the car's limits: the same way, only slower."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from vla_driving.contract.trajectory import PERIOD_S, POINTS, Trajectory, integrate
from vla_driving.vla.feasible import MARGIN, feasible

from .tiny_model import VEHICLE

STEADY = np.zeros(POINTS)


def sideways(path: Trajectory) -> np.ndarray:
    return np.abs(path.speed.astype(np.float64) ** 2 * path.curvature)


def test_what_keeps_the_limits_is_left_alone() -> None:
    path = integrate(8.0, np.full(POINTS, -0.5), np.full(POINTS, 0.02))
    assert feasible(path, 8.0, VEHICLE) is path


def test_a_bend_ahead_is_braked_for_in_time() -> None:
    bend = np.where(np.arange(POINTS) >= 30, 0.06, 0.0)
    path = integrate(11.5, STEADY, bend)
    held = feasible(path, 11.5, VEHICLE)
    assert sideways(path).max() > VEHICLE.max_lateral_acceleration
    assert sideways(held).max() <= VEHICLE.max_lateral_acceleration
    assert held.acceleration.min() >= -VEHICLE.max_deceleration
    # Straight on until it has to brake, at no less than the bend allows after that.
    assert held.speed[5] == pytest.approx(11.5)
    assert held.speed[-1] == pytest.approx(
        np.sqrt(MARGIN * VEHICLE.max_lateral_acceleration / 0.06), rel=0.02
    )


def test_the_way_stays_where_it_is() -> None:
    bend = 0.05 * np.sin(np.arange(POINTS) / 9.0)
    path = integrate(12.0, STEADY, bend)
    held = feasible(path, 12.0, VEHICLE)
    beside = [np.hypot(path.x - x, path.y - y).min() for x, y in zip(held.x, held.y, strict=True)]
    assert held.x[-1] < path.x[-1] and max(beside) < 0.7


def test_who_cannot_brake_as_hard_as_wanted_brakes_for_longer() -> None:
    wanted = np.where(np.arange(POINTS) < 10, -6.0, 0.0)
    held = feasible(integrate(10.0, wanted, STEADY), 10.0, VEHICLE)
    assert held.acceleration.min() == pytest.approx(-MARGIN * VEHICLE.max_deceleration, rel=1e-4)
    assert held.speed[-1] == pytest.approx(4.0, abs=1e-4)


def test_a_bend_tighter_than_the_wheels_turn_is_driven_as_tight_as_they_do() -> None:
    tightest = np.tan(VEHICLE.max_steering_angle) / VEHICLE.wheelbase
    path = integrate(1.5, STEADY, np.full(POINTS, 1.5 * tightest))
    held = feasible(path, 1.5, VEHICLE)
    assert np.allclose(held.curvature, tightest, rtol=1e-5) and np.allclose(held.speed, 1.5)


def test_from_a_standstill_it_starts() -> None:
    held = feasible(integrate(0.0, np.full(POINTS, 3.0), STEADY), 0.0, VEHICLE)
    assert held.speed[9] == pytest.approx(MARGIN * VEHICLE.max_acceleration, rel=1e-4)


def test_a_bend_taken_too_fast_already_is_braked_in() -> None:
    path = integrate(14.0, STEADY, np.full(POINTS, 0.06))
    held = feasible(path, 14.0, VEHICLE)
    assert held.acceleration[0] == pytest.approx(-MARGIN * VEHICLE.max_deceleration, rel=1e-4)
    assert sideways(held)[-1] <= VEHICLE.max_lateral_acceleration


@given(
    hnp.arrays(np.float32, POINTS, elements=st.floats(-9.0, 6.0, width=32)),
    hnp.arrays(np.float32, POINTS, elements=st.floats(-0.5, 0.5, width=32)),
    st.floats(0.0, 30.0),
)
def test_limits_hold_whatever_is_wanted(
    acceleration: np.ndarray, curvature: np.ndarray, speed: float
) -> None:
    path = integrate(speed, acceleration, curvature)
    held = feasible(path, speed, VEHICLE)
    assert all(np.isfinite(a).all() for a in held.arrays())
    assert (held.speed >= 0.0).all()
    assert held.acceleration.max() <= VEHICLE.max_acceleration
    assert held.acceleration.min() >= -VEHICLE.max_deceleration
    # Never further than wanted, but for what could not be braked away.
    if acceleration.min() >= -MARGIN * VEHICLE.max_deceleration:
        assert (held.speed <= path.speed + 1e-3).all()
        assert held.speed.sum() * PERIOD_S <= path.speed.sum() * PERIOD_S + 1e-3
