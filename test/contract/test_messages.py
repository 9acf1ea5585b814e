"""Contract objects survive the way through a message; what does not fit is named."""

import dataclasses
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from vla_driving.contract.events import DriveEvent
from vla_driving.contract.frames import CameraHealth, FrameSet
from vla_driving.contract.language import Answer, Command, Intent
from vla_driving.contract.messages import MalformedMessage, from_message, to_message
from vla_driving.contract.navigation import EngagementRequest, Instruction, Route
from vla_driving.contract.plan import ApprovedPlan, Plan
from vla_driving.contract.scene import ObjectList
from vla_driving.contract.simulation import SimulationState
from vla_driving.contract.supervision import SafetyState
from vla_driving.contract.trajectory import POINTS
from vla_driving.contract.vehicle import ControlCommand, DriverState, VehicleState

from .strategies import objects

pytest.importorskip("vla_driving_msgs.msg", reason="needs the built vla_driving_msgs package")

TYPES = (
    Answer, ApprovedPlan, CameraHealth, Command, ControlCommand, DriveEvent, DriverState,
    EngagementRequest, FrameSet, Instruction, ObjectList, Plan, Route, SafetyState, SimulationState,
    VehicleState,
)


def same(a: Any, b: Any) -> bool:
    """Equality that looks into arrays."""
    if dataclasses.is_dataclass(a):
        return type(a) is type(b) and all(
            same(getattr(a, f.name), getattr(b, f.name)) for f in dataclasses.fields(a)
        )
    if isinstance(a, tuple):
        return len(a) == len(b) and all(map(same, a, b))
    if isinstance(a, np.ndarray):
        return isinstance(b, np.ndarray) and np.array_equal(a, b)
    return bool(a == b)


@pytest.mark.parametrize("cls", TYPES, ids=lambda cls: cls.__name__)
@settings(max_examples=25, deadline=None, suppress_health_check=list(HealthCheck))
@given(data=st.data())
def test_round_trip(cls: type, data: st.DataObject) -> None:
    value = data.draw(objects(cls))
    assert same(from_message(cls, to_message(value)), value)


@pytest.mark.parametrize("cls", TYPES, ids=lambda cls: cls.__name__)
def test_every_field_of_a_message_has_a_place(cls: type) -> None:
    fields = {f.name.removesuffix("_ns").removesuffix("_s") for f in dataclasses.fields(cls)}
    message = set(to_message_class(cls).get_fields_and_field_types())
    assert message - {"header"} == fields - ({"stamp"} if "header" in message else set())


def to_message_class(cls: type) -> Any:
    import vla_driving_msgs.msg

    return getattr(vla_driving_msgs.msg, cls.__name__)


def test_an_unknown_enum_value_is_named() -> None:
    message = to_message_class(VehicleState)()
    message.gear = 99
    with pytest.raises(MalformedMessage, match=r"VehicleState\.gear: 99"):
        from_message(VehicleState, message)


def test_too_many_entries_are_named() -> None:
    import vla_driving_msgs.msg as msgs

    message = msgs.Plan()
    message.candidates = [msgs.Trajectory() for _ in range(9)]
    with pytest.raises(MalformedMessage, match=r"Plan\.candidates: 9 entries, at most 8"):
        from_message(Plan, message)


def test_an_image_of_the_wrong_size_is_named() -> None:
    import vla_driving_msgs.msg as msgs

    message = msgs.FrameSet()
    message.frames = [msgs.CameraFrame(name="front", height=2, width=2)]
    message.frames[0].data.frombytes(bytes(11))
    with pytest.raises(MalformedMessage, match="11 bytes, 2x2 rgb8 has 12"):
        from_message(FrameSet, message)


@pytest.mark.parametrize("length", [0, POINTS, 384])
def test_a_token_of_any_length_is_written(length: int) -> None:
    token = np.linspace(0.0, 1.0, length, dtype=np.float32)
    command = Command(1, 1, 7, Intent.CHANGE_LEFT, 0.0, 0.0, token, 2)
    assert same(from_message(Command, to_message(command)), command)
