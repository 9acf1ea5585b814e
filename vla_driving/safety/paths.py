"""Paths as chords, and the place of an object on one: along the path and across it."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from vla_driving.contract.trajectory import POINTS
from vla_driving.safety.candidates import Batch
from vla_driving.safety.compiled import compiled, part

FloatArray = npt.NDArray[np.float64]

X, Y, HEADING, SPEED, ARC = range(5)
"""Rows of a way: m, m, rad, m/s and m along the path, at the car itself and at the 64 points."""
_X, _Y, _TX, _TY, _LENGTH, _FROM = range(6)
"""Columns of a chord: where it begins, its direction, its length and the arc length there."""

_KNOTS = np.array([*range(0, 32, 4), *range(32, POINTS + 1, 8)])
"""Points that carry the path: chords of 0.4, then 0.8 s: 0.06 and 0.24 m off at 3 m/s² sideways."""
_BEFORE = 60.0
_BEYOND = 200.0
"""m. The path is carried on straight so far behind the car and past its last point."""
_SHORTEST = 1e-3
"""m. A shorter chord has no direction; it must not be the nearest one."""


class Paths:
    """The paths of a batch, with what is needed to find objects on them.

    `ways` is (C, 5, 65), `chords` (C, 14, 6); `forward` says that none of them turns back. Where a
    place is not finite, 0 stands for such numbers, so that the objects can be worked out at all.
    """

    def __init__(self, batch: Batch) -> None:
        self.ways, self.chords, self.forward = _lay(batch.values)

    def only(self, index: int) -> Paths:
        """The path at `index` alone."""
        one = Paths.__new__(Paths)
        one.forward = self.forward
        one.ways, one.chords = self.ways[index : index + 1], self.chords[index : index + 1]
        return one


class OnPath(NamedTuple):
    """An object in path coordinates: place, velocity, reach of it and the car together.

    `measured_s` after the path's stamp.
    """

    s: float
    d: float
    v_s: float
    v_d: float
    reach_s: float
    reach_d: float
    measured_s: float


@part
def _chord(
    chord: FloatArray, x: float, y: float, to_x: float, to_y: float, begin: float
) -> None:
    length = max(np.hypot(to_x - x, to_y - y), 1e-4)
    chord[_X], chord[_Y], chord[_LENGTH], chord[_FROM] = x, y, length, begin
    chord[_TX], chord[_TY] = (to_x - x) / length, (to_y - y) / length


@compiled(np.zeros((7, 1, POINTS)))
def _lay(values: FloatArray) -> tuple[FloatArray, FloatArray, bool]:
    """Ways, chords and whether none turns back, from the (7, C, 64) values of a batch."""
    count, forward, finite = values.shape[1], True, True
    ways = np.zeros((count, 5, POINTS + 1))
    chords = np.empty((count, len(_KNOTS) + 1, 6))
    for c in range(count):
        for k in range(POINTS):
            finite = finite and np.isfinite(values[1, c, k]) and np.isfinite(values[2, c, k])
    for c in range(count):
        way = ways[c]
        for k in range(POINTS):
            for row, channel in ((X, 1), (Y, 2), (HEADING, 3)):
                number = values[channel, c, k]
                way[row, k + 1] = number if finite or np.isfinite(number) else 0.0
            forward = forward and abs(way[HEADING, k + 1]) < 0.5 * math.pi
        way[SPEED, 1:], way[SPEED, 0] = values[4, c], values[4, c, 0]
        for k in range(POINTS):
            step = np.hypot(way[X, k + 1] - way[X, k], way[Y, k + 1] - way[Y, k])
            way[ARC, k + 1] = way[ARC, k] + step
        x, y, begin = -_BEFORE, 0.0, -_BEFORE
        for k in range(len(_KNOTS)):
            knot = _KNOTS[k]
            _chord(chords[c, k], x, y, way[X, knot], way[Y, knot], begin)
            x, y, begin = way[X, knot], way[Y, knot], way[ARC, knot]
        heading = way[HEADING, POINTS]
        _chord(
            chords[c, len(_KNOTS)], x, y, x + _BEYOND * np.cos(heading),
            y + _BEYOND * np.sin(heading), begin,
        )
    return ways, chords, forward


@part
def place(chords: FloatArray, x: float, y: float) -> tuple[float, float, float, float]:
    """s and d in m, and x and y of the tangent, at the nearest point of one path's chords."""
    nearest, least_off = 0, np.inf
    for k in range(len(chords)):
        off = _off(chords, k, x, y)
        if chords[k, _LENGTH] > _SHORTEST and off < least_off:
            nearest, least_off = k, off
    return place_on(chords[nearest], x, y)


@part
def nearest_chords(chords: FloatArray, x: FloatArray, y: FloatArray) -> npt.NDArray[np.intp]:
    """Index (N,) of the chord that is nearest to each of N points: as in `place`, for all at once.

    Chord by chord, so that the machine takes several points in one instruction.
    """
    nearest, least_off = np.zeros(len(x), np.intp), np.full(len(x), np.inf)
    for k in range(len(chords)):
        if not chords[k, _LENGTH] > _SHORTEST:
            continue
        for n in range(len(x)):
            off = _off(chords, k, x[n], y[n])
            closer = off < least_off[n]
            nearest[n] = k if closer else nearest[n]
            least_off[n] = off if closer else least_off[n]
    return nearest


@part
def _off(chords: FloatArray, k: int, x: float, y: float) -> float:
    """Square of the distance of a point from chord `k`, m^2."""
    # Indexed one by one: a slice of the array costs more than the numbers in it.
    dx, dy, tx, ty = x - chords[k, _X], y - chords[k, _Y], chords[k, _TX], chords[k, _TY]
    along, across = dx * tx + dy * ty, dy * tx - dx * ty
    off = along - min(max(along, 0.0), chords[k, _LENGTH])
    return off * off + across * across


@part
def place_on(chord: FloatArray, x: float, y: float) -> tuple[float, float, float, float]:
    """s and d in m, and x and y of the tangent, of a point as one chord has them."""
    dx, dy, tx, ty = x - chord[_X], y - chord[_Y], chord[_TX], chord[_TY]
    return chord[_FROM] + dx * tx + dy * ty, dy * tx - dx * ty, tx, ty


@part
def at_time(row: FloatArray, time_s: float) -> float:
    """A row of a way at a time after the stamp."""
    at = min(max(time_s * 10.0, 0.0), POINTS - 0.001)
    low = int(at)
    return row[low] + (at - low) * (row[low + 1] - row[low])
