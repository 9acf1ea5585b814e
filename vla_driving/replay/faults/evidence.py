"""What was seen during one run, and what it says: detected as what, when, and the reaction."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from itertools import pairwise

from vla_driving.contract.clock import SECOND, Nanoseconds, nanoseconds
from vla_driving.contract.events import Severity
from vla_driving.replay.faults.table import FaultCase, Reaction

STANDING_SPEED = 0.1
"""m/s."""
_TELLING_S = 0.02
"""A step of the monitor: what it tells arrives about when the approved plan of that step does."""


@dataclass(frozen=True)
class CommandSeen:
    """A control command as it arrived; `sound`: checksum fits, finite, within the actuators."""

    at_ns: Nanoseconds
    engaged: bool
    hazard_lights: bool
    acceleration: float
    plan_sequence: int
    sound: bool


@dataclass(frozen=True)
class EventSeen:
    """An event as it arrived."""

    at_ns: Nanoseconds
    name: str
    severity: Severity
    text: str


@dataclass(frozen=True)
class StateSeen:
    """The car's own state, as measured before anybody altered it; speed in m/s."""

    at_ns: Nanoseconds
    speed: float
    faults: tuple[str, ...]


@dataclass(frozen=True)
class CapSeen:
    """The speed cap of an approved plan as it left the monitor, m/s."""

    at_ns: Nanoseconds
    speed: float


@dataclass(frozen=True)
class Evidence:
    """All of a run, each in order of arrival, on the clock that the injection is stamped by."""

    commands: Sequence[CommandSeen]
    events: Sequence[EventSeen]
    states: Sequence[StateSeen]
    caps: Sequence[CapSeen] = ()


@dataclass(frozen=True)
class Injected:
    """When the fault began, and the numbers of the plans that were spoilt."""

    started_ns: Nanoseconds
    bad_plans: frozenset[int] = frozenset()


@dataclass(frozen=True)
class Run:
    """One run; times in ms since the fault began, None where it never came to that.

    `standstill_m` is the distance from there to rest, None where the run was cut short.
    `first_alarm` is what was told first, whether it was expected or not.
    """

    fault: str
    detected_as: str = ""
    detection_ms: float | None = None
    command_ms: float | None = None
    stop_ms: float | None = None
    standstill_m: float | None = None
    problems: tuple[str, ...] = field(default=())
    first_alarm: str = ""


def first_stop(commands: Sequence[CommandSeen], after_ns: Nanoseconds) -> CommandSeen | None:
    """First command of a stop that arrived after an instant."""
    for before, command in pairwise(commands):
        eased = command.acceleration < before.acceleration or command.acceleration <= 0.0
        if command.at_ns >= after_ns and command.engaged and command.hazard_lights and eased:
            return command
    return None


def first_ease(evidence: Evidence, after_ns: Nanoseconds) -> CommandSeen | None:
    """First command that slows the car down since an approved plan capped the speed lower."""
    falls = (cap.at_ns for before, cap in pairwise(evidence.caps) if cap.speed < before.speed)
    capped_ns = next((at_ns for at_ns in falls if at_ns >= after_ns), None)
    if capped_ns is None:
        return None
    for before, command in pairwise(evidence.commands):
        eased = command.engaged and command.acceleration < before.acceleration
        if command.at_ns >= capped_ns and eased:
            return command
    return None


def alarms(evidence: Evidence, start_ns: Nanoseconds) -> list[EventSeen]:
    """Warnings or worse after the start, the faults of the vehicle's gateway among them."""
    words = [
        EventSeen(state.at_ns, fault, Severity.ERROR, fault)
        for state in evidence.states for fault in state.faults
    ]
    found = (
        e for e in (*evidence.events, *words)
        if e.severity >= Severity.WARNING and e.at_ns >= start_ns
    )
    return sorted(found, key=lambda e: e.at_ns)


