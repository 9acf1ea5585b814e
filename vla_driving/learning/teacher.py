"""The privileged driver: from the true road and traffic to the controls that the pilot is taught.

It plans from wherever the car is now, so that from a place beside the lane it shows the way back:
a geometric path-following law for curvature and the Intelligent Driver Model (Treiber, Hennecke and
Helbing 2000) for acceleration, rolled out over the contract's horizon.
"""

from __future__ import annotations

import math
from collections.abc import Container, Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from vla_driving.contract.language import Cause
from vla_driving.contract.scene import ObjectClass, SceneObject
from vla_driving.contract.trajectory import PERIOD_S, POINTS
from vla_driving.contract.vehicle import VehicleParameters
from vla_driving.learning.tensors import USUAL_GAP_S

FloatArray = npt.NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Reference:
    """Centre of the lane to follow in base_link: (N,) s in m from the car's own station (negative
    behind it), x, y in m, heading in rad, curvature in 1/m. It ends at the goal or far ahead.

    `goal` is whether the car is to stop at its end; `speed_limit` in m/s. `junctions`: from and to
    which station there are any. Told to: `wished_speed` in m/s, 0 for none; `stop` now; `stop_at` a
    station.
    """

    s: FloatArray
    x: FloatArray
    y: FloatArray
    heading: FloatArray
    curvature: FloatArray
    goal: bool
    speed_limit: float
    junctions: tuple[tuple[float, float], ...] = ()
    wished_speed: float = 0.0
    stop: bool = False
    stop_at: float = math.inf

    @property
    def speed(self) -> float:
        """m/s to go where nothing else is in the way."""
        return min(self.speed_limit, self.wished_speed or math.inf)


@dataclass(frozen=True, eq=False)
class Decision:
    """What the teacher does, (64,) acceleration in m/s² and (64,) curvature in 1/m, and for what.

    `thing`: which of the objects it acts for, None for none. `distance`: m along the path from the
    rear axle to that thing's centre, to the bend or to the stop; None where there is no such place.
    `coming_in`: which objects come into the way from beside.
    """

    acceleration: FloatArray
    curvature: FloatArray
    cause: Cause
    thing: int | None = None
    distance: float | None = None
    coming_in: tuple[int, ...] = ()


@dataclass(frozen=True)
class Manner:
    """How the teacher drives; within ISO 15622 and ISO 11270 but for emergencies."""

    acceleration: float = 1.6
    deceleration: float = 2.0
    strongest_braking: float = 6.0
    time_gap_s: float = USUAL_GAP_S
    standstill_gap: float = 4.0
    lateral_acceleration: float = 2.0
    strongest_lateral_acceleration: float = 4.0
    strongest_curvature: float = 0.18
    curvature_rate: float = 0.12
    look_ahead_s: float = 1.1
    shortest_look_ahead: float = 5.0
    side_margin: float = 0.4
    foresight_s: float = 2.5
    crossing_foresight_s: float = 3.5
    reason_s: float = 2.0
    reason_acceleration: float = 0.4
    reason_margin: float = 0.25
    sight: float = 75.0
    crossing_sight: float = 45.0


@dataclass(frozen=True, eq=False)
class _Obstacle:
    """Where along the path a road user is in the way, from when to when, and how fast it goes.

    `middle` is the station of its centre; `enters` whether it comes into the way from beside.
    """

    back: float
    speed: float
    since_s: float
    until_s: float
    middle: float
    enters: bool = False
    thing: int = -1


@dataclass(frozen=True, eq=False)
class _Profile:
    """Highest speed at each station, and the station whose own limit is behind it."""

    allowed: FloatArray
    source: npt.NDArray[np.int64]


@dataclass(frozen=True)
class _Demand:
    """Acceleration in m/s² at one moment, and what asks for it: an obstacle or a station."""

    acceleration: float
    obstacle: _Obstacle | None
    source: int


def plan(
    speed: float, reference: Reference, objects: Sequence[SceneObject],
    vehicle: VehicleParameters, manner: Manner | None = None,
) -> tuple[FloatArray, FloatArray]:
    """(64,) acceleration in m/s² and (64,) curvature in 1/m from the car's present state on."""
    decision = decide(speed, reference, objects, vehicle, manner)
    return decision.acceleration, decision.curvature


