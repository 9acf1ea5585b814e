"""Objects against a trajectory, in the trajectory's own path coordinates.

Each object is projected on the path of the rear axle: arc length s along it, offset d to its left.
It then keeps its velocity along and across the path. On a straight road that is the usual constant
velocity; in a bend a car in the next lane stays in the next lane instead of leaving it straight on.
Where the plan moves sideways on the road (a lane change) the others do not follow its path: there
they are also taken to drive straight on, and the sooner contact counts.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from vla_driving.contract.clock import Nanoseconds, age_s
from vla_driving.contract.motion import PoseChange
from vla_driving.contract.scene import MAX_OBJECTS, table_of
from vla_driving.contract.trajectory import POINTS
from vla_driving.contract.vehicle import VehicleParameters
from vla_driving.safety.compiled import compiled, least, part
from vla_driving.safety.contacts import NEVER_S, STANDING, along_path, straight_on, turns
from vla_driving.safety.counterfactuals import (
    Answer,
    answer_of,
    braking_distance,
    cut_in_impact,
    needed_gap,
    speed_for_cut_in,
    speed_for_gap,
    time_to_cut_in,
)
from vla_driving.safety.measures import Measures, measures
from vla_driving.safety.paths import (
    ARC,
    SPEED,
    OnPath,
    Paths,
    X,
    Y,
    at_time,
    nearest_chords,
    place,
    place_on,
)
from vla_driving.safety.settings import WorldSettings

FloatArray = npt.NDArray[np.float64]

NOWHERE_M = 999.0
"""Distance where there is nothing, m."""
_SCENE, _SENSOR, _LEAD_SPEED, _RSS, _STOP, _WORST, _IMPACT, _SAFE = range(8)
"""Fields of `Approach`."""

_MIN_SIZE = 0.3
"""m. Smaller objects are taken as this large: detectors report points with no extent."""
_NEAREST = 0.1
"""m. Nearer, the direction of an object means nothing."""


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
    stamp_ns: Nanoseconds, table: npt.NDArray[np.float32], min_probability: float
) -> Objects:
    """Arrays of the likely and finite objects, at most the nearest `MAX_OBJECTS`.

    `table` is that of `contract.scene.table_of`.
    """
    # As the comparison with a number in single precision is made.
    least_probability = float(np.float32(min_probability))
    return Objects(stamp_ns, *_likely(table.astype(np.float64), least_probability))


@compiled(np.zeros((1, 10)), 0.0)
def _likely(
    table: FloatArray, min_probability: float
) -> tuple[FloatArray, FloatArray, int]:
    """Vectors, halves and the number of malformed ones of `Objects`."""
    kept, distance = np.empty(len(table), np.intp), np.empty(len(table))
    count, malformed = 0, 0
    for n in range(len(table)):
        finite = True
        for k in range(1, 9):
            finite = finite and np.isfinite(table[n, k])
        if not finite:
            malformed += 1
        elif table[n, 1] >= min_probability:
            kept[count], distance[count] = n, np.hypot(table[n, 2], table[n, 3])
            count += 1
    kept = kept[:count]
    if count > MAX_OBJECTS:
        nearest = np.argsort(distance[:count], kind="mergesort")
        kept = kept[nearest[:MAX_OBJECTS]]
    vectors, halves = np.empty((2, 3, len(kept))), np.empty((2, len(kept)))
    for i in range(len(kept)):
        _, _, x, y, heading, speed_x, speed_y, length, width, _ = table[kept[i]]
        vectors[0, 0, i], vectors[1, 0, i] = x, y
        vectors[0, 1, i], vectors[1, 1, i] = speed_x, speed_y
        vectors[0, 2, i], vectors[1, 2, i] = np.cos(heading), np.sin(heading)
        halves[0, i], halves[1, i] = 0.5 * max(length, _MIN_SIZE), 0.5 * max(width, _MIN_SIZE)
    return vectors, halves, malformed


def no_objects(stamp_ns: Nanoseconds) -> Objects:
    """An empty list."""
    return objects(stamp_ns, table_of(()), 0.0)


def moved(items: Objects, change: PoseChange) -> Objects:
    """The same objects at the same instant, in the base_link that `change` leads to."""
    vectors = _turned(items.vectors, change.dx, change.dy, change.dyaw)
    return Objects(items.stamp_ns, vectors, items.halves, items.malformed)


@compiled(np.zeros((2, 3, 1)), 0.0, 0.0, 0.0)
def _turned(vectors: FloatArray, dx: float, dy: float, dyaw: float) -> FloatArray:
    """The (2, 3, N) vectors, places moved by the way and all turned by the angle."""
    cos, sin = np.cos(dyaw), np.sin(dyaw)
    found = np.empty_like(vectors)
    for k in range(3):
        for n in range(vectors.shape[2]):
            x, y = vectors[0, k, n], vectors[1, k, n]
            if k == 0:
                x, y = x - dx, y - dy
            found[0, k, n], found[1, k, n] = cos * x + sin * y, cos * y - sin * x
    return found


def with_measured_velocity(scene: Objects, sensor: Objects, apart: float) -> Objects:
    """The scene, each object that the sensor sees as well with the velocity that it measures.

    A model may guess speeds from a single picture; a radar measures them. Two are the same where
    one lies on the other as seen from the car, and no further than `apart` m and half a length
    before or behind it: pictures tell directions better than distances. Both lists are in one
    frame. The place stays the model's; an object that the sensor does not see stays as it is.
    """
    if not len(scene) or not len(sensor):
        return scene
    vectors = scene.vectors.copy()
    _take_velocities(vectors, sensor.vectors, sensor.halves, apart)
    return Objects(scene.stamp_ns, vectors, scene.halves, scene.malformed)


@compiled(np.zeros((2, 3, 1)), np.zeros((2, 3, 1)), np.zeros((2, 1)), 0.0)
def _take_velocities(
    scene: FloatArray, sensor: FloatArray, halves: FloatArray, apart: float
) -> None:
    """Write into the scene's (2, 3, N) vectors what `with_measured_velocity` says."""
    distance = np.maximum(np.hypot(sensor[0, 0], sensor[1, 0]), _NEAREST)
    cos, sin = sensor[0, 0] / distance, sensor[1, 0] / distance
    far = cos * sensor[0, 0] + sin * sensor[1, 0]
    for i in range(scene.shape[2]):
        x, y, least = scene[0, 0, i], scene[1, 0, i], np.inf
        for j in range(sensor.shape[2]):
            across = abs(y * cos[j] - x * sin[j])
            along = abs(x * cos[j] + y * sin[j] - far[j])
            fits = across <= halves[1, j] and along <= halves[0, j] + apart
            if fits and along + across < least:
                least = along + across
                scene[0, 1, i], scene[1, 1, i] = sensor[0, 1, j], sensor[1, 1, j]


