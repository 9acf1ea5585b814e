"""Objects against a trajectory, in the trajectory's own path coordinates.

Each object is projected on the path of the rear axle: arc length s along it, offset d to its left.
It then keeps its velocity along and across the path. On a straight road that is the usual constant
velocity; in a bend a car in the next lane stays in the next lane instead of leaving it straight on.
Where the plan moves sideways on the road (a lane change) the others do not follow its path: there
they are also taken to drive straight on, and the sooner contact counts.
"""

from __future__ import annotations

import copy
import math
from dataclasses import dataclass
from itertools import chain
from operator import attrgetter

import numpy as np
import numpy.typing as npt

from vla_driving.contract.clock import Nanoseconds, age_s
from vla_driving.contract.motion import PoseChange
from vla_driving.contract.scene import MAX_OBJECTS, SceneObject
from vla_driving.contract.trajectory import POINTS
from vla_driving.contract.vehicle import VehicleParameters
from vla_driving.safety.candidates import Batch
from vla_driving.safety.counterfactuals import (
    answer_of,
    cut_in_impact,
    needed_gap,
    speed_for_cut_in,
    speed_for_gap,
    time_to_cut_in,
)
from vla_driving.safety.settings import WorldSettings

FloatArray = npt.NDArray[np.float32]

_NUMBERS = attrgetter(
    "probability", "x", "y", "heading", "velocity_x", "velocity_y", "length", "width"
)

NEVER_S = 99.0
"""Time to collision where there is none, s."""
NOWHERE_M = 999.0
"""Distance where there is nothing, m."""

_MIN_SIZE = 0.3
"""m. Smaller objects are taken as this large: detectors report points with no extent."""
_KNOTS = np.array([*range(0, 32, 4), *range(32, POINTS + 1, 8)])
"""Points that carry the path: chords of 0.4, then 0.8 s: 0.06 and 0.24 m off at 3 m/s² sideways."""
_BEFORE = 60.0
_BEYOND = 200.0
"""m. The path is carried on straight so far behind the car and past its last point."""
_STANDING = 0.3
"""m/s. Slower, it is the other one who runs into us."""
_SAMPLE = 2
"""Contact is looked for every 0.2 s: even a car that crosses at 15 m/s is in the way for 0.4 s."""


@dataclass(frozen=True, eq=False)
class Objects:
    """N objects measured at `stamp_ns`, in base_link at that instant until `moved` to another.

    `vectors` is (2, 3, N): x and y of position in m, of velocity in m/s, of the unit heading.
    `halves` is (2, N): half length and half width in m. `malformed` counts what was left out for a
    number that is not finite.
    """

    stamp_ns: Nanoseconds
    vectors: FloatArray
    halves: FloatArray
    malformed: int

    def __len__(self) -> int:
        return self.halves.shape[1]


def objects(
    stamp_ns: Nanoseconds, listed: tuple[SceneObject, ...], min_probability: float
) -> Objects:
    """Arrays of the likely and finite objects, at most the nearest `MAX_OBJECTS`."""
    numbers = chain.from_iterable(map(_NUMBERS, listed))
    table = np.fromiter(numbers, np.float32).reshape(-1, 8)
    finite = np.isfinite(table).all(axis=1)
    kept = table[finite & (table[:, 0] >= min_probability)]
    if len(kept) > MAX_OBJECTS:
        order = np.argsort(np.hypot(kept[:, 1], kept[:, 2]), kind="stable")
        kept = kept[order[:MAX_OBJECTS]]
    _, x, y, heading, vx, vy, length, width = kept.T
    vectors = np.stack([x, vx, np.cos(heading), y, vy, np.sin(heading)]).reshape(2, 3, -1)
    halves = 0.5 * np.maximum(np.stack([length, width]), np.float32(_MIN_SIZE))
    return Objects(stamp_ns, vectors, halves, int(len(table) - finite.sum()))


def no_objects(stamp_ns: Nanoseconds) -> Objects:
    """An empty list."""
    return objects(stamp_ns, (), 0.0)


