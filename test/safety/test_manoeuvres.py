"""The monitor's own stop: distance, deceleration, jerk and path."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from drive import STATE, VEHICLE, constant
from hypothesis import given
from hypothesis import strategies as st

from vla_driving.contract.clock import nanoseconds
from vla_driving.contract.motion import PoseChange
from vla_driving.contract.trajectory import HORIZON_S, POINTS, TIMES_S, integrate
from vla_driving.safety.manoeuvres import (
    PLANNED_DECELERATION,
    Braking,
    comfortable,
    emergency,
    hold,
    path_of,
    path_of_wheels,
    stop,
)

pytestmark = pytest.mark.requirement("SR-16")

SPEEDS = st.floats(0.0, 30.0)
ACCELERATIONS = st.floats(-9.0, 3.0)


def brakings(acceleration: float) -> tuple[Braking, Braking]:
    return comfortable(VEHICLE, acceleration, 0), emergency(VEHICLE, acceleration, 0)


@given(SPEEDS, ACCELERATIONS)
def test_the_profile_stays_within_its_deceleration_and_jerk(
    speed: float, acceleration: float
) -> None:
    for braking in brakings(acceleration):
        _, speeds = braking.profile(speed, 0)
        before = np.concatenate([[speed], speeds[:-1]])
        means = (speeds - before) / 0.1
        hardest = max(braking.deceleration, -braking.acceleration)
        assert (means <= 1e-6).all()
        assert (means >= -hardest - 1e-6).all()
        moving = speeds > 0.0
        jerk = np.abs(np.diff(means[moving])) / 0.1
        assert (jerk <= braking.jerk + 1e-6).all()


@given(SPEEDS, ACCELERATIONS)
def test_it_stands_within_the_stated_time_and_distance(speed: float, acceleration: float) -> None:
    for braking in brakings(acceleration):
        distance, speeds = braking.profile(speed, 0)
        longest = braking.longest_s(speed)
        if longest < HORIZON_S - 0.1:
            assert speeds[int(np.ceil(longest / 0.1))] == 0.0
            bound = speed**2 / (2 * braking.deceleration) + speed * (
                braking.deceleration / braking.jerk + 0.05
            )
            assert distance[-1] <= bound
        assert (np.diff(distance) >= -1e-9).all()


def test_once_standing_it_stays() -> None:
    braking = comfortable(VEHICLE, 0.0, 0)
    _, speeds = braking.profile(1.0, 0)
    standing = np.flatnonzero(speeds == 0.0)
    assert len(standing)
    assert (speeds[standing[0]:] == 0.0).all()


@given(st.floats(0.0, 3.0), ACCELERATIONS)
def test_the_build_up_goes_on_from_message_to_message(elapsed: float, acceleration: float) -> None:
    braking = comfortable(VEHICLE, acceleration, 0)
    now = nanoseconds(elapsed)
    _, speeds = braking.profile(30.0, now)
    first = (speeds[0] - 30.0) / 0.1
    ahead = braking.at(now), braking.at(now + nanoseconds(0.1))
    assert min(ahead) - 1e-6 <= first <= max(ahead) + 1e-6


@given(ACCELERATIONS)
def test_a_planned_stop_asks_for_no_more_than_un_r157_allows(acceleration: float) -> None:
    braking = comfortable(VEHICLE, acceleration, 0)
    hardest = min(braking.at(nanoseconds(t)) for t in (0.0, 0.1, 0.5, 1.0, 5.0))
    assert hardest >= -max(PLANNED_DECELERATION, VEHICLE.comfort_deceleration)
    assert PLANNED_DECELERATION == 4.0


def test_braking_harder_begins_where_the_softer_one_is() -> None:
    assert comfortable(VEHICLE, 1.5, 0).at(0) == 0.0
    assert comfortable(VEHICLE, -3.0, 0).at(0) == -3.0
    assert comfortable(VEHICLE, -3.0, 0).at(nanoseconds(9.0)) == -VEHICLE.comfort_deceleration
    assert emergency(VEHICLE, -20.0, 0).at(0) == -VEHICLE.emergency_deceleration


@given(st.floats(1.0, 25.0), st.floats(0.001, 0.02))
def test_it_follows_the_approved_path(speed: float, curvature: float) -> None:
    trajectory = constant(speed, 0.0, curvature)
    path = path_of(trajectory, 0)
    stopped = stop(path, comfortable(VEHICLE, 0.0, 0), speed)
    radius = 1.0 / curvature
    assert np.abs(np.hypot(stopped.x, stopped.y - radius) - radius).max() < 0.1
    assert np.array_equal(stopped.time, TIMES_S)
    assert stopped.speed[0] <= speed


def test_a_short_path_is_carried_on_with_its_last_curvature() -> None:
    slowing = integrate(10.0, np.full(POINTS, -3.0), np.full(POINTS, 0.02))
    path = path_of(slowing, 0)
    radius = np.hypot(path.x, path.y - 50.0)
    assert np.abs(radius - 50.0).max() < 0.2
    assert path.arc[-1] > 100.0
    assert (np.diff(path.arc) > 0.0).all()


def test_the_path_moves_with_the_car() -> None:
    path = path_of(constant(10.0, 0.0, 0.01), 0)
    on = stop(path, comfortable(VEHICLE, 0.0, 0), 10.0)
    # The car has driven to the path's point at 1 s: the stop goes on from there.
    change = PoseChange(float(on.x[9]), float(on.y[9]), float(on.heading[9]))
    later = stop(
        path.moved(change, nanoseconds(1.0)), comfortable(VEHICLE, 0.0, 0), float(on.speed[9])
    )
    x, y = change.to_second(on.x[10:], on.y[10:])
    assert np.allclose(x, later.x[:-10], atol=0.05)
    assert np.allclose(y, later.y[:-10], atol=0.05)


def test_without_a_path_it_goes_where_the_wheels_point() -> None:
    state = replace(STATE, steering_angle=float(np.arctan(VEHICLE.wheelbase * 0.02)))
    path = path_of_wheels(state, VEHICLE)
    assert path.curvature == pytest.approx(np.full(len(path.arc), 0.02))
    assert np.abs(np.hypot(path.x, path.y - 50.0) - 50.0).max() < 0.1


def test_hold_stands() -> None:
    assert not hold().speed.any()
    assert not hold().x.any()
