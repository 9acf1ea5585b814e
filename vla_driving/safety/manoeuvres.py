"""The monitor's own driving: stop along the last approved path, and hold.

Nothing but that path and the vehicle state goes in, so it works with camera, model and cockpit
dead. The path is carried along as the car moves.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from vla_driving.contract.clock import Nanoseconds, age_s
from vla_driving.contract.motion import PoseChange
from vla_driving.contract.trajectory import POINTS, TIMES_S, Trajectory, standing
from vla_driving.contract.vehicle import VehicleParameters, VehicleState
from vla_driving.safety.braking import Braking
from vla_driving.safety.compiled import compiled, part
from vla_driving.safety.speed_profile import speed_profile

FloatArray = npt.NDArray[np.float64]

_PERIOD_S = float(TIMES_S[0])
_EXTENSION_M = 120.0
EXTENSION_STEP_M = 2.0
"""A path that is too short for the stop is carried on at its last mean curvature."""


@dataclass(frozen=True, eq=False)
class StopPath:
    """(N,) x, y in m, heading in rad, curvature in 1/m over arc length in m.

    In base_link at `stamp_ns`.
    """

    stamp_ns: Nanoseconds
    arc: FloatArray
    x: FloatArray
    y: FloatArray
    heading: FloatArray
    curvature: FloatArray

    def moved(self, change: PoseChange, stamp_ns: Nanoseconds) -> StopPath:
        """The same path in base_link at the instant that `change` leads to."""
        x, y = change.to_second(self.x, self.y)
        return replace(self, stamp_ns=stamp_ns, x=x, y=y, heading=self.heading - change.dyaw)


def path_of(trajectory: Trajectory, stamp_ns: Nanoseconds) -> StopPath:
    """The path of an approved trajectory from the car on, extended."""
    x = np.concatenate([[0.0], trajectory.x]).astype(np.float64)
    y = np.concatenate([[0.0], trajectory.y]).astype(np.float64)
    heading = np.concatenate([[0.0], trajectory.heading]).astype(np.float64)
    curvature = np.concatenate([trajectory.curvature[:1], trajectory.curvature]).astype(np.float64)
    arc = np.concatenate([[0.0], np.cumsum(np.hypot(np.diff(x), np.diff(y)))])
    moving = np.concatenate([[True], np.diff(arc) > 1e-4])
    arc, x, y, heading, curvature = (a[moving] for a in (arc, x, y, heading, curvature))
    return _extended(stamp_ns, arc, x, y, heading, curvature, float(np.mean(curvature[-10:])))


def path_of_wheels(state: VehicleState, vehicle: VehicleParameters) -> StopPath:
    """Where the wheels point, for want of an approved path."""
    bend = math.tan(max(-1.0, min(1.0, state.steering_angle))) / vehicle.wheelbase
    zero = np.zeros(1)
    return _extended(state.stamp_ns, zero, zero, zero, zero, np.full(1, bend), bend)


def _extended(
    stamp_ns: Nanoseconds,
    arc: FloatArray,
    x: FloatArray,
    y: FloatArray,
    heading: FloatArray,
    curvature: FloatArray,
    bend: float,
) -> StopPath:
    more = np.arange(EXTENSION_STEP_M, _EXTENSION_M + 0.1, EXTENSION_STEP_M)
    middle = heading[-1] + bend * (more - 0.5 * EXTENSION_STEP_M)
    return StopPath(
        stamp_ns,
        np.concatenate([arc, arc[-1] + more]),
        np.concatenate([x, x[-1] + np.cumsum(EXTENSION_STEP_M * np.cos(middle))]),
        np.concatenate([y, y[-1] + np.cumsum(EXTENSION_STEP_M * np.sin(middle))]),
        np.concatenate([heading, heading[-1] + bend * more]),
        np.concatenate([curvature, np.full(len(more), bend)]),
    )


def stop(path: StopPath, braking: Braking, speed: float) -> Trajectory:
    """Braking along a path, in base_link at the path's stamp, from `speed` in m/s then."""
    start_s = max(age_s(braking.since_ns, path.stamp_ns), 0.0)
    rows = _driven(
        path.arc, path.x, path.y, path.heading, path.curvature, start_s, float(speed),
        float(braking.acceleration), braking.deceleration, braking.jerk,
    )
    return Trajectory(1.0, TIMES_S, *rows.astype(np.float32))


def abreast(path: StopPath) -> float:
    """Arc length of the point of the path that is nearest to the car, m."""
    return float(_abreast(path.arc, path.x, path.y, path.heading))


@part
def _nearest_arc(arc: FloatArray, x: FloatArray, y: FloatArray, heading: FloatArray) -> float:
    nearest = np.argmin(x * x + y * y)
    along = -(x[nearest] * np.cos(heading[nearest]) + y[nearest] * np.sin(heading[nearest]))
    return min(max(arc[nearest] + along, 0.0), arc[-1])


@compiled(*[np.zeros(1)] * 4)
def _abreast(arc: FloatArray, x: FloatArray, y: FloatArray, heading: FloatArray) -> float:
    return _nearest_arc(arc, x, y, heading)


@compiled(*[np.zeros(1)] * 5, *[0.0] * 5)
def _driven(
    arc: FloatArray, x: FloatArray, y: FloatArray, heading: FloatArray, curvature: FloatArray,
    start_s: float, speed: float, acceleration: float, deceleration: float, jerk: float,
) -> FloatArray:
    """(6, 64): x, y, heading, speed, acceleration and curvature of `stop` along its path."""
    distance, speeds = speed_profile(start_s, speed, acceleration, deceleration, jerk)
    way = _nearest_arc(arc, x, y, heading) + distance
    rows = np.empty((6, POINTS))
    rows[0], rows[1] = np.interp(way, arc, x), np.interp(way, arc, y)
    rows[2], rows[5] = np.interp(way, arc, heading), np.interp(way, arc, curvature)
    before = max(speed, 0.0)
    for k in range(POINTS):
        rows[3, k], rows[4, k] = speeds[k], (speeds[k] - before) / _PERIOD_S
        before = speeds[k]
    return rows


def hold() -> Trajectory:
    """Stand still."""
    return standing()
