"""The one table of faults that are injected into the running stack.

Each row says what is done, as which check or fault it must be detected, how the stack must react,
and within which time the first safe command must be seen. docs/faults.md is made from it.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

TOGETHER = "camera_to_plan"
APART = ("camera_ingest", "vla_inference")
"""The doer's nodes: one process unless told otherwise; their own rows run with them in two."""
PROCESSES = (TOGETHER, *APART, "safety_monitor", "controller_bridge", "event_recorder")
"""Each is killed, stopped and delayed."""


class Figure(Enum):
    """The three figures to reach, each over all runs of its rows, and their limits in ms."""

    BAD_PLAN = "bad plan"
    DEAD_NODE = "dead or stalled node"
    CAMERA_LOST = "camera lost"

    @property
    def limit_ms(self) -> float:
        """Fault to first safe command, 99 % quantile."""
        return {"bad plan": 30.0, "dead or stalled node": 150.0, "camera lost": 250.0}[self.value]


class Reaction(Enum):
    """What the stack must do, and with it what the first safe command is."""

    REFUSE = "not followed, then stopped"
    STOP = "stopped"
    EASE = "slowed down, then stopped"
    GATEWAY = "stopped by the vehicle"
    NONE = "drives on"
    ENDURE = "drives on or stops"


SAFE_COMMAND = {
    Reaction.REFUSE: "the first sound command after the detection, where no command in between or "
    "later follows the bad plan; the car stays on the path approved last, and stops where it ends",
    Reaction.STOP: "the first command of a stop: engaged, hazard lights on, demanding less "
    "acceleration than the one before or braking, whoever stops",
    Reaction.EASE: "the first command that demands less acceleration than the one before, after an "
    "approved plan that, upon the detection, caps the speed lower; or the first of a stop",
    Reaction.GATEWAY: "the first vehicle state that says that the vehicle's own gateway brakes",
    Reaction.NONE: "none is needed: the car must go on without a stop",
    Reaction.ENDURE: "the first command of a stop where there is one; else the car must go on",
}
"""What counts as the first safe command, measured where it arrives at `vla/control_command`."""


class Start(Enum):
    """From which moment a fault counts."""

    SIGNAL = "just before the signal is sent, at a random phase of the node's work"
    MESSAGE = "just before the first faulty message is published"
    ORDER = "the moment from which nothing passes, at a random phase of the period"
    ACT = "just before the first act"


@dataclass(frozen=True)
class FaultCase:
    """One row. `action` and `target` are what the injector does; `limit_ms` binds the p99.

    `detected_as` are patterns (as of file names) of checks, faults or events, any of which counts.
    `runs` are those of a full campaign.
    """

    name: str
    action: str
    target: str
    start: Start
    detected_as: tuple[str, ...]
    reaction: Reaction
    limit_ms: float
    runs: int = 3
    figure: Figure | None = None

    @property
    def apart(self) -> bool:
        """Whether it needs camera_ingest and vla_inference in a process each."""
        return self.target in APART

    @property
    def needs_stop(self) -> bool:
        """Whether a run that is not cut short must end at rest."""
        return self.reaction not in (Reaction.NONE, Reaction.ENDURE)


_FRAMES_END = ("camera_ingest_alive", "camera_*", "frames_*")
_PLANS_END = ("vla_inference_alive", "plan_*")
_NOTICED = {
    TOGETHER: (*_FRAMES_END, *_PLANS_END),
    "camera_ingest": _FRAMES_END,
    "vla_inference": _PLANS_END,
    "safety_monitor": ("approved_plan_*",),
    "controller_bridge": ("command_timeout",),
    "event_recorder": (),
}
_STATE = ("vehicle_state_*", "speed_sources", "ego_motion_unknown")


def _process_rows() -> tuple[FaultCase, ...]:
    return tuple(
        _process_row(process, action, words)
        for process in PROCESSES
        for action, words in (
            ("kill", "is killed"), ("stop", "is stopped"), ("pause", "pauses for 0.3 s")
        )
    )


def _process_row(process: str, action: str, words: str) -> FaultCase:
    name, noticed = f"{process} {words}", _NOTICED[process]
    if not noticed:
        return FaultCase(name, action, process, Start.SIGNAL, (), Reaction.NONE, 0.0)
    pauses = action == "pause"
    return FaultCase(
        name, action, process, Start.SIGNAL, (*noticed, "clock") if pauses else noticed,
        Reaction.GATEWAY if process == "controller_bridge" else Reaction.STOP,
        Figure.DEAD_NODE.limit_ms, 3 if pauses else 5, Figure.DEAD_NODE,
    )


def _bad_plan(name: str, target: str, *detected_as: str) -> FaultCase:
    return FaultCase(
        name, "plan", target, Start.MESSAGE, detected_as or ("plan_*",), Reaction.REFUSE,
        Figure.BAD_PLAN.limit_ms, 6, Figure.BAD_PLAN,
    )


def _camera(word: str, limit_ms: float, *detected_as: str) -> FaultCase:
    return FaultCase(
        f"camera {word}", "camera", word, Start.MESSAGE, detected_as or (f"camera_{word}",),
        Reaction.STOP, limit_ms,
    )


def _state(name: str, target: str, limit_ms: float, start: Start = Start.MESSAGE) -> FaultCase:
    return FaultCase(name, "state", target, start, _STATE, Reaction.STOP, limit_ms)


