"""What-if rolls against what can be worked out by hand, and for any scene."""

from __future__ import annotations

import math

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from vla_driving import paths
from vla_driving.contract.vehicle import load_vehicle
from vla_driving.vla.language.counterfactual import (
    ANSWER_S,
    Other,
    needed_deceleration,
    roll,
    stopping_distance,
)

CAR = load_vehicle(paths.config("vehicles/metadrive_sedan.yaml"))


def test_stopping_distance() -> None:
    assert stopping_distance(10.0, 5.0) == pytest.approx(10.0 * ANSWER_S + 10.0)


def test_needed_deceleration_for_somebody_who_stands_or_brakes() -> None:
    # 10 m/s, 23 m: 3 m go by in 0.3 s, 20 m are left: 10² / 40.
    assert needed_deceleration(10.0, Other(23.0, 0.0)) == pytest.approx(2.5)
    # The same with one ahead at 8 m/s that brakes with 8: it goes on for 4 m.
    assert needed_deceleration(10.0, Other(19.0, 8.0, 8.0)) == pytest.approx(2.5)
    # One that goes on at 8 m/s: 2 m/s have to go within what 0.3 s leave.
    assert needed_deceleration(10.0, Other(10.0, 8.0)) == pytest.approx(4.0 / (2.0 * 9.4))
    assert needed_deceleration(8.0, Other(10.0, 9.0)) == 0.0
    assert math.isinf(needed_deceleration(20.0, Other(4.0, 0.0)))


def test_far_enough_it_stops_behind_and_near_it_cannot() -> None:
    far = roll(10.0, 10.0, Other(30.0, 8.0, 8.0), CAR)
    assert far.impact_speed == 0.0 and far.smallest_gap > 0.5
    assert far.strongest_braking <= CAR.emergency_deceleration
    near = roll(16.0, 16.0, Other(6.0, 0.0), CAR)
    assert near.impact_speed > 5.0


@given(
    st.floats(0.0, 20.0), st.floats(0.5, 80.0), st.floats(0.0, 20.0), st.floats(0.0, 9.0),
    st.floats(0.0, 3.0),
)
def test_the_roll_agrees_with_the_formula(
    speed: float, gap: float, ahead: float, braking: float, after_s: float
) -> None:
    other = Other(gap, ahead, braking, after_s)
    outcome = roll(speed, max(1.0, speed), other, CAR)
    assert 0.0 <= outcome.strongest_braking <= CAR.emergency_deceleration + 1e-9
    assert (outcome.impact_speed > 0.0) <= (outcome.smallest_gap <= 0.0)
    assume(after_s == 0.0)
    if needed_deceleration(speed, other) > 1.1 * CAR.emergency_deceleration and ahead == 0.0:
        assert outcome.smallest_gap <= 0.0, "what cannot be avoided is not said to be"


@given(st.floats(2.0, 16.0), st.floats(1.0, 60.0))
def test_more_room_is_never_worse(speed: float, gap: float) -> None:
    near = roll(speed, speed, Other(gap, 0.0), CAR)
    far = roll(speed, speed, Other(gap + 20.0, 0.0), CAR)
    assert far.impact_speed <= near.impact_speed + 1e-6
