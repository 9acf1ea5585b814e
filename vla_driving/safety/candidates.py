"""Candidates of one plan as arrays, so that every check looks at all of them at once."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from vla_driving.contract.clock import Nanoseconds
from vla_driving.contract.motion import PoseChange
from vla_driving.contract.plan import MAX_CANDIDATES
from vla_driving.contract.trajectory import PERIOD_S, POINTS, TIMES_S, Trajectory, integrate

FloatArray = npt.NDArray[np.float64]

_CHANNELS = 7
_SPARE = 8
"""Points by which a trajectory is carried on where its time is shifted."""


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

    def only(self, index: int) -> Batch:
        """The candidate at `index` alone."""
        at = slice(index, index + 1)
        return Batch(
            self.stamp_ns, self.time[at], self.x[at], self.y[at], self.heading[at],
            self.speed[at], self.acceleration[at], self.curvature[at],
        )


def batch(stamp_ns: Nanoseconds, trajectories: tuple[Trajectory, ...]) -> Batch:
    """Arrays of the first `MAX_CANDIDATES` trajectories."""
    kept = trajectories[:MAX_CANDIDATES]
    values = np.full((_CHANNELS, len(kept), POINTS), np.nan)
    for row, trajectory in enumerate(kept):
        arrays = trajectory.arrays()
        if all(np.shape(a) == (POINTS,) for a in arrays):
            values[:, row] = arrays
    return Batch(stamp_ns, *values)


def restamped(trajectory: Trajectory, change: PoseChange, later_s: float) -> Trajectory:
    """The same motion in base_link and time of `later_s` s later, when the car is at `change`.

    Values lie on the straight lines between the points; past the last point speed and curvature
    stay. `later_s` must be between 0 and `_SPARE` periods.
    """
    tail = integrate(
        float(trajectory.speed[-1]), np.zeros(POINTS), np.full(POINTS, trajectory.curvature[-1])
    )
    cos, sin = np.cos(trajectory.heading[-1]), np.sin(trajectory.heading[-1])
    tail_x = trajectory.x[-1] + cos * tail.x - sin * tail.y
    tail_y = trajectory.y[-1] + sin * tail.x + cos * tail.y
    x, y = change.to_second(_joined(trajectory.x, tail_x), _joined(trajectory.y, tail_y))
    heading = _joined(trajectory.heading, trajectory.heading[-1] + tail.heading) - change.dyaw
    times = np.arange(1, POINTS + _SPARE + 1) * PERIOD_S
    wanted = later_s + TIMES_S

    def at(values: npt.NDArray[np.floating]) -> npt.NDArray[np.float32]:
        return np.interp(wanted, times, values).astype(np.float32)

    return Trajectory(
        probability=trajectory.probability,
        time=TIMES_S,
        x=at(x),
        y=at(y),
        heading=at(heading),
        speed=at(_joined(trajectory.speed, tail.speed)),
        acceleration=at(_joined(trajectory.acceleration, tail.acceleration)),
        curvature=at(_joined(trajectory.curvature, tail.curvature)),
    )


def _joined(values: npt.ArrayLike, tail: npt.ArrayLike) -> FloatArray:
    return np.concatenate([np.asarray(values, np.float64), np.asarray(tail)[:_SPARE]])