def _objects(name: str, target: str, limit_ms: float, start: Start) -> FaultCase:
    return FaultCase(
        name, "objects", target, start, ("objects_*", "object_list_*"), Reaction.STOP, limit_ms
    )


def _commands(name: str, target: str, start: Start) -> FaultCase:
    return FaultCase(
        name, "command", target, start, ("command_timeout",), Reaction.GATEWAY,
        Figure.DEAD_NODE.limit_ms,
    )


FAULTS: tuple[FaultCase, ...] = (
    *_process_rows(),
    _bad_plan("plan not a number", "not_finite"),
    _bad_plan("plan stale", "stale"),
    _bad_plan("plan from the future", "future"),
    _bad_plan("plan jumps sideways", "sideways"),
    _bad_plan("plan teleports", "teleport"),
    _bad_plan("plan with a wrong checksum", "checksum"),
    _bad_plan("plan without candidates", "empty"),
    _bad_plan("plan with an unknown action", "unknown_action", "plan_*", "malformed_message"),
    FaultCase(
        "plan collides", "plan", "collision", Start.MESSAGE,
        ("collision_*", "time_to_collision", "stopping_distance"), Reaction.STOP,
        Figure.BAD_PLAN.limit_ms, 6, Figure.BAD_PLAN,
    ),
    FaultCase(  # reading what the middleware hands over takes its time, before anybody can refuse
        "plan with 500 candidates", "plan", "oversize", Start.MESSAGE, ("plan_*",),
        Reaction.REFUSE, 100.0,
    ),
    FaultCase(
        "plan numbers run back", "plan", "numbers_back", Start.MESSAGE, ("plan_order",),
        Reaction.STOP, 1500.0,
    ),
    FaultCase(
        "plans 0.4 s late", "late plan", "0.4", Start.ORDER, ("plan_*",), Reaction.STOP, 800.0
    ),
    FaultCase(
        "approved plan with a wrong checksum", "approved plan", "checksum", Start.MESSAGE,
        ("approved_plan_*",), Reaction.STOP, 250.0,
    ),
    FaultCase(
        "approved plans lost", "approved plan", "lost", Start.ORDER, ("approved_plan_*",),
        Reaction.STOP, Figure.DEAD_NODE.limit_ms,
    ),
    FaultCase(
        "camera lost", "camera", "missing", Start.ORDER,
        ("camera_late", "camera_stale", "camera_missing"), Reaction.EASE,
        Figure.CAMERA_LOST.limit_ms, 50, Figure.CAMERA_LOST,
    ),
    _camera("frozen", 1000.0),
    _camera("black", 1000.0, "camera_dark", "light"),
    _camera("covered", 1000.0),
    _camera("overexposed", 1000.0, "camera_overexposed", "light"),
    _camera("blurred", 1000.0, "camera_blurred", "visibility"),
    _state("vehicle state lost", "lost", 400.0, Start.ORDER),
    _state("vehicle state not a number", "not_finite", 400.0),
    _state("vehicle state with a wrong checksum", "checksum", 400.0),
    _state("vehicle state 0.4 s late", "late", 400.0, Start.ORDER),
    _state("vehicle state frozen, stamps fresh", "frozen", 600.0),
    _state("speed 4 m/s too high", "speed_wrong", 400.0),
    _state("vehicle state says that the car stands", "stands", 400.0),
    _objects("object lists lost", "lost", 800.0, Start.ORDER),
    _objects("object list with a wrong checksum", "checksum", 800.0, Start.MESSAGE),
    _commands("commands lost", "lost", Start.ORDER),
    _commands("command with a wrong checksum", "checksum", Start.MESSAGE),
    FaultCase(
        "second publisher of plans", "rogue", "vla/plan", Start.ACT,
        ("publishers", "plan_order"), Reaction.STOP, 1000.0,
    ),
    FaultCase(
        "second publisher of approved plans", "rogue", "vla/approved_plan", Start.ACT,
        ("publishers", "approved_plan_*"), Reaction.STOP, 500.0,
    ),
    FaultCase(
        "second publisher of commands", "rogue", "vla/control_command", Start.ACT,
        ("publishers", "command_disorder"), Reaction.STOP, 500.0,
    ),
    FaultCase(
        "clock 2 s ahead", "clock", "2.0", Start.ACT, ("clock", "*_freshness", "vehicle_state_*",
        "*_alive", "approved_plan_*"), Reaction.STOP, 400.0,
    ),
    FaultCase(
        "clock 2 s back", "clock", "-2.0", Start.ACT, ("clock", "*_freshness", "vehicle_state_*",
        "approved_plan_*"), Reaction.STOP, 400.0,
    ),
    FaultCase(
        "CPU starved by 8 processes", "starve", "8", Start.ACT, (), Reaction.ENDURE, 3000.0
    ),
    FaultCase(
        "parameters changed in flight", "parameters", "", Start.ACT, ("parameter_refused",),
        Reaction.NONE, 0.0,
    ),
)

BY_NAME = {case.name: case for case in FAULTS}


def choose(patterns: tuple[str, ...]) -> tuple[FaultCase, ...]:
    """Rows whose name holds any of the words; all where there are none. Raises ValueError."""
    if not patterns:
        return FAULTS
    for word in patterns:
        if not any(word in case.name for case in FAULTS):
            raise ValueError(f"--fault {word!r}: no fault has that in its name; see docs/faults.md")
    return tuple(case for case in FAULTS if any(word in case.name for word in patterns))
