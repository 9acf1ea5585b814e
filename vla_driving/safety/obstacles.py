"""Objects against a trajectory, in the trajectory's own path coordinates.

Each object is projected on the path of the rear axle: arc length s along it, offset d to its left.
It then keeps its velocity along and across the path. On a straight road that is the usual constant
velocity; in a bend a car in the next lane stays in the next lane instead of leaving it straight on.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from vla_driving.contract.clock import Nanoseconds
from vla_driving.contract.motion import PoseChange
from vla_driving.contract.scene import MAX_OBJECTS, SceneObject
from vla_driving.contract.vehicle import VehicleParameters
from vla_driving.safety.candidates import Batch
from vla_driving.safety.settings import WorldSettings

FloatArray = npt.NDArray[np.float32]

NEVER_S = 99.0
"""Time to collision where there is none, s."""
NOWHERE_M = 999.0
"""Distance where there is nothing, m."""

_MIN_SIZE = 0.3
"""m. Smaller objects are taken as this large: detectors report points with no extent."""
_STRIDE = 4
"""Every fourth point carries the path: chords of 0.4 s, 0.06 m off at 3 m/s² sideways."""
_BEFORE = 60.0
_BEYOND = 200.0
"""m. The path is carried on straight so far behind the car and past its last point."""
_STANDING = 0.3
"""m/s. Slower, it is the other one who runs into us."""


@dataclass(frozen=True, eq=False)
class Objects:
    """(N,) each, measured at `stamp_ns`: m, m/s, half sizes in m, heading as cos and sin.

    In base_link at that instant, until `moved` to another. `malformed` counts what was left out for
    a number that is not finite.
    """

    stamp_ns: Nanoseconds
    x: FloatArray
    y: FloatArray
    cos: FloatArray
    sin: FloatArray
    velocity_x: FloatArray
    velocity_y: FloatArray
    half_length: FloatArray
    half_width: FloatArray
    malformed: int

    def __len__(self) -> int:
        return len(self.x)


def objects(
    stamp_ns: Nanoseconds, listed: tuple[SceneObject, ...], min_probability: float
) -> Objects:
    """Arrays of the likely and finite objects, at most the nearest `MAX_OBJECTS`."""
    table = np.array(
        [
            (o.probability, o.x, o.y, o.heading, o.velocity_x, o.velocity_y, o.length, o.width)
            for o in listed
        ],
        np.float32,
    ).reshape(-1, 8)
    finite = np.isfinite(table).all(axis=1)
    kept = table[finite & (table[:, 0] >= min_probability)]
    if len(kept) > MAX_OBJECTS:
        order = np.argsort(np.hypot(kept[:, 1], kept[:, 2]), kind="stable")
        kept = kept[order[:MAX_OBJECTS]]
    _, x, y, heading, vx, vy, length, width = kept.T
    return Objects(
        stamp_ns, x, y, np.cos(heading), np.sin(heading), vx, vy,
        0.5 * np.maximum(length, _MIN_SIZE), 0.5 * np.maximum(width, _MIN_SIZE),
        int(len(table) - finite.sum()),
    )


def no_objects(stamp_ns: Nanoseconds) -> Objects:
    """An empty list."""
    return objects(stamp_ns, (), 0.0)


def moved(items: Objects, change: PoseChange) -> Objects:
    """The same objects at the same instant, in the base_link that `change` leads to."""
    pairs = (
        change.to_second(items.x, items.y),
        change.turn_to_second(items.velocity_x, items.velocity_y),
        change.turn_to_second(items.cos, items.sin),
    )
    x, y, vx, vy, cos, sin = (values.astype(np.float32) for pair in pairs for values in pair)
    return replace(items, x=x, y=y, cos=cos, sin=sin, velocity_x=vx, velocity_y=vy)


@dataclass(frozen=True, eq=False)
class Approach:
    """Per candidate, (C,) each.

    `collision_s`: time from now to the first contact we would cause, NEVER_S for none. `gap`: from
    our front to the object on the path that limits us most, m; `lead_speed`: its speed along the
    path, m/s; `needed_rss` and `needed_stop`: gaps that the two distance formulas ask for there.
    """

    collision_s: FloatArray
    gap: FloatArray
    lead_speed: FloatArray
    needed_rss: FloatArray
    needed_stop: FloatArray


class Paths:
    """The paths of a batch, with what is needed to project objects on them."""

    def __init__(self, batch: Batch) -> None:
        zeros = np.zeros((len(batch), 1), np.float32)
        x = np.concatenate([zeros, batch.x.astype(np.float32)], axis=1)
        y = np.concatenate([zeros, batch.y.astype(np.float32)], axis=1)
        self.arc = np.zeros_like(x)
        np.cumsum(np.hypot(np.diff(x, axis=1), np.diff(y, axis=1)), axis=1, out=self.arc[:, 1:])
        last = batch.heading[:, -1].astype(np.float32)
        self.x = _extended(x, np.ones_like(last), np.cos(last))
        self.y = _extended(y, np.zeros_like(last), np.sin(last))
        knots = self.arc[:, ::_STRIDE]
        self.knots = np.concatenate([knots[:, :1] - _BEFORE, knots], axis=1)
        self.end = self.arc[:, -1]
        self.speed = batch.speed.astype(np.float32)

    def project(
        self, items: Objects
    ) -> tuple[FloatArray, FloatArray, FloatArray, FloatArray]:
        """s, d and the tangent's cos and sin, each (C, N), at the nearest point of each path."""
        ax, ay = self.x[:, :-1, None], self.y[:, :-1, None]
        ex, ey = np.diff(self.x, axis=1)[:, :, None], np.diff(self.y, axis=1)[:, :, None]
        length = np.maximum(np.hypot(ex, ey), 1e-4)
        tx, ty = ex / length, ey / length
        rx, ry = items.x - ax, items.y - ay
        along = rx * tx + ry * ty
        inside = np.clip(along, 0.0, length)
        across = ry * tx - rx * ty
        off = along - inside
        # A chord of no length has no direction; it must not be the nearest one.
        distance = off * off + across * across + np.where(length > 1e-3, 0.0, 1e9)
        nearest = distance.argmin(axis=1)
        rows, columns = np.arange(len(tx))[:, None], np.arange(len(items))
        s = self.knots[rows, nearest] + along[rows, nearest, columns]
        return s, across[rows, nearest, columns], tx[rows, nearest, 0], ty[rows, nearest, 0]


