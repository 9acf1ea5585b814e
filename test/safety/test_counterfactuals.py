"""Worst cases as closed formulas, held against the same cases driven step by step."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from drive import SETTINGS, START, VEHICLE, car, constant
from hypothesis import given
from hypothesis import strategies as st

from vla_driving.contract.scene import SceneObject, table_of
from vla_driving.contract.trajectory import POINTS, Trajectory, integrate
from vla_driving.safety.candidates import batch
from vla_driving.safety.counterfactuals import (
    Answer,
    answer_of,
    cut_in_impact,
    needed_gap,
    speed_for_cut_in,
    speed_for_gap,
    time_to_cut_in,
)
from vla_driving.safety.obstacles import NOWHERE_M, Approach, Surroundings, no_objects, objects
from vla_driving.safety.paths import Paths

pytestmark = pytest.mark.requirement("SR-05")

WORLD = SETTINGS.world
FRONT = VEHICLE.wheelbase + VEHICLE.front_overhang
ANSWER = answer_of(VEHICLE, WORLD)
HARD = WORLD.lead_deceleration
STEP = 0.002


def braking(speed: float, deceleration: float, delay: float, times: np.ndarray) -> np.ndarray:
    """Way after times of a car that brakes to standstill after a delay, m."""
    until = speed / deceleration
    since = np.clip(times - delay, 0.0, until)
    return speed * (np.minimum(times, delay) + since) - 0.5 * deceleration * since**2


def test_the_answer_waits_for_the_brakes() -> None:
    build_up = VEHICLE.emergency_deceleration / VEHICLE.emergency_jerk
    assert ANSWER.delay_s == pytest.approx(
        WORLD.answer_time + VEHICLE.acceleration_delay + build_up / 2
    )
    assert ANSWER.deceleration == VEHICLE.emergency_deceleration


@given(st.floats(0.0, 30.0), st.floats(0.0, 30.0), st.floats(0.0, 1.0))
def test_the_needed_gap_is_enough_at_standstill(speed: float, lead: float, delay: float) -> None:
    answer = Answer(delay, 6.0)
    gap = needed_gap(speed, lead, HARD, answer)
    times = np.arange(0.0, 20.0, STEP)
    ours, theirs = braking(speed, 6.0, delay, times), braking(lead, HARD, 0.0, times)
    assert gap + theirs[-1] - ours[-1] >= -0.01
    assert gap == 0.0 or gap + theirs[-1] - ours[-1] <= 0.01


@given(st.floats(0.0, 60.0), st.floats(-5.0, 30.0))
def test_the_speed_for_a_gap_needs_just_that_gap(gap: float, lead: float) -> None:
    speed = speed_for_gap(gap, lead, HARD, ANSWER)
    assert speed >= 0.0
    assert needed_gap(speed, lead, HARD, ANSWER) == pytest.approx(gap, abs=0.02)


def test_no_room_leaves_no_speed() -> None:
    assert speed_for_gap(-3.0, 0.0, HARD, ANSWER) == 0.0


@pytest.mark.parametrize(
    ("beside", "speed", "seconds"),
    [(1.5, 10.0, 1.5), (0.0, 10.0, 0.0), (-0.3, 10.0, 0.0), (1.0, 1.0, 1.0 / 0.35)],
)
def test_time_to_cut_in(beside: float, speed: float, seconds: float) -> None:
    assert time_to_cut_in(beside, speed, 1.0) == pytest.approx(seconds)


def test_one_that_stands_does_not_cut_in() -> None:
    assert time_to_cut_in(0.5, 0.0, 1.0) > 100.0


@given(
    st.floats(-12.0, 40.0), st.floats(0.0, 25.0), st.floats(0.0, 4.0), st.floats(0.0, 1.0),
)
def test_the_impact_is_that_of_the_braking_car(
    gap: float, closing: float, cut_in: float, delay: float
) -> None:
    length, answer = 9.0, Answer(delay, 6.0)
    found = cut_in_impact(gap, length, closing, cut_in, answer)
    if gap <= -length or gap + length < closing * cut_in - 1e-3:
        assert found == 0.0
        return
    times = np.arange(0.0, 12.0, STEP)
    way = braking(closing, 6.0, delay, times)
    speeds = np.maximum(closing - 6.0 * np.maximum(times - delay, 0.0), 0.0)
    touching = (times >= cut_in) & (way >= gap)
    expected = float(speeds[touching.argmax()]) if touching.any() else 0.0
    # Near the turning point the speed is steep in the gap: what a step's way makes of it.
    assert found == pytest.approx(expected, abs=0.45)


def test_the_speed_for_a_cut_in_keeps_the_impact_allowed() -> None:
    for cut_in, wanted in ((0.0, 12.0), (1.0, None), (3.0, None)):
        speed = speed_for_cut_in(8.0, cut_in, 4.0, ANSWER)
        assert cut_in_impact(0.5, 9.0, speed - 8.0, cut_in, ANSWER) <= 4.0 + 1e-3
        assert wanted is None or speed == pytest.approx(wanted)


# -- on a path -----------------------------------------------------------------------------------


def near(trajectory: Trajectory, *listed: SceneObject, speed: float | None = None) -> Approach:
    return Surroundings(VEHICLE, WORLD).approach(
        Paths(batch(START, (trajectory,))), no_objects(START),
        objects(START, table_of(listed), 0.5), START,
        START, float(trajectory.speed[0]) if speed is None else speed, np.array([False]),
    )


def ahead(gap: float, speed: float, y: float = 0.0) -> SceneObject:
    return car(FRONT + gap + 2.25, y, speed)


def test_an_empty_road_limits_nothing() -> None:
    found = near(constant(10.0))
    assert (found.worst_slack[0], found.cut_in_impact[0]) == (NOWHERE_M, 0.0)
    assert found.safe_speed[0] == NOWHERE_M


@pytest.mark.parametrize(("gap", "safe"), [(20.0, True), (12.0, True), (7.0, False), (2.0, False)])
def test_following_at_the_same_speed(gap: float, safe: bool) -> None:
    found = near(constant(10.0), ahead(gap, 10.0))
    needed = needed_gap(10.0, 10.0, HARD, ANSWER) + WORLD.longitudinal_margin
    assert found.worst_slack[0] == pytest.approx(gap - needed, abs=0.01)
    assert (found.worst_slack[0] >= 0.0) == safe
    assert (found.safe_speed[0] == NOWHERE_M) == safe
    if not safe:
        assert found.safe_speed[0] < 10.0


def test_a_plan_that_opens_the_gap_in_time_passes() -> None:
    short = ahead(7.0, 10.0)
    assert near(constant(10.0), short).worst_slack[0] < 0.0
    assert near(constant(10.0, -1.5), short).worst_slack[0] > 0.0


def test_a_plan_that_drives_up_fails_before_it_is_there() -> None:
    assert near(constant(10.0), ahead(30.0, 2.0)).worst_slack[0] < 0.0
    assert near(constant(10.0, -3.0), ahead(30.0, 2.0)).worst_slack[0] > 0.0


def test_who_only_comes_into_the_lane_is_a_neighbour_yet() -> None:
    assert near(constant(10.0), ahead(5.0, 10.0, 3.5)).worst_slack[0] == NOWHERE_M


@pytest.mark.parametrize(
    ("neighbour", "speed", "fails"),
    [
        (ahead(8.0, 3.0, 2.2), 13.0, True),
        (ahead(3.0, 6.0, -2.2), 13.0, True),
        (ahead(3.0, 6.0, 3.5), 10.0, False),
        (ahead(3.0, 12.0, 2.2), 13.0, False),
        (ahead(8.0, 0.0, 2.2), 13.0, False),
        (ahead(8.0, -6.0, 2.2), 13.0, False),
        (ahead(40.0, 3.0, 2.2), 13.0, False),
        (car(-8.0, 2.2, 3.0), 13.0, False),
        (ahead(8.0, 3.0, 6.0), 13.0, False),
    ],
    ids=[
        "close and slow", "on the right", "a lane away", "as fast", "parked", "oncoming", "far",
        "passed", "two lanes away",
    ],
)
def test_a_neighbour_that_might_cut_in(neighbour: SceneObject, speed: float, fails: bool) -> None:
    found = near(constant(speed), neighbour)
    assert (found.cut_in_impact[0] > WORLD.max_cut_in_impact) == fails
    assert (found.safe_speed[0] < NOWHERE_M) == fails
    if fails:
        slower = near(constant(float(found.safe_speed[0])), neighbour)
        assert slower.cut_in_impact[0] <= WORLD.max_cut_in_impact + 1e-3


def test_one_that_crosses_is_no_neighbour() -> None:
    crossing = replace(ahead(8.0, 0.0, 4.0), velocity_x=1.0, velocity_y=6.0)
    assert near(constant(13.0), crossing).cut_in_impact[0] == 0.0


def test_each_path_is_judged_by_itself() -> None:
    swerve = integrate(12.0, np.zeros(POINTS), np.where(np.arange(POINTS) < 20, 0.02, 0.0))
    paths = Paths(batch(START, (constant(12.0), swerve)))
    found = Surroundings(VEHICLE, WORLD).approach(
        paths, no_objects(START), objects(START, table_of((ahead(3.0, 10.0),)), 0.5), START,
        START, 12.0, np.array([False, False]),
    )
    assert found.worst_slack[0] < 0.0 < found.worst_slack[1]
    assert found.only(1).worst_slack.tolist() == [found.worst_slack[1]]
    assert found.only(0).safe_speed.tolist() == [found.safe_speed[0]]
    assert found.only(0).cut_in_impact.tolist() == [found.cut_in_impact[0]]
