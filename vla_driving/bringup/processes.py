"""The one table of processes: what is started, in which order, and what its death means.

The order is downstream first: whoever commands the car or keeps it safe is up before plans and
frames flow, and the recorder before all of them. Shutdown goes the other way.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum


class Set(Enum):
    """What is started together."""

    CAR = "car"
    SIM = "sim"
    BENCH = "bench"
    REPLAY = "replay"
    RECORD = "record"


class Death(Enum):
    """What the others do when a process dies.

    STOP: they stop the car, then the set goes down. END: there is no car left, the set goes down at
    once. REPORT: the drive goes on without it.
    """

    STOP = "stop"
    END = "end"
    REPORT = "report"


@dataclass(frozen=True)
class Process:
    """One row. The parameters are the group of the node's name in config/stack.yaml.

    `consequence` is what happens to the car when it dies, in words; `configure_timeout_s` is how
    long its configuration may take.
    """

    node: str
    sets: frozenset[Set]
    lifecycle: bool
    optional: bool
    death: Death
    consequence: str
    configure_timeout_s: float

    @property
    def module(self) -> str:
        """Python module that runs it."""
        return f"vla_driving.nodes.{self.node}"

    @property
    def executable(self) -> str:
        """Installed executable that runs it, of package vla_driving."""
        return self.node


_DRIVING = frozenset({Set.CAR, Set.SIM, Set.BENCH, Set.REPLAY})

PROCESSES: tuple[Process, ...] = (
    Process(
        "event_recorder", frozenset({Set.CAR, Set.SIM, Set.BENCH, Set.RECORD}), True, True,
        Death.REPORT, "the drive goes on unrecorded; what was written stays readable", 20.0,
    ),
    Process(
        "simulator", frozenset({Set.SIM}), True, False,
        Death.END, "there is no car any more", 180.0,  # bakes its models at the first start
    ),
    Process(
        "bench_vehicle", frozenset({Set.BENCH}), True, False,
        Death.END, "there is no car any more", 20.0,
    ),
    Process(
        "controller_bridge", _DRIVING, True, False,
        Death.STOP, "the vehicle gets no commands and stops by itself", 20.0,
    ),
    Process(
        "safety_monitor", _DRIVING, True, False,
        Death.STOP, "controller_bridge stops the car along the last path", 20.0,
    ),
    Process(
        "vla_inference", _DRIVING, True, False,
        Death.STOP, "safety_monitor stops the car in its lane", 300.0,  # may build an engine
    ),
    Process(
        "camera_ingest", _DRIVING, True, False,
        Death.STOP, "no frames, no plans: safety_monitor stops the car in its lane", 20.0,
    ),
)


def select(which: Set, without: frozenset[str] = frozenset()) -> tuple[Process, ...]:
    """Rows of a set in the order of start, less those optional ones named in `without`.

    Raises ValueError for a name that is not in the set or cannot be left out.
    """
    rows = tuple(p for p in PROCESSES if which in p.sets)
    optional = sorted(p.node for p in rows if p.optional)
    for name in sorted(without):
        if name not in optional:
            raise ValueError(
                f"{name!r} cannot be left out of set {which.value!r}; "
                f"what can: {', '.join(optional) or 'nothing'}"
            )
    return tuple(p for p in rows if p.node not in without)