def _extended(values: FloatArray, first: FloatArray, last: FloatArray) -> FloatArray:
    knots = values[:, ::_STRIDE]
    before = knots[:, 0] - _BEFORE * first
    beyond = knots[:, -1] + _BEYOND * last
    return np.concatenate([before[:, None], knots, beyond[:, None]], axis=1)


def approach(
    paths: Paths,
    items: Objects,
    measured_s: float,
    now_s: float,
    speed: float,
    vehicle: VehicleParameters,
    settings: WorldSettings,
) -> Approach:
    """How near the objects come while the car follows each path.

    `measured_s` and `now_s` are the instants of the objects and of now, after the plan's stamp;
    `speed` is the car's now, m/s.
    """
    count = len(paths.end)
    if not len(items) or not count:
        return _nothing(count)
    s, d, tx, ty = paths.project(items)
    v_s = items.velocity_x * tx + items.velocity_y * ty
    v_d = items.velocity_y * tx - items.velocity_x * ty
    v_d = v_d * (np.abs(v_d) >= settings.lateral_speed_deadband)
    cos = np.abs(items.cos * tx + items.sin * ty)
    sin = np.abs(items.sin * tx - items.cos * ty)
    reach_s = items.half_length * cos + items.half_width * sin + np.float32(0.5 * vehicle.length)
    reach_d = items.half_length * sin + items.half_width * cos + np.float32(0.5 * vehicle.width)
    reach_d = reach_d + np.float32(settings.lateral_margin)
    s = s - np.float32(vehicle.centre_offset)
    collision = _first_contact(
        paths, s, d, v_s, v_d, reach_s, reach_d, measured_s, now_s, vehicle, settings
    )
    elapsed = np.float32(now_s - measured_s)
    ahead: FloatArray = s + v_s * elapsed - _arc_now(paths, now_s)[:, None]
    beside = np.abs(d + v_d * elapsed) < reach_d
    return _lead(paths, ahead, reach_s, v_s, beside, now_s, speed, vehicle, settings, collision)


