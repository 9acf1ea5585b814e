"""One request in flight: what to ask next, and what becomes of an answer."""

from __future__ import annotations

import dataclasses
import math
from dataclasses import dataclass

from vla_driving.contract.checksum import signed, vehicle_state_checksum
from vla_driving.contract.clock import Nanoseconds, age_s, nanoseconds
from vla_driving.contract.events import DriveEvent
from vla_driving.contract.faults import Fault, FaultLog
from vla_driving.contract.frames import FrameSet
from vla_driving.contract.navigation import Route
from vla_driving.contract.plan import Evidence, LateralAction, Plan, StageTime
from vla_driving.contract.trajectory import Trajectory
from vla_driving.contract.vehicle import VehicleState
from vla_driving.vla.inputs import navigation_at
from vla_driving.vla.large.alpamayo import navigation_text
from vla_driving.vla.large.faults import NODE, REACTIONS
from vla_driving.vla.large.history import History
from vla_driving.vla.large.manifest import LargeManifest
from vla_driving.vla.large.samples import candidates
from vla_driving.vla.large.settings import SlowModelSettings
from vla_driving.vla.large.thought import Answer, Request, ThoughtError
from vla_driving.vla.reasoning import lateral_action, longitudinal_action

NO_WORDS = "the large model gave no reason"


@dataclass(frozen=True, eq=False)
class ThinkingInputs:
    """What came since the step before.

    `answer` is that to the request in flight, or why there is none, as a ThoughtError.
    """

    frames: tuple[FrameSet, ...] = ()
    vehicle_states: tuple[VehicleState, ...] = ()
    route: Route | None = None
    answer: Answer | ThoughtError | None = None


@dataclass(frozen=True)
class ThinkingCounters:
    """Since the start; `dropped` frame sets came while a request was in flight."""

    frames: int = 0
    requests: int = 0
    thoughts: int = 0
    dropped: int = 0
    failed: int = 0
    late: int = 0


@dataclass(frozen=True, eq=False)
class ThinkingOutputs:
    """`request` is to be answered now; never one while another is in flight."""

    request: Request | None
    plan: Plan | None
    faults: tuple[Fault, ...]
    events: tuple[DriveEvent, ...]
    counters: ThinkingCounters


