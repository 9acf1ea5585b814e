"""The monitor's own stop: distance, deceleration, jerk and path."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
from drive import START, STATE, VEHICLE, constant, profile
from hypothesis import given
from hypothesis import strategies as st

from vla_driving.contract.clock import nanoseconds
from vla_driving.contract.motion import PoseChange
from vla_driving.contract.trajectory import HORIZON_S, POINTS, TIMES_S, integrate
from vla_driving.safety.braking import PLANNED_DECELERATION, Braking, comfortable, emergency
from vla_driving.safety.manoeuvres import abreast, hold, path_of, path_of_wheels, stop

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
        _, speeds = profile(braking, speed, 0)
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
        distance, speeds = profile(braking, speed, 0)
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
    _, speeds = profile(braking, 1.0, 0)
    standing = np.flatnonzero(speeds == 0.0)
    assert len(standing)
    assert (speeds[standing[0]:] == 0.0).all()


@given(st.floats(0.0, 3.0), ACCELERATIONS)
def test_the_build_up_goes_on_from_message_to_message(elapsed: float, acceleration: float) -> None:
    braking = comfortable(VEHICLE, acceleration, 0)
    now = nanoseconds(elapsed)
    _, speeds = profile(braking, 30.0, now)
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


# -- the same numbers by another way -----------------------------------------------------------


def stepped(braking: Braking, speed: float, start_s: float) -> tuple[list[float], list[float]]:
    """The profile, one quarter of a period after the other."""
    way, ways, speeds, standing = 0.0, [], [], speed <= 0.0
    now = max(speed, 0.0)
    free = speed
    for k in range(4 * POINTS):
        at = start_s + (k + 0.5) * 0.025
        if braking.acceleration >= -braking.deceleration:
            pull = max(braking.acceleration - braking.jerk * at, -braking.deceleration)
        else:
            pull = min(braking.acceleration + braking.jerk * at, -braking.deceleration)
        free += pull * 0.025
        standing = standing or free <= 0.0
        after = 0.0 if standing else free
        way += 0.5 * (now + after) * 0.025
        now = after
        if k % 4 == 3:
            ways.append(way)
            speeds.append(now)
    return ways, speeds


@pytest.mark.parametrize("speed", [0.0, 0.3, 5.0, 15.0, 25.0])
@pytest.mark.parametrize("acceleration", [-5.0, -2.0, -1.0, 0.0])
@pytest.mark.parametrize("start_s", [-1.0, 0.0, 0.13, 2.0])
def test_the_profile_is_what_steps_of_it_add_up_to(
    speed: float, acceleration: float, start_s: float
) -> None:
    braking = Braking(START, acceleration, 2.0, 4.0)
    distance, speeds = profile(braking, speed, START + nanoseconds(start_s))
    ways, steps = stepped(braking, speed, max(start_s, 0.0))
    assert distance.tolist() == pytest.approx(ways, abs=1e-5)
    assert speeds.tolist() == pytest.approx(steps, abs=1e-5)


@pytest.mark.parametrize(
    ("acceleration", "elapsed_s", "expected"),
    [
        (0.0, 0.0, 0.0), (0.0, -3.0, 0.0), (0.0, 0.25, -1.0), (0.0, 0.5, -2.0), (0.0, 9.0, -2.0),
        (-2.0, 0.5, -2.0), (-5.0, 0.25, -4.0), (-5.0, 0.75, -2.0), (-5.0, 9.0, -2.0),
    ],
)
def test_the_acceleration_asked_for_at_an_instant(
    acceleration: float, elapsed_s: float, expected: float
) -> None:
    braking = Braking(START, acceleration, 2.0, 4.0)
    assert braking.at(START + nanoseconds(elapsed_s)) == pytest.approx(expected)


def test_time_and_distance_as_stated() -> None:
    braking = Braking(START, 0.0, 2.0, 4.0)
    assert braking.longest_s(10.0) == pytest.approx(5.5)
    assert braking.longest_m(10.0) == pytest.approx(30.0)
    assert braking.longest_s(-1.0) == pytest.approx(0.5)
    assert braking.longest_m(-1.0) == 0.0


@pytest.mark.parametrize(
    ("measured", "begins"), [(1.0, 0.0), (0.0, 0.0), (-1.0, -1.0), (-4.0, -4.0), (-5.0, -4.0)]
)
def test_a_planned_stop_begins_at_what_is_measured(measured: float, begins: float) -> None:
    assert comfortable(VEHICLE, measured, 7) == Braking(
        7, begins, VEHICLE.comfort_deceleration, VEHICLE.max_jerk
    )


@pytest.mark.parametrize(
    ("measured", "begins"), [(1.0, 0.0), (-1.0, -1.0), (-6.0, -6.0), (-9.0, -6.0)]
)
def test_full_braking_begins_at_what_is_measured(measured: float, begins: float) -> None:
    assert emergency(VEHICLE, measured, 7) == Braking(
        7, begins, VEHICLE.emergency_deceleration, VEHICLE.emergency_jerk
    )


def test_a_path_is_carried_on_for_120_m_by_its_last_mean_curvature() -> None:
    trajectory = constant(10.0, 0.0, 0.01)
    path = path_of(trajectory, 9)
    assert path.stamp_ns == 9
    assert len(path.arc) == 1 + POINTS + 60
    assert path.arc[0] == path.x[0] == path.y[0] == path.heading[0] == 0.0
    assert path.curvature == pytest.approx(np.full(len(path.arc), 0.01))
    assert np.diff(path.arc[POINTS:]) == pytest.approx(np.full(60, 2.0))
    # A circle to the left of 100 m, by chords.
    assert path.heading == pytest.approx(0.01 * path.arc, abs=1e-3)
    assert path.x == pytest.approx(100.0 * np.sin(0.01 * path.arc), abs=0.01)
    assert path.y == pytest.approx(100.0 * (1.0 - np.cos(0.01 * path.arc)), abs=0.01)


def test_the_last_ten_curvatures_carry_on() -> None:
    bend = np.where(np.arange(POINTS) < POINTS - 10, 0.05, 0.01)
    path = path_of(integrate(5.0, np.zeros(POINTS), bend), 0)
    assert path.curvature[-1] == pytest.approx(0.01)
    assert path.curvature[0] == pytest.approx(0.05)


def test_where_the_car_stands_its_points_are_one() -> None:
    path = path_of(constant(0.0), 0)
    assert len(path.arc) == 1 + 60
    assert path.x == pytest.approx(np.arange(0.0, 120.1, 2.0))
    assert not path.y.any()


@pytest.mark.parametrize(("angle", "counted"), [(0.2, 0.2), (-0.2, -0.2), (2.0, 1.0), (-2.0, -1.0)])
def test_the_path_of_the_wheels_is_their_arc(angle: float, counted: float) -> None:
    path = path_of_wheels(replace(STATE, stamp_ns=5, steering_angle=angle), VEHICLE)
    bend = math.tan(counted) / VEHICLE.wheelbase
    assert path.stamp_ns == 5
    assert path.curvature == pytest.approx(np.full(61, bend))
    assert path.arc == pytest.approx(np.arange(0.0, 120.1, 2.0))
    assert path.heading == pytest.approx(bend * path.arc)


def test_nearest_point_of_the_path_between_and_beyond_its_ends() -> None:
    path = path_of(constant(10.0), 0)
    for ahead in (0.0, 0.4, 3.3, 50.0):
        moved = path.moved(PoseChange(ahead, 0.5, 0.0), 1)
        assert abreast(moved) == pytest.approx(ahead, abs=1e-4)
    assert abreast(path.moved(PoseChange(-5.0, 0.0, 0.0), 1)) == 0.0
    assert abreast(path.moved(PoseChange(500.0, 0.0, 0.0), 1)) == path.arc[-1]


def test_the_stop_as_a_trajectory() -> None:
    path = path_of(constant(10.0, 0.0, 0.02), START)
    braking = Braking(START, 0.0, 2.0, 4.0)
    found = stop(path, braking, 10.0)
    distance, speeds = profile(braking, 10.0, START)
    assert found.probability == 1.0
    assert found.time.tolist() == TIMES_S.tolist()
    assert found.speed == pytest.approx(speeds, abs=1e-5)
    assert found.heading == pytest.approx(0.02 * distance, abs=1e-3)
    assert found.curvature == pytest.approx(np.full(POINTS, 0.02), abs=1e-6)
    assert found.x == pytest.approx(50.0 * np.sin(0.02 * distance), abs=0.02)
    assert found.y == pytest.approx(50.0 * (1.0 - np.cos(0.02 * distance)), abs=0.02)
    gained = np.diff(np.concatenate([[10.0], speeds])) / 0.1
    assert found.acceleration == pytest.approx(gained, abs=1e-4)
    assert all(a.dtype == np.float32 for a in found.arrays())