def _nothing(count: int) -> Approach:
    far = np.full(count, NOWHERE_M, np.float32)
    zero = np.zeros(count, np.float32)
    return Approach(np.full(count, NEVER_S, np.float32), far, zero, zero, zero)


def _first_contact(
    paths: Paths,
    s: FloatArray,
    d: FloatArray,
    v_s: FloatArray,
    v_d: FloatArray,
    reach_s: FloatArray,
    reach_d: FloatArray,
    measured_s: float,
    now_s: float,
    vehicle: VehicleParameters,
    settings: WorldSettings,
) -> FloatArray:
    first = max(int(now_s * 10.0), 0)
    last = min(first + int(settings.collision_horizon * 10.0) + 2, paths.arc.shape[1])
    times = np.arange(first, last, dtype=np.float32) * np.float32(0.1)
    if not len(times):
        return np.full(len(s), NEVER_S, np.float32)
    elapsed = times[:, None] - np.float32(measured_s)
    beside = np.abs(d[:, None] + v_d[:, None] * elapsed) < reach_d[:, None]
    apart = s[:, None] + v_s[:, None] * elapsed - paths.arc[:, first:last, None]
    reach = reach_s + np.float32(settings.longitudinal_margin)
    touching = beside & (np.abs(apart) < reach[:, None])
    when = touching.argmax(axis=1)
    rows, columns = np.arange(len(s))[:, None], np.arange(s.shape[1])
    # First contact decides whose doing it is: from behind, or while we stand, it is not ours.
    ours = touching[rows, when, columns]
    ours &= apart[rows, when, columns] > -0.5 * vehicle.length
    speeds = paths.speed[:, np.maximum(np.arange(first, last) - 1, 0)]
    ours &= speeds[rows, when] > _STANDING
    seconds = np.where(ours, times[when] - np.float32(now_s), np.float32(NEVER_S)).min(axis=1)
    return np.maximum(seconds, np.float32(0.0))


def _arc_now(paths: Paths, now_s: float) -> FloatArray:
    at = min(max(now_s * 10.0, 0.0), paths.arc.shape[1] - 1.001)
    low = int(at)
    share = np.float32(at - low)
    return paths.arc[:, low] + share * (paths.arc[:, low + 1] - paths.arc[:, low])


def _lead(
    paths: Paths,
    ahead: FloatArray,
    reach_s: FloatArray,
    v_s: FloatArray,
    beside: npt.NDArray[np.bool_],
    now_s: float,
    speed: float,
    vehicle: VehicleParameters,
    settings: WorldSettings,
    collision: FloatArray,
) -> Approach:
    gap: FloatArray = ahead - reach_s
    on_path = beside & (ahead > 0.0)
    # Past the end of the path the plan itself stops short: contact on the way is judged above.
    on_path &= gap < (paths.end - _arc_now(paths, now_s))[:, None]
    rss = rss_distance(speed, v_s, settings)
    stop = stopping_distance(speed, v_s, vehicle)
    slack = np.where(on_path, gap - rss, np.float32(NOWHERE_M))
    worst = slack.argmin(axis=1)[:, None]
    found = np.take_along_axis(on_path, worst, 1)[:, 0]

    def pick(values: FloatArray, otherwise: float) -> FloatArray:
        picked = np.take_along_axis(values, worst, 1)[:, 0]
        return np.where(found, picked, np.float32(otherwise)).astype(np.float32)

    tightest: FloatArray = np.where(on_path, gap - stop, np.float32(NOWHERE_M)).min(axis=1)
    needed_stop = np.where(found, pick(gap, NOWHERE_M) - tightest, np.float32(0.0))
    return Approach(collision, pick(gap, NOWHERE_M), pick(v_s, 0.0), pick(rss, 0.0), needed_stop)


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