def moved(items: Objects, change: PoseChange) -> Objects:
    """The same objects at the same instant, in the base_link that `change` leads to."""
    cos, sin = math.cos(change.dyaw), math.sin(change.dyaw)
    rotation = np.array([[cos, sin], [-sin, cos]], np.float32)
    vectors = items.vectors.copy()
    vectors[0, 0] -= np.float32(change.dx)
    vectors[1, 0] -= np.float32(change.dy)
    turned = (rotation @ vectors.reshape(2, -1)).reshape(vectors.shape)
    return Objects(items.stamp_ns, turned, items.halves, items.malformed)


def with_measured_velocity(scene: Objects, sensor: Objects, apart: float) -> Objects:
    """The scene, each object that the sensor sees as well with the velocity that it measures.

    A model may guess speeds from a single picture; a radar measures them. Two are the same where
    one lies on the other as seen from the car, and no further than `apart` m and half a length
    before or behind it: pictures tell directions better than distances. Both lists are in one
    frame. The place stays the model's; an object that the sensor does not see stays as it is.
    """
    if not len(scene) or not len(sensor):
        return scene
    places = sensor.vectors[:, 0]
    towards = places / np.maximum(np.hypot(places[0], places[1]), np.float32(0.1))
    x, y = scene.vectors[:, 0, :, None] - places[:, None, :]
    along = np.abs(x * towards[0] + y * towards[1])
    across = np.abs(y * towards[0] - x * towards[1])
    fits = (across <= sensor.halves[1]) & (along <= sensor.halves[0] + apart)
    nearest = np.where(fits, along + across, np.float32(NOWHERE_M)).argmin(axis=1)
    same = fits[np.arange(len(scene)), nearest]
    vectors = scene.vectors.copy()
    vectors[:, 1, same] = sensor.vectors[:, 1, nearest[same]]
    return Objects(scene.stamp_ns, vectors, scene.halves, scene.malformed)


@dataclass(frozen=True, eq=False)
class Approach:
    """How near the objects come on each of C paths, (C,) each.

    `scene_s` and `sensor_s`: time from now to the first contact that we would cause, with an object
    of the model's scene and of the sensor; NEVER_S for none. `lead_speed`: speed along the path of
    the object ahead that limits us most, m/s. `rss_slack` and `stop_slack`: gap to it beyond what
    the two distance formulas ask for, m; NOWHERE_M where the path is empty. `worst_slack`: gap left
    after `worst_case_preview` beyond what full braking of the one ahead asks for, m.
    `cut_in_impact`: speed difference at which we would touch a neighbour that cuts in now, m/s.
    `safe_speed`: highest speed at which both of these pass, m/s; NOWHERE_M where nothing limits it.
    """

    scene_s: FloatArray
    sensor_s: FloatArray
    lead_speed: FloatArray
    rss_slack: FloatArray
    stop_slack: FloatArray
    worst_slack: FloatArray
    cut_in_impact: FloatArray
    safe_speed: FloatArray

    def only(self, index: int) -> Approach:
        """That of the path at `index` alone."""
        at = slice(index, index + 1)
        return Approach(
            self.scene_s[at], self.sensor_s[at], self.lead_speed[at], self.rss_slack[at],
            self.stop_slack[at], self.worst_slack[at], self.cut_in_impact[at], self.safe_speed[at],
        )


