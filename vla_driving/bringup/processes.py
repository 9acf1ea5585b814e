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
    """One row: a program and the nodes that live in it, each with its group in config/stack.yaml.

    `consequence` is what happens to the car when it dies, in words; `configure_timeout_s` is how
    long the configuration of one node may take; `apart`: it shares no memory with other processes,
    so that one of them that is stopped in the middle of a message cannot hold it up.
    """

    name: str
    nodes: tuple[str, ...]
    sets: frozenset[Set]
    lifecycle: bool
    optional: bool
    death: Death
    consequence: str
    configure_timeout_s: float
    apart: bool = False

    @property
    def module(self) -> str:
        """Python module that runs it."""
        return f"vla_driving.nodes.{self.name}"

    @property
    def executable(self) -> str:
        """Installed executable that runs it, of package vla_driving."""
        return self.name


_DRIVING = frozenset({Set.CAR, Set.SIM, Set.BENCH, Set.REPLAY})

PROCESSES: tuple[Process, ...] = (
    Process(
        "event_recorder", ("event_recorder",),
        frozenset({Set.CAR, Set.SIM, Set.BENCH, Set.RECORD}), True, True,
        Death.REPORT, "the drive goes on unrecorded; what was written stays readable", 60.0,
    ),
    Process(
        "simulator", ("simulator",), frozenset({Set.SIM}), True, False,
        Death.END, "there is no car any more", 180.0,  # bakes its models at the first start
    ),
    Process(
        "bench_vehicle", ("bench_vehicle",), frozenset({Set.BENCH}), True, False,
        Death.END, "there is no car any more", 60.0,
    ),
    Process(
        "reasoner", ("reasoner",), frozenset({Set.CAR, Set.SIM, Set.REPLAY}), True, True,
        Death.REPORT, "the drive goes on; instructions and questions stay unanswered", 180.0,
    ),
    Process(
        "controller_bridge", ("controller_bridge",), _DRIVING, True, False,
        Death.STOP, "the vehicle gets no commands and stops by itself", 60.0,
        apart=True,
    ),
    Process(
        "safety_monitor", ("safety_monitor",), _DRIVING, True, False,
        Death.STOP, "controller_bridge stops the car along the last path", 300.0,  # may compile
        apart=True,
    ),
    Process(
        "vla_inference", ("vla_inference",), _DRIVING, True, False,
        Death.STOP, "safety_monitor stops the car in its lane", 300.0,  # may build an engine
    ),
    Process(
        "camera_ingest", ("camera_ingest",), _DRIVING, True, False,
        Death.STOP, "no frames, no plans: safety_monitor stops the car in its lane", 60.0,
    ),
)


COMPOSED = Process(
    "camera_to_plan", ("vla_inference", "camera_ingest"), _DRIVING, True, False,
    Death.STOP, "no frames, no plans: safety_monitor stops the car in its lane", 300.0,
)
"""One process instead of two, in which frames are handed over in memory."""

SLOW_MODEL = Process(
    "slow_model", ("slow_model",), _DRIVING, True, True,
    Death.REPORT, "vla_inference drives on without its thoughts", 900.0,  # loads 22 GB
)
"""Beside the others where there is a large model; nobody waits for it."""

COMPOSED_UNLESS_TOLD = True
"""Measured by `vla-driving bench`: docs/bench.md."""


def select(
    which: Set, without: frozenset[str] = frozenset(), composed: bool = COMPOSED_UNLESS_TOLD,
    large: bool = False,
) -> tuple[Process, ...]:
    """Rows of a set in the order of start, less those optional ones named in `without`.

    `composed`: COMPOSED stands where the first of its nodes would. `large`: SLOW_MODEL stands
    before the node that hears it, so that it has loaded when frames come. Raises ValueError for a
    name that is not in the set or cannot be left out.
    """
    rows = [p for p in PROCESSES if which in p.sets]
    optional = sorted(p.name for p in rows if p.optional)
    for name in sorted(without):
        if name not in optional:
            raise ValueError(
                f"{name!r} cannot be left out of set {which.value!r}; "
                f"what can: {', '.join(optional) or 'nothing'}"
            )
    rows = [p for p in rows if p.name not in without]
    if composed and which in COMPOSED.sets:
        at = [p.name for p in rows].index(COMPOSED.nodes[0])
        rows.insert(at, COMPOSED)
        rows = [p for p in rows if p is COMPOSED or p.name not in COMPOSED.nodes]
    if large and which in SLOW_MODEL.sets:
        at = next(k for k, p in enumerate(rows) if "vla_inference" in p.nodes)
        rows.insert(at, SLOW_MODEL)
    return tuple(rows)
