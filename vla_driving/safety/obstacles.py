"""Objects against a trajectory, in the trajectory's own path coordinates.

Each object is projected on the path of the rear axle: arc length s along it, offset d to its left.
It then keeps its velocity along and across the path. On a straight road that is the usual constant
velocity; in a bend a car in the next lane stays in the next lane instead of leaving it straight on.
Where the plan moves sideways on the road (a lane change) the others do not follow its path: there
they are also taken to drive straight on, and the sooner contact counts.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from vla_driving.contract.clock import Nanoseconds, age_s
from vla_driving.contract.motion import PoseChange
from vla_driving.contract.scene import MAX_OBJECTS, table_of
from vla_driving.contract.vehicle import VehicleParameters
from vla_driving.safety.contacts import (
    NEVER_S,
    STANDING,
    along_path,
    samples,
    straight_on,
)
from vla_driving.safety.counterfactuals import (
    answer_of,
    braking_distance,
    cut_in_impact,
    needed_gap,
    speed_for_cut_in,
    speed_for_gap,
    time_to_cut_in,
)
from vla_driving.safety.paths import OnPath, Paths, on_path
from vla_driving.safety.settings import WorldSettings

FloatArray = npt.NDArray[np.float32]

NOWHERE_M = 999.0
"""Distance where there is nothing, m."""

_MIN_SIZE = 0.3
"""m. Smaller objects are taken as this large: detectors report points with no extent."""


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
    stamp_ns: Nanoseconds, table: FloatArray, min_probability: float
) -> Objects:
    """Arrays of the likely and finite objects, at most the nearest `MAX_OBJECTS`.

    `table` is that of `contract.scene.table_of`.
    """
    numbers = table[:, 1:9]
    finite = np.isfinite(numbers).all(axis=1)
    kept = numbers[finite & (numbers[:, 0] >= min_probability)]
    if len(kept) > MAX_OBJECTS:
        order = np.argsort(np.hypot(kept[:, 1], kept[:, 2]), kind="stable")
        kept = kept[order[:MAX_OBJECTS]]
    vectors = np.empty((2, 3, len(kept)), np.float32)
    vectors[:, 0], vectors[:, 1] = kept[:, 1:3].T, kept[:, 4:6].T
    np.cos(kept[:, 3], out=vectors[0, 2])
    np.sin(kept[:, 3], out=vectors[1, 2])
    halves = np.float32(0.5) * np.maximum(kept[:, 6:8].T, np.float32(_MIN_SIZE))
    return Objects(stamp_ns, vectors, halves, int(len(table) - finite.sum()))


def no_objects(stamp_ns: Nanoseconds) -> Objects:
    """An empty list."""
    return objects(stamp_ns, table_of(()), 0.0)


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
    distance = np.maximum(np.hypot(places[0], places[1]), np.float32(0.1))
    (x, y), seen = places / distance, scene.vectors[:, 0].T
    along = np.abs(seen @ np.stack([x, y]) - (x * places[0] + y * places[1]))
    across = np.abs(seen @ np.stack([-y, x]))
    fits = (across <= sensor.halves[1]) & (along <= sensor.halves[0] + apart)
    along += across
    along += ~fits * np.float32(NOWHERE_M)
    nearest = along.argmin(axis=1)
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
    vectors, halves, measured_s = vectors[:, :, near], halves[:, near], measured_s[near]
    items = on_path(paths, vectors, halves, measured_s, vehicle, settings)
    at = samples(now_s, settings)
    contact = along_path(paths, items, at, now_s, vehicle, settings)
    if sideways.any():
        straight = straight_on(
            paths, sideways, vectors, halves, measured_s, at, now_s, vehicle, settings
        )
        contact = np.minimum(contact, straight)
    elapsed = np.float32(now_s) - measured_s
    beside = np.abs(items.d + items.v_d * elapsed) - items.reach_d
    arc = paths.at(paths.arc, now_s)
    gap = items.s + items.v_s * elapsed - arc - items.reach_s
    # Past the end of the path the plan itself stops short; contact on the way is judged above.
    in_lane = (beside < 0.0) & (gap > -items.reach_s) & (gap < paths.end[:, None] - arc)
    lead_speed, rss, stop = _lead(items, gap, in_lane, speed, vehicle, settings)
    worst, impact, safe = _worst_cases(
        paths, items, gap, beside, in_lane, now_s, speed, vehicle, settings
    )
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


def _lead(
    items: OnPath,
    gap: FloatArray,
    in_lane: npt.NDArray[np.bool_],
    speed: float,
    vehicle: VehicleParameters,
    settings: WorldSettings,
) -> tuple[FloatArray, FloatArray, FloatArray]:
    """(C,) lead speed, RSS slack and stopping slack: see `Approach`."""
    nowhere = np.float32(NOWHERE_M)
    if not in_lane.any():
        far = np.full(len(gap), nowhere)
        return np.zeros_like(far), far, far
    # Who crosses rather than approaches has left the path before the distance formula's end.
    crosses = np.abs(items.v_d) > np.abs(items.v_s)
    towards = np.where(crosses, np.maximum(items.v_s, np.float32(0.0)), items.v_s)
    rss = np.where(in_lane, gap - rss_distance(speed, towards, settings), nowhere)
    stop = np.where(in_lane, gap - stopping_distance(speed, items.v_s, vehicle), nowhere)
    worst = rss.argmin(axis=1)
    rows = np.arange(len(worst))
    return items.v_s[rows, worst], rss[rows, worst], stop.min(axis=1)


def _worst_cases(
    paths: Paths,
    items: OnPath,
    gap: FloatArray,
    beside: FloatArray,
    in_lane: npt.NDArray[np.bool_],
    now_s: float,
    speed: float,
    vehicle: VehicleParameters,
    settings: WorldSettings,
) -> tuple[FloatArray, FloatArray, FloatArray]:
    """(C,) worst slack, cut-in impact and safe speed: see `Approach`."""
    answer, nowhere = answer_of(vehicle, settings), np.float32(NOWHERE_M)
    hardest, margin = settings.lead_deceleration, np.float32(settings.longitudinal_margin)
    later_s = now_s + settings.worst_case_preview
    ahead_s = np.float32(later_s) - items.measured_s
    reached = paths.at(paths.arc, later_s)
    gap_later = items.s + items.v_s * ahead_s - reached - items.reach_s - margin
    stays = in_lane & (np.abs(items.d + items.v_d * ahead_s) < items.reach_d)
    needed = needed_gap(paths.at(paths.speed, later_s), items.v_s, hardest, answer)
    slack = np.where(stays, gap_later - needed, nowhere)
    safe = np.full(slack.shape, nowhere)
    c, n = np.nonzero(slack < 0.0)
    if len(c):
        safe[c, n] = speed_for_gap(gap[c, n] - margin, items.v_s[c, n], hardest, answer)

    impact = np.zeros(slack.shape, np.float32)
    closing = np.float32(speed) - items.v_s
    neighbour = (beside >= 0.0) & (items.v_s > np.abs(items.v_d)) & (items.v_s > STANDING)
    # Farther away, or not slower than we are, one is never touched.
    neighbour &= (closing > 0.0) & (gap < braking_distance(closing, answer))
    c, n = np.nonzero(neighbour)
    if len(c):
        other_speed = items.v_s[c, n]
        cut_in_s = time_to_cut_in(beside[c, n], other_speed, settings.cut_in_lateral_speed)
        hit = cut_in_impact(gap[c, n], 2.0 * items.reach_s[c, n], closing[c, n], cut_in_s, answer)
        impact[c, n] = hit
        past_it = speed_for_cut_in(other_speed, cut_in_s, settings.max_cut_in_impact, answer)
        harmful = hit > settings.max_cut_in_impact
        safe[c, n] = np.minimum(safe[c, n], np.where(harmful, past_it, nowhere))
    return slack.min(axis=1), impact.max(axis=1), safe.min(axis=1)


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
