"""The stop under way: its path is kept, its braking only gets harder."""

from __future__ import annotations

from dataclasses import replace

import pytest
from drive import START, STATE, STEP, VEHICLE, constant, plan_of

from vla_driving.contract.clock import nanoseconds
from vla_driving.contract.motion import EgoMotion
from vla_driving.safety.fallback import Fallback

pytestmark = pytest.mark.requirement("SR-16")

MOVING = replace(STATE, speed=10.0, standstill=False)


def fallback() -> tuple[Fallback, EgoMotion]:
    motion = EgoMotion()
    for k in range(50):
        motion.add(replace(MOVING, stamp_ns=START + k * STEP))
    return Fallback(VEHICLE, motion), motion


def test_braking_gets_harder_and_never_softer() -> None:
    stop, _ = fallback()
    soft = stop.brake(MOVING, START)
    assert soft.deceleration == VEHICLE.comfort_deceleration
    later = START + nanoseconds(1.0)
    assert stop.brake(MOVING, later) is soft
    hard = stop.brake_fully(MOVING, later)
    assert hard.acceleration == -VEHICLE.comfort_deceleration
    assert hard.deceleration == VEHICLE.emergency_deceleration
    assert stop.brake_fully(MOVING, later + STEP) is hard
    assert stop.brake(MOVING, later + STEP) is hard


def test_an_emergency_may_come_first() -> None:
    stop, _ = fallback()
    braking = stop.brake_fully(MOVING, START)
    assert braking.deceleration == VEHICLE.emergency_deceleration


def test_the_path_is_that_of_the_approved_plan_carried_along() -> None:
    stop, _ = fallback()
    trajectory = constant(10.0, 0.0, 0.01)
    plan = plan_of((trajectory,), START)
    now = replace(MOVING, stamp_ns=START + 10 * STEP)
    stop.follow(plan, trajectory, now)
    assert stop.stamp_ns == now.stamp_ns
    braking = stop.brake(now, now.stamp_ns)
    # The car went straight on for 2 m; the path bends left.
    assert stop.trajectory(braking, 10.0).y[20] > 0.5
    later = replace(MOVING, stamp_ns=START + 20 * STEP)
    stop.follow(plan_of((constant(10.0),), START), constant(10.0), later)
    assert stop.trajectory(braking, 10.0).y[20] > 0.5


def test_where_the_motion_is_lost_the_wheels_lead() -> None:
    stop, _ = fallback()
    trajectory = constant(10.0, 0.0, 0.01)
    stop.follow(plan_of((trajectory,), START - nanoseconds(9.0)), trajectory, MOVING)
    braking = stop.brake(MOVING, START)
    assert stop.trajectory(braking, 10.0).y[30] == 0.0


def test_without_a_path_there_is_nothing_to_stop_along() -> None:
    stop, _ = fallback()
    braking = stop.brake(MOVING, START)
    with pytest.raises(RuntimeError, match="no path"):
        stop.trajectory(braking, 10.0)
    stop.rebase(START + STEP)
    assert stop.braking is not None
    stop.release()
    assert stop.braking is None
    stop.rebase(START)
    assert stop.stamp_ns == 0
