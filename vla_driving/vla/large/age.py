"""A plan of a while ago, as seen from the car now."""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

from vla_driving.contract.motion import PoseChange
from vla_driving.contract.trajectory import HORIZON_S, PERIOD_S, POINTS, Trajectory, integrate

REJOIN_TIME_S = 1.5
"""The car is back on the path, and back at the planned speed, after about this long."""
REJOIN_LENGTH = 6.0
"""m, at least, over which it gets back."""
MAX_CURVATURE = 0.2
"""1/m, beyond which no way back is planned; the safety monitor holds the car's own limits."""


def moved_on(
    planned: Trajectory, change: PoseChange, age_s: float, speed: float
) -> Trajectory | None:
    """`planned` after the car moved by `change` in `age_s` s and drives at `speed` m/s.

    What lies in the past is dropped, the rest re-gridded to steps of 0.1 s; behind its end the car
    goes on as at the end. The new trajectory starts at the car and comes back to the planned path
    like a critically damped spring over the distance driven: the path's curvature less offset / L²
    less 2 · heading error / L. None where nothing is left of the plan.
    """
    if not 0.0 <= age_s < HORIZON_S:
        return None
    path = _Path(planned, change)
    x = y = heading = 0.0
    at, v = path.nearest_to_car(), max(0.0, speed)
    accelerations, curvatures = np.zeros(POINTS), np.zeros(POINTS)
    for k in range(POINTS):
        wanted, then = (path.speed(age_s + (k + ahead) * PERIOD_S) for ahead in (0, 1))
        a = (then - wanted) / PERIOD_S + (wanted - v) / REJOIN_TIME_S
        after = max(0.0, v + a * PERIOD_S)
        way = 0.5 * (v + after) * PERIOD_S
        kappa = _towards(path.pose(at), path.curvature(at + 0.5 * way), x, y, heading, v)
        middle = heading + 0.5 * kappa * way
        x, y = x + way * math.cos(middle), y + way * math.sin(middle)
        heading, at, v = heading + kappa * way, at + way, after
        accelerations[k], curvatures[k] = a, kappa
    return integrate(speed, accelerations, curvatures, planned.probability)


def _towards(
    pose: tuple[float, float, float], curvature: float,
    x: float, y: float, heading: float, speed: float,
) -> float:
    """Curvature that leads from x, y, heading back to a path beside the car."""
    path_x, path_y, path_heading = pose
    offset = math.cos(path_heading) * (y - path_y) - math.sin(path_heading) * (x - path_x)
    error = math.remainder(heading - path_heading, math.tau)
    length = max(REJOIN_LENGTH, speed * REJOIN_TIME_S)
    back = curvature - offset / length**2 - 2.0 * error / length
    return min(MAX_CURVATURE, max(-MAX_CURVATURE, back))


class _Path:
    """The plan in the car's frame now: speed by time since its stamp, the rest by distance."""

    def __init__(self, planned: Trajectory, change: PoseChange) -> None:
        x, y = change.to_second(np.r_[0.0, planned.x], np.r_[0.0, planned.y])
        self._x, self._y = x, y
        self._distance = np.r_[0.0, np.cumsum(np.hypot(np.diff(x), np.diff(y)))]
        self._heading = np.r_[0.0, planned.heading].astype(np.float64) - change.dyaw
        self._curvature = planned.curvature.astype(np.float64)
        first = float(planned.speed[0] - planned.acceleration[0] * PERIOD_S)
        self._time = np.r_[0.0, planned.time].astype(np.float64)
        self._speed = np.r_[max(0.0, first), planned.speed].astype(np.float64)

    def nearest_to_car(self) -> float:
        """Distance along the path of its point nearest to the origin, m."""
        start, step = np.stack([self._x, self._y])[:, :-1], np.diff([self._x, self._y])
        length = np.maximum((step**2).sum(axis=0), 1e-12)
        share = np.clip(-(start * step).sum(axis=0) / length, 0.0, 1.0)
        near = int(np.argmin(np.hypot(*(start + share * step))))
        return _between(self._distance[near], self._distance[near + 1], share[near])

    def speed(self, time_s: float) -> float:
        """m/s; after the end that at the end."""
        return float(np.interp(time_s, self._time, self._speed))

    def curvature(self, distance: float) -> float:
        """1/m, of the step that `distance` lies in; beyond the end that of the last."""
        at = int(np.searchsorted(self._distance, distance, side="right")) - 1
        return float(self._curvature[min(max(at, 0), POINTS - 1)])

    def pose(self, distance: float) -> tuple[float, float, float]:
        """x, y, heading; beyond the end on along the last arc."""
        end = float(self._distance[-1])
        x, y, heading = (
            _at(min(distance, end), self._distance, column)
            for column in (self._x, self._y, self._heading)
        )
        beyond = max(0.0, distance - end)
        bend = float(self._curvature[-1])
        middle = heading + 0.5 * bend * beyond
        return (
            x + beyond * math.cos(middle), y + beyond * math.sin(middle), heading + bend * beyond
        )


def _at(where: float, grid: npt.NDArray[np.float64], values: npt.NDArray[np.float64]) -> float:
    return float(np.interp(where, grid, values))


def _between(low: float, high: float, share: float) -> float:
    return float(low + share * (high - low))
