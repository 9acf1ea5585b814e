"""What is read from the bytes is what rclpy would have read; other bytes are refused by name."""

import dataclasses
import math
import struct
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from vla_driving.contract.frames import CameraHealth
from vla_driving.contract.messages import MalformedMessage, from_message, message_class, to_message
from vla_driving.contract.navigation import EngagementRequest, EngagementWish, Route
from vla_driving.contract.plan import ApprovedPlan, Plan
from vla_driving.contract.scene import ObjectList, SceneObjects, table_of
from vla_driving.contract.supervision import SafetyState
from vla_driving.contract.trajectory import Trajectories
from vla_driving.contract.vehicle import ControlCommand, DriverState, VehicleState
from vla_driving.nodes import cdr

from ..contract.strategies import objects

serialization = pytest.importorskip("rclpy.serialization", reason="needs ROS 2")

TYPES = (
    ApprovedPlan, CameraHealth, ControlCommand, DriverState, EngagementRequest, ObjectList, Plan,
    Route, SafetyState, VehicleState,
)
MOST = 65_536
QUICK = settings(max_examples=25, deadline=None, suppress_health_check=list(HealthCheck))
of_every_type = pytest.mark.parametrize("cls", TYPES, ids=lambda cls: cls.__name__)


def serialised(value: Any) -> bytes:
    return bytes(serialization.serialize_message(to_message(value)))


def by_rclpy(cls: Any, data: bytes) -> Any:
    return from_message(cls, serialization.deserialize_message(data, message_class(cls.__name__)))


def refusal(cls: type, data: bytes) -> str:
    """One line where the bytes are refused, else the name of the type that was read."""
    try:
        return type(cdr.read(cls, data, MOST)).__name__
    except MalformedMessage as error:
        return str(error)


def same(a: Any, b: Any) -> bool:
    if isinstance(a, np.ndarray):
        fit = a.dtype == b.dtype and a.flags.writeable and a.flags.c_contiguous
        return fit and np.array_equal(a, b, equal_nan=True)
    if dataclasses.is_dataclass(a):
        return type(a) is type(b) and all(
            same(getattr(a, f.name), getattr(b, f.name)) for f in dataclasses.fields(a)
        )
    if isinstance(a, tuple | SceneObjects | Trajectories):
        return len(a) == len(b) and all(map(same, a, b))
    return type(a) is type(b) and (a == b or (a != a and b != b))


@of_every_type
@QUICK
@given(data=st.data())
def test_the_same_as_through_rclpy(cls: type, data: st.DataObject) -> None:
    sent = serialised(data.draw(objects(cls)))
    assert same(cdr.read(cls, sent, MOST), by_rclpy(cls, sent))


@of_every_type
@QUICK
@given(data=st.data())
def test_written_is_what_rclpy_reads(cls: type, data: st.DataObject) -> None:
    value = data.draw(objects(cls))
    assert same(by_rclpy(cls, cdr.write(value)), by_rclpy(cls, serialised(value)))


def test_a_number_beyond_single_precision_is_written_as_infinite() -> None:
    written = cdr.write(DriverState(0, True, True, True, 1e300, -1e300, 1))
    assert cdr.read(DriverState, written, MOST) == DriverState(
        0, True, True, True, math.inf, -math.inf, 1
    )


@QUICK
@given(data=st.data())
def test_rows_of_objects_are_a_sequence_of_them(data: st.DataObject) -> None:
    sent = serialised(data.draw(objects(ObjectList)))
    rows, made = cdr.read(ObjectList, sent, MOST), by_rclpy(ObjectList, sent)
    assert tuple(rows.objects[1:]) == made.objects[1:]
    assert np.array_equal(table_of(rows.objects), table_of(made.objects), equal_nan=True)
    assert table_of(rows.objects).flags.c_contiguous


@of_every_type
@QUICK
@given(data=st.data())
def test_a_message_cut_short_is_refused(cls: type, data: st.DataObject) -> None:
    sent = serialised(data.draw(objects(cls)))
    kept = data.draw(st.integers(0, len(sent) - 5))
    with pytest.raises(MalformedMessage, match=cls.__name__):
        cdr.read(cls, sent[:kept], MOST)


@of_every_type
@QUICK
@given(data=st.data())
def test_wrong_bytes_are_read_or_refused(cls: type, data: st.DataObject) -> None:
    sent = bytearray(serialised(data.draw(objects(cls))))
    for _ in range(data.draw(st.integers(1, 4))):
        sent[data.draw(st.integers(0, len(sent) - 1))] = data.draw(st.integers(0, 255))
    assert refusal(cls, bytes(sent)).startswith(cls.__name__)


@of_every_type
@QUICK
@given(data=st.binary(max_size=400))
def test_any_bytes_are_read_or_refused(cls: type, data: bytes) -> None:
    assert refusal(cls, b"\0\1\0\0" + data).startswith(cls.__name__)


def driver_state() -> bytes:
    return serialised(DriverState(1_500_000_000, True, True, True, 0.0, 0.0, 7))


@pytest.mark.parametrize(
    ("data", "line"),
    [
        (b"", "begins with nothing, plain little-endian CDR with 0001"),
        (b"\0\0" + driver_state()[2:], "begins with 0000, plain"),
        (driver_state() + bytes(4), "4 too many"),
        (bytes(70_000), r"of 70,000 bytes \(limit 65,536\) rejected"),
    ],
)
def test_bytes_that_are_no_message_are_named(data: bytes, line: str) -> None:
    with pytest.raises(MalformedMessage, match=f"^DriverState .*{line}"):
        cdr.read(DriverState, data, MOST)


def test_an_unknown_class_and_an_endless_list_are_named() -> None:
    unknown = to_message(EngagementRequest(0, EngagementWish.ENGAGE, "cockpit"))
    unknown.request = 9
    with pytest.raises(MalformedMessage, match=r"EngagementRequest\.request: 9 is not a valid"):
        cdr.read(EngagementRequest, serialization.serialize_message(unknown), MOST)
    listed = serialised(ObjectList(0, 1, "radar", ()))
    at = listed.index(b"radar\0") + 8
    endless = listed[:at] + struct.pack("<I", 2**32 - 1) + listed[at + 4 :]
    with pytest.raises(MalformedMessage, match=r"ObjectList\.objects: 4294967295 entries, at most"):
        cdr.read(ObjectList, endless, MOST)
