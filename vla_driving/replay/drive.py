"""A recorded drive in memory, without its pictures: what figures, rules and report are made of."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Generic, TypeVar

import numpy as np
import numpy.typing as npt

from vla_driving.contract.clock import SECOND, Nanoseconds
from vla_driving.contract.events import DriveEvent
from vla_driving.contract.language import Answer, Command
from vla_driving.contract.messages import from_message, stamp_of
from vla_driving.contract.navigation import Instruction
from vla_driving.contract.plan import ApprovedPlan, Plan
from vla_driving.contract.scene import ObjectList
from vla_driving.contract.simulation import SimulationState
from vla_driving.contract.supervision import Engagement, SafetyState
from vla_driving.contract.vehicle import ControlCommand, VehicleState
from vla_driving.recording.bag_reader import BagMessage, BagReader
from vla_driving.recording.metadata import contract_topic

T = TypeVar("T")
Times = npt.NDArray[np.int64]


@dataclass
class Arrivals:
    """One topic: arrival and time of input of each message in ns, and sequence (-1: none)."""

    arrival_ns: Times
    stamp_ns: Times
    sequence: Times

    def within(self, window: Window) -> Arrivals:
        """Those that arrived within `window`."""
        chosen = (self.arrival_ns >= window.start_ns) & (self.arrival_ns <= window.end_ns)
        return Arrivals(self.arrival_ns[chosen], self.stamp_ns[chosen], self.sequence[chosen])


@dataclass(frozen=True)
class Window:
    """The part of a recording that counts, in ns of arrival."""

    start_ns: Nanoseconds
    end_ns: Nanoseconds

    @property
    def duration_s(self) -> float:
        """Length in s."""
        return (self.end_ns - self.start_ns) / SECOND


@dataclass(frozen=True)
class Arrived(Generic[T]):
    """A message as contract object, and when it arrived, ns."""

    arrival_ns: Nanoseconds
    value: T


@dataclass
class Drive:
    """All of a bag but its pictures; lists in the order of arrival.

    `arrivals` is by row of the topic table, camera topics by their own name; `problems` says what
    could not be read.
    """

    arrivals: dict[str, Arrivals] = field(default_factory=dict)
    plans: list[Arrived[Plan]] = field(default_factory=list)
    approved: list[Arrived[ApprovedPlan]] = field(default_factory=list)
    safety: list[Arrived[SafetyState]] = field(default_factory=list)
    commands: list[Arrived[ControlCommand]] = field(default_factory=list)
    vehicle: list[Arrived[VehicleState]] = field(default_factory=list)
    objects: list[Arrived[ObjectList]] = field(default_factory=list)
    events: list[Arrived[DriveEvent]] = field(default_factory=list)
    instructions: list[Arrived[Instruction]] = field(default_factory=list)
    wishes: list[Arrived[Command]] = field(default_factory=list)
    answers: list[Arrived[Answer]] = field(default_factory=list)
    simulation: list[Arrived[SimulationState]] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)

    @property
    def span(self) -> Window | None:
        """First to last arrival of anything; None where the bag is empty."""
        times = [a.arrival_ns for a in self.arrivals.values() if a.arrival_ns.size]
        if not times:
            return None
        return Window(int(min(t.min() for t in times)), int(max(t.max() for t in times)))

    def engaged_at(self) -> Nanoseconds | None:
        """Arrival of the first SafetyState that reports ENABLED, or None."""
        return next(
            (s.arrival_ns for s in self.safety if s.value.engagement is Engagement.ENABLED), None
        )


def load_drive(bag: Path, progress: Callable[[float], None] | None = None) -> Drive:
    """Read a bag. A message that does not fit its type is left out and named in `problems`.

    `progress` hears the share read, 0 to 1. Raises BagError where there is no readable bag.
    """
    reader = BagReader(bag)
    size = max(1, sum(path.stat().st_size for path in reader.files))
    drive = Drive()
    columns: dict[str, tuple[list[int], list[int], list[int]]] = {}
    read = 0
    for message in reader.messages():
        name = topic_name(message)
        arrival, stamp, sequence = columns.setdefault(name, ([], [], []))
        try:
            header_stamp, number = _head(message, name)
            _keep(drive, message, name)
        except ValueError as error:
            _note(drive.problems, f"{message.topic}: left out: {error}")
            continue
        arrival.append(message.log_time_ns)
        stamp.append(header_stamp)
        sequence.append(number)
        read += len(message.cdr)
        if progress and len(arrival) % 100 == 0:
            progress(min(1.0, read / (2 * size)))
    drive.arrivals = {
        name: Arrivals(*(np.array(c, np.int64) for c in three)) for name, three in columns.items()
    }
    drive.problems += reader.problems
    return drive


def topic_name(message: BagMessage) -> str:
    """Row of the topic table, or the topic's own name where it has a camera's name or no row."""
    row = contract_topic(message.topic)
    return row.name if row is not None and "{" not in row.name else message.topic.lstrip("/")


_KEPT: dict[str, tuple[str, type]] = {
    "vla/plan": ("plans", Plan),
    "vla/approved_plan": ("approved", ApprovedPlan),
    "vla/safety_state": ("safety", SafetyState),
    "vla/control_command": ("commands", ControlCommand),
    "vehicle/state": ("vehicle", VehicleState),
    "vehicle/objects": ("objects", ObjectList),
    "vla/event": ("events", DriveEvent),
    "vla/instruction": ("instructions", Instruction),
    "vla/command": ("wishes", Command),
    "vla/answer": ("answers", Answer),
    "simulation/state": ("simulation", SimulationState),
}


def _keep(drive: Drive, message: BagMessage, name: str) -> None:
    if name in _KEPT:
        attribute, cls = _KEPT[name]
        value: Any = from_message(cls, message.decoded)
        getattr(drive, attribute).append(Arrived(message.log_time_ns, value))


def _head(message: BagMessage, name: str) -> tuple[Nanoseconds, int]:
    decoded = message.decoded
    header = getattr(decoded, "header", None)
    stamp = stamp_of(header.stamp) if header is not None else message.log_time_ns
    return stamp, int(getattr(decoded, "sequence", -1))


def _note(problems: list[str], line: str) -> None:
    if len(problems) < 100:
        problems.append(line)
