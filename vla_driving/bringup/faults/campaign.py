"""Every fault of a table, run by run: bring the car to speed, inject, watch, measure, mend."""

from __future__ import annotations

import math
import random
import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from vla_driving.bringup.faults.injections import Injection, injection
from vla_driving.bringup.faults.stand import COMMAND, EVENT, STATE, FaultStand, NotReady
from vla_driving.bringup.lifecycle import BringupError
from vla_driving.contract.checksum import command_checksum
from vla_driving.contract.clock import Nanoseconds, nanoseconds
from vla_driving.contract.events import Severity
from vla_driving.contract.messages import MalformedMessage, from_message
from vla_driving.contract.vehicle import ControlCommand, VehicleParameters
from vla_driving.nodes.fault_relay import Log
from vla_driving.replay.faults.evidence import (
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
_MIN_ROUTE_LEFT = 0.12
_TRAIL_S = 0.2
"""Evidence from before the injection is looked at, too."""


class Campaign:
    """Runs faults on a stand and keeps what came of them."""

    def __init__(
        self, stand: FaultStand, vehicle: VehicleParameters, show: Callable[[str], None],
        seed: int = 1,
    ) -> None:
        self._stand = stand
        self._vehicle = vehicle
        self._show = show
        self._random = random.Random(seed)
        self._runs: dict[str, list[Run]] = defaultdict(list)
        self._repeated: dict[str, int] = defaultdict(int)

    def run(self, plan: Sequence[tuple[FaultCase, int]]) -> Iterator[list[dict[str, Any]]]:
        """Each fault as often as asked for; after each run the rows of out/faults.json."""
        total, begin = sum(n for _, n in plan), time.monotonic()
        for number, case in enumerate(_in_turns(plan), 1):
            run = self._until_it_counts(case)
            self._runs[case.name].append(run)
            minutes = (time.monotonic() - begin) / 60.0
            self._show(f"[{number}/{total}, {minutes:.1f} min] {_line(run)}")
            yield self.rows([case for case, _ in plan])

    def rows(self, cases: Sequence[FaultCase]) -> list[dict[str, Any]]:
        """What is known so far: the faults, then the figures that were touched."""
        found = [row(c, self._runs[c.name], self._repeated[c.name]) for c in cases]
        runs = [run for group in self._runs.values() for run in group]
        touched = [f for f in Figure if any(c.figure == f for c in cases)]
        return found + [figure_row(figure, cases, runs) for figure in touched]

    def _until_it_counts(self, case: FaultCase) -> Run:
        for attempt in range(_ATTEMPTS):
            try:
                ends = self._stand.route_left < _MIN_ROUTE_LEFT
                if ends or attempt:
                    self._show("the road ends: starting anew" if ends else "starting anew")
                    self._stand.restart_all()
                self._stand.revive()
                self._stand.prepare()
                return self._once(case)
            except (NotReady, BringupError) as error:
                self._repeated[case.name] += 1
                self._show(f"{case.name}: to be repeated: {error}")
        return Run(case.name, problems=(f"could not be set up in {_ATTEMPTS} attempts",))

    def _once(self, case: FaultCase) -> Run:
        whole = len(self._runs[case.name]) < WHOLE_RUNS and case.needs_stop
        time.sleep(_BREATH_S + self._random.uniform(0.0, _PHASE_S))
        if not self._stand.drives:
            raise NotReady("the stack stopped driving before the injection")
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
        self._read_ns = dict.fromkeys((COMMAND, EVENT, STATE), since_ns)
        self._commands: list[CommandSeen] = []
        self._events: list[EventSeen] = []
        self._states: list[StateSeen] = []

    def evidence(self) -> Evidence:
        """All of it up to now."""
        logs = self._stand.relays.logs
        self._commands += [self._command(at, m) for at, m in self._new(COMMAND, logs[COMMAND])]
        self._events += [
            EventSeen(at, m.name, Severity(min(m.severity, Severity.CRITICAL)), m.text)
            for at, m in self._new(EVENT, logs[EVENT])
        ]
        self._states += [
            StateSeen(at, m.speed, tuple(m.faults))
            for at, m in self._new(STATE, self._stand.relays.relays[STATE].log)
        ]
        return Evidence(self._commands, self._events, self._states)

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
    return measure(case, watch.evidence(), injected, whole)


_ROUNDING = 1e-4
"""Commands travel in single precision."""


def _in_turns(plan: Sequence[tuple[FaultCase, int]]) -> Iterator[FaultCase]:
    """One run of each in turn: what drifts during an hour hits all of them alike."""
    most = max((n for _, n in plan), default=0)
    for k in range(most):
        yield from (case for case, runs in plan if k < runs)


def _line(run: Run) -> str:
    words = [f"{run.fault}:"]
    if run.detection_ms is not None:
        words.append(f"{run.detected_as} after {run.detection_ms:.0f} ms,")
    if run.command_ms is not None:
        words.append(f"safe command after {run.command_ms:.0f} ms")
    if run.standstill_m is not None:
        words.append(f"stands after {run.standstill_m:.1f} m")
    if run.problems:
        words.append("FAILED: " + "; ".join(run.problems))
    return " ".join(words)
