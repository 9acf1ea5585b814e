"""Between the dataclasses of the contract and the messages of vla_driving_msgs.

Both sides carry the same names, so one rule serves all of them:

- a dataclass stands for the message of its name;
- `stamp_ns` is `header.stamp` (or `stamp` where there is no header), any other `<name>_ns` the Time
  field `<name>`, and `<name>_s` the number `<name>`;
- an IntEnum travels as its value, a tuple of dataclasses as a list, a float array as float32;
- `CameraFrame.image` is `height`, `width` and `data`.

Reading needs nothing but attributes, so it takes what rclpy hands over and what a bag decodes to.
"""

from __future__ import annotations

import array
import dataclasses
import enum
import importlib
import operator
import typing
from collections.abc import Callable
from functools import cache
from typing import Any, TypeVar

import numpy as np

from vla_driving.contract import scene
from vla_driving.contract.clock import SECOND, Nanoseconds
from vla_driving.contract.frames import CameraFrame, FrameStatus
from vla_driving.contract.language import MAX_TOKEN_LENGTH
from vla_driving.contract.navigation import MAX_ROUTE_POINTS
from vla_driving.contract.plan import MAX_CANDIDATES
from vla_driving.contract.trajectory import POINTS, Trajectory

T = TypeVar("T")

LONGEST = {
    ("Answer", "evidence"): 16,
    ("CameraHealth", "cameras"): 16,
    ("Command", "token"): MAX_TOKEN_LENGTH,
    ("FrameSet", "frames"): 16,
    ("Plan", "candidates"): MAX_CANDIDATES,
    ("Plan", "objects"): scene.MAX_OBJECTS,
    ("Plan", "lane_lines"): scene.MAX_LANE_LINES,
    ("Plan", "traffic_controls"): scene.MAX_TRAFFIC_CONTROLS,
    ("Plan", "evidence"): 16,
    ("Plan", "stages"): 16,
    ("ObjectList", "objects"): scene.MAX_OBJECTS,
    ("SimulationState", "objects"): scene.MAX_OBJECTS,
    ("SimulationState", "lane_lines"): scene.MAX_LANE_LINES,
    ("LaneLine", "x"): POINTS - 1,
    ("LaneLine", "y"): POINTS - 1,
    ("Route", "x"): MAX_ROUTE_POINTS,
    ("Route", "y"): MAX_ROUTE_POINTS,
    ("SafetyState", "checks"): 128,
    ("VehicleState", "faults"): 32,
}
"""Most entries of a list, by class and field."""

_PLAIN = (float, int, bool, str)


class MalformedMessage(ValueError):
    """One line that names the field and the value that cannot be taken."""


def stamp_of(time: Any) -> Nanoseconds:
    """Nanoseconds of a builtin_interfaces/Time."""
    return int(time.sec) * SECOND + int(time.nanosec)


def set_stamp(time: Any, stamp_ns: Nanoseconds) -> None:
    """Write nanoseconds into a builtin_interfaces/Time."""
    time.sec, time.nanosec = divmod(int(stamp_ns), SECOND)


def from_message(cls: type[T], message: Any) -> T:
    """Contract object of type `cls` from a message. Raises MalformedMessage."""
    read = _leaf_reader(typing.cast(Any, cls))
    if read is not None:
        try:
            return typing.cast(T, read(message))
        except (ValueError, TypeError, AttributeError):
            pass  # below it is found which field it is
    if cls is CameraFrame:
        return typing.cast(T, _read_camera_frame(message))
    values: dict[str, Any] = {}
    for name, attribute, hint in fields_of(typing.cast(Any, cls)):
        try:
            content = _get(message, name, attribute)
            # First its length: an endless list must not cost the time that it takes to read.
            _check_length(LONGEST.get((cls.__name__, name)), content)
            values[name] = _reader(hint)(content)
        except (ValueError, TypeError, AttributeError) as error:
            raise MalformedMessage(f"{cls.__name__}.{name}: {error}") from None
    return cls(**values)


def to_message(value: Any) -> Any:
    """Message of vla_driving_msgs from a contract object."""
    message = message_class(type(value).__name__)()
    if isinstance(value, CameraFrame):
        _write_camera_frame(value, message)
        return message
    fixed = isinstance(value, Trajectory)
    for name, attribute, hint in fields_of(typing.cast(Any, type(value))):
        content = getattr(value, name)
        if name.endswith("_ns"):
            set_stamp(_time_field(message, name, attribute), content)
        else:
            setattr(message, attribute, _writer(hint, fixed)(content))
    if hasattr(message, "header"):
        message.header.frame_id = frame_of(value)
    return message


def frame_of(value: Any) -> str:
    """Frame in which a contract object is given."""
    return getattr(value, "FRAME_ID", "base_link")