def missing(known: Objects, other: Objects, paths: Paths, width: float, apart: float) -> float:
    """How far along the first path the nearest object lies that the other list lacks, m; or inf.

    On the path is what a car of that `width` would touch. Two are the same that are no further
    apart than `apart` m and the size of the known one. Both lists are in the path's frame.
    """
    return _missing(
        paths.ways, paths.chords, known.vectors, known.halves, other.vectors, 0.5 * width, apart
    )


@compiled(
    np.zeros((1, 5, POINTS + 1)), np.zeros((1, 1, 6)), np.zeros((2, 3, 1)), np.zeros((2, 1)),
    np.zeros((2, 3, 1)), 0.0, 0.0,
)
def _missing(
    ways: FloatArray, chords: FloatArray, known: FloatArray, halves: FloatArray,
    other: FloatArray, half_width: float, apart: float,
) -> float:
    nearest = np.inf
    for n in range(known.shape[2]):
        x, y = known[0, 0, n], known[1, 0, n]
        s, d, _, _ = place(chords[0], x, y)
        if abs(d) >= halves[1, n] + half_width or not 0.0 < s < min(ways[0, ARC, POINTS], nearest):
            continue
        same = halves[0, n] + halves[1, n] + apart
        seen = False
        for j in range(other.shape[2]):
            seen = seen or np.hypot(x - other[0, 0, j], y - other[1, 0, j]) <= same
        if not seen:
            nearest = s
    return nearest


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


class Surroundings:
    """What comes near one car: its numbers and those of its settings are gathered once."""

    def __init__(self, vehicle: VehicleParameters, settings: WorldSettings) -> None:
        self._car, self._answer = measures(vehicle, settings), answer_of(vehicle, settings)

    def approach(
        self,
        paths: Paths,
        scene: Objects,
        sensor: Objects,
        stamp_ns: Nanoseconds,
        now_ns: Nanoseconds,
        speed: float,
        sideways: npt.NDArray[np.bool_],
    ) -> Approach:
        """How near the objects come while the car follows each path.

        Both lists are in base_link at `stamp_ns`, the paths' stamp; `speed` is the car's now, m/s;
        `sideways` (C,) says which paths leave their lane.
        """
        return Approach(
            *_approach(
                paths.ways, paths.chords, paths.forward, scene.vectors, scene.halves,
                age_s(stamp_ns, scene.stamp_ns), sensor.vectors, sensor.halves,
                age_s(stamp_ns, sensor.stamp_ns), age_s(stamp_ns, now_ns), float(speed), sideways,
                self._car, self._answer,
            )
        )


