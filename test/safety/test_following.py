"""Approved against measured motion over the last second."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from drive import SETTINGS, START, STATE, STEP, VEHICLE, constant
from hypothesis import given
from hypothesis import strategies as st

from vla_driving.contract.clock import nanoseconds
from vla_driving.contract.motion import EgoMotion
from vla_driving.contract.plan import ApprovedPlan, PlanSource
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
