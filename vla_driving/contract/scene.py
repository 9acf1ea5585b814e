"""What lies around the car, as a model or a sensor reports it. All in base_link."""

from __future__ import annotations

import struct
from collections.abc import Sequence
from dataclasses import dataclass, fields
from enum import IntEnum
from functools import cached_property
from itertools import chain
from operator import attrgetter
from typing import overload

import numpy as np
import numpy.typing as npt

from vla_driving.contract.clock import Nanoseconds

MAX_OBJECTS = 64
MAX_LANE_LINES = 8
MAX_TRAFFIC_CONTROLS = 8


class ObjectClass(IntEnum):
    """Values as in SceneObject.msg."""

    UNKNOWN = 0
    CAR = 1
    TRUCK = 2
    BICYCLE = 3
    PEDESTRIAN = 4
    OBSTACLE = 5


class LaneLineKind(IntEnum):
    """Values as in LaneLine.msg."""

    LANE_LEFT = 0
    LANE_RIGHT = 1
    ROAD_EDGE_LEFT = 2
    ROAD_EDGE_RIGHT = 3


class TrafficControlKind(IntEnum):
    """Values as in TrafficControl.msg."""

    TRAFFIC_LIGHT = 0
    STOP_SIGN = 1
    YIELD_SIGN = 2
    SPEED_LIMIT = 3


class SignalState(IntEnum):
    """Values as in TrafficControl.msg."""

    UNKNOWN = 0
    RED = 1
    AMBER = 2
    GREEN = 3


@dataclass(frozen=True)
class SceneObject:
    """One road user or obstacle: centre and heading in m and rad, velocity over ground in m/s."""

    classification: ObjectClass
    probability: float
    x: float
    y: float
    heading: float
    velocity_x: float
    velocity_y: float
    length: float
    width: float
    height: float = 0.0


_NAMES = tuple(field.name for field in fields(SceneObject))
_NUMBERS = attrgetter(*_NAMES)
TRAVELLED = np.dtype(
    [(name, "u1" if name == "classification" else "<f4") for name in _NAMES], align=True
)
"""Row of `SceneObjects` as a message carries it."""


class SceneObjects(Sequence[SceneObject]):
    """Objects as they travelled, one row of numbers each; made when somebody asks for one.

    `rows`: (N,) structured array with the fields of `SceneObject`, the classes known ones.
    """

    def __init__(self, rows: npt.NDArray[np.void]) -> None:
        self.rows = rows

    def __len__(self) -> int:
        return len(self.rows)

    @overload
    def __getitem__(self, at: int) -> SceneObject: ...
    @overload
    def __getitem__(self, at: slice) -> tuple[SceneObject, ...]: ...
    def __getitem__(self, at: int | slice) -> SceneObject | tuple[SceneObject, ...]:
        if isinstance(at, slice):
            return tuple(SceneObjects(self.rows[at]))
        number, *others = self.rows[at].item()
        return SceneObject(ObjectClass(number), *others)


def table_of(objects: Sequence[SceneObject]) -> npt.NDArray[np.float32]:
    """(N, 10) numbers of objects as they travel, in the order of `SceneObject`'s fields."""
    if isinstance(objects, SceneObjects):
        if objects.rows.dtype == TRAVELLED and objects.rows.flags.c_contiguous:
            # All but the class are as they are to be, and so is their place in the row.
            table = objects.rows.view("<f4").reshape(-1, len(_NAMES)).copy()
            table[:, 0] = objects.rows["classification"]
            return table
        columns = np.empty((len(_NAMES), len(objects)), "<f4")
        for column, name in zip(columns, _NAMES, strict=True):
            column[:] = objects.rows[name]
        return np.ascontiguousarray(columns.T)
    numbers = tuple(chain.from_iterable(map(_NUMBERS, objects)))
    try:
        table = np.frombuffer(struct.pack(f"<{len(numbers)}f", *numbers), "<f4")
    except OverflowError:  # a double beyond single precision is infinite, as over DDS
        with np.errstate(over="ignore"):
            table = np.array(numbers).astype("<f4")
    return table.reshape(-1, 10)


@dataclass(frozen=True)
class ObjectList:
    """Objects from a source that does not depend on the model, measured at `stamp_ns`."""

    stamp_ns: Nanoseconds
    sequence: int
    source: str
    objects: tuple[SceneObject, ...]
    checksum: int = 0

    @cached_property
    def table(self) -> npt.NDArray[np.float32]:
        """See `table_of`; worked out once."""
        return table_of(self.objects)


@dataclass(frozen=True, eq=False)
class LaneLine:
    """One painted line or road edge: (N,) x increasing and (N,) y, in m."""

    kind: LaneLineKind
    probability: float
    x: npt.NDArray[np.float32]
    y: npt.NDArray[np.float32]


@dataclass(frozen=True)
class TrafficControl:
    """A signal or sign `distance` m ahead; `value` is m/s for a speed limit, else 0."""

    kind: TrafficControlKind
    state: SignalState
    probability: float
    distance: float
    value: float = 0.0
