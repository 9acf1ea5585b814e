"""Approved against measured motion over the last second."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from drive import SETTINGS, START, STATE, STEP, VEHICLE, constant
from hypothesis import given
from hypothesis import strategies as st

from vla_driving.contract.clock import nanoseconds
from vla_driving.contract.motion import EgoMotion, PoseChange
from vla_driving.contract.plan import ApprovedPlan, PlanSource
from vla_driving.contract.trajectory import POINTS, integrate
from vla_driving.safety.following import Following

pytestmark = pytest.mark.requirement("SR-15")

FOLLOWING = SETTINGS.following


def sent(curvature: float = 0.0, acceleration: float = 0.0) -> ApprovedPlan:
    return ApprovedPlan(
        stamp_ns=START, sequence=1, plan_sequence=1, frame_stamp_ns=START, valid_until_ns=START,
        source=PlanSource.MODEL, engaged=True, hold=False, hazard_lights=False, speed_cap=20.0,
        trajectory=constant(10.0, acceleration, curvature),
    )


def drive(
    plan: ApprovedPlan, speed: float = 10.0, yaw_rate: float = 0.0, acceleration: float = 0.0,
    seconds: float = 2.0, forget_motion: bool = False,
) -> tuple[float, float]:
    following, motion = Following(FOLLOWING, VEHICLE), EgoMotion()
    for k in range(round(seconds / 0.02)):
        state = replace(
            STATE, stamp_ns=START + k * STEP, speed=speed + acceleration * k * 0.02,
            yaw_rate=yaw_rate,
        )
        motion.add(state)
        following.add(state, plan)
    return following.deviation(EgoMotion() if forget_motion else motion)


@given(st.floats(0.0, 20.0), st.floats(-0.03, 0.03))
def test_as_approved(speed: float, curvature: float) -> None:
    sideways, faster = drive(sent(curvature), speed, speed * curvature)
    assert sideways < 0.02
    assert faster == pytest.approx(0.0)


def test_another_curvature_is_seen() -> None:
    """0.3 rad/s too much at 10 m/s is 1.5 m after one second."""
    sideways, _ = drive(sent(), 10.0, 0.3)
    assert sideways == pytest.approx(0.5 * 10.0 * 0.3, abs=0.1)


def test_braking_that_does_not_happen_is_seen() -> None:
    _, faster = drive(sent(acceleration=-3.0), 10.0)
    assert faster == pytest.approx(3.0, abs=0.1)
    _, faster = drive(sent(acceleration=-3.0), 10.0, seconds=1.0)
    built_up = 0.5 * 3.0**2 / VEHICLE.max_jerk
    assert faster == pytest.approx(3.0 - built_up, abs=0.1)
    _, faster = drive(sent(), 10.0, acceleration=-3.0)
    assert faster == pytest.approx(-3.0, abs=0.1)


@pytest.mark.parametrize("before", [-2.0, 0.0, 0.9, 2.0])
@pytest.mark.parametrize("wanted", [-3.4, 0.0, 1.9])
def test_a_sudden_change_of_mind_is_followed_with_the_jerk_of_the_envelope(
    before: float, wanted: float
) -> None:
    """The bridge may not change the acceleration faster: that is no fault of the car."""
    following, motion, speed = Following(FOLLOWING, VEHICLE), EgoMotion(), 10.0
    for k in range(101):
        most = VEHICLE.max_jerk * k * 0.02
        acceleration = before + min(max(wanted - before, -most), most)
        state = replace(STATE, stamp_ns=START + k * STEP, speed=speed, acceleration=acceleration)
        motion.add(state)
        following.add(state, sent(acceleration=wanted))
        assert abs(following.deviation(motion)[1]) < 0.15
        speed += acceleration * 0.02


def test_a_measured_acceleration_that_no_car_has_excuses_nothing() -> None:
    following, motion = Following(FOLLOWING, VEHICLE), EgoMotion()
    for k in range(51):
        state = replace(STATE, stamp_ns=START + k * STEP, speed=10.0 + 0.08 * k, acceleration=80.0)
        motion.add(state)
        following.add(state, sent())
    gained = 4.0
    assert following.deviation(motion)[1] > gained - 0.5 * 2.0**2 / VEHICLE.max_jerk - 0.1


def test_a_car_that_stands_is_not_too_fast() -> None:
    """Braked hard until it stood: its acceleration was still measured when it was engaged again."""
    following, motion = Following(FOLLOWING, VEHICLE), EgoMotion()
    for k in range(60):
        state = replace(
            STATE, stamp_ns=START + k * STEP, speed=0.0, acceleration=-6.0 if k < 3 else 0.0
        )
        motion.add(state)
        following.add(state, sent(acceleration=-3.0))
        assert following.deviation(motion)[1] <= 0.0


def test_slower_is_not_beside() -> None:
    sideways, _ = drive(sent(0.02), 5.0, 5.0 * 0.02)
    assert sideways < 0.02


def test_until_the_window_is_full_nothing_is_said() -> None:
    assert drive(sent(), 10.0, 0.3, seconds=0.8) == (0.0, 0.0)
    assert drive(sent(), 10.0, 0.3, forget_motion=True) == (0.0, 0.0)
    assert Following(FOLLOWING, VEHICLE).deviation(EgoMotion()) == (0.0, 0.0)


def test_a_gap_starts_anew() -> None:
    following, motion = Following(FOLLOWING, VEHICLE), EgoMotion()
    for at in (0.0, 0.02, 5.0, 5.02):
        state = replace(STATE, stamp_ns=START + nanoseconds(at), speed=10.0, yaw_rate=0.5)
        motion.add(state)
        following.add(state, sent())
    assert following.deviation(motion) == (0.0, 0.0)
    following.clear()
    assert following.deviation(motion) == (0.0, 0.0)


def test_past_the_end_of_a_plan_its_last_point_holds() -> None:
    plan = replace(sent(0.02), stamp_ns=START - nanoseconds(60.0))
    assert drive(plan, 10.0, 0.2)[0] < 0.02
    assert np.isclose(drive(plan, 10.0, 0.0)[0], 1.0, atol=0.1)


# -- to the number -----------------------------------------------------------------------------


def test_the_deviation_is_that_over_the_last_second() -> None:
    """A weaving car of changing speed, summed up here one state after the other."""
    following, motion = Following(FOLLOWING, VEHICLE), EgoMotion()
    plan = replace(sent(), trajectory=integrate(
        10.0, np.linspace(-1.0, 1.0, POINTS), np.linspace(0.02, -0.02, POINTS)
    ))
    x, y, yaw, speed, pull = [0.0], [0.0], [0.0], [0.0], [0.0]
    states = [
        replace(
            STATE, stamp_ns=START + k * STEP, speed=10.0 + float(np.sin(0.1 * k)),
            yaw_rate=0.3 * float(np.cos(0.05 * k)), acceleration=0.4,
        )
        for k in range(90)
    ]
    pull[0] = 0.4
    for k, state in enumerate(states):
        motion.add(state)
        following.add(state, plan)
        if not k:
            continue
        at = int((k - 1) * STEP / 1e9 / 0.1)
        most = VEHICLE.max_jerk * 0.02
        wanted = float(plan.trajectory.acceleration[at])
        pull.append(pull[-1] + float(np.clip(wanted - pull[-1], -most, most)))
        way = 0.5 * (states[k - 1].speed + state.speed) * 0.02
        turn = float(plan.trajectory.curvature[at]) * way
        x.append(x[-1] + way * float(np.cos(yaw[-1] + 0.5 * turn)))
        y.append(y[-1] + way * float(np.sin(yaw[-1] + 0.5 * turn)))
        yaw.append(yaw[-1] + turn)
        speed.append(speed[-1] + pull[-1] * 0.02)
    first, last = 89 - 50, 89
    change = motion.change(states[first].stamp_ns, states[last].stamp_ns)
    assert change is not None
    wanted_change = PoseChange(x[first], y[first], yaw[first])
    (ax,), (ay,) = wanted_change.to_second([x[last]], [y[last]])
    heading = yaw[last] - yaw[first]
    off = (change.dy - ay) * np.cos(heading) - (change.dx - ax) * np.sin(heading)
    sideways, faster = following.deviation(motion)
    assert sideways == pytest.approx(abs(off), abs=1e-9)
    gained = states[last].speed - states[first].speed - (speed[last] - speed[first])
    assert faster == pytest.approx(gained, abs=1e-9)


@pytest.mark.parametrize(("count", "says"), [(45, False), (46, True)])
def test_nine_tenths_of_the_window_are_enough(count: int, says: bool) -> None:
    following, motion = Following(FOLLOWING, VEHICLE), EgoMotion()
    for k in range(count):
        state = replace(STATE, stamp_ns=START + k * STEP, speed=10.0, yaw_rate=0.3)
        motion.add(state)
        following.add(state, sent())
    assert (following.deviation(motion) != (0.0, 0.0)) == says


@pytest.mark.parametrize("before", [(), (-0.4,), (-0.8, -0.4)])
def test_two_states_are_kept_however_far_apart_and_no_older_ones(
    before: tuple[float, ...]
) -> None:
    short = replace(FOLLOWING, window=0.3)
    following, motion = Following(short, VEHICLE), EgoMotion()
    for at_s in (*before, 0.0, 0.4):
        state = replace(STATE, stamp_ns=START + nanoseconds(at_s), speed=10.0, yaw_rate=0.3)
        motion.add(state)
        following.add(state, sent())
    assert following.deviation(motion)[0] == pytest.approx(0.5 * 10.0 * 0.3 * 0.4**2, abs=0.01)


@pytest.mark.parametrize(("gap_s", "goes_on"), [(0.5, True), (0.501, False), (0.0, False)])
def test_how_long_a_gap_is_bridged(gap_s: float, goes_on: bool) -> None:
    following, motion = Following(FOLLOWING, VEHICLE), EgoMotion()
    stamps = [*(k * STEP for k in range(46)), 45 * STEP + nanoseconds(gap_s)]
    for stamp in stamps:
        state = replace(STATE, stamp_ns=START + stamp, speed=10.0, yaw_rate=0.3)
        motion.add(state)
        following.add(state, sent())
    assert (following.deviation(motion) != (0.0, 0.0)) == goes_on


@pytest.mark.parametrize(
    ("age_s", "point"),
    [(-1.0, 0), (0.0, 0), (0.0999, 0), (0.11, 1), (6.25, 62), (6.35, 63), (9.0, 63)],
)
def test_the_point_of_the_plan_at_an_instant(age_s: float, point: int) -> None:
    bends = np.linspace(-0.03, 0.03, POINTS)
    pulls = np.linspace(-1.0, 1.0, POINTS)
    plan = replace(sent(), trajectory=integrate(10.0, pulls, bends))
    following, motion = Following(FOLLOWING, VEHICLE), EgoMotion()
    begin = START + nanoseconds(age_s)
    for stamp, pull in ((0, float(plan.trajectory.acceleration[point])), (STEP, 0.0)):
        state = replace(STATE, stamp_ns=begin + stamp, speed=10.0, acceleration=pull)
        motion.add(state)
        following.add(state, plan)
    short = Following(replace(FOLLOWING, window=0.02), VEHICLE)
    for stamp, pull in ((0, float(plan.trajectory.acceleration[point])), (STEP, 0.0)):
        short.add(replace(STATE, stamp_ns=begin + stamp, speed=10.0, acceleration=pull), plan)
    sideways, faster = short.deviation(motion)
    bend = float(plan.trajectory.curvature[point])
    assert sideways == pytest.approx(0.5 * abs(bend) * 0.2**2, rel=1e-3, abs=1e-9)
    assert faster == pytest.approx(-0.02 * float(plan.trajectory.acceleration[point]), abs=1e-9)


def test_states_without_end_take_bounded_memory() -> None:
    following = Following(FOLLOWING, VEHICLE)
    for k in range(3000):
        following.add(replace(STATE, stamp_ns=START + 1000 * k), sent())
    assert len(following._entries) <= 1024
