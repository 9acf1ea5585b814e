"""A checksum notices any changed field and survives the way through the message."""

import dataclasses

import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from vla_driving.contract.checksum import (
    approved_plan_checksum,
    command_checksum,
    plan_checksum,
    vehicle_state_checksum,
)
from vla_driving.contract.messages import from_message, to_message
from vla_driving.contract.plan import ApprovedPlan, Plan
from vla_driving.contract.vehicle import ControlCommand, VehicleState

from .strategies import objects

CHECKSUMS = [
    (ApprovedPlan, approved_plan_checksum), (ControlCommand, command_checksum),
    (Plan, plan_checksum), (VehicleState, vehicle_state_checksum),
]
QUICK = settings(max_examples=25, deadline=None, suppress_health_check=list(HealthCheck))


@pytest.mark.parametrize(("cls", "checksum"), CHECKSUMS, ids=lambda c: c.__name__)
@QUICK
@given(data=st.data())
def test_survives_the_message(cls, checksum, data: st.DataObject) -> None:
    pytest.importorskip("vla_driving_msgs.msg", reason="needs the built vla_driving_msgs package")
    value = data.draw(objects(cls))
    assert checksum(from_message(cls, to_message(value))) == checksum(value)


@pytest.mark.parametrize(
    ("cls", "checksum"), [c for c in CHECKSUMS if c[0] is not Plan], ids=lambda c: c.__name__
)
@QUICK
@given(data=st.data())
def test_notices_any_changed_field(cls, checksum, data: st.DataObject) -> None:
    value, other = data.draw(objects(cls)), data.draw(objects(cls))
    names = [f.name for f in dataclasses.fields(cls) if f.name not in ("checksum", "trajectory")]
    name = data.draw(st.sampled_from(names))
    assume(getattr(value, name) != getattr(other, name))
    changed = dataclasses.replace(value, **{name: getattr(other, name)})
    assert checksum(changed) != checksum(value)
