"""Candidates of one plan as arrays, so that every check looks at all of them at once."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from vla_driving.contract.clock import Nanoseconds
from vla_driving.contract.plan import MAX_CANDIDATES
from vla_driving.contract.trajectory import POINTS, Trajectory

FloatArray = npt.NDArray[np.float64]

_CHANNELS = 7
_SHAPES = {(POINTS,)}
_NO_NUMBERS = (np.full(POINTS, np.nan, np.float32),) * _CHANNELS


@dataclass(frozen=True, eq=False)
class Batch:
    """C candidates that share a stamp: (C, 64) each, units as in `Trajectory`.

    `values` (7, C, 64) holds all of them, row by row. A candidate whose arrays are not (64,) is all
    NaN, which no check lets pass.
    """

    stamp_ns: Nanoseconds
    values: FloatArray
    time: FloatArray
    x: FloatArray
    y: FloatArray
    heading: FloatArray
    speed: FloatArray
    acceleration: FloatArray
    curvature: FloatArray

    def __len__(self) -> int:
        return len(self.x)

    def part(self, first: int, last: int) -> Batch:
        """The candidates from `first` to before `last`."""
        return of_values(self.stamp_ns, np.ascontiguousarray(self.values[:, first:last]))


def of_values(stamp_ns: Nanoseconds, values: FloatArray) -> Batch:
    """A batch from its (7, C, 64) values."""
    return Batch(stamp_ns, values, *values)


def batch(stamp_ns: Nanoseconds, trajectories: tuple[Trajectory, ...]) -> Batch:
    """Arrays of the first `MAX_CANDIDATES` trajectories."""
    arrays = [a for t in trajectories[:MAX_CANDIDATES] for a in _sound(t.arrays())]
    if not arrays:
        return of_values(stamp_ns, np.empty((_CHANNELS, 0, POINTS)))
    by_candidate = np.concatenate(arrays).reshape(-1, _CHANNELS, POINTS)
    return of_values(stamp_ns, by_candidate.transpose(1, 0, 2).astype(np.float64, order="C"))


def _sound(arrays: tuple[npt.NDArray[np.float32], ...]) -> tuple[npt.NDArray[np.float32], ...]:
    sound = {getattr(array, "shape", None) for array in arrays} == _SHAPES
    return arrays if sound else _NO_NUMBERS
