"""The limit that holds here, and the cap that follows it down."""

import math

import numpy as np
import pytest
from drive import START, VEHICLE

from vla_driving.contract.navigation import Route, Turn
from vla_driving.contract.scene import (
    MAX_TRAFFIC_CONTROLS,
    SignalState,
    TrafficControl,
    TrafficControlKind,
)
from vla_driving.safety.speed_cap import SpeedCap, speed_limit

NOTHING = np.zeros(0, np.float32)


def route(limit: float) -> Route:
    return Route(START, NOTHING, NOTHING, Turn(0), 0.0, 0.0, limit)


def sign(
    value: float, probability: float = 0.9, distance: float = -1.0,
    kind: TrafficControlKind = TrafficControlKind.SPEED_LIMIT,
) -> TrafficControl:
    return TrafficControl(kind, SignalState.UNKNOWN, probability, distance, value)


@pytest.mark.parametrize(
    ("limit_of_route", "signs", "instruction", "expected"),
    [
        (None, (), 0.0, VEHICLE.max_speed),
        (None, (), 0.5, 0.5),
        (None, (), 1.0, 1.0),
        (None, (), -1.0, VEHICLE.max_speed),
        (None, (), math.nan, VEHICLE.max_speed),
        (None, (), 99.0, VEHICLE.max_speed),
        (13.0, (), 0.0, 13.0),
        (0.5, (), 0.0, 0.5),
        (0.0, (), 0.0, VEHICLE.max_speed),
        (99.0, (), 0.0, VEHICLE.max_speed),
        (13.0, (), 8.0, 8.0),
        (8.0, (), 13.0, 8.0),
        (None, (sign(10.0),), 0.0, 10.0),
        (None, (sign(10.0, distance=0.0),), 0.0, 10.0),
        (None, (sign(10.0, distance=0.1),), 0.0, VEHICLE.max_speed),
        (None, (sign(10.0, probability=0.5),), 0.0, 10.0),
        (None, (sign(10.0, probability=0.49),), 0.0, VEHICLE.max_speed),
        (None, (sign(0.0),), 0.0, VEHICLE.max_speed),
        (None, (sign(0.5),), 0.0, 0.5),
        (None, (sign(10.0, kind=TrafficControlKind.STOP_SIGN),), 0.0, VEHICLE.max_speed),
        (9.0, (sign(10.0), sign(7.0), sign(8.0)), 0.0, 7.0),
        (6.0, (sign(10.0), sign(7.0)), 6.5, 6.0),
    ],
)
def test_the_lowest_limit_holds(
    limit_of_route: float | None, signs: tuple[TrafficControl, ...], instruction: float,
    expected: float,
) -> None:
    known = None if limit_of_route is None else route(limit_of_route)
    assert speed_limit(VEHICLE, known, signs, 0.5, instruction) == expected


def test_no_more_signs_than_may_come_are_read() -> None:
    many = (sign(20.0),) * (MAX_TRAFFIC_CONTROLS - 1)
    assert speed_limit(VEHICLE, None, (*many, sign(5.0)), 0.5, 0.0) == 5.0
    assert speed_limit(VEHICLE, None, (*many, sign(20.0), sign(5.0)), 0.5, 0.0) == 20.0


def test_the_cap_begins_at_the_cars_own_limit_and_falls_from_the_cars_speed() -> None:
    cap = SpeedCap(VEHICLE, 1.5)
    assert cap.value == VEHICLE.max_speed
    assert cap.step(5.0, 20.0, 0.1) == pytest.approx(19.85)
    assert cap.step(5.0, 20.0, 0.1) == pytest.approx(19.7)
    assert cap.step(5.0, 10.0, 0.2) == pytest.approx(9.7)
    assert cap.value == pytest.approx(9.7)


def test_the_cap_stops_at_its_target_and_rises_at_once() -> None:
    cap = SpeedCap(VEHICLE, 1.0)
    assert cap.step(9.0, 9.05, 0.1) == 9.0
    assert cap.step(9.0, 3.0, 0.1) == 9.0
    assert cap.step(12.0, 3.0, 0.0) == 12.0


@pytest.mark.parametrize(("passed_s", "fall"), [(-1.0, 0.0), (0.0, 0.0), (0.5, 0.5), (1.0, 1.0),
                                                (1.5, 1.0), (30.0, 1.0)])
def test_a_step_counts_for_a_second_at_most(passed_s: float, fall: float) -> None:
    cap = SpeedCap(VEHICLE, 1.0)
    assert cap.step(2.0, 10.0, passed_s) == pytest.approx(10.0 - fall)


def test_a_released_cap_begins_anew() -> None:
    cap = SpeedCap(VEHICLE, 1.0)
    cap.step(2.0, 10.0, 1.0)
    cap.release()
    assert cap.value == VEHICLE.max_speed