def decide(
    speed: float, reference: Reference, objects: Sequence[SceneObject],
    vehicle: VehicleParameters, manner: Manner | None = None,
    braking: Container[int] = (), came_in: Container[int] = (),
) -> Decision:
    """The plan from the car's present state on, and its cause.

    `braking`, `came_in`: which objects are known to brake, and to have come into the lane lately.
    """
    manner = manner or Manner()
    path = _Path(reference)
    obstacles = _obstacles(path, objects, vehicle, manner, speed)
    profile = _speed_profile(reference, manner)
    front = vehicle.length - vehicle.rear_overhang
    acceleration, curvature = np.zeros(POINTS), np.zeros(POINTS)
    reasons: list[tuple[float, _Demand]] = []
    x = y = heading = 0.0
    start = speed
    s, left, off = path.locate(x, y, heading, 0.0)
    bend = None
    for k in range(POINTS):
        wanted = _curvature(path, s, left, off, speed, manner)
        if bend is not None:
            most = manner.curvature_rate * PERIOD_S
            wanted = min(max(wanted, bend - most), bend + most)
        bend = wanted
        demand = _demand(speed, s, front, k * PERIOD_S, path, profile, obstacles, manner)
        after = max(0.0, speed + demand.acceleration * PERIOD_S)
        step = 0.5 * (speed + after) * PERIOD_S
        acceleration[k], curvature[k] = (after - speed) / PERIOD_S, bend
        if k * PERIOD_S < manner.reason_s:
            freely = _free(speed, reference.speed_limit, manner)
            reasons.append((freely - float(acceleration[k]), demand))
        x += step * math.cos(heading + 0.5 * bend * step)
        y += step * math.sin(heading + 0.5 * bend * step)
        heading += bend * step
        speed = after
        s, left, off = path.locate(x, y, heading, s + step)
    cause, thing, distance = _cause(
        start, reference, reasons, objects, manner, braking, came_in
    )
    coming_in = tuple(o.thing for o in obstacles if o.enters)
    return Decision(acceleration, curvature, cause, thing, distance, coming_in)


def _cause(
    speed: float, reference: Reference, reasons: Sequence[tuple[float, _Demand]],
    objects: Sequence[SceneObject], manner: Manner, braking: Container[int],
    came_in: Container[int],
) -> tuple[Cause, int | None, float | None]:
    """What takes most from the acceleration that a free road would have, in the time at hand."""
    lost, demand = max(reasons, key=lambda r: r[0])
    if lost < manner.reason_acceleration:
        if reference.speed < reference.speed_limit - 0.3 and speed > 0.8 * reference.speed:
            return Cause.INSTRUCTION, None, None
        near = speed > 0.85 * reference.speed_limit
        return (Cause.SPEED_LIMIT if near else Cause.FREE), None, None
    obstacle = demand.obstacle
    if obstacle is not None:
        i = obstacle.thing
        kind = _kind(objects[i], obstacle, i in braking, i in came_in)
        return kind, i, obstacle.middle
    if reference.stop:
        return Cause.INSTRUCTION, None, None
    at = float(reference.s[demand.source])
    if at >= reference.stop_at:
        return Cause.INSTRUCTION, None, at
    if reference.goal and demand.source == len(reference.s) - 1:
        return Cause.ROUTE_END, None, at
    if abs(float(reference.curvature[demand.source])) * reference.speed**2 > (
        manner.lateral_acceleration
    ):
        inside = any(a - 3.0 <= at <= b + 3.0 for a, b in reference.junctions)
        return (Cause.JUNCTION if inside else Cause.BEND), None, max(0.0, at)
    wished = reference.speed < reference.speed_limit
    return (Cause.INSTRUCTION if wished else Cause.SPEED_LIMIT), None, None


def _kind(thing: SceneObject, obstacle: _Obstacle, brakes: bool, came_in: bool) -> Cause:
    if thing.classification in (ObjectClass.PEDESTRIAN, ObjectClass.BICYCLE):
        return Cause.PEDESTRIAN
    if obstacle.enters or came_in:
        return Cause.CUT_IN
    if obstacle.speed < _STANDING:
        return Cause.STOPPED
    return Cause.LEAD_BRAKES if brakes else Cause.LEAD


