"""Objects on and beside the path: what counts as a contact of ours, and what does not."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from drive import SETTINGS, START, VEHICLE, car, constant
from hypothesis import given
from hypothesis import strategies as st

from vla_driving.contract.clock import nanoseconds
from vla_driving.contract.motion import PoseChange
from vla_driving.contract.scene import MAX_OBJECTS, ObjectClass, SceneObject, table_of
from vla_driving.contract.trajectory import POINTS, Trajectory, integrate
from vla_driving.safety.candidates import batch
from vla_driving.safety.contacts import NEVER_S, samples
from vla_driving.safety.measures import measures
from vla_driving.safety.obstacles import (
    NOWHERE_M,
    Approach,
    Surroundings,
    moved,
    no_objects,
    objects,
    rss_distance,
    stopping_distance,
    with_measured_velocity,
)
from vla_driving.safety.paths import Paths

pytestmark = pytest.mark.requirement("SR-04")

WORLD = SETTINGS.world
CAR = measures(VEHICLE, WORLD)
FRONT = VEHICLE.wheelbase + VEHICLE.front_overhang
NONE = no_objects(START)


def near(
    trajectory: Trajectory, *listed: SceneObject, now_s: float = 0.0, measured_s: float = 0.0,
    speed: float | None = None, sideways: bool = False,
) -> Approach:
    """Sensor objects against one trajectory."""
    return Surroundings(VEHICLE, WORLD).approach(
        Paths(batch(START, (trajectory,))), NONE,
        objects(START + nanoseconds(measured_s), table_of(listed), 0.5), START,
        START + nanoseconds(now_s),
        float(trajectory.speed[0]) if speed is None else speed, np.array([sideways]),
    )


def contact(trajectory: Trajectory, *listed: SceneObject, **kwargs: Any) -> float:
    return float(near(trajectory, *listed, **kwargs).sensor_s[0])


def bend(radius: float, angle: float, offset: float = 0.0) -> tuple[float, float, float]:
    """x, y, heading on a left bend at an angle, `offset` m outside of it."""
    r = radius + offset
    return r * math.sin(angle), radius - r * math.cos(angle), angle


def test_an_empty_road() -> None:
    found = near(constant(10.0))
    assert (found.scene_s[0], found.sensor_s[0]) == (np.float32(NEVER_S), np.float32(NEVER_S))
    assert found.rss_slack[0] == NOWHERE_M


@given(st.floats(8.0, 25.0), st.floats(3.0, 20.0))
def test_time_to_a_standing_car_ahead(gap: float, speed: float) -> None:
    found = contact(constant(speed), car(FRONT + gap + 2.25))
    expected = (gap - WORLD.longitudinal_margin) / speed
    if expected < WORLD.collision_horizon - 0.1:
        assert expected - 0.01 <= found <= expected + 0.21
    elif expected > WORLD.collision_horizon + 0.3:
        assert found == np.float32(NEVER_S)


def test_a_plan_that_stops_before_it_is_free() -> None:
    assert contact(constant(10.0, -3.0), car(FRONT + 18.5 + 2.25)) == np.float32(NEVER_S)
    assert contact(constant(10.0), car(FRONT + 18.5 + 2.25)) < 2.5


def test_one_ahead_that_is_as_fast_is_free() -> None:
    assert contact(constant(10.0), car(FRONT + 8.0, speed=10.0)) == np.float32(NEVER_S)


@pytest.mark.parametrize("y", [-3.5, 3.5, -2.2, 2.2])
@pytest.mark.parametrize("speed", [0.0, 5.0, 10.0, 20.0])
@pytest.mark.parametrize("x", [-30.0, -5.0, 0.0, 5.0, 20.0])
def test_objects_beside_do_not_count(x: float, y: float, speed: float) -> None:
    found = near(constant(10.0), car(x, y, speed))
    assert found.sensor_s[0] == np.float32(NEVER_S)
    assert found.rss_slack[0] == NOWHERE_M


@pytest.mark.parametrize("speed", [5.0, 12.0, 30.0])
@pytest.mark.parametrize("y", [0.0, 1.0, -1.5])
def test_objects_behind_do_not_count(speed: float, y: float) -> None:
    assert contact(constant(8.0), car(-12.0, y, speed)) == np.float32(NEVER_S)
    assert contact(constant(0.0), car(-12.0, y, speed)) == np.float32(NEVER_S)


def test_who_runs_into_a_standing_car_is_not_our_doing() -> None:
    assert contact(constant(0.0), car(12.0, speed=-8.0)) == np.float32(NEVER_S)


@pytest.mark.parametrize("speed", [0.0, 6.0, 12.0])
@pytest.mark.parametrize("side", [-3.6, 3.6])
def test_in_a_bend_the_next_lane_stays_the_next_lane(speed: float, side: float) -> None:
    radius = 50.0
    for angle in (0.1, 0.3, 0.5):
        x, y, heading = bend(radius, angle, side)
        for oncoming in (1.0, -1.0):
            found = contact(constant(12.0, 0.0, 1 / radius), car(x, y, oncoming * speed, heading))
            assert found == np.float32(NEVER_S)


def test_in_a_bend_the_own_lane_counts() -> None:
    x, y, heading = bend(50.0, 0.4)
    assert contact(constant(12.0, 0.0, 0.02), car(x, y, 0.0, heading)) < 2.5
    assert contact(constant(12.0), car(x, y, 0.0, heading)) == np.float32(NEVER_S)


def pedestrian(x: float, y: float, vy: float) -> SceneObject:
    return SceneObject(ObjectClass.PEDESTRIAN, 0.9, x, y, 0.0, 0.0, vy, 0.5, 0.5, 1.8)


def test_a_pedestrian_who_walks_into_the_path() -> None:
    assert contact(constant(10.0), pedestrian(FRONT + 15.0, -3.0, 1.5)) < 2.5
    assert contact(constant(10.0), pedestrian(FRONT + 15.0, -3.0, -1.5)) == np.float32(NEVER_S)
    assert contact(constant(10.0), pedestrian(FRONT + 15.0, -3.0, 0.0)) == np.float32(NEVER_S)


def test_sideways_noise_of_a_standing_object_is_no_motion() -> None:
    noise = WORLD.lateral_speed_deadband - 0.01
    assert contact(constant(10.0), pedestrian(FRONT + 15.0, -1.6, noise)) == np.float32(NEVER_S)


def test_a_crossing_car() -> None:
    crossing = SceneObject(
        ObjectClass.CAR, 0.9, FRONT + 15.0, -15.0, math.pi / 2, 0.0, 10.0, 4.5, 1.8, 1.5
    )
    assert contact(constant(10.0), crossing) < 2.5
    assert contact(constant(10.0), replace(crossing, y=-40.0)) == np.float32(NEVER_S)


def test_a_lane_change_into_one_beside() -> None:
    swerve = np.where(np.arange(POINTS) < 20, 0.015, -0.015) * (np.arange(POINTS) < 40)
    changing = integrate(12.0, np.zeros(POINTS), swerve)
    assert contact(changing, car(2.0, 3.5, 12.0), sideways=True) < 2.5
    for free in (car(2.0, -3.5, 12.0), car(-30.0, 3.5, 12.0), car(40.0, 3.5, 12.0)):
        assert contact(changing, free, sideways=True) == np.float32(NEVER_S)
    assert contact(changing, car(2.0, 3.5, 12.0), sideways=True, now_s=6.6) == np.float32(NEVER_S)


def test_old_measurements_are_carried_on() -> None:
    oncoming = car(60.0, speed=-10.0)
    fresh = contact(constant(10.0), oncoming)
    old = contact(constant(10.0), oncoming, measured_s=-0.5)
    assert fresh == np.float32(NEVER_S)
    assert old < 2.7


def test_time_counts_from_now() -> None:
    standing = car(FRONT + 20.0 + 2.25)
    begin, later = contact(constant(10.0), standing), contact(constant(10.0), standing, now_s=1.0)
    assert later == pytest.approx(begin - 1.0, abs=0.11)
    assert contact(constant(10.0), standing, now_s=1.98) == pytest.approx(0.0, abs=0.2)


def test_past_the_end_of_the_plan_nothing_is_said() -> None:
    assert contact(constant(10.0), car(20.0), now_s=6.6) == np.float32(NEVER_S)


def test_gap_to_the_one_ahead() -> None:
    found = near(constant(10.0), car(FRONT + 10.0 + 2.25, speed=8.0))
    rss = rss_distance(10.0, 8.0, CAR)
    stop = stopping_distance(10.0, 8.0, CAR)
    assert found.lead_speed[0] == pytest.approx(8.0)
    assert found.rss_slack[0] == pytest.approx(10.0 - rss, abs=1e-3)
    assert found.stop_slack[0] == pytest.approx(10.0 - stop, abs=1e-3)


def test_the_tightest_of_several_limits() -> None:
    slow, fast = car(FRONT + 25.0, speed=2.0), car(FRONT + 12.0, speed=12.0)
    assert near(constant(10.0), slow, fast).lead_speed[0] == pytest.approx(2.0)


def test_distance_formulas() -> None:
    assert rss_distance(10.0, 0.0, CAR) == pytest.approx(10.0 + 100 / 6 + 1.0)
    assert rss_distance(10.0, 20.0, CAR) == pytest.approx(1.0)
    # Full braking from 12 m/s at 6 m/s²: 12 m, and 0.35 s until it is there.
    assert stopping_distance(12.0, 0.0, CAR) == pytest.approx(12.0 + 12.0 * 0.35)
    assert stopping_distance(12.0, 15.0, CAR) == 0.0


@given(
    st.lists(
        st.tuples(st.floats(-60, 120), st.floats(-12, 12), st.floats(-15, 25), st.floats(-3, 3)),
        min_size=1, max_size=12,
    ),
    st.floats(0.0, 20.0), st.floats(-0.01, 0.01),
)
def test_leaving_out_what_is_far_changes_nothing(
    places: list[tuple[float, float, float, float]], speed: float, curvature: float
) -> None:
    """None is left out wrongly: together they are judged as each when alone."""
    trajectory = constant(speed, 0.0, curvature)
    listed = [car(x, y, v, h) for x, y, v, h in places]
    alone = min(contact(trajectory, item) for item in listed)
    assert contact(trajectory, *listed) == pytest.approx(alone)


@given(st.floats(-30, 60), st.floats(-8, 8), st.floats(-10, 20), st.floats(-0.6, 0.6))
def test_the_frame_does_not_matter(x: float, y: float, speed: float, dyaw: float) -> None:
    change = PoseChange(1.5, -0.3, dyaw)
    item = objects(START, table_of((car(x, y, speed),)), 0.5)
    back = moved(moved(item, change), change.inverse())
    assert np.allclose(back.vectors, item.vectors, atol=1e-3)
    turned = moved(item, change)
    assert np.allclose(np.hypot(*turned.vectors[:, 1]), abs(speed), atol=1e-3)
    assert np.allclose(np.hypot(*turned.vectors[:, 2]), 1.0, atol=1e-5)


def test_lists_are_bounded_and_cleaned() -> None:
    many = tuple(car(float(x)) for x in range(200, 0, -1))
    kept = objects(START, table_of(many), 0.5)
    assert len(kept) == MAX_OBJECTS
    assert kept.vectors[0, 0].max() == MAX_OBJECTS
    broken = replace(car(5.0), x=math.nan)
    unlikely = replace(car(5.0), probability=0.2)
    cleaned = objects(START, table_of((broken, unlikely, car(9.0))), 0.5)
    assert (len(cleaned), cleaned.malformed) == (1, 1)


def test_a_point_has_a_size() -> None:
    point = replace(pedestrian(FRONT + 10.0, 0.0, 0.0), length=0.0, width=0.0)
    assert contact(constant(10.0), point) < 2.5


def test_a_path_of_no_length_still_sees_ahead() -> None:
    """A standing plan has no contact; one that sets off has, with what stands right before it."""
    right_before = car(FRONT + 1.0 + 2.25)
    assert contact(constant(0.0), right_before) == np.float32(NEVER_S)
    assert contact(constant(0.0, 1.5), right_before) < 1.6


def test_a_path_that_turns_back_looks_behind_too() -> None:
    turning = constant(5.0, 0.0, 0.15)
    x, y, heading = bend(1 / 0.15, 1.7)
    assert not Paths(batch(START, (turning,))).forward
    assert contact(turning, car(x, y, 0.0, heading)) < 2.5


def test_an_object_that_both_see_has_the_velocity_that_the_sensor_measures() -> None:
    guessed = objects(
        START, table_of((car(20.0, speed=2.0), car(20.0, y=3.5, speed=1.0))), 0.5
    )
    measured = objects(START, table_of((car(21.5, y=0.3, speed=8.0),)), 0.5)
    merged = with_measured_velocity(guessed, measured, 2.0)
    assert merged.vectors[0, 1].tolist() == [8.0, 1.0]
    assert np.array_equal(merged.vectors[:, 0], guessed.vectors[:, 0])


@pytest.mark.parametrize("far", [9.0, -9.0])
def test_an_object_that_the_sensor_does_not_see_stays_as_the_model_says(far: float) -> None:
    guessed = objects(START, table_of((car(20.0, speed=2.0),)), 0.5)
    other = objects(START, table_of((car(20.0 + far, speed=8.0),)), 0.5)
    assert with_measured_velocity(guessed, other, 2.0).vectors[0, 1, 0] == 2.0
    assert with_measured_velocity(guessed, NONE, 2.0) is guessed
    assert with_measured_velocity(NONE, other, 2.0) is NONE


def test_a_lane_change_far_from_everybody_meets_nobody() -> None:
    """In reach of the path's box, and of none of its points."""
    swerve = np.where(np.arange(POINTS) < 20, 0.015, -0.015) * (np.arange(POINTS) < 40)
    changing = integrate(12.0, np.zeros(POINTS), swerve)
    assert contact(changing, car(75.0, -9.0, 12.0), sideways=True) == np.float32(NEVER_S)


def test_one_that_comes_from_behind_and_across_is_seen() -> None:
    """It is behind now and would be beside us when we touch."""
    other = replace(car(-9.0, 12.0), velocity_x=10.0, velocity_y=-5.0)
    assert 1.5 < contact(constant(5.0), other) < 2.5


@pytest.mark.parametrize(
    ("now_s", "horizon_s", "found"),
    [
        (0.0, 2.4, (0, 26)), (0.0, 2.5, (0, 27)), (-1.0, 2.5, (0, 27)), (0.37, 2.5, (3, 30)),
        (6.3, 2.5, (63, 65)), (0.0, 9.0, (0, 65)), (6.45, 1.0, (64, 65)),
    ],
)
def test_where_contact_is_looked_for(
    now_s: float, horizon_s: float, found: tuple[int, int]
) -> None:
    assert samples(now_s, horizon_s) == found


def test_where_nobody_is_ahead_nobody_leads() -> None:
    assert near(constant(5.0), car(12.0, 6.0, 3.0)).lead_speed[0] == 0.0
