"""Speed and way of a braking that builds up with limited jerk, as one compiled loop."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from vla_driving.contract.trajectory import POINTS, TIMES_S
from vla_driving.safety.compiled import part

FloatArray = npt.NDArray[np.float64]

SUBSTEPS = 4
"""The speed profile is integrated at 25 ms, so that its end lies within 3 cm at 1 m/s."""
_SUBSTEP_S = float(TIMES_S[0]) / SUBSTEPS


@part
def speed_profile(
    start_s: float, speed: float, acceleration: float, deceleration: float, jerk: float
) -> tuple[FloatArray, FloatArray]:
    """Distance in m and speed in m/s, (64,) at TIMES_S, of a braking that began `start_s` before.

    From `speed` in m/s now; `acceleration` is that at its begin, as in `braking.Braking`.
    """
    distance, speeds = np.empty(POINTS), np.empty(POINTS)
    gained, way, before = 0.0, 0.0, max(speed, 0.0)
    for k in range(POINTS * SUBSTEPS):
        change = jerk * (start_s + (k + 0.5) * _SUBSTEP_S)
        if acceleration >= -deceleration:
            gained += max(acceleration - change, -deceleration)
        else:
            gained += min(acceleration + change, -deceleration)
        # What stands does not drive off again.
        now = max(speed + gained * _SUBSTEP_S, 0.0) if before > 0.0 or k == 0 else 0.0
        way += 0.5 * (before + now) * _SUBSTEP_S
        before = now
        distance[k // SUBSTEPS], speeds[k // SUBSTEPS] = way, now
    return distance, speeds
