"""A trajectory as a curve: where the car is along it, and what it asks for there."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from vla_driving.contract.trajectory import PERIOD_S, Trajectory

_MIN_LENGTH = 0.5
"""m. A shorter path has no direction to be tracked: the car stands."""

Vector = npt.NDArray[np.float64]


@dataclass(frozen=True)
class PathPoint:
    """The car seen from the path: arc length in m, the car left of it in m, turned left in rad.

    Curvature in 1/m is the path's at that arc length.
    """

    arc_length: float
    lateral_error: float
    heading_error: float
    curvature: float


class Path:
    """One approved trajectory, the car's own origin at time 0 in front: 65 points.

    Arrays are float64 in base_link at the plan's stamp. Not valid for non-finite trajectories.
    """

    def __init__(self, trajectory: Trajectory) -> None:
        self.time = _with_start(0.0, trajectory.time)
        self.x = _with_start(0.0, trajectory.x)
        self.y = _with_start(0.0, trajectory.y)
        self.heading = _with_start(0.0, trajectory.heading)
        start = float(trajectory.speed[0]) - float(trajectory.acceleration[0]) * PERIOD_S
        self.speed = _with_start(max(0.0, start), trajectory.speed)
        # Acceleration and curvature k lead from point k-1 to k: they belong to the middle between.
        self._acceleration = np.asarray(trajectory.acceleration, np.float64)
        self._curvature = np.asarray(trajectory.curvature, np.float64)
        self._middle_time = self.time[1:] - 0.5 * PERIOD_S
        self._dx = np.diff(self.x)
        self._dy = np.diff(self.y)
        self._squared = self._dx * self._dx + self._dy * self._dy
        self.arc_length = np.concatenate(([0.0], np.cumsum(np.sqrt(self._squared))))
        # A standing car's points lie on each other; interpolation over arc length needs them apart.
        steps = np.diff(self.arc_length) > 1e-4
        self._moving = np.concatenate(([True], steps))
        self._last = int(np.flatnonzero(self._moving)[-1]) - 1
        self._bends = self._curvature[steps] if steps.any() else self._curvature[:1]
        middle = 0.5 * (self.arc_length[1:] + self.arc_length[:-1])
        self._middle = middle[steps] if steps.any() else middle[:1]

    @property
    def length(self) -> float:
        """m, from the car at the plan's stamp to the last point."""
        return float(self.arc_length[-1])

    def speed_at(self, time_s: float) -> float:
        """Planned speed in m/s, the last one beyond the horizon."""
        return float(np.interp(time_s, self.time, self.speed))

    def acceleration_at(self, time_s: float) -> float:
        """Planned acceleration in m/s², 0 beyond the horizon."""
        if time_s > self.time[-1]:
            return 0.0
        return float(np.interp(time_s, self._middle_time, self._acceleration))

    def fastest_between(self, start_s: float, end_s: float) -> float:
        """Highest planned speed in m/s within these times after the stamp."""
        inside = self.speed[(self.time > start_s) & (self.time < end_s)]
        ends = max(self.speed_at(start_s), self.speed_at(end_s))
        return max(ends, float(inside.max())) if inside.size else ends

    def curvature_at(self, arc_length: float) -> float:
        """Path curvature in 1/m; beyond the ends that of the end."""
        return float(np.interp(arc_length, self._middle, self._bends))

    def locate(self, x: float, y: float, heading: float) -> PathPoint:
        """Nearest point of the path to a pose in base_link at the plan's stamp.

        Off the ends, and where the path is too short to have a direction, the errors are zero:
        there is nothing to be measured against, only the curvature is kept.
        """
        if self.length < _MIN_LENGTH:
            return PathPoint(0.0, 0.0, 0.0, self.curvature_at(0.0))
        safe = np.where(self._squared > 0.0, self._squared, 1.0)
        along = ((x - self.x[:-1]) * self._dx + (y - self.y[:-1]) * self._dy) / safe
        share = np.clip(along, 0.0, 1.0)
        gap_x = x - (self.x[:-1] + share * self._dx)
        gap_y = y - (self.y[:-1] + share * self._dy)
        k = int(np.argmin(gap_x * gap_x + gap_y * gap_y))
        s = float(self.arc_length[k] + share[k] * math.sqrt(float(self._squared[k])))
        direction = float(np.interp(s, self.arc_length[self._moving], self.heading[self._moving]))
        left = -math.sin(direction) * float(gap_x[k]) + math.cos(direction) * float(gap_y[k])
        if k >= self._last and along[k] > 1.0:
            return PathPoint(s, 0.0, 0.0, self.curvature_at(s))
        return PathPoint(s, left, _wrap(heading - direction), self.curvature_at(s))


def _with_start(value: float, array: npt.NDArray[np.float32]) -> Vector:
    return np.concatenate(([value], np.asarray(array, np.float64)))


def _wrap(angle: float) -> float:
    return math.remainder(angle, 2.0 * math.pi)
