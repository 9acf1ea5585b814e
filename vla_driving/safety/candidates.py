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
_NOTHING = (np.full(POINTS, np.nan),) * _CHANNELS


@dataclass(frozen=True, eq=False)
class Batch:
    """C candidates that share a stamp: (C, 64) each, units as in `Trajectory`.

    A candidate whose arrays are not (64,) is all NaN, which no check lets pass.
    """

    stamp_ns: Nanoseconds
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
        at = slice(first, last)
        return Batch(
            self.stamp_ns, self.time[at], self.x[at], self.y[at], self.heading[at],
            self.speed[at], self.acceleration[at], self.curvature[at],
        )


def batch(stamp_ns: Nanoseconds, trajectories: tuple[Trajectory, ...]) -> Batch:
    """Arrays of the first `MAX_CANDIDATES` trajectories."""
    kept = trajectories[:MAX_CANDIDATES]
    sound = [
        arrays if all(np.shape(a) == (POINTS,) for a in arrays) else _NOTHING
        for arrays in (trajectory.arrays() for trajectory in kept)
    ]
    values = np.array(sound, np.float64).reshape(-1, _CHANNELS, POINTS)
    return Batch(stamp_ns, *values.transpose(1, 0, 2))
