"""The actor: one plan a frame, or one named fault."""

from __future__ import annotations

import dataclasses
import math
from bisect import bisect_right
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from vla_driving.contract.checksum import plan_checksum, vehicle_state_checksum
from vla_driving.contract.clock import Nanoseconds, age_s, nanoseconds
from vla_driving.contract.events import DriveEvent
from vla_driving.contract.faults import Fault, FaultLog
from vla_driving.contract.frames import CameraFrame, FrameSet, FrameStatus
from vla_driving.contract.language import Command
from vla_driving.contract.motion import EgoMotion
from vla_driving.contract.navigation import Route
from vla_driving.contract.plan import Plan, StageTime
from vla_driving.contract.vehicle import VehicleParameters, VehicleState
from vla_driving.vla.faults import NODE, REACTIONS
from vla_driving.vla.inputs import (
    NO_ROUTE,
    Conditions,
    Navigation,
    TensorBuilder,
    malformed,
    navigation_at,
    obeyed,
)
from vla_driving.vla.large.advice import advised
from vla_driving.vla.manifest import Model
from vla_driving.vla.memory import Memory
from vla_driving.vla.outputs import Decoded, OutputError, decode
from vla_driving.vla.reasoning import explain
from vla_driving.vla.runtimes.base import InferenceError
from vla_driving.vla.runtimes.choose import Chosen
from vla_driving.vla.settings import VlaInferenceSettings
from vla_driving.vla.tracking import SceneTracker
from vla_driving.vla.wishes import accepted

_STATES_KEPT = 128
_NOWHERE = np.zeros(0)


@dataclass(frozen=True, eq=False)
class ActorInputs:
    """What came since the step before: the newest frames or None, every vehicle state in order.

    `route`, `thought`, a large model's plan, and `command` are the newest that ever came.
    """

    frames: FrameSet | None
    vehicle_states: tuple[VehicleState, ...] = ()
    route: Route | None = None
    thought: Plan | None = None
    command: Command | None = None


@dataclass(frozen=True)
class ActorCounters:
    """Since the start."""

    frames: int = 0
    plans: int = 0
    dropped: int = 0
    refused: int = 0


@dataclass(frozen=True, eq=False)
class ActorOutputs:
    """A plan or the faults that stand in its way; `events` are those faults that are new."""

    plan: Plan | None
    faults: tuple[Fault, ...]
    events: tuple[DriveEvent, ...]
    counters: ActorCounters


class _RefusedError(Exception):
    """No plan for this frame."""

    def __init__(self, *faults: Fault) -> None:
        super().__init__(*(f.detail for f in faults))
        self.faults = faults


