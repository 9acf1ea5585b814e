"""Red lights: a plan that passes one in front of which the car can stop is refused."""

from __future__ import annotations

import numpy as np
import pytest
from drive import SETTINGS, START, VEHICLE, constant, plan_of

from vla_driving.contract.scene import SignalState, TrafficControl, TrafficControlKind
from vla_driving.contract.trajectory import Trajectory
from vla_driving.safety.candidates import batch
from vla_driving.safety.checks import world
from vla_driving.safety.checks.table import Candidates, Limits, fails
from vla_driving.safety.contacts import NEVER_S
from vla_driving.safety.obstacles import NOWHERE_M, Approach

LIMITS = Limits(SETTINGS, VEHICLE)
CHECK = next(check for check in world.CHECKS if check.name == "red_light")
FRONT = VEHICLE.wheelbase + VEHICLE.front_overhang
SPEED = 10.0
BRAKING = SPEED**2 / (2.0 * VEHICLE.max_deceleration)

pytestmark = pytest.mark.requirement("SR-09")


def overrun(path: Trajectory, *controls: TrafficControl) -> float:
    never, far = np.full(1, NEVER_S), np.full(1, NOWHERE_M)
    none, zero = np.zeros(1), np.zeros(1)
    given = Candidates(
        LIMITS, batch(START, (path,)), plan_of((path,), traffic_controls=controls), 0.1, SPEED,
        zero, Approach(never, never, far, far, far, far, none, far), zero, zero, SPEED, zero > 0.0,
    )
    return float(CHECK.measure(given)[0])


def light(distance: float, state: SignalState = SignalState.RED, probability: float = 0.9,
          kind: TrafficControlKind = TrafficControlKind.TRAFFIC_LIGHT) -> TrafficControl:
    return TrafficControl(kind, state, probability, distance)


def refused(value: float) -> bool:
    return fails(value, CHECK.limit(LIMITS), CHECK.at_least)


def test_driving_through_is_measured_and_refused() -> None:
    # After 3 s the rear axle is 30 m on.
    at = FRONT + 20.0
    assert overrun(constant(SPEED), light(at)) == pytest.approx(30.0 + FRONT - at, abs=0.01)
    assert refused(overrun(constant(SPEED), light(at)))


def test_braking_before_the_line_is_fine() -> None:
    assert not refused(overrun(constant(SPEED, -3.0), light(FRONT + 25.0)))


@pytest.mark.parametrize(
    "control",
    [
        light(25.0, SignalState.GREEN), light(25.0, SignalState.AMBER),
        light(25.0, SignalState.UNKNOWN), light(25.0, probability=0.4),
        light(25.0, kind=TrafficControlKind.YIELD_SIGN), light(200.0),
    ],
)
def test_what_is_no_red_light_ahead_asks_for_nothing(control: TrafficControl) -> None:
    assert overrun(constant(SPEED), control) == 0.0


@pytest.mark.parametrize(("spare", "expected"), [(0.5, True), (-0.5, False)])
def test_one_that_turned_red_too_late_to_stop_is_passed(spare: float, expected: bool) -> None:
    assert refused(overrun(constant(SPEED), light(FRONT + BRAKING + spare))) == expected


def test_the_worst_of_several_counts() -> None:
    near, far = light(FRONT + 16.0), light(FRONT + 25.0)
    both = overrun(constant(SPEED), far, near)
    assert both == overrun(constant(SPEED), near) > overrun(constant(SPEED), far)
