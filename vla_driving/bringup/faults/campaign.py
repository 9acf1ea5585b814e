"""Every fault of a table, run by run: bring the car to speed, inject, watch, measure, mend."""

from __future__ import annotations

import math
import random
import statistics
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import Any

from vla_driving.bringup.faults.injections import Injection, injection
from vla_driving.bringup.faults.kept import Kept
from vla_driving.bringup.faults.stand import (
    APPROVED,
    COMMAND,
    EVENT,
    STATE,
    FaultStand,
    NotReady,
)
from vla_driving.bringup.lifecycle import BringupError
from vla_driving.contract.checksum import command_checksum
from vla_driving.contract.clock import Nanoseconds, nanoseconds
from vla_driving.contract.events import Severity
from vla_driving.contract.messages import MalformedMessage, from_message
from vla_driving.contract.vehicle import ControlCommand, VehicleParameters
from vla_driving.nodes.fault_relay import Log
from vla_driving.replay.faults.evidence import (
    CapSeen,
    CommandSeen,
    EventSeen,
    Evidence,
    Injected,
    Run,
    StateSeen,
    measure,
)
from vla_driving.replay.faults.table import FaultCase, Figure, Reaction
from vla_driving.replay.faults.verdict import figure_row, row

WHOLE_RUNS = 2
"""Of each fault, that last until the car stands; the others end after the first safe command."""
_PATIENCE_S = 4.0
_STANDS_WITHIN_S = 12.0
_ENDURED_S = 3.0
_AFTERWARDS_S = 0.3
"""Watched after the first safe command."""
_BREATH_S = 1.2
"""Between two runs: a node tells the same fault once a second at most."""
_PHASE_S = 0.1
"""Each injection waits a random part of a period of the slowest node."""
_POLL_S = 0.1
_ATTEMPTS = 4
_HOPELESS_FAULTS = 3
"""That many faults that cannot be set up: the stand does not work, and the campaign ends."""
_EXPECTED = (NotReady, BringupError)
_MIN_ROUTE_LEFT = 0.12
_TRAIL_S = 0.2
"""Evidence from before the injection is looked at, too."""


class _StoppedBefore(NotReady):
    """The car was at speed, and is not any more."""


