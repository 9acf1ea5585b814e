"""The privileged driver: from the true road and traffic to the controls that the pilot is taught.

It plans from wherever the car is now, so that from a place beside the lane it shows the way back:
a geometric path-following law for curvature and the Intelligent Driver Model (Treiber, Hennecke and
Helbing 2000) for acceleration, rolled out over the contract's horizon.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from vla_driving.contract.scene import SceneObject
from vla_driving.contract.trajectory import PERIOD_S, POINTS
from vla_driving.contract.vehicle import VehicleParameters

FloatArray = npt.NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Reference:
    """Centre of the lane to follow in base_link: (N,) s in m from the car's own station (negative
    behind it), x, y in m, heading in rad, curvature in 1/m. It ends at the goal or far ahead.

    `goal` is whether the car is to stop at its end; `speed_limit` in m/s.
    """

    s: FloatArray
    x: FloatArray
    y: FloatArray
    heading: FloatArray
    curvature: FloatArray
    goal: bool
    speed_limit: float


@dataclass(frozen=True)
class Manner:
    """How the teacher drives; within ISO 15622 and ISO 11270 but for emergencies."""

    acceleration: float = 1.6
    deceleration: float = 2.0
    strongest_braking: float = 6.0
    time_gap_s: float = 1.5
    standstill_gap: float = 4.0
    lateral_acceleration: float = 2.0
    strongest_curvature: float = 0.18
    curvature_rate: float = 0.12
    look_ahead_s: float = 1.1
    shortest_look_ahead: float = 5.0
    side_margin: float = 0.4
    foresight_s: float = 2.5
    crossing_foresight_s: float = 3.5


@dataclass(frozen=True, eq=False)
class _Obstacle:
    """Where along the path a road user is in the way, from when to when, and how fast it goes."""

    back: float
    speed: float
    since_s: float
    until_s: float


def plan(
    speed: float, reference: Reference, objects: Sequence[SceneObject],
    vehicle: VehicleParameters, manner: Manner | None = None,
) -> tuple[FloatArray, FloatArray]:
    """(64,) acceleration in m/s² and (64,) curvature in 1/m from the car's present state on."""
    manner = manner or Manner()
    path = _Path(reference)
    obstacles = _obstacles(path, objects, vehicle, manner, speed)
    allowed = _speed_profile(reference, manner)
    front = vehicle.length - vehicle.rear_overhang
    acceleration, curvature = np.zeros(POINTS), np.zeros(POINTS)
    x = y = heading = 0.0
    s, left, off = path.locate(x, y, heading, 0.0)
    bend = None
    for k in range(POINTS):
        wanted = _curvature(path, s, left, off, speed, manner)
        if bend is not None:
            most = manner.curvature_rate * PERIOD_S
            wanted = min(max(wanted, bend - most), bend + most)
        bend = wanted
        a = _acceleration(speed, s, front, k * PERIOD_S, path.at(s, allowed), obstacles, manner)
        after = max(0.0, speed + a * PERIOD_S)
        step = 0.5 * (speed + after) * PERIOD_S
        acceleration[k], curvature[k] = (after - speed) / PERIOD_S, bend
        x += step * math.cos(heading + 0.5 * bend * step)
        y += step * math.sin(heading + 0.5 * bend * step)
        heading += bend * step
        speed = after
        s, left, off = path.locate(x, y, heading, s + step)
    return acceleration, curvature


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
    return max(-manner.strongest_curvature, min(manner.strongest_curvature, bend))


def _speed_profile(reference: Reference, manner: Manner) -> FloatArray:
    """Highest speed at each station that keeps bends comfortable, braking in time for them."""
    bend = np.maximum(np.abs(reference.curvature), 1e-4)
    allowed = np.minimum(reference.speed_limit, np.sqrt(manner.lateral_acceleration / bend))
    if reference.goal:
        allowed[-1] = 0.0
    braking = 0.7 * manner.deceleration
    for k in range(len(allowed) - 2, -1, -1):
        room = reference.s[k + 1] - reference.s[k]
        reach = math.sqrt(allowed[k + 1] ** 2 + 2.0 * braking * room)
        allowed[k] = min(allowed[k], reach)
    return allowed


def _acceleration(
    speed: float, s: float, front: float, now_s: float, allowed: float,
    obstacles: Sequence[_Obstacle], manner: Manner,
) -> float:
    """IDM with the strongest of all obstacles; never beyond the strongest braking."""
    if speed <= allowed:
        free = manner.acceleration * (1.0 - (speed / max(allowed, 0.1)) ** 4)
    else:
        free = max(-manner.deceleration, -1.5 * (speed - allowed))
    result = free
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
    return max(-manner.strongest_braking, result)


def _obstacles(
    path: _Path, objects: Sequence[SceneObject], vehicle: VehicleParameters, manner: Manner,
    speed: float,
) -> list[_Obstacle]:
    """Road users that are, or will be within the foresight, in the way."""
    front = vehicle.length - vehicle.rear_overhang
    found = []
    for thing in objects:
        if thing.x < -15.0 or math.hypot(thing.x, thing.y) > 90.0:
            continue
        s, left, off = path.locate(thing.x, thing.y, thing.heading, max(0.0, thing.x), reach=40.0)
        towards = path.at(s, path.heading)
        along = thing.velocity_x * math.cos(towards) + thing.velocity_y * math.sin(towards)
        aside = thing.velocity_y * math.cos(towards) - thing.velocity_x * math.sin(towards)
        if abs(aside) > max(0.5, 0.5 * abs(along)):
            obstacle = _crossing(path, thing, vehicle, manner, speed)
        else:
            room = 0.5 * vehicle.width + _half_width(thing, off) + manner.side_margin
            obstacle = _along_lane(thing, s, left, along, aside, room, manner)
        if obstacle is not None and obstacle.back > 0.5 * front:
            found.append(obstacle)
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
        return _Obstacle(back, max(0.0, along), 0.0, math.inf)
    if abs(aside) < 0.3 or along < -1.0:
        return None
    enters = (abs(left) - room) / (-aside if left > 0.0 else aside)
    if not 0.0 < enters < manner.foresight_s:
        return None
    return _Obstacle(back, max(0.0, along), max(0.0, enters - 1.5), math.inf)


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
    return _Obstacle(back, 0.0, 0.0, until + 0.5)
