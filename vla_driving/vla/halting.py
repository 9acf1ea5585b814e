"""A plan that halts comes to rest as a driver's does, and not ever more slowly.

The network brakes the less the slower the car is, and is asked anew ten times a second: what it
plans to reach in 1.5 s it still plans to reach in 1.5 s a second later, and the car creeps on.
"""

from __future__ import annotations

import numpy as np

from vla_driving.contract.trajectory import Trajectory, integrate

SLOW = 1.2
"""m/s: no faster now, and at no time of the plan."""
REST = 0.05
"""m/s at the end of the plan: it halts."""
LEAST = 0.6
"""m/s²: what a comfortable stop ends with; from SLOW on it takes 2 s and 1.2 m."""


def halting(path: Trajectory, speed: float) -> Trajectory:
    """The same way, braked by LEAST or more, where `path` halts from slow `speed` in m/s on."""
    if speed <= 0.0 or max(speed, float(path.speed.max())) > SLOW or path.speed[-1] > REST:
        return path
    braked = np.minimum(path.acceleration, -LEAST)
    return integrate(speed, braked, path.curvature, path.probability)
