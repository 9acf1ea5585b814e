"""When the car would first touch an object, tried exactly only for pairs that can meet at all."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from vla_driving.contract.trajectory import POINTS
from vla_driving.contract.vehicle import VehicleParameters
from vla_driving.safety.paths import OnPath, Paths
from vla_driving.safety.settings import WorldSettings

FloatArray = npt.NDArray[np.float32]
Indices = npt.NDArray[np.intp]

NEVER_S = 99.0
"""Time to collision where there is none, s."""
STANDING = 0.3
"""m/s. Slower, it is the other one who runs into us."""
_SAMPLE = 2
"""Contact is looked for every 0.2 s: even a car that crosses at 15 m/s is in the way for 0.4 s."""
_PERIOD = np.float32(0.1)


def samples(now_s: float, settings: WorldSettings) -> Indices:
    """Points of the trajectory at which contact is looked for: from now to the horizon."""
    first = max(int(now_s * 10.0), 0)
    last = min(first + int(settings.collision_horizon * 10.0) + 2, POINTS + 1)
    return np.arange(first, last, _SAMPLE)


def along_path(
    paths: Paths,
    items: OnPath,
    at: Indices,
    now_s: float,
    vehicle: VehicleParameters,
    settings: WorldSettings,
) -> FloatArray:
    """(C, N): time from now to the first contact that we would cause, s.

    The objects keep their velocity along and across the path.
    """
    contact = np.full(items.s.shape, NEVER_S, np.float32)
    if not len(at):
        return contact
    reach = items.reach_s + np.float32(settings.longitudinal_margin)
    first, last = (np.float32(k) * _PERIOD - items.measured_s for k in (at[0], at[-1]))
    meet = _overlap(items.d, items.v_d, first, last, -items.reach_d, items.reach_d)
    meet &= _overlap(
        items.s, items.v_s, first, last,
        paths.arc[:, at[0], None] - reach, paths.arc[:, at[-1], None] + reach,
    )
    c, n = np.nonzero(meet)
    if not len(c):
        return contact
    elapsed = at.astype(np.float32) * _PERIOD - items.measured_s[n, None]
    beside = np.abs(items.d[c, n, None] + items.v_d[c, n, None] * elapsed)
    apart = items.s[c, n, None] + items.v_s[c, n, None] * elapsed
    apart -= paths.arc[c[:, None], at]
    touching = (beside < items.reach_d[c, n, None]) & (np.abs(apart) < reach[c, n, None])
    contact[c, n] = _ours(touching, apart, paths.speed[c[:, None], at], at, now_s, vehicle)
    return contact


def straight_on(
    paths: Paths,
    chosen: npt.NDArray[np.bool_],
    vectors: FloatArray,
    halves: FloatArray,
    measured_s: FloatArray,
    at: Indices,
    now_s: float,
    vehicle: VehicleParameters,
    settings: WorldSettings,
) -> FloatArray:
    """(C, N): the same on the `chosen` paths, where objects keep their velocity over ground."""
    contact = np.full((len(chosen), len(measured_s)), NEVER_S, np.float32)
    if not len(at):
        return contact
    first, last = (np.float32(k) * _PERIOD - measured_s for k in (at[0], at[-1]))
    # From the rear axle to the farthest corner of the car, and of the object.
    car = vehicle.length + vehicle.width + settings.longitudinal_margin + settings.lateral_margin
    reach = halves[0] + halves[1] + np.float32(car)
    points = paths.points[:, :, at]
    low, high = points.min(axis=2)[:, :, None], points.max(axis=2)[:, :, None]
    meet = chosen[:, None]
    for axis in (0, 1):
        place, velocity = vectors[axis, 0], vectors[axis, 1]
        meet = meet & _overlap(
            place, velocity, first, last, low[axis] - reach, high[axis] + reach
        )
    c, n = np.nonzero(meet)
    if not len(c):
        return contact
    elapsed = at.astype(np.float32) * _PERIOD - measured_s[n, None]
    moved = vectors[:, 0, n, None] + vectors[:, 1, n, None] * elapsed
    x, y = moved - points[:, c]
    heading = paths.heading[c[:, None], at]
    cos, sin = np.cos(heading), np.sin(heading)
    apart = x * cos + y * sin - np.float32(vehicle.centre_offset)
    across = y * cos - x * sin
    other_cos, other_sin = vectors[:, 2, n, None]
    lengthwise = np.abs(other_cos * cos + other_sin * sin)
    crosswise = np.abs(other_sin * cos - other_cos * sin)
    half_length, half_width = halves[:, n, None]
    reach_s = half_length * lengthwise + half_width * crosswise
    reach_d = half_length * crosswise + half_width * lengthwise
    touching = np.abs(apart) < reach_s + (0.5 * vehicle.length + settings.longitudinal_margin)
    touching &= np.abs(across) < reach_d + (0.5 * vehicle.width + settings.lateral_margin)
    contact[c, n] = _ours(touching, apart, paths.speed[c[:, None], at], at, now_s, vehicle)
    return contact


def _overlap(
    place: FloatArray, velocity: FloatArray, first: FloatArray, last: FloatArray,
    low: FloatArray, high: FloatArray,
) -> npt.NDArray[np.bool_]:
    """Whether what moves from `first` to `last` s is ever between `low` and `high`."""
    begin, end = place + velocity * first, place + velocity * last
    inside: npt.NDArray[np.bool_] = np.minimum(begin, end) < high
    inside &= np.maximum(begin, end) > low
    return inside


def _ours(
    touching: npt.NDArray[np.bool_],
    apart: FloatArray,
    speed: FloatArray,
    at: Indices,
    now_s: float,
    vehicle: VehicleParameters,
) -> FloatArray:
    """(P,): time of the first contact where it is our doing, from (P, T) each.

    The first contact decides: one from behind is not, nor is one while we stand.
    """
    when = touching.argmax(axis=1)
    rows = np.arange(len(when))
    ours = touching[rows, when]
    ours &= apart[rows, when] > -0.5 * vehicle.length
    ours &= speed[rows, when] > STANDING
    soon = at[when].astype(np.float32) * _PERIOD - np.float32(now_s)
    return np.where(ours, np.maximum(soon, np.float32(0.0)), np.float32(NEVER_S))
