"""How far candidates jump sideways against a plan of before."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from vla_driving.contract.trajectory import POINTS
from vla_driving.safety.compiled import compiled, part

FloatArray = npt.NDArray[np.float64]


@part
def _between(x: FloatArray, y: FloatArray, at: float) -> float:
    """`numpy.interp` at one place within the range of `x`."""
    k = int(np.searchsorted(x, at, side="right")) - 1
    if k == len(x) - 1 or x[k] == at:
        return y[k]
    slope = (y[k + 1] - y[k]) / (x[k + 1] - x[k])
    found = slope * (at - x[k]) + y[k]
    if found != found:
        found = slope * (at - x[k + 1]) + y[k + 1]
        if found != found and y[k] == y[k + 1]:
            found = y[k]
    return found


@part
def sideways(
    values: FloatArray, x: FloatArray, y: FloatArray, first: int, last: int
) -> FloatArray:
    """Largest distance (C,) in y to the line through x and y (64,), m; NaN where a y is none.

    `values` (7, C, 64) are those of a batch, looked at from point `first` to before `last`; `x`
    does not decrease. Before and past the line nothing is known: there the distance is 0.
    """
    most = np.zeros(values.shape[1])
    for c in range(len(most)):
        for k in range(first, last):
            at, new_y = values[1, c, k], values[2, c, k]
            if new_y != new_y:
                most[c] = np.nan
            elif x[0] <= at <= x[-1]:
                off = abs(new_y - _between(x, y, at))
                if off > most[c] or off != off:
                    most[c] = off
    return most


@compiled(np.zeros((7, 1, POINTS)), np.zeros((7, 1, POINTS)), 0.0, 0.0, 0.0, 0, 0)
def jump(
    values: FloatArray, reference: FloatArray, dx: float, dy: float, dyaw: float, first: int,
    last: int,
) -> tuple[bool, FloatArray]:
    """What `sideways` says against the first candidate of another batch, and whether it can.

    Not where that turns by more than a right angle, or is not finite: sideways means nothing there.
    `dx`, `dy` and `dyaw` lead from the base_link of `reference` to that of `values`.
    """
    x, y = np.empty(POINTS), np.empty(POINTS)
    cos, sin = np.cos(dyaw), np.sin(dyaw)
    known = True
    for k in range(POINTS):
        x_off, y_off = reference[1, 0, k] - dx, reference[2, 0, k] - dy
        x[k], y[k] = cos * x_off + sin * y_off, cos * y_off - sin * x_off
        known = known and (k == 0 or x[k] >= x[k - 1])
    return known, sideways(values, x, y, first, last)