@part
def _relevant(
    ways: FloatArray, forward: bool, vectors: FloatArray, halves: FloatArray,
    measured_s: FloatArray, now_s: float, car: Measures,
) -> npt.NDArray[np.intp]:
    """Which objects can come into the box around all paths while it matters."""
    low_x, high_x = ways[:, X].min(), ways[:, X].max()
    low_y, high_y = ways[:, Y].min(), ways[:, Y].max()
    near, count = np.empty(len(measured_s), np.intp), 0
    for n in range(len(measured_s)):
        ahead_s = now_s + car.collision_horizon + 0.2 - measured_s[n]
        size = halves[0, n] + halves[1, n]
        x, y = vectors[0, 0, n], vectors[1, 0, n]
        around_x = abs(vectors[0, 1, n]) * ahead_s + size + car.length + car.width
        around_y = abs(vectors[1, 1, n]) * ahead_s + size + car.length + car.width
        # One that does not even catch up with the car where it is now stays behind it.
        front = x + max(vectors[0, 1, n], 0.0) * ahead_s + size
        if (
            low_x < x + around_x and x - around_x < high_x
            and low_y < y + around_y and y - around_y < high_y
            and (front > -car.rear_overhang or not forward)
        ):
            near[count] = n
            count += 1
    return near[:count]


@part
def _on_path(
    chord: FloatArray, vectors: FloatArray, halves: FloatArray, measured_s: FloatArray, n: int,
    car: Measures,
) -> OnPath:
    """Object `n` in the coordinates of a path, whose nearest chord is given."""
    s, d, tx, ty = place_on(chord, vectors[0, 0, n], vectors[1, 0, n])
    vx, vy, cos, sin = vectors[0, 1, n], vectors[1, 1, n], vectors[0, 2, n], vectors[1, 2, n]
    v_d = vy * tx - vx * ty
    lengthwise, crosswise = abs(cos * tx + sin * ty), abs(sin * tx - cos * ty)
    reach_s = halves[0, n] * lengthwise + halves[1, n] * crosswise
    reach_d = halves[0, n] * crosswise + halves[1, n] * lengthwise
    return OnPath(
        s - car.centre_offset, d, vx * tx + vy * ty,
        v_d if abs(v_d) >= car.lateral_speed_deadband else 0.0, reach_s + 0.5 * car.length,
        reach_d + 0.5 * car.width + car.lateral_margin, measured_s[n],
    )


@part
def _distances(
    row: FloatArray, way: FloatArray, item: OnPath, now_s: float, speed: float, car: Measures,
    answer: Answer,
) -> None:
    """Take one object into the distances of a path, and into what the worst cases leave of them."""
    elapsed = now_s - item.measured_s
    beside = abs(item.d + item.v_d * elapsed) - item.reach_d
    arc = at_time(way[ARC], now_s)
    gap = item.s + item.v_s * elapsed - arc - item.reach_s
    # Past the end of the path the plan itself stops short; contact on the way is judged above.
    if beside < 0.0 and -item.reach_s < gap < way[ARC, POINTS] - arc:
        _ahead(row, way, item, gap, now_s, speed, car, answer)
    closing = speed - item.v_s
    neighbour = beside >= 0.0 and item.v_s > abs(item.v_d) and item.v_s > STANDING
    # Farther away, or not slower than we are, one is never touched.
    if neighbour and closing > 0.0 and gap < braking_distance(closing, answer):
        cut_in_s = time_to_cut_in(beside, item.v_s, car.cut_in_lateral_speed)
        impact = cut_in_impact(gap, 2.0 * item.reach_s, closing, cut_in_s, answer)
        row[_IMPACT] = max(row[_IMPACT], impact)
        if impact > car.max_cut_in_impact:
            past_it = speed_for_cut_in(item.v_s, cut_in_s, car.max_cut_in_impact, answer)
            row[_SAFE] = min(row[_SAFE], past_it)


@part
def _ahead(
    row: FloatArray, way: FloatArray, item: OnPath, gap: float, now_s: float, speed: float,
    car: Measures, answer: Answer,
) -> None:
    """The same for one that is in the way: it brakes as it may, and as hard as it can."""
    # Who crosses rather than approaches has left the path before the distance formula's end.
    crosses = abs(item.v_d) > abs(item.v_s) or _leaves(item, gap, now_s, speed)
    towards = max(item.v_s, 0.0) if crosses else item.v_s
    rss = gap - rss_distance(speed, towards, car)
    if not rss >= row[_RSS]:
        row[_LEAD_SPEED] = item.v_s
    row[_RSS] = least(row[_RSS], rss)
    row[_STOP] = least(row[_STOP], gap - stopping_distance(speed, item.v_s, car))
    later_s = now_s + car.worst_case_preview
    ahead_s = later_s - item.measured_s
    if abs(item.d + item.v_d * ahead_s) < item.reach_d:
        reached = at_time(way[ARC], later_s)
        left = item.s + item.v_s * ahead_s - reached - item.reach_s - car.longitudinal_margin
        hardest = car.lead_deceleration
        slack = left - needed_gap(at_time(way[SPEED], later_s), item.v_s, hardest, answer)
        row[_WORST] = least(row[_WORST], slack)
        if slack < 0.0:
            safe = speed_for_gap(gap - car.longitudinal_margin, item.v_s, hardest, answer)
            row[_SAFE] = min(row[_SAFE], safe)