class Paths:
    """The paths of a batch, with what is needed to project objects on them."""

    def __init__(self, batch: Batch) -> None:
        count = len(batch)
        points = np.zeros((2, count, POINTS + 1), np.float32)
        points[0, :, 1:], points[1, :, 1:] = batch.x, batch.y
        steps = points[:, :, 1:] - points[:, :, :-1]
        self.arc = np.zeros((count, POINTS + 1), np.float32)
        np.cumsum(np.hypot(steps[0], steps[1]), axis=1, out=self.arc[:, 1:])
        self.end = self.arc[:, -1]
        self.speed = np.empty((count, POINTS + 1), np.float32)
        self.speed[:, 1:] = batch.speed
        self.speed[:, 0] = batch.speed[:, 0]
        self.points = points
        self.heading = np.zeros((count, POINTS + 1), np.float32)
        self.heading[:, 1:] = batch.heading
        self.low, self.high = points.min(axis=(1, 2)), points.max(axis=(1, 2))
        self.forward = bool((np.abs(batch.heading) < 0.5 * math.pi).all())
        self._chords(points, batch.heading[:, -1].astype(np.float32))

    def only(self, index: int) -> Paths:
        """The path at `index` alone."""
        one = copy.copy(self)
        at = slice(index, index + 1)
        one.arc, one.end, one.speed = self.arc[at], self.end[at], self.speed[at]
        one.points, one.heading = self.points[:, at], self.heading[at]
        one._start, one._tangent = self._start[:, at], self._tangent[:, at]
        one._length, one._from = self._length[at], self._from[at]
        return one

    def _chords(self, points: FloatArray, heading: FloatArray) -> None:
        knots = np.empty((2, points.shape[1], len(_KNOTS) + 2), np.float32)
        knots[:, :, 1:-1] = points[:, :, _KNOTS]
        knots[:, :, 0] = np.array([[-_BEFORE], [0.0]])
        knots[0, :, -1] = points[0, :, -1] + np.float32(_BEYOND) * np.cos(heading)
        knots[1, :, -1] = points[1, :, -1] + np.float32(_BEYOND) * np.sin(heading)
        chords = knots[:, :, 1:] - knots[:, :, :-1]
        length = np.maximum(np.hypot(chords[0], chords[1]), np.float32(1e-4))
        self._start = knots[:, :, :-1]
        self._tangent = chords / length
        self._length = length
        self._from = np.empty_like(length)
        self._from[:, 0] = -_BEFORE
        self._from[:, 1:] = self.arc[:, _KNOTS]

    def project(self, vectors: FloatArray) -> tuple[FloatArray, FloatArray, FloatArray]:
        """s and d (C, N) in m and the unit tangent (2, C, N) at the nearest point of each path."""
        away = vectors[:, 0, None, None, :] - self._start[:, :, :, None]
        tangent, length = self._tangent[:, :, :, None], self._length[:, :, None]
        along = away[0] * tangent[0] + away[1] * tangent[1]
        across = away[1] * tangent[0] - away[0] * tangent[1]
        off = along - np.minimum(np.maximum(along, np.float32(0.0)), length)
        distance = off * off + across * across
        # A chord of no length has no direction; it must not be the nearest one.
        distance += np.where(length > 1e-3, np.float32(0.0), np.float32(1e9))
        nearest = distance.argmin(axis=1)
        rows, columns = np.arange(len(nearest))[:, None], np.arange(nearest.shape[1])
        s = self._from[rows, nearest] + along[rows, nearest, columns]
        return s, across[rows, nearest, columns], self._tangent[:, rows, nearest]


@dataclass(frozen=True, eq=False)
class _OnPath:
    """Objects in path coordinates: (C, N) each, `measured_s` (N,)."""

    s: FloatArray
    d: FloatArray
    v_s: FloatArray
    v_d: FloatArray
    reach_s: FloatArray
    reach_d: FloatArray
    measured_s: FloatArray


def approach(
    paths: Paths,
    scene: Objects,
    sensor: Objects,
    stamp_ns: Nanoseconds,
    now_ns: Nanoseconds,
    speed: float,
    sideways: npt.NDArray[np.bool_],
    vehicle: VehicleParameters,
    settings: WorldSettings,
) -> Approach:
    """How near the objects come while the car follows each path.

    Both lists are in base_link at `stamp_ns`, the paths' stamp; `speed` is the car's now, m/s;
    `sideways` (C,) says which paths leave their lane.
    """
    vectors = np.concatenate([scene.vectors, sensor.vectors], axis=2)
    halves = np.concatenate([scene.halves, sensor.halves], axis=1)
    measured_s = np.empty(halves.shape[1], np.float32)
    measured_s[: len(scene)] = age_s(stamp_ns, scene.stamp_ns)
    measured_s[len(scene):] = age_s(stamp_ns, sensor.stamp_ns)
    now_s = age_s(stamp_ns, now_ns)
    near = _relevant(paths, vectors, halves, measured_s, now_s, vehicle, settings)
    of_scene = int(np.count_nonzero(near[: len(scene)]))
    if not near.any():
        return _nothing(len(paths.end))
    items = _on_path(
        paths, vectors[:, :, near], halves[:, near], measured_s[near], vehicle, settings
    )
    at = _samples(now_s, settings)
    contact = _along_path(paths, items, at, now_s, vehicle, settings)
    for index in np.flatnonzero(sideways):
        straight = _straight_on(
            paths, int(index), vectors[:, :, near], halves[:, near], measured_s[near], at, now_s,
            vehicle, settings,
        )
        contact[index] = np.minimum(contact[index], straight)
    lead_speed, rss, stop = _lead(paths, items, now_s, speed, vehicle, settings)
    worst, impact, safe = _worst_cases(paths, items, now_s, speed, vehicle, settings)
    never = np.float32(NEVER_S)
    return Approach(
        contact[:, :of_scene].min(axis=1, initial=never),
        contact[:, of_scene:].min(axis=1, initial=never), lead_speed, rss, stop, worst, impact,
        safe,
    )


