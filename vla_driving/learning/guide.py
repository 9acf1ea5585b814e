"""The privileged driver that listens: the teacher's plan under what the car was told.

It sees the true state of a World and the command that the World was told (`World.obey`), decides
which lane to follow and says why it acts as it does. It never drives by itself: the one at the
wheel may be somebody else, and each decision starts from where the car is.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np

from vla_driving.contract.language import Cause, Intent
from vla_driving.contract.navigation import Turn
from vla_driving.contract.plan import LateralAction
from vla_driving.contract.scene import SceneObject
from vla_driving.learning.driving import reference
from vla_driving.learning.teacher import Decision, FloatArray, Manner, Reference, decide
from vla_driving.simulation.road import LanePath
from vla_driving.simulation.truth import AHEAD, BEHIND, Truth, to_base
from vla_driving.simulation.wishes import WishState, beside
from vla_driving.simulation.world import World

CHANGE_S = 4.5
"""s that a change of lane takes; ISO 17387 takes 3 to 5 s for one."""
_SHORTEST_CHANGE, _LONGEST_CHANGE = 18.0, 60.0
_LOST = 1.2
"""m beside its planned way from which a change of lane is planned anew."""
_KERB = 0.35
"""m left to the border of the carriageway by a car that has pulled over."""
_ROOM_AHEAD, _ROOM_BEHIND = 12.0, 10.0
_CLOSING_AHEAD_S, _CLOSING_BEHIND_S = CHANGE_S, 3.0
"""A lane is free where nobody is nearer than so many m, nor can be after so many s."""
_BRAKES = -1.5
"""m/s² from which on one ahead brakes."""
_REMEMBERED_S = 3.0
_NEAR_TURN = 5.0


@dataclass(frozen=True, eq=False)
class Choice:
    """A decision and the manoeuvre across lanes that it belongs to.

    `key` is that of the thing it acts for (`Truth.object_keys`), "" for none.
    """

    decision: Decision
    lateral: LateralAction
    key: str
    reference: Reference
    truth: Truth

    @property
    def cause(self) -> Cause:
        """What it acts for."""
        return self.decision.cause


@dataclass(frozen=True, eq=False)
class _Swerve:
    """A way over to `path`: a quintic of least jerk from (`start`, `left`) to `final`, m, over
    `length` m; `slope` is dy/dx at its start.
    """

    path: LanePath
    start: float
    length: float
    left: float
    slope: float
    final: float

    @property
    def end(self) -> float:
        """Station at which it is complete."""
        return self.start + self.length

    def at(self, s: FloatArray) -> FloatArray:
        """m to the left of the path at stations `s`."""
        u = np.clip((s - self.start) / self.length, 0.0, 1.0)
        away = self.left - self.final
        rest = away * (1.0 - u**3 * (10.0 - 15.0 * u + 6.0 * u * u))
        run = self.slope * self.length * u * (1.0 - u) ** 3 * (1.0 + 3.0 * u)
        result: FloatArray = self.final + rest + run
        return result


class Guide:
    """Decides for one World; call `step` at each control step, whoever drives."""

    def __init__(self, world: World, manner: Manner | None = None) -> None:
        self._world = world
        self._manner = manner or Manner()
        self._swerve: _Swerve | None = None
        self._speeds: dict[str, tuple[float, float]] = {}
        self._slowing: dict[str, float] = {}
        self._came_in: dict[str, float] = {}

    def step(self, truth: Truth | None = None) -> Choice:
        """What the teacher would do now."""
        world = self._world
        truth = truth or world.truth()
        self._plan_swerve(truth)
        way = self._reference(truth)
        command = world.wishes.command
        gap = 0.0 if command is None else command.time_gap
        manner = replace(self._manner, time_gap_s=gap) if gap > 0.0 else self._manner
        self._watch(truth)
        now = truth.time_s
        decision = decide(
            truth.speed, way, truth.objects, world.vehicle, manner,
            braking={i for i, k in enumerate(truth.object_keys)
                     if self._slowing.get(k, 0.0) < _BRAKES},
            came_in={i for i, k in enumerate(truth.object_keys)
                     if now - self._came_in.get(k, -math.inf) < _REMEMBERED_S},
        )
        key = "" if decision.thing is None else truth.object_keys[decision.thing]
        for i in decision.coming_in:
            self._came_in[truth.object_keys[i]] = now
        lateral = self._lateral(truth)
        if lateral in _WISHED and decision.cause in _PLAIN:
            decision = replace(decision, cause=Cause.INSTRUCTION, distance=None)
        return Choice(decision, lateral, key, way, truth)

    def _watch(self, truth: Truth) -> None:
        """Keep who slows down: speeds over ground against a while ago."""
        for key, thing in zip(truth.object_keys, truth.objects, strict=True):
            speed = math.hypot(thing.velocity_x, thing.velocity_y)
            before, at = self._speeds.get(key, (speed, truth.time_s))
            if truth.time_s - at > 0.15:
                self._slowing[key] = (speed - before) / (truth.time_s - at)
                self._speeds[key] = (speed, truth.time_s)
            elif key not in self._speeds:
                self._speeds[key] = (speed, truth.time_s)

    # Which way

    def _reference(self, truth: Truth) -> Reference:
        wishes = self._world.wishes
        plain = reference(truth) if self._swerve is None else self._swerving(truth, self._swerve)
        stop_at = math.inf
        if wishes.intent == Intent.PULL_OVER and self._swerve is not None:
            along, _ = beside(self._swerve.path, self._world.ego.motion, self._world.progress)
            stop_at = self._swerve.end + 2.0 - along
        return replace(
            plain,
            junctions=self._junctions(truth),
            wished_speed=0.0 if wishes.command is None else wishes.command.speed,
            stop=wishes.intent == Intent.STOP or (
                wishes.intent == Intent.PULL_OVER and wishes.state == WishState.DONE
            ),
            stop_at=stop_at,
        )

    def _junctions(self, truth: Truth) -> tuple[tuple[float, float], ...]:
        crossroads = self._world.progress.route.crossroads
        return tuple((c.start - truth.station, c.out - truth.station) for c in crossroads)

    def _plan_swerve(self, truth: Truth) -> None:
        """Begin, go on with or drop a way over to another lane or to the edge."""
        wishes = self._world.wishes
        pulls_over = wishes.intent == Intent.PULL_OVER
        wanted = wishes.lane is not None and (
            wishes.state == WishState.UNDER_WAY or (pulls_over and wishes.state == WishState.DONE)
        )
        if not wanted or wishes.lane is None:
            self._swerve = None
            return
        along, left = beside(wishes.lane, self._world.ego.motion, self._world.progress)
        held = self._swerve
        if held is not None and held.path is wishes.lane:
            due = float(held.at(np.array([along]))[0])
            if abs(left - due) < _LOST:
                return
        elif not self._free(wishes.lane, along, left, truth):
            return
        self._swerve = self._new_swerve(wishes.lane, along, left, truth, pulls_over)

    def _new_swerve(
        self, path: LanePath, along: float, left: float, truth: Truth, pulls_over: bool
    ) -> _Swerve | None:
        k = min(int(np.searchsorted(path.s, along)), len(path.s) - 1)
        lanes = max(1.0, abs(left) / (2.0 * float(path.half_width[k])))
        pace = max(truth.speed, 0.5 * self._world.wishes.limit(truth.speed_limit))
        length = CHANGE_S * pace * math.sqrt(lanes)
        length = min(max(length, _SHORTEST_CHANGE), _LONGEST_CHANGE)
        final = 0.0
        if pulls_over:
            length = max(length, truth.speed**2 / (2.0 * 1.2))
            final = -(float(path.half_width[k]) - 0.5 * self._world.vehicle.width - _KERB)
            if self._in_junction(truth.station + length + 2.0):
                return None
        off = self._world.ego.motion.heading - float(path.heading[k])
        slope = math.tan(max(-0.3, min(0.3, math.atan2(math.sin(off), math.cos(off)))))
        return _Swerve(path, along, length, left, slope, final)

    def _in_junction(self, station: float) -> bool:
        crossroads = self._world.progress.route.crossroads
        return any(c.start - 8.0 < station < c.out + 8.0 for c in crossroads)

    def _free(self, path: LanePath, along: float, left: float, truth: Truth) -> bool:
        """Whether nobody is on or comes up in the lane, nor in those between."""
        for thing in truth.objects:
            x, y = _in_map(thing, truth)
            s, aside = path.locate(x, y, along + thing.x, 30.0)
            half = float(path.half_width[0]) + 0.3
            if not min(-half, left + half) < aside < max(half, left - half):
                continue
            ahead = s - along
            speed = thing.velocity_x
            if ahead > 0.0:
                room = _ROOM_AHEAD + _CLOSING_AHEAD_S * max(0.0, truth.speed - speed)
            else:
                room = _ROOM_BEHIND + _CLOSING_BEHIND_S * max(0.0, speed - truth.speed)
            if abs(ahead) < room:
                return False
        return True

    def _swerving(self, truth: Truth, swerve: _Swerve) -> Reference:
        path, world = swerve.path, self._world
        along, _ = beside(path, world.ego.motion, world.progress)
        k = np.arange(*np.searchsorted(path.s, (along - BEHIND, along + AHEAD)))
        s, left = path.s[k], swerve.at(path.s[k])
        x = path.x[k] - left * np.sin(path.heading[k])
        y = path.y[k] + left * np.cos(path.heading[k])
        x, y = to_base(x, y, (truth.x, truth.y, truth.heading))
        heading = np.unwrap(np.arctan2(np.gradient(y, s), np.gradient(x, s)))
        return Reference(
            s=s - along, x=x, y=y, heading=heading, curvature=np.gradient(heading, s),
            goal=bool(s[-1] - along < AHEAD - 2.0), speed_limit=truth.speed_limit,
        )

    def _lateral(self, truth: Truth) -> LateralAction:
        if self._swerve is not None:
            return _WISHES.get(self._world.wishes.intent, LateralAction.KEEP_LANE)
        if truth.distance_to_turn < _NEAR_TURN:
            return _TURNS.get(truth.next_turn, LateralAction.KEEP_LANE)
        return LateralAction.KEEP_LANE


_WISHES = {
    Intent.CHANGE_LEFT: LateralAction.CHANGE_LEFT, Intent.CHANGE_RIGHT: LateralAction.CHANGE_RIGHT,
    Intent.PULL_OVER: LateralAction.PULL_OVER,
}
_WISHED = tuple(_WISHES.values())
_PLAIN = (Cause.FREE, Cause.SPEED_LIMIT, Cause.BEND)
"""What is no reason of its own while the car goes over to another lane."""
_TURNS = {Turn.LEFT: LateralAction.TURN_LEFT, Turn.RIGHT: LateralAction.TURN_RIGHT}


def _in_map(thing: SceneObject, truth: Truth) -> tuple[float, float]:
    c, s = math.cos(truth.heading), math.sin(truth.heading)
    return truth.x + c * thing.x - s * thing.y, truth.y + s * thing.x + c * thing.y