class Actor:
    """Answers the newest frames with a plan of the model; never raises."""

    def __init__(
        self,
        model: Model,
        chosen: Chosen,
        settings: VlaInferenceSettings,
        vehicle: VehicleParameters,
        stage_clock: Callable[[], Nanoseconds],
    ) -> None:
        """`stage_clock` is read at the ends of each stage alone; a constant one under replay."""
        self._manifest = model.manifest
        self._runtime = chosen
        self._settings = settings
        self._vehicle = vehicle
        self._clock = stage_clock
        self._tensors = TensorBuilder(model.manifest)
        self._log = FaultLog(NODE, REACTIONS)
        self._lasting = tuple(
            Fault("runtime_fall_back", wanted, line) for wanted, line in chosen.passed_over
        )
        self._counters = ActorCounters()
        self._refused: tuple[Fault, ...] = ()
        self._route_faults: tuple[Fault, ...] = ()
        self._thought_faults: tuple[Fault, ...] = ()
        self._wish_faults: tuple[Fault, ...] = ()
        self._memory = Memory(model.manifest.inputs)
        self._tracker = SceneTracker()
        self._memory_faults: tuple[Fault, ...] = ()
        self._now_ns: Nanoseconds | None = None
        self._forget()

    def step(self, inputs: ActorInputs, now_ns: Nanoseconds) -> ActorOutputs:
        """Take in what came; where there are new frames, answer them."""
        faults = list(self._lasting)
        if self._now_ns is not None and now_ns < self._now_ns:
            back = age_s(now_ns, self._now_ns)
            faults.append(Fault("clock_went_back", "clock", "time went back", back, 0.0, "s"))
            self._forget()
        self._now_ns = now_ns
        faults += self._take_states(inputs.vehicle_states)
        plan = None
        if inputs.frames is None:
            faults += self._silence(now_ns)
        else:
            self._count(inputs.frames)
            try:
                plan = self._plan(inputs, inputs.frames, now_ns)
                self._refused = ()
            except _RefusedError as refused:
                self._refused = refused.faults
                self._counters = dataclasses.replace(
                    self._counters, refused=self._counters.refused + 1
                )
        faults += (
            *self._refused, *self._route_faults, *self._wish_faults, *self._memory_faults,
            *self._thought_faults,
        )
        events = self._log.update(faults, now_ns)
        return ActorOutputs(plan, tuple(faults), events, self._counters)

    def _forget(self) -> None:
        self._motion = EgoMotion()
        self._states: deque[VehicleState] = deque(maxlen=_STATES_KEPT)
        self._last: FrameSet | None = None
        self._refused = ()
        self._memory.forget()
        self._tracker.forget()

    def _take_states(self, states: tuple[VehicleState, ...]) -> list[Fault]:
        faults = []
        for state in states:
            if vehicle_state_checksum(state) != state.checksum:
                detail = f"state {state.sequence}: checksum does not fit"
                faults.append(Fault("vehicle_state_invalid", "vehicle/state", detail))
            elif self._finite(state) and self._motion.add(state):
                self._states.append(state)
            else:
                detail = f"state {state.sequence}: not finite or not newer than the one before"
                faults.append(Fault("vehicle_state_invalid", "vehicle/state", detail))
        return faults[-1:]

    def _finite(self, state: VehicleState) -> bool:
        return all(math.isfinite(getattr(state, name)) for name in self._manifest.inputs.ego)

    def _silence(self, now_ns: Nanoseconds) -> list[Fault]:
        """What is wrong where no frames have come in this step."""
        if self._last is None:
            return [Fault("frames_missing", "vla/frames", "none has ever come")]
        age, oldest = age_s(self._last.stamp_ns, now_ns), self._settings.max_frame_age
        if age > oldest:
            return [Fault("frames_stale", "vla/frames", "none has come since", age, oldest, "s")]
        return []

    def _count(self, frames: FrameSet) -> None:
        missed = frames.sequence - self._last.sequence - 1 if self._last else 0
        self._counters = dataclasses.replace(
            self._counters,
            frames=self._counters.frames + 1,
            dropped=self._counters.dropped + max(0, missed),
        )

    def _plan(self, inputs: ActorInputs, frames: FrameSet, now_ns: Nanoseconds) -> Plan:
        started = self._clock()
        self._check_frames(frames, now_ns)
        conditions = self._conditions(inputs, frames.stamp_ns)
        tensors = self._tensors.build(frames, conditions, self._memory.states)
        built = self._clock()
        try:
            answer = self._runtime.runtime.infer(tensors)
            answered = self._clock()
            decoded = decode(
                answer, self._manifest, conditions.speed, self._vehicle,
                self._settings.min_object_probability, self._settings.min_lane_probability,
            )
        except InferenceError as error:
            self._memory.forget()
            raise _RefusedError(
                Fault("inference_failed", self._runtime.name, str(error))
            ) from None
        except OutputError as error:
            self._memory.forget()
            raise _RefusedError(Fault("output_invalid", error.tensor, error.detail)) from None
        self._memory.keep(decoded.recurrent, frames.stamp_ns)
        decoded = decoded.with_objects(
            self._tracker.follow(decoded.objects, self._motion, frames.stamp_ns)
        )
        plan = self._compose(frames, decoded, conditions)
        plan = self._advised(plan, inputs.thought, conditions.speed, conditions.navigation)
        done = self._clock()
        stages = (
            StageTime("preprocess", (built - started) / 1e6),
            StageTime("forward", (answered - built) / 1e6),
            StageTime("decode", (done - answered) / 1e6),
        )
        return dataclasses.replace(plan, stages=stages, checksum=plan_checksum(plan))

    def _check_frames(self, frames: FrameSet, now_ns: Nanoseconds) -> None:
        """Raises _RefusedError with what is wrong with a set."""
        topic, last = "vla/frames", self._last
        if last is not None and frames.stamp_ns <= last.stamp_ns:
            behind = age_s(frames.stamp_ns, last.stamp_ns)
            detail = "not newer than the set before"
            raise _RefusedError(Fault("frames_out_of_order", topic, detail, behind, 0.0, "s"))
        self._last = frames
        if frames.model != self._manifest.title:
            detail = f"made for {frames.model}, this is {self._manifest.title}"
            raise _RefusedError(Fault("frames_wrong_model", topic, detail))
        if wrong := malformed(frames, self._manifest):
            raise _RefusedError(Fault("frames_malformed", topic, wrong))
        if unusable := [_unusable(f) for f in frames.frames if _is_unusable(f)]:
            raise _RefusedError(*unusable)
        age, oldest = age_s(frames.stamp_ns, now_ns), self._settings.max_frame_age
        if age > oldest:
            raise _RefusedError(Fault("frames_stale", topic, "frames are old", age, oldest, "s"))
        ahead, tolerance = -age, self._settings.future_tolerance
        if ahead > tolerance:
            detail = "stamped ahead of now"
            raise _RefusedError(Fault("frames_from_future", topic, detail, ahead, tolerance, "s"))

    def _ego_at(self, stamp_ns: Nanoseconds) -> tuple[VehicleState, float]:
        """Vehicle state nearest before an instant and the speed at it. Raises _RefusedError."""
        topic, oldest = "vehicle/state", self._settings.max_vehicle_state_age
        if not self._states:
            raise _RefusedError(Fault("vehicle_state_missing", topic, "no valid state has come"))
        at = bisect_right(self._states, stamp_ns, key=lambda s: s.stamp_ns)
        state = self._states[max(0, at - 1)]
        distance = abs(age_s(state.stamp_ns, stamp_ns))
        if distance > oldest:
            raise _RefusedError(
                Fault("vehicle_state_stale", topic, "no state near the exposure of the frames",
                      distance, oldest, "s")
            )
        speed = self._motion.speed(stamp_ns)
        return state, state.speed if speed is None else speed

    def _conditions(self, inputs: ActorInputs, stamp_ns: Nanoseconds) -> Conditions:
        """What the plan depends on besides the images. Raises _RefusedError."""
        state, speed = self._ego_at(stamp_ns)
        command, wrong = accepted(inputs.command, self._manifest.inputs, stamp_ns)
        self._wish_faults = (wrong,) if wrong else ()
        seen = self._navigation(inputs.route, stamp_ns, speed)
        navigation = obeyed(seen, command)
        x, y = _NOWHERE, _NOWHERE
        # Points that lead elsewhere than the turn that was asked for would contradict it.
        if inputs.route is not None and not self._route_faults and navigation.turn == seen.turn:
            change = self._motion.change(inputs.route.stamp_ns, stamp_ns)
            if change is not None:
                x, y = change.to_second(inputs.route.x, inputs.route.y)
        moved, elapsed, lost = self._memory.advance(self._motion, stamp_ns)
        self._memory_faults = (lost,) if lost else ()
        return Conditions(state, speed, navigation, x, y, command, moved, elapsed)

    def _navigation(
        self, route: Route | None, stamp_ns: Nanoseconds, speed: float
    ) -> Navigation:
        self._route_faults = ()
        if route is None:
            return NO_ROUTE
        age, oldest = age_s(route.stamp_ns, stamp_ns), self._settings.max_route_age
        if age > oldest:
            fault = Fault("route_stale", "vla/route", "route is old", age, oldest, "s")
        elif not (math.isfinite(route.distance_to_turn) and math.isfinite(route.speed_limit)):
            fault = Fault("route_invalid", "vla/route", "distance or speed limit is not finite")
        else:
            return navigation_at(route, stamp_ns, speed)
        self._route_faults = (fault,)
        return NO_ROUTE

    def _advised(
        self, plan: Plan, thought: Plan | None, speed: float, navigation: Navigation
    ) -> Plan:
        self._thought_faults = ()
        if thought is None:
            return plan
        plan, fault = advised(
            plan, thought, self._settings.thoughts, self._motion, speed, navigation
        )
        self._thought_faults = (fault,) if fault else ()
        return plan

    def _compose(self, frames: FrameSet, decoded: Decoded, conditions: Conditions) -> Plan:
        explanation = explain(
            decoded, conditions.speed, conditions.navigation, conditions.command, decoded.cause
        )
        command = conditions.command
        self._counters = dataclasses.replace(self._counters, plans=self._counters.plans + 1)
        return Plan(
            stamp_ns=frames.stamp_ns,
            sequence=self._counters.plans,
            frame_sequence=frames.sequence,
            valid_until_ns=frames.stamp_ns + nanoseconds(self._settings.plan_validity),
            model_name=self._manifest.name,
            model_version=self._manifest.version,
            runtime=self._runtime.name,
            candidates=decoded.candidates,
            objects=decoded.objects,
            lane_lines=decoded.lane_lines,
            traffic_controls=decoded.traffic_controls,
            lateral_action=explanation.lateral,
            longitudinal_action=explanation.longitudinal,
            reasoning=explanation.sentence,
            evidence=explanation.evidence,
            uncertainty=decoded.uncertainty,
            instruction_id=command.instruction_id if command else 0,
            stages=(),
            speed_cap=command.speed if command else 0.0,
        )


def _is_unusable(frame: CameraFrame) -> bool:
    return frame.status != FrameStatus.OK or frame.image is None


def _unusable(frame: CameraFrame) -> Fault:
    value, limit = frame.status_value, frame.status_limit
    detail = f"camera is {frame.status.name}, value {value:.4g}, limit {limit:.4g}"
    return Fault("frame_unusable", frame.name, detail)