def measure(case: FaultCase, evidence: Evidence, injected: Injected, whole: bool) -> Run:
    """What a run showed. `whole`: it was not cut short, so the car must have come to rest."""
    start_ns = injected.started_ns
    told = alarms(evidence, start_ns)
    found = next((alarm for alarm in told if _expected(case, alarm.name)), None)
    stop = first_stop(evidence.commands, start_ns)
    command_ns = _first_safe(case, evidence, injected, found, stop)
    rest_m = _distance_to_rest(evidence.states, start_ns) if whole else None
    problems = [*_unsound(evidence.commands, start_ns), *_followed(evidence.commands, injected)]
    if found is None and case.detected_as:
        seen = ", ".join(dict.fromkeys(alarm.name for alarm in told)) or "nothing"
        problems.append(f"not detected as expected; seen: {seen}")
    problems += _reaction_problems(case, evidence, command_ns, stop, rest_m, start_ns, whole)
    return Run(
        case.name,
        detected_as=found.name if found else "",
        detection_ms=_since(found.at_ns if found else None, start_ns),
        command_ms=_since(command_ns, start_ns),
        stop_ms=_since(stop.at_ns if stop else None, start_ns),
        standstill_m=rest_m if case.needs_stop else None,
        problems=tuple(problems),
        first_alarm=told[0].name if told else "",
    )


def _expected(case: FaultCase, name: str) -> bool:
    return any(fnmatchcase(name, pattern) for pattern in case.detected_as)


def _first_safe(
    case: FaultCase, evidence: Evidence, injected: Injected, found: EventSeen | None,
    stop: CommandSeen | None,
) -> Nanoseconds | None:
    if case.reaction in (Reaction.STOP, Reaction.ENDURE):
        return stop.at_ns if stop is not None else None
    if case.reaction == Reaction.EASE:
        told_ns = (found.at_ns if found else injected.started_ns) - nanoseconds(_TELLING_S)
        ease = first_ease(evidence, max(told_ns, injected.started_ns))
        return min((c.at_ns for c in (ease, stop) if c is not None), default=None)
    if case.reaction == Reaction.GATEWAY:
        braking = (s for s in evidence.states if s.at_ns >= injected.started_ns and s.faults)
        first = next(braking, None)
        return first.at_ns if first is not None else None
    if case.reaction == Reaction.REFUSE and found is not None:
        for command in evidence.commands:
            good = command.sound and command.plan_sequence not in injected.bad_plans
            if command.at_ns >= found.at_ns and command.engaged and good:
                return command.at_ns
    return None


def _unsound(commands: Sequence[CommandSeen], start_ns: Nanoseconds) -> list[str]:
    count = sum(not c.sound for c in commands if c.at_ns >= start_ns)
    return [f"{count} commands with a wrong checksum or outside the actuators' range"] * bool(count)


def _followed(commands: Sequence[CommandSeen], injected: Injected) -> list[str]:
    count = sum(
        c.plan_sequence in injected.bad_plans for c in commands if c.at_ns >= injected.started_ns
    )
    return [f"{count} commands followed a bad plan"] * bool(count)


def _reaction_problems(
    case: FaultCase, evidence: Evidence, command_ns: Nanoseconds | None,
    stop: CommandSeen | None, rest_m: float | None, start_ns: Nanoseconds, whole: bool,
) -> list[str]:
    if case.reaction in (Reaction.NONE, Reaction.ENDURE):
        if case.reaction == Reaction.NONE and stop is not None:
            return ["the car was stopped"]
        stood = stop is None and any(
            s.speed < STANDING_SPEED for s in evidence.states if s.at_ns >= start_ns
        )
        return ["the car came to rest without a stop"] * stood
    problems = []
    if command_ns is None:
        problems.append("no safe command")
    if whole and rest_m is None:
        problems.append("the car did not come to rest")
    return problems


def _distance_to_rest(states: Sequence[StateSeen], start_ns: Nanoseconds) -> float | None:
    """Distance driven from an instant until the car stands, m; None where it does not."""
    distance = 0.0
    for before, state in pairwise(s for s in states if s.at_ns >= start_ns):
        distance += 0.5 * (before.speed + state.speed) * (state.at_ns - before.at_ns) / SECOND
        if state.speed < STANDING_SPEED:
            return distance
    return None


def _since(at_ns: Nanoseconds | None, start_ns: Nanoseconds) -> float | None:
    return None if at_ns is None else (at_ns - start_ns) / 1e6
