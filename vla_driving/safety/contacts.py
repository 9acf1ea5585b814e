"""When the car would first touch an object: tried at instants from now to the horizon."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from vla_driving.contract.trajectory import PERIOD_S, POINTS
from vla_driving.safety.compiled import part
from vla_driving.safety.measures import Measures
from vla_driving.safety.paths import ARC, HEADING, SPEED, OnPath, X, Y

FloatArray = npt.NDArray[np.float64]

NEVER_S = 99.0
"""Time to collision where there is none, s."""
STANDING = 0.3
"""m/s. Slower, it is the other one who runs into us."""
_SAMPLE = 2
"""Contact is looked for every 0.2 s: even a car that crosses at 15 m/s is in the way for 0.4 s."""


@part
def samples(now_s: float, horizon_s: float) -> tuple[int, int]:
    """First point of the way at which contact is looked for, and the one after the last."""
    first = max(int(now_s * 10.0), 0)
    return first, min(first + int(horizon_s * 10.0) + 2, POINTS + 1)


@part
def along_path(
    way: FloatArray, item: OnPath, now_s: float, car: Measures
) -> float:
    """Time from now to the first contact that we would cause, s.

    The object keeps its velocity along and across the path.
    """
    if item.v_d == 0.0 and abs(item.d) >= item.reach_d:
        return NEVER_S  # the most of them: beside the path they stay
    first, last = samples(now_s, car.collision_horizon)
    for at in range(first, last, _SAMPLE):
        elapsed = at * PERIOD_S - item.measured_s
        apart = item.s + item.v_s * elapsed - way[ARC, at]
        beside = abs(item.d + item.v_d * elapsed)
        if beside < item.reach_d and abs(apart) < item.reach_s + car.longitudinal_margin:
            return _ours(apart, way[SPEED, at], at, now_s, car)
    return NEVER_S


@part
def straight_on(
    way: FloatArray, turned: FloatArray, vectors: FloatArray, halves: FloatArray, n: int,
    measured_s: float, now_s: float, car: Measures,
) -> float:
    """The same where object `n` keeps its velocity over ground; `turned` is that of `turns`."""
    half_length, half_width = halves[0, n], halves[1, n]
    other_cos, other_sin = vectors[0, 2, n], vectors[1, 2, n]
    first, last = samples(now_s, car.collision_horizon)
    for at in range(first, last, _SAMPLE):
        elapsed = at * PERIOD_S - measured_s
        x = vectors[0, 0, n] + vectors[0, 1, n] * elapsed - way[X, at]
        y = vectors[1, 0, n] + vectors[1, 1, n] * elapsed - way[Y, at]
        cos, sin = turned[0, at], turned[1, at]
        apart = x * cos + y * sin - car.centre_offset
        lengthwise = abs(other_cos * cos + other_sin * sin)
        crosswise = abs(other_sin * cos - other_cos * sin)
        reach_s = half_length * lengthwise + half_width * crosswise + 0.5 * car.length
        reach_d = half_length * crosswise + half_width * lengthwise + 0.5 * car.width
        if (
            abs(apart) < reach_s + car.longitudinal_margin
            and abs(y * cos - x * sin) < reach_d + car.lateral_margin
        ):
            return _ours(apart, way[SPEED, at], at, now_s, car)
    return NEVER_S


@part
def turns(way: FloatArray) -> FloatArray:
    """(2, 65): cosine and sine of the headings."""
    turned = np.empty((2, POINTS + 1))
    turned[0], turned[1] = np.cos(way[HEADING]), np.sin(way[HEADING])
    return turned


@part
def _ours(apart: float, speed: float, at: int, now_s: float, car: Measures) -> float:
    """Time of the first contact where it is our doing.

    The first contact decides: one from behind is not, nor is one while we stand.
    """
    if apart > -0.5 * car.length and speed > STANDING:
        return max(at * PERIOD_S - now_s, 0.0)
    return NEVER_S