def _nothing(count: int) -> Approach:
    never = np.full(count, NEVER_S, np.float32)
    far = np.full(count, NOWHERE_M, np.float32)
    zero = np.zeros(count, np.float32)
    return Approach(never, never, zero, far, far, far, zero, far)


def _relevant(
    paths: Paths,
    vectors: FloatArray,
    halves: FloatArray,
    measured_s: FloatArray,
    now_s: float,
    vehicle: VehicleParameters,
    settings: WorldSettings,
) -> npt.NDArray[np.bool_]:
    """(N,): which objects can come into the box around all paths while it matters."""
    ahead_s = now_s + settings.collision_horizon + 0.2 - measured_s
    moves = np.abs(vectors[:, 1]) * ahead_s
    around = moves + halves[0] + halves[1] + np.float32(vehicle.length + vehicle.width)
    position = vectors[:, 0]
    inside = (position + around > paths.low[:, None]) & (position - around < paths.high[:, None])
    near: npt.NDArray[np.bool_] = inside[0] & inside[1]
    if paths.forward:
        # One that does not even catch up with the car where it is now stays behind it.
        front = position[0] + np.maximum(vectors[0, 1], 0.0) * ahead_s + halves[0] + halves[1]
        near &= front > -vehicle.rear_overhang
    return near


def _on_path(
    paths: Paths,
    vectors: FloatArray,
    halves: FloatArray,
    measured_s: FloatArray,
    vehicle: VehicleParameters,
    settings: WorldSettings,
) -> _OnPath:
    s, d, (tx, ty) = paths.project(vectors)
    (_, vx, cos), (_, vy, sin) = vectors
    v_s = vx * tx + vy * ty
    v_d = vy * tx - vx * ty
    v_d *= np.abs(v_d) >= settings.lateral_speed_deadband
    lengthwise = np.abs(cos * tx + sin * ty)
    crosswise = np.abs(sin * tx - cos * ty)
    reach_s = halves[0] * lengthwise + halves[1] * crosswise
    reach_d = halves[0] * crosswise + halves[1] * lengthwise
    return _OnPath(
        s - np.float32(vehicle.centre_offset), d, v_s, v_d,
        reach_s + np.float32(0.5 * vehicle.length),
        reach_d + np.float32(0.5 * vehicle.width + settings.lateral_margin), measured_s,
    )


def _samples(now_s: float, settings: WorldSettings) -> npt.NDArray[np.int64]:
    """Points of the trajectory at which contact is looked for: from now to the horizon."""
    first = max(int(now_s * 10.0), 0)
    last = min(first + int(settings.collision_horizon * 10.0) + 2, POINTS + 1)
    return np.arange(first, last, _SAMPLE)


def _along_path(
    paths: Paths,
    items: _OnPath,
    at: npt.NDArray[np.int64],
    now_s: float,
    vehicle: VehicleParameters,
    settings: WorldSettings,
) -> FloatArray:
    """(C, N): time from now to the first contact that we would cause, s."""
    if not len(at):
        return np.full(items.s.shape, NEVER_S, np.float32)
    elapsed = (at.astype(np.float32) * np.float32(0.1))[:, None] - items.measured_s
    beside = np.abs(items.d[:, None] + items.v_d[:, None] * elapsed) < items.reach_d[:, None]
    apart = items.s[:, None] + items.v_s[:, None] * elapsed
    apart -= paths.arc[:, at, None]
    reach = items.reach_s + np.float32(settings.longitudinal_margin)
    touching = beside & (np.abs(apart) < reach[:, None])
    return _ours(touching, apart, paths.speed[:, at], at, now_s, vehicle)


