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


@dataclass(frozen=True, eq=False)
class Batch:
    """C candidates that share a stamp: (C, 64) each, units as in `Trajectory`.

    `values` (7, C, 64) holds all of them. A candidate whose arrays are not (64,) is all NaN, which
    no check lets pass.
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
        return of_values(self.stamp_ns, self.values[:, first:last])


def of_values(stamp_ns: Nanoseconds, values: FloatArray) -> Batch:
    """A batch from its (7, C, 64) values."""
    return Batch(stamp_ns, values, *values)


def batch(stamp_ns: Nanoseconds, trajectories: tuple[Trajectory, ...]) -> Batch:
    """Arrays of the first `MAX_CANDIDATES` trajectories."""
    kept = trajectories[:MAX_CANDIDATES]
    values = np.empty((_CHANNELS, len(kept), POINTS))
    for k, trajectory in enumerate(kept):
        arrays = trajectory.arrays()
        sound = all(np.shape(array) == (POINTS,) for array in arrays)
        values[:, k] = arrays if sound else np.nan
    return of_values(stamp_ns, values)