@part
def _leaves(item: OnPath, gap: float, now_s: float, speed: float) -> bool:
    """Whether one that comes towards us is beside the path before we meet, at the speeds of now."""
    d = item.d + item.v_d * (now_s - item.measured_s)
    left = item.reach_d - np.sign(item.v_d) * d
    return left * (speed - item.v_s) < gap * abs(item.v_d)


@part
def rss_distance(speed: float, lead_speed: float, car: Measures) -> float:
    """Gap in m that Autoware's emergency brake asks for, at `speed` behind `lead_speed` in m/s.

    v·t + v²/(2·a_ego) - v_l·|v_l|/(2·a_object) + margin, never below the margin.
    """
    ours = speed * car.rss_reaction + speed * speed / (2.0 * car.rss_ego_deceleration)
    theirs = lead_speed * abs(lead_speed) / (2.0 * car.rss_object_deceleration)
    return max(ours - theirs, 0.0) + car.rss_margin


@part
def stopping_distance(speed: float, lead_speed: float, car: Measures) -> float:
    """Gap in m within which full braking just does not touch one that keeps `lead_speed` in m/s.

    v_r·t + v_r²/(2·a) with the closing speed v_r, the brake's delay and half its build-up as t.
    """
    closing = max(speed - lead_speed, 0.0)
    return closing * car.brake_delay + closing * closing / (2.0 * car.emergency_deceleration)


@compiled(
    np.zeros((1, 5, POINTS + 1)), np.zeros((1, 1, 6)), True, np.zeros((2, 3, 1)), np.zeros((2, 1)),
    0.0, np.zeros((2, 3, 1)), np.zeros((2, 1)), 0.0, 0.0, 0.0, np.zeros(1, np.bool_),
    Measures(*[0.0] * len(Measures._fields)), Answer(0.0, 0.0),
)
def _approach(
    ways: FloatArray, chords: FloatArray, forward: bool, scene: FloatArray,
    scene_halves: FloatArray, scene_s: float, sensor: FloatArray, sensor_halves: FloatArray,
    sensor_s: float, now_s: float, speed: float, sideways: npt.NDArray[np.bool_], car: Measures,
    answer: Answer,
) -> FloatArray:
    """(8, C): rows as the fields of `Approach`."""
    of_scene, count = scene.shape[2], scene.shape[2] + sensor.shape[2]
    vectors, halves, measured_s = np.empty((2, 3, count)), np.empty((2, count)), np.empty(count)
    vectors[:, :, :of_scene], vectors[:, :, of_scene:] = scene, sensor
    halves[:, :of_scene], halves[:, of_scene:] = scene_halves, sensor_halves
    measured_s[:of_scene], measured_s[of_scene:] = scene_s, sensor_s
    found = np.empty((8, len(ways)))
    near = _relevant(ways, forward, vectors, halves, measured_s, now_s, car)
    x, y = vectors[0, 0][near], vectors[1, 0][near]
    for c in range(len(ways)):
        way, row = ways[c], found[:, c]
        row[_SCENE], row[_SENSOR], row[_LEAD_SPEED], row[_IMPACT] = NEVER_S, NEVER_S, 0.0, 0.0
        row[_RSS], row[_STOP], row[_WORST], row[_SAFE] = NOWHERE_M, NOWHERE_M, NOWHERE_M, NOWHERE_M
        turned = turns(way) if sideways[c] else way[:2]
        nearest = nearest_chords(chords[c], x, y)
        for i in range(len(near)):
            n = near[i]
            item = _on_path(chords[c, nearest[i]], vectors, halves, measured_s, n, car)
            contact = along_path(way, item, now_s, car)
            if sideways[c]:
                straight = straight_on(way, turned, vectors, halves, n, measured_s[n], now_s, car)
                contact = min(contact, straight)
            source = _SCENE if n < of_scene else _SENSOR
            row[source] = least(row[source], contact)
            _distances(row, way, item, now_s, speed, car, answer)
    return found