def _straight_on(
    paths: Paths,
    index: int,
    vectors: FloatArray,
    halves: FloatArray,
    measured_s: FloatArray,
    at: npt.NDArray[np.int64],
    now_s: float,
    vehicle: VehicleParameters,
    settings: WorldSettings,
) -> FloatArray:
    """(N,): the same for one path, where the objects keep their velocity over ground."""
    if not len(at):
        return np.full(len(measured_s), NEVER_S, np.float32)
    elapsed = (at.astype(np.float32) * np.float32(0.1))[:, None] - measured_s
    away = vectors[:, 0, None] + vectors[:, 1, None] * elapsed - paths.points[:, index, at, None]
    cos, sin = np.cos(paths.heading[index, at, None]), np.sin(paths.heading[index, at, None])
    apart = away[0] * cos + away[1] * sin - np.float32(vehicle.centre_offset)
    across = away[1] * cos - away[0] * sin
    lengthwise = np.abs(vectors[0, 2] * cos + vectors[1, 2] * sin)
    crosswise = np.abs(vectors[1, 2] * cos - vectors[0, 2] * sin)
    reach_s = halves[0] * lengthwise + halves[1] * crosswise
    reach_d = halves[0] * crosswise + halves[1] * lengthwise
    touching = np.abs(apart) < reach_s + (0.5 * vehicle.length + settings.longitudinal_margin)
    touching &= np.abs(across) < reach_d + (0.5 * vehicle.width + settings.lateral_margin)
    speed = paths.speed[None, index, at]
    return _ours(touching[None], apart[None], speed, at, now_s, vehicle)[0]


def _ours(
    touching: npt.NDArray[np.bool_],
    apart: FloatArray,
    speed: FloatArray,
    at: npt.NDArray[np.int64],
    now_s: float,
    vehicle: VehicleParameters,
) -> FloatArray:
    """(C, N): time of the first contact where it is our doing, from (C, T, N) and speed (C, T).

    The first contact decides: one from behind is not, nor is one while we stand.
    """
    when = touching.argmax(axis=1)
    rows, columns = np.arange(len(when))[:, None], np.arange(when.shape[1])
    ours = touching[rows, when, columns]
    ours &= apart[rows, when, columns] > -0.5 * vehicle.length
    ours &= speed[rows, when] > _STANDING
    soon = at[when].astype(np.float32) * np.float32(0.1) - np.float32(now_s)
    return np.where(ours, np.maximum(soon, np.float32(0.0)), np.float32(NEVER_S))


def _arc_now(paths: Paths, now_s: float) -> FloatArray:
    return _at(paths.arc, now_s)


def _at(values: FloatArray, time_s: float) -> FloatArray:
    """(C,): (C, 65) values of a path at a time after its stamp."""
    at = min(max(time_s * 10.0, 0.0), POINTS - 0.001)
    low = int(at)
    share = np.float32(at - low)
    return values[:, low] + share * (values[:, low + 1] - values[:, low])


def _lead(
    paths: Paths,
    items: _OnPath,
    now_s: float,
    speed: float,
    vehicle: VehicleParameters,
    settings: WorldSettings,
) -> tuple[FloatArray, FloatArray, FloatArray]:
    """(C,) lead speed, RSS slack and stopping slack: see `Approach`."""
    elapsed = np.float32(now_s) - items.measured_s
    arc = _arc_now(paths, now_s)
    gap = items.s + items.v_s * elapsed - arc[:, None] - items.reach_s
    beside = np.abs(items.d + items.v_d * elapsed) < items.reach_d
    # Past the end of the path the plan itself stops short; contact on the way is judged above.
    on_path = beside & (gap > -items.reach_s) & (gap < (paths.end - arc)[:, None])
    nowhere = np.float32(NOWHERE_M)
    rss = np.where(on_path, gap - rss_distance(speed, items.v_s, settings), nowhere)
    stop = np.where(on_path, gap - stopping_distance(speed, items.v_s, vehicle), nowhere)
    worst = rss.argmin(axis=1)
    rows = np.arange(len(worst))
    return items.v_s[rows, worst], rss[rows, worst], stop.min(axis=1)


