"""A large model's thought beside the compact model's plan."""

import dataclasses
from typing import Any

import numpy as np
import pytest
from tiny_model import vehicle_state

from vla_driving.contract.checksum import signed
from vla_driving.contract.motion import EgoMotion
from vla_driving.contract.plan import LateralAction, LongitudinalAction, Plan
from vla_driving.contract.scene import ObjectClass, SceneObject
from vla_driving.contract.trajectory import POINTS, integrate
from vla_driving.vla.inputs import NO_ROUTE
from vla_driving.vla.large.advice import DRIVE, EXPLAIN, advised

MS = 1_000_000
SEEN = SceneObject(ObjectClass.CAR, 0.9, 30.0, 0.0, 0.0, 5.0, 0.0, 4.5, 1.8)


def plan(stamp_ns: int, name: str = "pilot", curvature: float = 0.0, **changes: Any) -> Plan:
    made = Plan(
        stamp_ns, 7, 9, stamp_ns + 500 * MS, name, "1.0.0", "openvino/CPU",
        (integrate(10.0, np.zeros(POINTS), np.full(POINTS, curvature)),), (SEEN,), (), (),
        LateralAction.KEEP_LANE, LongitudinalAction.CRUISE, f"{name} says so", (), 0.3, 0, (),
    )
    return signed(dataclasses.replace(made, **changes))


def thought(stamp_ns: int, **changes: Any) -> Plan:
    """A right-hand bend that holds for 2.5 s."""
    return plan(
        stamp_ns, "big", -0.01, valid_until_ns=stamp_ns + 2500 * MS, uncertainty=0.8, **changes
    )


def motion(speed: float = 10.0, yaw_rate: float = -0.1) -> EgoMotion:
    """Of a car that follows the thought."""
    found = EgoMotion()
    for t in range(0, 5001, 20):
        found.add(vehicle_state(t * MS, t, speed=speed, yaw_rate=yaw_rate))
    return found


def advice(role: str, own: Plan, other: Plan) -> tuple[Plan, str]:
    made, fault = advised(own, other, role, motion(), 10.0, NO_ROUTE)
    return made, fault.name if fault else ""


def test_words_stand_behind_the_plans_own_and_nothing_else_changes() -> None:
    own = plan(3000 * MS)
    made, fault = advice(EXPLAIN, own, thought(1800 * MS))
    assert fault == "" and made.candidates is own.candidates
    assert made.reasoning == "pilot says so; big/1.0.0 1.2 s ago: big says so"
    assert (made.model_name, made.valid_until_ns) == ("pilot", own.valid_until_ns)
    (told,) = made.evidence
    assert told.subject == "big/1.0.0" and told.value == pytest.approx(1.2)


def test_its_way_is_driven_from_where_the_car_is_now() -> None:
    own, other = plan(3000 * MS), thought(1800 * MS)
    made, fault = advice(DRIVE, own, other)
    assert fault == "" and made.model_name == "big" and made.objects == own.objects
    # The car is on its path: what is left of the same bend lies ahead.
    rest = integrate(10.0, np.zeros(POINTS), np.full(POINTS, -0.01))
    first = made.candidates[0]
    assert np.hypot(first.x - rest.x, first.y - rest.y).max() < 0.3
    assert made.stamp_ns == own.stamp_ns and made.frame_sequence == own.frame_sequence
    assert made.runtime == "openvino/CPU beside openvino/CPU"
    assert made.uncertainty == pytest.approx(0.8)


def test_what_it_says_is_never_valid_for_longer_than_it_says() -> None:
    own = plan(3000 * MS)
    assert advice(DRIVE, own, thought(600 * MS))[0].valid_until_ns == 3100 * MS
    made, fault = advice(DRIVE, own, thought(400 * MS))
    assert made is own and fault == "thought_stale"


@pytest.mark.parametrize("role", [EXPLAIN, DRIVE])
@pytest.mark.parametrize(
    ("other", "fault"),
    [
        (dataclasses.replace(thought(2000 * MS), checksum=1), "thought_invalid"),
        (thought(3100 * MS), "thought_invalid"),
        (thought(100 * MS), "thought_stale"),
    ],
)
def test_a_thought_that_is_not_good_changes_nothing(role: str, other: Plan, fault: str) -> None:
    own = plan(3000 * MS)
    assert advice(role, own, other) == (own, fault)


def test_where_the_way_since_is_not_known_its_way_is_not_taken() -> None:
    own = plan(3000 * MS)
    made, fault = advised(own, thought(2000 * MS), DRIVE, EgoMotion(), 10.0, NO_ROUTE)
    assert made is own and fault is not None and "not known" in fault.detail