_STANDING = 0.5


def beside_path(reference: Reference, thing: SceneObject) -> tuple[float, float]:
    """m from the path to the left of it to the thing's centre, and half its extent across it."""
    _, left, off = _Path(reference).locate(
        thing.x, thing.y, thing.heading, max(0.0, thing.x), reach=40.0
    )
    return left, _half_width(thing, off)


def _half_width(thing: SceneObject, off: float) -> float:
    return 0.5 * (abs(math.sin(off)) * thing.length + abs(math.cos(off)) * thing.width)


class _Path:
    """Look-ups on a reference with nearly even stations."""

    def __init__(self, reference: Reference) -> None:
        self.reference = reference
        self.s = reference.s
        self.heading = np.unwrap(reference.heading)

    def at(self, s: float, values: FloatArray) -> float:
        return float(np.interp(s, self.s, values))

    def locate(
        self, x: float, y: float, heading: float, near: float, reach: float = 4.0
    ) -> tuple[float, float, float]:
        """Station, m to the left of the path, and heading relative to it."""
        r = self.reference
        first = int(np.searchsorted(self.s, near - reach))
        last = int(np.searchsorted(self.s, near + reach))
        first = max(0, min(first, len(self.s) - 2))
        last = max(last, first + 2)
        k = first + int(np.argmin((r.x[first:last] - x) ** 2 + (r.y[first:last] - y) ** 2))
        cos, sin = math.cos(self.heading[k]), math.sin(self.heading[k])
        dx, dy = x - r.x[k], y - r.y[k]
        along, left = cos * dx + sin * dy, -sin * dx + cos * dy
        s = float(self.s[k] + along)
        off = heading - self.at(s, self.heading)
        return s, left, math.atan2(math.sin(off), math.cos(off))


def _curvature(
    path: _Path, s: float, left: float, off: float, speed: float, manner: Manner
) -> float:
    """Curvature that closes the offset like a critically damped spring over the look-ahead length.

    With e the offset and e' = sin(off): e'' = -e/L² - 2 e'/L, on top of the path's own curvature.
    """
    length = max(manner.shortest_look_ahead, manner.look_ahead_s * speed)
    # Far from the lane approach it at no more than about 25°.
    error = max(-0.9 * length, min(0.9 * length, left))
    ahead = path.at(s + 0.1 * speed, path.reference.curvature)
    own = ahead * math.cos(off) / max(0.5, 1.0 - ahead * left)
    bend = own - error / length**2 - 2.0 * math.sin(off) / length
    most = min(
        manner.strongest_curvature,
        max(manner.strongest_lateral_acceleration / max(speed, 1.0) ** 2, 1.1 * abs(own)),
    )
    return max(-most, min(most, bend))


def _speed_profile(reference: Reference, manner: Manner) -> _Profile:
    """Highest speed at each station that keeps bends comfortable, braking in time for them."""
    bend = np.maximum(np.abs(reference.curvature), 1e-4)
    allowed = np.minimum(reference.speed, np.sqrt(manner.lateral_acceleration / bend))
    allowed[reference.s >= reference.stop_at] = 0.0
    if reference.goal:
        allowed[-1] = 0.0
    source = np.arange(len(allowed))
    braking = 0.7 * manner.deceleration
    for k in range(len(allowed) - 2, -1, -1):
        room = reference.s[k + 1] - reference.s[k]
        reach = math.sqrt(allowed[k + 1] ** 2 + 2.0 * braking * room)
        if reach < allowed[k]:
            allowed[k], source[k] = reach, source[k + 1]
    return _Profile(allowed, source)


def _free(speed: float, allowed: float, manner: Manner) -> float:
    """m/s² that a speed allowed asks for."""
    if speed <= allowed:
        return manner.acceleration * (1.0 - (speed / max(allowed, 0.1)) ** 4)
    return max(-manner.deceleration, -1.5 * (speed - allowed))


