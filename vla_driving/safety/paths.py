"""Paths as chords, and the place of an object on one: along the path and across it."""

from __future__ import annotations

import copy
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

    `ways` is (C, 5, 65), `chords` (C, 14, 6); `forward` says that none of them turns back.
    """

    def __init__(self, batch: Batch) -> None:
        self.ways, self.chords = _lay(batch.values)
        self.forward = bool((np.abs(batch.heading) < 0.5 * math.pi).all())

    def only(self, index: int) -> Paths:
        """The path at `index` alone."""
        one = copy.copy(self)
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
def _lay(values: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Ways and chords from the (7, C, 64) values of a batch."""
    count = values.shape[1]
    ways = np.zeros((count, 5, POINTS + 1))
    chords = np.empty((count, len(_KNOTS) + 1, 6))
    for c in range(count):
        way = ways[c]
        way[X, 1:], way[Y, 1:], way[HEADING, 1:] = values[1, c], values[2, c], values[3, c]
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
    return ways, chords


@part
def place(chords: FloatArray, x: float, y: float) -> tuple[float, float, float, float]:
    """s and d in m, and x and y of the tangent, at the nearest point of one path's chords."""
    nearest, least_off = 0, np.inf
    for k in range(len(chords)):
        # Indexed one by one: a slice of the array costs more than the numbers in it.
        dx, dy, tx, ty = x - chords[k, _X], y - chords[k, _Y], chords[k, _TX], chords[k, _TY]
        length = chords[k, _LENGTH]
        along, across = dx * tx + dy * ty, dy * tx - dx * ty
        off = along - min(max(along, 0.0), length)
        off = off * off + across * across
        if length > _SHORTEST and off < least_off:
            nearest, least_off = k, off
    chord = chords[nearest]
    dx, dy, tx, ty = x - chord[_X], y - chord[_Y], chord[_TX], chord[_TY]
    return chord[_FROM] + dx * tx + dy * ty, dy * tx - dx * ty, tx, ty


@part
def at_time(row: FloatArray, time_s: float) -> float:
    """A row of a way at a time after the stamp."""
    at = min(max(time_s * 10.0, 0.0), POINTS - 0.001)
    low = int(at)
    return row[low] + (at - low) * (row[low + 1] - row[low])