class Thinking:
    """Keeps the past, asks about the newest frames whenever the model is free; never raises."""

    def __init__(self, manifest: LargeManifest, runtime: str, settings: SlowModelSettings) -> None:
        self._manifest, self._runtime, self._settings = manifest, runtime, settings
        self._history = History(manifest.inputs.frames, manifest.inputs.poses)
        self._log = FaultLog(NODE, REACTIONS)
        self._counters = ThinkingCounters()
        self._in_flight: tuple[Request, Nanoseconds] | None = None
        self._late = False
        self._thought: tuple[Fault, ...] = ()
        self._asked: tuple[Fault, ...] = ()
        self._now_ns: Nanoseconds | None = None

    def step(self, inputs: ThinkingInputs, now_ns: Nanoseconds) -> ThinkingOutputs:
        """Take in what came; a plan where an answer did, a request where there is room for one."""
        faults: list[Fault] = []
        if self._now_ns is not None and now_ns < self._now_ns:
            back = age_s(now_ns, self._now_ns)
            faults.append(Fault("clock_went_back", "clock", "time went back", back, 0.0, "s"))
            self._history.clear()
            self._late = self._in_flight is not None
        self._now_ns = now_ns
        faults += self._take_states(inputs.vehicle_states)
        faults += self._take_frames(inputs.frames)
        plan = None
        if inputs.answer is not None:
            plan = self._take_answer(inputs.answer, inputs.route, now_ns)
        faults += self._watch(now_ns)
        request = None
        if inputs.frames and self._in_flight is None:
            request = self._ask(inputs.route, now_ns)
        elif inputs.frames:
            self._count(dropped=len(inputs.frames))
        faults += (*self._thought, *self._asked)
        return ThinkingOutputs(
            request, plan, tuple(faults), self._log.update(faults, now_ns), self._counters
        )

    def _take_states(self, states: tuple[VehicleState, ...]) -> list[Fault]:
        faults = []
        for state in states:
            detail = ""
            if vehicle_state_checksum(state) != state.checksum:
                detail = f"state {state.sequence}: checksum does not fit"
            elif not self._history.take_state(state):
                detail = f"state {state.sequence}: not finite or not newer than the one before"
            if detail:
                faults.append(Fault("vehicle_state_invalid", "vehicle/state", detail))
        return faults[-1:]

    def _take_frames(self, sets: tuple[FrameSet, ...]) -> list[Fault]:
        faults = []
        for frames in sets:
            self._count(frames=1)
            names = tuple(c.name for c in self._manifest.inputs.cameras)
            if frames.model != self._manifest.title:
                wrong = f"made for {frames.model}, this is {self._manifest.title}"
            elif tuple(f.name for f in frames.frames) != names:
                wrong = f"{len(frames.frames)} cameras are not {', '.join(names)}"
            else:
                wrong = self._history.take_frames(frames)
            if wrong:
                faults.append(Fault("frames_unusable", "vla/large_frames", wrong))
        return faults[-1:]

    def _ask(self, route: Route | None, now_ns: Nanoseconds) -> Request | None:
        self._asked = ()
        try:
            request = self._history.request("")
            age = age_s(request.stamp_ns, now_ns)
            if age > self._settings.max_frame_age:
                raise ThoughtError(f"the newest good frames are {age:.2f} s old")
        except ThoughtError as error:
            self._asked = (Fault("past_too_short", "history", str(error)),)
            return None
        fresh = self._fresh(route, request.stamp_ns)
        words = navigation_text(fresh, request.stamp_ns, request.speed)
        request = dataclasses.replace(request, navigation=words)
        self._in_flight, self._late = (request, now_ns), False
        self._count(requests=1)
        return request

    def _watch(self, now_ns: Nanoseconds) -> list[Fault]:
        if self._in_flight is None:
            return []
        taken, longest = age_s(self._in_flight[1], now_ns), self._settings.time_out
        if taken > longest and not self._late:
            self._late = True
            self._count(late=1)
        if not self._late:
            return []
        return [Fault("thought_late", self._runtime, "no answer yet", taken, longest, "s")]

    def _take_answer(
        self, answer: Answer | ThoughtError, route: Route | None, now_ns: Nanoseconds
    ) -> Plan | None:
        if self._in_flight is None:
            return None
        (request, asked_ns), late = self._in_flight, self._late
        self._in_flight, self._thought = None, ()
        if isinstance(answer, ThoughtError):
            self._thought = (Fault("thought_failed", self._runtime, str(answer)),)
            self._count(failed=1)
            return None
        if late:
            return None
        try:
            found, spread = candidates(answer, request.speed)
        except ThoughtError as error:
            self._thought = (Fault("thought_invalid", self._runtime, str(error)),)
            self._count(failed=1)
            return None
        if not answer.text:
            detail = "the reasoning is empty or was cut before its end"
            self._thought = (Fault("thought_without_words", self._runtime, detail),)
        self._count(thoughts=1)
        plan = self._plan(request, found, spread, answer.text or NO_WORDS, route)
        thought = StageTime("thought", age_s(asked_ns, now_ns) * 1e3)
        return signed(dataclasses.replace(plan, stages=(thought,)))

    def _plan(
        self, request: Request, found: tuple[Trajectory, ...], spread: float, words: str,
        route: Route | None,
    ) -> Plan:
        return Plan(
            stamp_ns=request.stamp_ns,
            sequence=self._counters.thoughts,
            frame_sequence=request.frame_sequence,
            valid_until_ns=request.stamp_ns + nanoseconds(self._settings.plan_validity),
            model_name=self._manifest.name,
            model_version=self._manifest.version,
            runtime=self._runtime,
            candidates=found,
            objects=(), lane_lines=(), traffic_controls=(),
            lateral_action=self._lateral(found[0], request, route),
            longitudinal_action=longitudinal_action(found[0], request.speed),
            reasoning=words,
            evidence=(Evidence("own car", "speed", request.speed, "m/s"),),
            uncertainty=spread,
            instruction_id=0,
            stages=(),
        )

    def _lateral(
        self, path: Trajectory, request: Request, route: Route | None
    ) -> LateralAction:
        fresh = self._fresh(route, request.stamp_ns)
        return lateral_action(path, (), navigation_at(fresh, request.stamp_ns, request.speed))

    def _fresh(self, route: Route | None, stamp_ns: Nanoseconds) -> Route | None:
        if route is None or age_s(route.stamp_ns, stamp_ns) > self._settings.max_route_age:
            return None
        finite = math.isfinite(route.distance_to_turn) and math.isfinite(route.speed_limit)
        return route if finite else None

    def _count(self, **more: int) -> None:
        counters = dataclasses.asdict(self._counters)
        self._counters = ThinkingCounters(**{k: v + more.get(k, 0) for k, v in counters.items()})