class Campaign:
    """Runs faults on a stand, keeps what came of them, and goes on with what was kept."""

    def __init__(
        self, stand: FaultStand, vehicle: VehicleParameters, kept: Kept,
        show: Callable[[str], None], minutes: float, seed: int = 1,
    ) -> None:
        """`minutes` is the longest that `run` may take, however the machine is."""
        self._stand = stand
        self._vehicle = vehicle
        self._kept = kept
        self._show = show
        self._longest_s = 60.0 * minutes
        self._random = random.Random(seed)
        self._hopeless: list[str] = []

    def run(self, plan: Sequence[tuple[FaultCase, int]]) -> Iterator[list[dict[str, Any]]]:
        """Each fault as often as asked for; after each run the rows of out/faults.json."""
        queue = in_turns(plan, self._kept)
        time_left = TimeLeft(queue)
        for number, case in enumerate(queue, 1):
            if time_left.passed_s > self._longest_s:
                self._show(f"ended after {self._longest_s / 60.0:.0f} min: --minutes allows more")
                return
            if case.name in self._hopeless:
                continue
            begin_s = time.monotonic()
            words = self._until_it_counts(case)
            time_left.took(case, time.monotonic() - begin_s)
            self._show(
                f"[{number}/{len(queue)}, {time_left.passed_s / 60.0:.1f} min, "
                f"{time_left.seconds(number) / 60.0:.0f} left] {case.name}: {words}"
            )
            yield self.rows(plan)
            if len(self._hopeless) >= _HOPELESS_FAULTS:
                self._show(f"ended: {', '.join(self._hopeless)} could not be set up")
                return

    def rows(self, plan: Sequence[tuple[FaultCase, int]]) -> list[dict[str, Any]]:
        """What is known so far: the faults, then the figures that were touched."""
        kept, cases = self._kept, [case for case, _ in plan]
        found = [
            row(case, kept.runs[case.name][:wanted], kept.repeated[case.name], wanted)
            for case, wanted in plan
        ]
        runs = [run for case, wanted in plan for run in kept.runs[case.name][:wanted]]
        figures = [
            (figure, sum(n for case, n in plan if case.figure == figure)) for figure in Figure
        ]
        return found + [figure_row(f, cases, runs, wanted) for f, wanted in figures if wanted]

    def _until_it_counts(self, case: FaultCase) -> str:
        """Keep a run; what it showed, in words."""
        anew = False
        for attempt in range(_ATTEMPTS):
            try:
                self._stand.arrange(case.apart)
                ends = self._stand.route_left < _MIN_ROUTE_LEFT
                if ends or anew:
                    self._show("the road ends: starting anew" if ends else "starting anew")
                    self._stand.restart_all()
                self._stand.revive()
                self._stand.prepare()
                run = self._once(case)
                self._kept.add(run, attempt)
                return _words(run)
            except _StoppedBefore as error:  # as it may be on a busy machine
                self._show(f"{case.name}: to be repeated: {error}")
            except Exception as error:  # nobody sits beside it: the next attempt starts anew
                anew = True
                kind = "" if isinstance(error, _EXPECTED) else f"{type(error).__name__}: "
                self._show(f"{case.name}: to be repeated: {kind}{error}")
        self._hopeless.append(case.name)
        return f"FAILED: could not be set up in {_ATTEMPTS} attempts, and is left out from here on"

    def _once(self, case: FaultCase) -> Run:
        whole = len(self._kept.runs[case.name]) < WHOLE_RUNS and case.needs_stop
        time.sleep(_BREATH_S + self._random.uniform(0.0, _PHASE_S))
        if not self._stand.drives:
            raise _StoppedBefore("the stack stopped driving before the injection")
        act = injection(self._stand, case)
        ordered_ns = time.time_ns()
        act.begin()
        try:
            run = self._watch(case, act, ordered_ns, whole)
        finally:
            act.end()
        if not self._stand.drives:
            self._stand.hand_back()
        return run

    def _watch(self, case: FaultCase, act: Injection, ordered_ns: Nanoseconds, whole: bool) -> Run:
        """Watch until the run has shown what it is for, at most as long as patience lasts."""
        endless = case.reaction in (Reaction.NONE, Reaction.ENDURE)
        patience_s = _ENDURED_S if endless else _PATIENCE_S + whole * _STANDS_WITHIN_S
        end_s = time.monotonic() + patience_s
        watch = _Watch(self._stand, self._vehicle, ordered_ns - nanoseconds(_TRAIL_S))
        while time.monotonic() < end_s:
            time.sleep(_POLL_S)
            if act.started_ns is None or endless:
                continue
            run = _measured(case, act, watch, whole)
            done = run.standstill_m if whole else run.command_ms
            if done is not None:
                if not whole:
                    time.sleep(_AFTERWARDS_S)
                break
        return _measured(case, act, watch, whole)


