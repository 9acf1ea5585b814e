"""Dead reckoning against closed forms, and its edges."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from vla_driving.contract.clock import nanoseconds
from vla_driving.contract.motion import HISTORY, MAX_GAP_S, EgoMotion, PoseChange
from vla_driving.contract.vehicle import Gear, VehicleState

STATE = VehicleState(
    stamp_ns=0, sequence=0, speed=0.0, wheel_speed=0.0, acceleration=0.0,
    lateral_acceleration=0.0, yaw_rate=0.0, steering_angle=0.0, steering_rate=0.0,
    gear=Gear.DRIVE, standstill=False,
)
PERIOD = nanoseconds(0.02)
START = nanoseconds(100.0)


def drive(speed: float, yaw_rate: float, states: int, acceleration: float = 0.0) -> EgoMotion:
    """Motion with `states` states at 50 Hz from START on."""
    motion = EgoMotion()
    for k in range(states):
        assert motion.add(
            replace(
                STATE, stamp_ns=START + k * PERIOD, sequence=k,
                speed=speed + acceleration * k * 0.02, yaw_rate=yaw_rate, acceleration=acceleration,
            )
        )
    return motion


@given(st.floats(0.0, 40.0), st.floats(-0.8, 0.8))
def test_constant_motion_follows_the_arc(speed: float, yaw_rate: float) -> None:
    change = drive(speed, yaw_rate, 101).change(START, START + 100 * PERIOD)
    assert change is not None
    angle = 2.0 * yaw_rate
    radius = speed / yaw_rate if abs(yaw_rate) > 1e-6 else None
    x = radius * math.sin(angle) if radius else 2.0 * speed
    y = radius * (1.0 - math.cos(angle)) if radius else speed * angle
    assert change.dx == pytest.approx(x, abs=0.01)
    assert change.dy == pytest.approx(y, abs=0.01)
    assert change.dyaw == pytest.approx(angle, abs=1e-9)


@given(st.integers(0, 80 * 20), st.integers(0, 80 * 20), st.integers(0, 80 * 20))
def test_changes_compose_and_invert(first_ms: int, second_ms: int, third_ms: int) -> None:
    motion = drive(12.0, 0.3, 81)
    a, b, c = (START + nanoseconds(ms / 1000) for ms in (first_ms, second_ms, third_ms))
    ab, bc, ac = motion.change(a, b), motion.change(b, c), motion.change(a, c)
    assert ab is not None and bc is not None and ac is not None
    x, y = ab.inverse().to_second(bc.dx, bc.dy)
    assert (float(x), float(y)) == pytest.approx((ac.dx, ac.dy), abs=1e-9)
    assert ab.dyaw + bc.dyaw == pytest.approx(ac.dyaw)


@given(st.floats(-50, 50), st.floats(-50, 50), st.floats(-3, 3), st.floats(-9, 9), st.floats(-9, 9))
def test_points_go_there_and_back(dx: float, dy: float, dyaw: float, x: float, y: float) -> None:
    change = PoseChange(dx, dy, dyaw)
    there = change.to_second([x], [y])
    back = change.inverse().to_second(*there)
    assert np.allclose(np.ravel(back), [x, y], atol=1e-9)
    turned = change.turn_to_second(x, y)
    assert math.hypot(*map(float, turned)) == pytest.approx(math.hypot(x, y))


def test_turning_left_moves_what_is_ahead_to_the_right() -> None:
    x, y = PoseChange(0.0, 0.0, math.pi / 2).to_second(1.0, 0.0)
    assert (float(x), float(y)) == pytest.approx((0.0, -1.0))


def test_outside_the_history_is_unknown() -> None:
    motion = drive(10.0, 0.0, 10)
    newest = motion.newest_ns
    assert newest == START + 9 * PERIOD
    assert motion.change(START - 1, newest) is None
    assert motion.change(START, newest + nanoseconds(MAX_GAP_S) + 1) is None
    assert motion.speed(START - 1) is None
    beyond = motion.change(newest, newest + nanoseconds(MAX_GAP_S))
    assert beyond is not None and beyond.dx == pytest.approx(5.0)
    assert EgoMotion().change(0, 0) is None
    assert EgoMotion().newest_ns is None


def test_speed_is_interpolated_and_carried_on() -> None:
    motion = drive(10.0, 0.0, 11, acceleration=1.0)
    assert motion.speed(START + nanoseconds(0.11)) == pytest.approx(10.11)
    assert motion.speed(START + nanoseconds(0.30)) == pytest.approx(10.30)


def test_old_repeated_and_broken_states_change_nothing() -> None:
    motion = drive(10.0, 0.1, 5)
    before = motion.change(START, START + 4 * PERIOD)
    assert not motion.add(replace(STATE, stamp_ns=START + 4 * PERIOD))
    assert not motion.add(replace(STATE, stamp_ns=START))
    assert not motion.add(replace(STATE, stamp_ns=START + 9 * PERIOD, speed=math.nan))
    assert not motion.add(replace(STATE, stamp_ns=START + 9 * PERIOD, yaw_rate=math.inf))
    assert motion.change(START, START + 4 * PERIOD) == before


def test_a_gap_starts_anew() -> None:
    motion = drive(10.0, 0.0, 5)
    later = START + 4 * PERIOD + nanoseconds(MAX_GAP_S) + 1
    assert motion.add(replace(STATE, stamp_ns=later, speed=10.0))
    assert motion.change(START, later) is None
    assert motion.change(later, later) == PoseChange(0.0, 0.0, 0.0)


def test_memory_is_bounded() -> None:
    motion = drive(10.0, 0.0, HISTORY + 50)
    assert motion.change(START + 49 * PERIOD, START + 60 * PERIOD) is None
    assert motion.change(START + 50 * PERIOD, START + 60 * PERIOD) is not None
