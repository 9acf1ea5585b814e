"""Off the route, and a state that repeats itself."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
from drive import STATE
from hypothesis import given
from hypothesis import strategies as st

from vla_driving.contract.vehicle import VehicleState
from vla_driving.safety.navigation import off_route
from vla_driving.safety.repetition import Repetition


@pytest.mark.parametrize(
    ("x", "y", "off"),
    [
        ((10, 20, 30), (0, 0, 0), 0.0),
        ((10, 20, 30), (5, 5, 5), 5.0),
        ((10, 20, 30), (-5, -5, -5), 5.0),
        ((-30, -20), (0, 0), 20.0),
        ((-30, -20, -20), (0, 0, 40), 20.0),
        ((10, 10), (-10, 10), 10.0),
        ((5, 5), (0, 0), 5.0),
        ((10, 20), (10, 20), 0.0),
        ((10,), (40,), 0.0),
        ((), (), 0.0),
    ],
)
def test_distance_from_the_way(x: tuple[int, ...], y: tuple[int, ...], off: float) -> None:
    assert off_route(np.array(x, "f4"), np.array(y, "f4")) == pytest.approx(off, abs=1e-5)


@pytest.mark.parametrize("bad", [math.nan, math.inf])
def test_a_way_that_is_not_finite_leads_nowhere(bad: float) -> None:
    assert off_route([10.0, bad], [0.0, 0.0]) == math.inf


@given(st.lists(st.tuples(st.floats(-200, 200), st.floats(-200, 200)), min_size=2, max_size=16))
def test_no_point_of_the_way_is_nearer(points: list[tuple[float, float]]) -> None:
    x, y = np.array(points).T
    off = off_route(x, y)
    assert 0.0 <= off <= np.hypot(x, y).min() + 1e-6


def repeated(state: VehicleState, times: int) -> int:
    repetition = Repetition()
    for k in range(times):
        repetition.take(replace(state, stamp_ns=k, sequence=k))
    return repetition.count


DRIVING = replace(STATE, speed=10.0, wheel_speed=10.0, standstill=False)


@pytest.mark.parametrize(
    ("state", "count"),
    [
        (replace(DRIVING, acceleration=0.1), 9),
        (replace(DRIVING, steering_rate=-0.01), 9),
        (DRIVING, 0),
        (replace(STATE, acceleration=0.1), 0),
    ],
    ids=["accelerates", "steers", "constant", "stands"],
)
def test_numbers_that_repeat_while_they_say_that_they_change(
    state: VehicleState, count: int
) -> None:
    assert repeated(state, 10) == count


@pytest.mark.parametrize(
    "name",
    ["speed", "wheel_speed", "acceleration", "lateral_acceleration", "yaw_rate", "steering_angle",
     "steering_rate"],
)
def test_one_number_that_moves_is_enough(name: str) -> None:
    repetition = Repetition()
    state = replace(DRIVING, acceleration=0.1)
    for _ in range(5):
        repetition.take(state)
    repetition.take(replace(state, **{name: getattr(state, name) + 0.01}))
    assert repetition.count == 0


def test_nothing_repeats_before_anything_came_or_just_above_standstill() -> None:
    assert Repetition().count == 0
    assert repeated(replace(DRIVING, speed=0.3, acceleration=0.1), 3) == 0
    assert repeated(replace(DRIVING, speed=-0.31, acceleration=0.1), 3) == 2


def test_way_points_that_lie_on_each_other_or_close_together_lead_on() -> None:
    close = np.array([0.0, 1e-3, 2e-3, 3.0], "f4")
    assert off_route(close, np.full(4, 2.0, "f4")) == pytest.approx(2.0, abs=1e-5)
    assert off_route([1.0, 1.5], [0.0, 0.0]) == 0.0
    assert off_route([-5.0, -4.5], [0.0, 0.0]) == pytest.approx(4.5)


def test_only_the_first_stretch_is_carried_on_backwards() -> None:
    """A way that crosses 50 m ahead and turns off: the car is not on where that would come from."""
    assert off_route([50.0, 50.0, 100.0], [20.0, -30.0, -30.0]) == pytest.approx(50.0)
    assert off_route([50.0, 50.0, 100.0], [-20.0, 0.0, 0.0]) == pytest.approx(50.0)