class _Watch:
    """Evidence that grows: each message is read once."""

    def __init__(
        self, stand: FaultStand, vehicle: VehicleParameters, since_ns: Nanoseconds
    ) -> None:
        self._stand = stand
        self._vehicle = vehicle
        self._read_ns = dict.fromkeys((APPROVED, COMMAND, EVENT, STATE), since_ns)
        self._caps: list[CapSeen] = []
        self._commands: list[CommandSeen] = []
        self._events: list[EventSeen] = []
        self._states: list[StateSeen] = []

    def evidence(self) -> Evidence:
        """All of it up to now."""
        logs, relays = self._stand.relays.logs, self._stand.relays.relays
        commands = self._new(COMMAND, relays[COMMAND].log)
        self._commands += [self._command(at, m) for at, m in commands]
        self._events += [
            EventSeen(at, m.name, Severity(min(m.severity, Severity.CRITICAL)), m.text)
            for at, m in self._new(EVENT, logs[EVENT])
        ]
        self._states += [
            StateSeen(at, m.speed, tuple(m.faults))
            for at, m in self._new(STATE, relays[STATE].log)
        ]
        self._caps += [
            CapSeen(at, m.speed_cap) for at, m in self._new(APPROVED, relays[APPROVED].log)
        ]
        return Evidence(self._commands, self._events, self._states, self._caps)

    def _new(self, name: str, log: Log) -> list[tuple[Nanoseconds, Any]]:
        found = log.since(self._read_ns[name])
        if found:
            self._read_ns[name] = found[-1][0] + 1
        return found

    def _command(self, at_ns: Nanoseconds, message: Any) -> CommandSeen:
        return CommandSeen(
            at_ns, message.engaged, message.hazard_lights, message.acceleration,
            message.plan_sequence, self._sound(message),
        )

    def _sound(self, message: Any) -> bool:
        try:
            command = from_message(ControlCommand, message)
        except MalformedMessage:
            return False
        car = self._vehicle
        return (
            command.checksum == command_checksum(command)
            and math.isfinite(command.steering_angle)
            and abs(command.steering_angle) <= car.max_steering_angle + _ROUNDING
            and -car.emergency_deceleration - _ROUNDING
            <= command.acceleration <= car.max_acceleration + _ROUNDING
        )


def _measured(case: FaultCase, act: Injection, watch: _Watch, whole: bool) -> Run:
    started_ns = act.started_ns
    if started_ns is None:
        return Run(case.name, problems=("no message came that could be spoilt",))
    injected = Injected(started_ns, frozenset(act.bad_plans))
    run = measure(case, watch.evidence(), injected, whole)
    return replace(run, problems=(*run.problems, *act.problems))


_ROUNDING = 1e-4
"""Commands travel in single precision."""


def in_turns(plan: Sequence[tuple[FaultCase, int]], kept: Kept) -> list[FaultCase]:
    """The runs that are missing, one of each fault in turn: what drifts hits all of them alike.

    First those with the doer in one process, then the others.
    """
    missing = [(case, wanted - len(kept.runs[case.name])) for case, wanted in plan]
    most = max((n for _, n in missing), default=0)
    return [
        case for apart in (False, True) for k in range(most)
        for case, n in missing if case.apart == apart and k < n
    ]


class TimeLeft:
    """How long a campaign has run, and how long it may take from here on."""

    def __init__(self, queue: Sequence[FaultCase]) -> None:
        self._queue = queue
        self._newest_s: dict[str, float] = {}
        self._begin_s = time.monotonic()

    @property
    def passed_s(self) -> float:
        """Time since the beginning, s."""
        return time.monotonic() - self._begin_s

    def took(self, case: FaultCase, duration_s: float) -> None:
        """Count a run."""
        self._newest_s[case.name] = duration_s

    def seconds(self, done: int) -> float:
        """What the runs after the first `done` take if each is as long as its fault's last was."""
        if not self._newest_s:
            return math.nan
        others_s = statistics.median(self._newest_s.values())
        return sum(self._newest_s.get(case.name, others_s) for case in self._queue[done:])


def _words(run: Run) -> str:
    words = []
    if run.detection_ms is not None:
        words.append(f"{run.detected_as} after {run.detection_ms:.0f} ms,")
    if run.command_ms is not None:
        words.append(f"safe command after {run.command_ms:.0f} ms")
    if run.standstill_m is not None:
        words.append(f"stands after {run.standstill_m:.1f} m")
    if run.problems:
        words.append("FAILED: " + "; ".join(run.problems))
    return " ".join(words)
