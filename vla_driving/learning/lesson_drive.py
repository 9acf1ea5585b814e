"""Drives one lesson and records it: who drives is one thing, what is taught another.

Taught is what the teacher would do from where the car is. Where the teacher itself fails, one of
MetaDrive's drivers that succeeds is taught instead, by what it did in the 6.4 s that followed.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np

from vla_driving.contract.clock import nanoseconds
from vla_driving.contract.frames import Image
from vla_driving.contract.language import Command, Intent
from vla_driving.contract.navigation import MAX_ROUTE_POINTS, Route
from vla_driving.contract.trajectory import POINTS
from vla_driving.learning.clips import FRAME_S, Header, Moment
from vla_driving.learning.driving import CONTROL_S, PREVIEW, Setting, steering
from vla_driving.learning.guide import Choice, Guide
from vla_driving.learning.labels import lane_line_tensor, object_slots
from vla_driving.learning.lessons import Lesson
from vla_driving.learning.passenger import Passenger
from vla_driving.learning.pushes import Pushes
from vla_driving.learning.tensors import FloatArray
from vla_driving.simulation.teacher import Decision, expert_driver, idm_driver
from vla_driving.simulation.truth import Truth
from vla_driving.simulation.wishes import WishState
from vla_driving.simulation.world import World
from vla_driving.vla.inputs import Navigation, navigation_vector

LONGEST_S = 26.0
LONGEST_STAND_S = 5.0
FARTHEST_OFF = 2.4
"""m off the lane's centre beyond which a drive has failed."""
_STEPS_A_FRAME = round(FRAME_S / CONTROL_S)
_LATERAL_BOUND, _YAW_BOUND = 4.89, 0.95
"""m/s², rad/s; NAVSIM's bounds of comfort. Braking hard may be right and is not held against it."""
_UNCOMFORTABLE_S = 0.3
_TOO_FAST = 1.2
FAILED = ("collision", "lost", "discomfort")
"""Ends of a drive that went wrong."""
_WAITS = (Intent.STOP, Intent.PULL_OVER)


class Pilot(Protocol):
    """A model that drives, with a memory."""

    def start(self) -> None:
        """Forget what was seen."""

    def act(
        self, image: Image, truth: Truth, command: Command | None, route: Route
    ) -> tuple[float, float]:
        """Curvature in 1/m and acceleration in m/s² for the coming control step."""


@dataclass(eq=False)
class _Tape:
    """What was recorded of one drive; `motion`: speed and yaw rate at each control step."""

    moments: list[Moment] = field(default_factory=list)
    steps: list[int] = field(default_factory=list)
    motion: list[tuple[float, float]] = field(default_factory=list)
    ended: str = ""
    fastest: float = 0.0


def record(
    setting: Setting, lesson: Lesson, pilot: Pilot | None = None, longest_s: float = LONGEST_S
) -> tuple[Header, list[Moment]]:
    """Drive a lesson until somebody succeeds; of a pilot's drive everything up to its failure.

    Raises SimulatorError.
    """
    if pilot is not None:
        tape = _drive(setting, lesson, "pilot", True, pilot, longest_s)
        return _header(lesson, "pilot", tape.ended, tape.moments), tape.moments
    attempts = [("teacher", True), ("teacher", False)]
    if not lesson.talk:
        attempts += [("idm", False), ("expert", False)]
    first = ""
    for driver, pushed in attempts:
        tape = _drive(setting, lesson, driver, pushed, None, longest_s)
        if driver != "teacher":
            _teach_hindsight(tape)
        if tape.ended not in FAILED and tape.moments:
            return _header(lesson, driver, tape.ended, tape.moments), tape.moments
        first = first or tape.ended
    return Header(lesson.seed, lesson.kind, "teacher", first, False, 0), []


def _header(lesson: Lesson, driver: str, ended: str, moments: Sequence[Moment]) -> Header:
    return Header(lesson.seed, lesson.kind, driver, ended, bool(moments), len(moments))


def _drive(
    setting: Setting, lesson: Lesson, driver: str, pushed: bool, pilot: Pilot | None,
    longest_s: float,
) -> _Tape:
    chance = np.random.default_rng([lesson.seed, 24, pilot is not None])
    staged = any(o.drives for o in lesson.scenario.objects)
    pushes = Pushes(chance, jumps=pushed and not staged, pulls=pushed and pilot is None)
    tape = _Tape()
    with setting.open(lesson.scenario) as world:
        stage = _Stage(world, lesson, pushes, pilot, _metadrives(world, driver))
        for step in range(round(longest_s / CONTROL_S)):
            truth, fresh = stage.look(step)
            tape.ended = stage.ended(truth)
            if tape.ended:
                return tape
            choice = stage.decide(truth)
            image = None
            if step % _STEPS_A_FRAME == 0 or pilot is not None:
                image = world.render()
            if step % _STEPS_A_FRAME == 0 and image is not None:
                tape.moments.append(Moment(image, _labels(world, choice, fresh)))
                tape.steps.append(step)
            tape.motion.append((truth.speed, world.ego.motion.yaw_rate))
            tape.fastest = max(tape.fastest, truth.speed / stage.speed_limit)
            stage.act(choice, image)
        tape.ended = "time"
    if driver in ("idm", "expert") and tape.fastest > _TOO_FAST:
        tape.ended = "discomfort"
    return tape


def _metadrives(world: World, driver: str) -> Decision | None:
    if driver == "idm":
        return idm_driver(world)
    return expert_driver(world) if driver == "expert" else None