def _worst_cases(
    paths: Paths,
    items: _OnPath,
    now_s: float,
    speed: float,
    vehicle: VehicleParameters,
    settings: WorldSettings,
) -> tuple[FloatArray, FloatArray, FloatArray]:
    """(C,) worst slack, cut-in impact and safe speed: see `Approach`."""
    answer, nowhere = answer_of(vehicle, settings), np.float32(NOWHERE_M)
    hardest, margin = settings.lead_deceleration, np.float32(settings.longitudinal_margin)
    elapsed = np.float32(now_s) - items.measured_s
    beside = np.abs(items.d + items.v_d * elapsed) - items.reach_d
    gap = items.s + items.v_s * elapsed - _at(paths.arc, now_s)[:, None] - items.reach_s
    later_s = now_s + settings.worst_case_preview
    ahead_s = np.float32(later_s) - items.measured_s
    reached = _at(paths.arc, later_s)[:, None]
    gap_later = items.s + items.v_s * ahead_s - reached - items.reach_s - margin
    in_lane = (beside < 0.0) & (np.abs(items.d + items.v_d * ahead_s) < items.reach_d)
    in_lane &= (gap > -items.reach_s) & (gap < (paths.end - _at(paths.arc, now_s))[:, None])
    needed = needed_gap(_at(paths.speed, later_s)[:, None], items.v_s, hardest, answer)
    slack = np.where(in_lane, gap_later - needed, nowhere)
    behind_it = speed_for_gap(gap - margin, items.v_s, hardest, answer)

    neighbour = (beside >= 0.0) & (items.v_s > np.abs(items.v_d)) & (items.v_s > _STANDING)
    cut_in_s = time_to_cut_in(beside, items.v_s, settings.cut_in_lateral_speed)
    closing = np.float32(speed) - items.v_s
    impact = cut_in_impact(gap, 2.0 * items.reach_s, closing, cut_in_s, answer)
    impact = np.where(neighbour, impact, np.float32(0.0))
    past_it = speed_for_cut_in(items.v_s, cut_in_s, settings.max_cut_in_impact, answer)
    limited = np.where(impact > settings.max_cut_in_impact, past_it, nowhere)
    limited = np.minimum(limited, np.where(slack < 0.0, behind_it, nowhere))
    return slack.min(axis=1), impact.max(axis=1), limited.min(axis=1)


def rss_distance(speed: float, lead_speed: FloatArray, settings: WorldSettings) -> FloatArray:
    """Gap in m that Autoware's emergency brake asks for, at `speed` behind `lead_speed` in m/s.

    v·t + v²/(2·a_ego) - v_l·|v_l|/(2·a_object) + margin, never below the margin.
    """
    ours = speed * settings.rss_reaction + speed * speed / (2.0 * settings.rss_ego_deceleration)
    theirs = lead_speed * np.abs(lead_speed) / (2.0 * settings.rss_object_deceleration)
    return np.maximum(ours - theirs, np.float32(0.0)) + np.float32(settings.rss_margin)


def stopping_distance(
    speed: float, lead_speed: FloatArray, vehicle: VehicleParameters
) -> FloatArray:
    """Gap in m within which full braking just does not touch one that keeps `lead_speed` in m/s.

    v_r·t + v_r²/(2·a) with the closing speed v_r, the brake's delay and half its build-up as t.
    """
    closing = np.maximum(np.float32(speed) - lead_speed, np.float32(0.0))
    build_up = vehicle.emergency_deceleration / vehicle.emergency_jerk
    delay = vehicle.acceleration_delay + 0.5 * build_up
    braking = closing * closing / np.float32(2.0 * vehicle.emergency_deceleration)
    return closing * np.float32(delay) + braking
