"""A checksum notices any changed field and survives the way through the message."""

import dataclasses

import numpy as np
import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from vla_driving.contract.checksum import (
    approved_plan_checksum,
    command_checksum,
    driver_state_checksum,
    objects_checksum,
    plan_checksum,
    request_checksum,
    route_checksum,
    vehicle_state_checksum,
)
from vla_driving.contract.messages import from_message, to_message
from vla_driving.contract.navigation import EngagementRequest, Route
from vla_driving.contract.plan import ApprovedPlan, Plan
from vla_driving.contract.scene import ObjectList
from vla_driving.contract.vehicle import ControlCommand, DriverState, Gear, VehicleState

from .strategies import objects

CHECKSUMS = [
    (ApprovedPlan, approved_plan_checksum), (ControlCommand, command_checksum),
    (Plan, plan_checksum), (VehicleState, vehicle_state_checksum),
    (ObjectList, objects_checksum), (Route, route_checksum),
    (DriverState, driver_state_checksum), (EngagementRequest, request_checksum),
]
WORDS = ("model_name", "model_version", "runtime", "reasoning", "evidence", "stages")
"""Of a plan; nothing is driven or judged by them."""
QUICK = settings(max_examples=25, deadline=None, suppress_health_check=list(HealthCheck))


@pytest.mark.parametrize(("cls", "checksum"), CHECKSUMS, ids=lambda c: c.__name__)
@QUICK
@given(data=st.data())
def test_survives_the_message(cls, checksum, data: st.DataObject) -> None:
    pytest.importorskip("vla_driving_msgs.msg", reason="needs the built vla_driving_msgs package")
    value = data.draw(objects(cls))
    assert checksum(from_message(cls, to_message(value))) == checksum(value)


@pytest.mark.parametrize(("cls", "checksum"), CHECKSUMS, ids=lambda c: c.__name__)
@QUICK
@given(data=st.data())
def test_notices_any_changed_field(cls, checksum, data: st.DataObject) -> None:
    value, other = data.draw(objects(cls)), data.draw(objects(cls))
    left_out = ("checksum", "trajectory", *WORDS)
    names = [f.name for f in dataclasses.fields(cls) if f.name not in left_out]
    name = data.draw(st.sampled_from(names))
    assume(not same(getattr(value, name), getattr(other, name)))
    changed = dataclasses.replace(value, **{name: getattr(other, name)})
    assert checksum(changed) != checksum(value)


def test_a_fault_without_a_name_is_not_no_fault() -> None:
    state = VehicleState(0, 1, *7 * (0.0,), Gear.DRIVE, standstill=True)
    told = [(), ("",), ("", ""), ("a",), ("a", ""), ("", "a")]
    sums = [vehicle_state_checksum(dataclasses.replace(state, faults=f)) for f in told]
    assert len(set(sums)) == len(told)


def same(one: object, other: object) -> bool:
    """Whether two fields say the same, arrays within them compared by their bytes."""
    if isinstance(one, np.ndarray) and isinstance(other, np.ndarray):
        return one.tobytes() == other.tobytes()
    if isinstance(one, tuple) and isinstance(other, tuple):
        return len(one) == len(other) and all(map(same, one, other))
    if dataclasses.is_dataclass(one):
        return all(same(getattr(one, f.name), getattr(other, f.name))
                   for f in dataclasses.fields(one))
    return one == other