class _Stage:
    """One drive as it goes: pushes, passenger, teacher, and whoever is at the wheel."""

    def __init__(
        self, world: World, lesson: Lesson, pushes: Pushes, pilot: Pilot | None,
        other: Decision | None,
    ) -> None:
        self._world, self._pushes, self._pilot, self._other = world, pushes, pilot, other
        self._passenger = Passenger(lesson.talk, lesson.seed, world)
        self._guide = Guide(world)
        self._command: Command | None = None
        self._stood_s = self._uncomfortable_s = 0.0
        self._fresh = True
        self.speed_limit = lesson.scenario.speed_limit
        if pilot is not None:
            pilot.start()

    def look(self, step: int) -> tuple[Truth, bool]:
        """The state now, and whether this frame's memory starts anew."""
        world = self._world
        truth = world.truth()
        if self._pushes.step(world, truth):
            truth = world.truth()
            self._fresh = True
            if self._pilot is not None:
                self._pilot.start()
        fresh = self._fresh
        if step % _STEPS_A_FRAME == 0:
            self._fresh = False
        return truth, fresh

    def ended(self, truth: Truth) -> str:
        """Why the drive is over, "" while it is not."""
        motion = self._world.ego.motion
        waits = self._world.wishes.intent in _WAITS
        self._stood_s = 0.0 if truth.speed > 0.1 or waits else self._stood_s + CONTROL_S
        rough = abs(motion.lateral_acceleration) > _LATERAL_BOUND or abs(motion.yaw_rate) > (
            _YAW_BOUND
        )
        rough = rough and self._pilot is None and self._pushes.settled(truth.time_s)
        self._uncomfortable_s = self._uncomfortable_s + CONTROL_S if rough else 0.0
        if truth.collisions:
            return "collision"
        if abs(truth.lane_offset) > FARTHEST_OFF:
            return "lost"
        if self._uncomfortable_s > _UNCOMFORTABLE_S:
            return "discomfort"
        if truth.arrived:
            return "arrived"
        return "stood" if self._stood_s > LONGEST_STAND_S else ""

    def decide(self, truth: Truth) -> Choice:
        """What the teacher would do, after the passenger has said what there is to say."""
        self._command = self._passenger.step()
        self._world.obey(self._command)
        return self._guide.step(truth)

    def act(self, choice: Choice, image: Image | None) -> None:
        """Go on by one control step."""
        world = self._world
        if self._other is not None:
            world.act(*self._other(), dt_s=CONTROL_S)
            return
        if self._pilot is not None and image is not None:
            route = world.route(nanoseconds(choice.truth.time_s))
            bend, demand = self._pilot.act(image, choice.truth, self._command, route)
        else:
            decision = choice.decision
            bend = float(decision.curvature[PREVIEW].mean())
            demand = float(decision.acceleration[PREVIEW].mean())
        bend, demand = self._pushes.disturb(world.time_s, bend, demand)
        world.drive(steering(bend, world.vehicle), demand, CONTROL_S)


def _labels(world: World, choice: Choice, fresh: bool) -> dict[str, Any]:
    truth, motion, decision = choice.truth, world.ego.motion, choice.decision
    command, wishes = world.wishes.command, world.wishes
    objects, held = object_slots(truth.objects, choice.reference)
    slot = held.index(decision.thing) if decision.thing in held else -1
    state = {WishState.DONE: 1.0, WishState.IMPOSSIBLE: 2.0}.get(wishes.state, 0.0)
    return {
        "time": truth.time_s,
        "pose": (truth.x, truth.y, truth.heading),
        "speed": truth.speed,
        "yaw_rate": motion.yaw_rate,
        "measured_acceleration": motion.acceleration,
        "fresh": float(fresh),
        "navigation": navigation_vector(Navigation(
            truth.next_turn, truth.distance_to_turn, wishes.limit(truth.speed_limit)
        )),
        "route_points": _points(world.route(nanoseconds(truth.time_s))),
        "intent": float(wishes.intent),
        "command_speed": 0.0 if command is None else command.speed,
        "time_gap": 0.0 if command is None else command.time_gap,
        "intent_state": state,
        "acceleration": decision.acceleration,
        "curvature": decision.curvature,
        "lane_lines": lane_line_tensor(truth.lane_lines),
        "objects": objects,
        "cause": float(decision.cause),
        "cause_distance": -1.0 if decision.distance is None else decision.distance,
        "cause_object": float(slot),
        "lateral": float(choice.lateral),
    }


def _points(route: Route) -> FloatArray:
    """(16, 2) points of the way, the last one repeated where it ends sooner."""
    points = np.stack([route.x, route.y], 1)
    missing = MAX_ROUTE_POINTS - len(points)
    return np.concatenate([points, np.repeat(points[-1:], missing, 0)]).astype(np.float32)


def _teach_hindsight(tape: _Tape) -> None:
    """Put what was driven in the place of the teacher's plan; frames without a future go."""
    motion = np.array(tape.motion).reshape(-1, 2)
    kept = []
    for moment, step in zip(tape.moments, tape.steps, strict=True):
        if step + POINTS >= len(motion):
            break
        speed, yaw = motion[step:step + POINTS + 1].T
        moment.labels["acceleration"] = np.diff(speed) / CONTROL_S
        moment.labels["curvature"] = yaw[:-1] / np.maximum(np.abs(speed[:-1]), 1.0)
        kept.append(moment)
    tape.moments[:] = kept