def _get(message: Any, name: str, attribute: str) -> Any:
    if name.endswith("_ns"):
        return stamp_of(_time_field(message, name, attribute))
    return getattr(message, attribute)


def _time_field(message: Any, name: str, attribute: str) -> Any:
    if name == "stamp_ns" and hasattr(message, "header"):
        return message.header.stamp
    return getattr(message, attribute)


@cache
def fields_of(cls: Any) -> tuple[tuple[str, str, Any], ...]:
    """Name, name in the message and type of each field of a dataclass of the contract."""
    hints = typing.get_type_hints(cls)
    names = [field.name for field in dataclasses.fields(cls)]
    return tuple((name, name.removesuffix("_ns").removesuffix("_s"), hints[name]) for name in names)


@cache
def message_class(name: str) -> Any:
    """Class of vla_driving_msgs of this name. Raises ImportError where it is not built."""
    return getattr(importlib.import_module("vla_driving_msgs.msg"), name)


@cache
def _leaf_reader(cls: Any) -> Callable[[Any], Any] | None:
    """For a dataclass of at least two plain numbers and words and no stamp: all fields at once."""
    fields = fields_of(cls)
    plain = all(
        isinstance(hint, type) and (hint in _PLAIN or issubclass(hint, enum.IntEnum))
        for _, _, hint in fields
    )
    if len(fields) < 2 or not plain or any(name.endswith("_ns") for name, _, _ in fields):
        return None
    pick = operator.attrgetter(*(attribute for _, attribute, _ in fields))
    readers = tuple(_reader(hint) for _, _, hint in fields)
    return lambda message: cls(
        *[read(value) for read, value in zip(readers, pick(message), strict=True)]
    )


@cache
def _reader(hint: Any) -> Callable[[Any], Any]:
    origin = typing.get_origin(hint)
    if origin is tuple:
        read = _reader(typing.get_args(hint)[0])
        return lambda items: tuple(map(read, items))
    if origin is np.ndarray:
        return lambda items: np.asarray(items, np.float32)
    if dataclasses.is_dataclass(hint):
        return lambda item: from_message(typing.cast(type, hint), item)
    if isinstance(hint, type) and issubclass(hint, enum.IntEnum):
        return hint
    if hint in _PLAIN:
        return typing.cast(Callable[[Any], Any], hint)
    raise TypeError(f"no rule to read {hint}")


@cache
def _writer(hint: Any, fixed: bool = False) -> Callable[[Any], Any]:
    origin = typing.get_origin(hint)
    if origin is tuple:
        write = _writer(typing.get_args(hint)[0])
        return lambda items: [write(item) for item in items]
    if origin is np.ndarray:
        return _fixed_float_array if fixed else _float_array
    if dataclasses.is_dataclass(hint):
        return to_message
    if isinstance(hint, type) and issubclass(hint, enum.IntEnum):
        return int
    if hint in _PLAIN:
        return typing.cast(Callable[[Any], Any], hint)
    raise TypeError(f"no rule to write {hint}")


def _float_array(items: Any) -> Any:
    # A message's fixed array takes numpy and its open array array.array without a look at every
    # element.
    return array.array("f", np.ascontiguousarray(items, np.float32).tobytes())


def _fixed_float_array(items: Any) -> Any:
    return np.ascontiguousarray(items, np.float32)


def _check_length(longest: int | None, content: Any) -> None:
    if longest is not None and len(content) > longest:
        raise ValueError(f"{len(content)} entries, at most {longest}")


def _read_camera_frame(message: Any) -> CameraFrame:
    height, width = int(message.height), int(message.width)
    pixels = np.frombuffer(message.data, np.uint8)
    if pixels.size != height * width * 3:
        raise MalformedMessage(
            f"CameraFrame.data: {pixels.size} bytes, {height}x{width} rgb8 has {height * width * 3}"
        )
    return CameraFrame(
        name=str(message.name),
        stamp_ns=stamp_of(message.stamp),
        status=FrameStatus(message.status),
        status_value=float(message.status_value),
        status_limit=float(message.status_limit),
        image=pixels.reshape(height, width, 3) if pixels.size else None,
    )


def _write_camera_frame(frame: CameraFrame, message: Any) -> None:
    message.name = frame.name
    set_stamp(message.stamp, frame.stamp_ns)
    message.status = int(frame.status)
    message.status_value = float(frame.status_value)
    message.status_limit = float(frame.status_limit)
    if frame.image is not None:
        message.height, message.width = frame.image.shape[:2]
        message.data = byte_array(frame.image)


def byte_array(pixels: np.ndarray[Any, np.dtype[np.uint8]]) -> array.array[int]:
    """uint8[] field from an array: the one way rclpy takes without a check of every byte."""
    data = array.array("B")
    data.frombytes(np.ascontiguousarray(pixels).data.cast("B"))
    return data

