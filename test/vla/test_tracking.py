"""Speeds of things come from where they were, as the car itself moves."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from vla_driving.contract.clock import nanoseconds
from vla_driving.contract.motion import EgoMotion
from vla_driving.contract.scene import ObjectClass, SceneObject
from vla_driving.vla.memory import LONGEST_GAP_S
from vla_driving.vla.tracking import SceneTracker

from .tiny_model import vehicle_state

CAR = SceneObject(ObjectClass.CAR, 0.9, 30.0, 0.0, 0.0, 3.0, 0.0, 4.5, 1.9)
FRAME_S = 0.1
OWN = 6.0


def motion(speed: float = OWN, yaw_rate: float = 0.0, seconds: float = 6.0) -> EgoMotion:
    found = EgoMotion()
    for k in range(round(seconds / 0.02)):
        assert found.add(
            vehicle_state(nanoseconds(1.0 + 0.02 * k), k, speed=speed, yaw_rate=yaw_rate)
        )
    return found


def followed(
    at: Callable[[float], SceneObject], driven: EgoMotion, seconds: float = 4.0
) -> SceneObject:
    tracker = SceneTracker()
    for k in range(round(seconds / FRAME_S)):
        time_s = k * FRAME_S
        (seen,) = tracker.follow((at(time_s),), driven, nanoseconds(1.5 + time_s))
    return seen


@given(st.floats(0.0, 15.0), st.integers(0, 2**31))
def test_a_speed_reported_wrong_comes_right(speed: float, seed: int) -> None:
    noise = np.random.default_rng(seed)

    def at(time_s: float) -> SceneObject:
        x = 30.0 + (speed - OWN) * time_s + float(noise.normal(0.0, 0.5))
        return replace(CAR, x=x, velocity_x=speed - 3.0)

    seen = followed(at, motion())
    assert abs(seen.velocity_x - speed) < 2.0
    assert replace(seen, x=0.0, velocity_x=0.0, velocity_y=0.0) == replace(
        CAR, x=0.0, velocity_x=0.0, velocity_y=0.0
    )


def test_of_a_thing_seen_first_what_is_reported_stands() -> None:
    assert SceneTracker().follow((CAR,), motion(), nanoseconds(1.5)) == (CAR,)


def test_what_stands_does_not_move_as_the_car_turns() -> None:
    driven = motion(OWN, 0.3)
    start = nanoseconds(1.5)

    def at(time_s: float) -> SceneObject:
        change = driven.change(start, start + nanoseconds(time_s)) if time_s else None
        x, y = (20.0, 8.0) if change is None else change.to_second(20.0, 8.0)
        return replace(CAR, x=float(x), y=float(y), velocity_x=0.0, velocity_y=0.0)

    seen = followed(at, driven, 2.0)
    assert abs(seen.velocity_x) < 0.1 and abs(seen.velocity_y) < 0.1


def test_one_far_from_where_a_thing_was_expected_is_another() -> None:
    tracker, driven = SceneTracker(), motion()
    tracker.follow((CAR,), driven, nanoseconds(1.5))
    other = replace(CAR, x=50.0, velocity_x=9.0)
    assert tracker.follow((other,), driven, nanoseconds(1.6)) == (other,)


def test_two_things_change_places_in_the_list() -> None:
    tracker, driven = SceneTracker(), motion(0.0)
    near, far = replace(CAR, x=10.0, velocity_x=0.0), replace(CAR, x=40.0, velocity_x=8.0)
    for k in range(20):
        things = (near, replace(far, x=40.0 + 0.8 * k))
        found = tracker.follow(things[::1 - 2 * (k % 2)], driven, nanoseconds(1.5 + 0.1 * k))
        speeds = {round(thing.velocity_x) for thing in found}
        assert speeds == {0, 8}


@pytest.mark.parametrize("gap_s", [LONGEST_GAP_S + 0.1, 5.5], ids=["gap", "no motion known"])
def test_nothing_is_carried_over_what_is_not_known(gap_s: float) -> None:
    tracker, driven = SceneTracker(), motion(seconds=3.0)
    for k in range(10):
        tracker.follow((replace(CAR, x=30.0 + 0.5 * k),), driven, nanoseconds(1.5 + 0.1 * k))
    later = nanoseconds(2.4 + gap_s)
    assert tracker.follow((CAR,), driven, later) == (CAR,)
