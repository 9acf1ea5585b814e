"""Candidates of one plan as arrays, so that every check looks at all of them at once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from vla_driving.contract.clock import Nanoseconds
from vla_driving.contract.plan import MAX_CANDIDATES
from vla_driving.contract.trajectory import POINTS, Trajectories, Trajectory

FloatArray = npt.NDArray[np.float64]

_CHANNELS = 7
_SHAPES = {(POINTS,)}
_NO_NUMBERS = (np.full(POINTS, np.nan, np.float32),) * _CHANNELS


@dataclass(frozen=True, eq=False, slots=True)
class Batch:
    """C candidates that share a stamp: (C, 64) each, units as in `Trajectory`.

    `values` (7, C, 64) holds all of them, row by row. A candidate whose arrays are not (64,) is all
    NaN, which no check lets pass.
    """

    stamp_ns: Nanoseconds
    values: FloatArray

    def __len__(self) -> int:
        return self.values.shape[1]

    @property
    def time(self) -> FloatArray:
        """Times after the stamp, s."""
        return self.values[0]

    @property
    def x(self) -> FloatArray:
        """Places forward, m."""
        return self.values[1]

    @property
    def y(self) -> FloatArray:
        """Places to the left, m."""
        return self.values[2]

    @property
    def heading(self) -> FloatArray:
        """Headings, rad."""
        return self.values[3]

    @property
    def speed(self) -> FloatArray:
        """Speeds, m/s."""
        return self.values[4]

    @property
    def acceleration(self) -> FloatArray:
        """Accelerations, m/s^2."""
        return self.values[5]

    @property
    def curvature(self) -> FloatArray:
        """Curvatures, 1/m."""
        return self.values[6]

    def part(self, first: int, last: int) -> Batch:
        """The candidates from `first` to before `last`."""
        return Batch(self.stamp_ns, np.ascontiguousarray(self.values[:, first:last]))


def batch(stamp_ns: Nanoseconds, trajectories: Sequence[Trajectory]) -> Batch:
    """Arrays of the first `MAX_CANDIDATES` trajectories."""
    if isinstance(trajectories, Trajectories):
        by_candidate = trajectories.numbers[:MAX_CANDIDATES, 1:].reshape(-1, _CHANNELS, POINTS)
    else:
        arrays = [a for t in trajectories[:MAX_CANDIDATES] for a in _sound(t.arrays())]
        if not arrays:
            return Batch(stamp_ns, np.empty((_CHANNELS, 0, POINTS)))
        by_candidate = np.concatenate(arrays).reshape(-1, _CHANNELS, POINTS)
    return Batch(stamp_ns, by_candidate.transpose(1, 0, 2).astype(np.float64, order="C"))


def _sound(arrays: tuple[npt.NDArray[np.float32], ...]) -> tuple[npt.NDArray[np.float32], ...]:
    sound = {getattr(array, "shape", None) for array in arrays} == _SHAPES
    return arrays if sound else _NO_NUMBERS