def _demand(
    speed: float, s: float, front: float, now_s: float, path: _Path, profile: _Profile,
    obstacles: Sequence[_Obstacle], manner: Manner,
) -> _Demand:
    """IDM with the strongest of all obstacles; never beyond the strongest braking."""
    free = _free(speed, path.at(s, profile.allowed), manner)
    if path.reference.stop:
        free = min(free, -min(manner.deceleration, 0.5 + 0.6 * speed))
    result, behind, most = free, None, manner.reason_margin
    for obstacle in obstacles:
        if not obstacle.since_s <= now_s <= obstacle.until_s:
            continue
        gap = max(0.3, obstacle.back + obstacle.speed * now_s - s - front)
        closing = speed * (speed - obstacle.speed)
        wish = manner.standstill_gap + max(
            0.0,
            manner.time_gap_s * speed
            + closing / (2.0 * math.sqrt(manner.acceleration * manner.deceleration)),
        )
        follow = min(free, manner.acceleration) - manner.acceleration * (wish / gap) ** 2
        result = min(result, follow)
        if free - follow > most:
            behind, most = obstacle, free - follow
    station = min(int(np.searchsorted(path.s, s)), len(path.s) - 1)
    return _Demand(max(-manner.strongest_braking, result), behind, int(profile.source[station]))


def _obstacles(
    path: _Path, objects: Sequence[SceneObject], vehicle: VehicleParameters, manner: Manner,
    speed: float,
) -> list[_Obstacle]:
    """Road users that are, or will be within the foresight, in the way."""
    front = vehicle.length - vehicle.rear_overhang
    found = []
    for i, thing in enumerate(objects):
        if thing.x < -15.0 or math.hypot(thing.x, thing.y) > 90.0:
            continue
        s, left, off = path.locate(thing.x, thing.y, thing.heading, max(0.0, thing.x), reach=40.0)
        if s > manner.sight:
            continue
        towards = path.at(s, path.heading)
        along = thing.velocity_x * math.cos(towards) + thing.velocity_y * math.sin(towards)
        aside = thing.velocity_y * math.cos(towards) - thing.velocity_x * math.sin(towards)
        if abs(aside) > max(0.5, 0.5 * abs(along)):
            near = s < manner.crossing_sight
            obstacle = _crossing(path, thing, vehicle, manner, speed) if near else None
        else:
            room = 0.5 * vehicle.width + _half_width(thing, off) + manner.side_margin
            obstacle = _along_lane(thing, s, left, along, aside, room, manner)
        if obstacle is not None and obstacle.back > 0.5 * front:
            found.append(replace(obstacle, thing=i))
    return found


def _along_lane(
    thing: SceneObject, s: float, left: float, along: float, aside: float, room: float,
    manner: Manner,
) -> _Obstacle | None:
    """One that goes with the lane or against it, or stands.

    Its motion follows the path's own bends: a neighbour in its lane stays beside the car.
    """
    back = s - 0.5 * thing.length
    if abs(left) < room:
        return _Obstacle(back, max(0.0, along), 0.0, math.inf, s)
    if abs(aside) < 0.3 or along < -1.0:
        return None
    enters = (abs(left) - room) / (-aside if left > 0.0 else aside)
    if not 0.0 < enters < manner.foresight_s:
        return None
    return _Obstacle(back, max(0.0, along), max(0.0, enters - 1.5), math.inf, s, enters=True)


def _crossing(
    path: _Path, thing: SceneObject, vehicle: VehicleParameters, manner: Manner, speed: float
) -> _Obstacle | None:
    """One that goes across the path: straight on, it blocks a stretch of it for a while."""
    half = 0.5 * (thing.width + 0.5 * thing.length)
    room = 0.5 * vehicle.width + half + manner.side_margin
    blocked: list[tuple[float, float]] = []
    for t in np.arange(0.0, manner.crossing_foresight_s, 0.25):
        x, y = thing.x + thing.velocity_x * t, thing.y + thing.velocity_y * t
        s, left, _ = path.locate(x, y, 0.0, max(0.0, x), reach=40.0)
        if abs(left) < room:
            blocked.append((float(t), s))
    if not blocked:
        return None
    since, until = blocked[0][0], blocked[-1][0]
    back = min(s for _, s in blocked) - half
    clear = (back + 2.0 * half + vehicle.rear_overhang) / max(speed, 1.0)
    if clear < since - 0.7:
        return None  # the car is through before the other comes
    middle = min(s for _, s in blocked)
    return _Obstacle(back, 0.0, 0.0, until + 0.5, middle, enters=True)
