"""What the network wants, held to what the car may do: nobody approves a plan beyond that.

The network is taught by a planner that keeps the limits and still passes them now and then: it
comes to a bend a little too fast, or brakes a little too late. Then the car is to drive the same
path more slowly. The safety monitor holds every plan against the same limits by itself.
"""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

from vla_driving.contract.trajectory import PERIOD_S, POINTS, Trajectory, integrate
from vla_driving.contract.vehicle import VehicleParameters

FloatArray = npt.NDArray[np.float64]

MARGIN = 0.95
"""Of each limit: rounding and a car that follows not quite exactly take the rest."""
_STRAIGHT = 1e-6
"""1/m"""


def feasible(path: Trajectory, speed: float, vehicle: VehicleParameters) -> Trajectory:
    """The same way within the car's limits, from `speed` in m/s on; `path` where it keeps them.

    Bends are taken at no more than the lateral acceleration allows and braked for in time, where
    that is still possible, and no tighter than the wheels turn; what asks for more braking or
    pushing than the limits gets those.
    """
    wanted = path.acceleration.astype(np.float64)
    tightest = math.tan(vehicle.max_steering_angle) / vehicle.wheelbase
    bend = np.clip(path.curvature.astype(np.float64), -tightest, tightest)
    speeds = np.concatenate(([max(0.0, speed)], path.speed))
    arc = _arc(speeds)
    allowed = _allowed(bend, arc, vehicle)
    bends = bool((np.abs(path.curvature) <= tightest).all())
    if bends and _keeps(wanted, speeds, allowed, vehicle):
        return path
    held, slower = _held(wanted, speeds, arc, allowed, vehicle)
    middle, before = 0.5 * (slower[1:] + slower[:-1]), 0.5 * (arc[1:] + arc[:-1])
    return integrate(speed, held, np.interp(middle, before, bend), path.probability)


def _arc(speeds: FloatArray) -> FloatArray:
    """(65,) m driven at each of the (65,) speeds."""
    return np.concatenate(([0.0], np.cumsum(0.5 * (speeds[1:] + speeds[:-1]) * PERIOD_S)))


def _allowed(bend: FloatArray, arc: FloatArray, vehicle: VehicleParameters) -> FloatArray:
    """(65,) highest speeds in m/s along the way: for each bend, and to brake for those ahead."""
    squared = np.empty(POINTS + 1)
    squared[1:] = MARGIN * vehicle.max_lateral_acceleration / np.maximum(np.abs(bend), _STRAIGHT)
    squared[0] = squared[1]
    reach = 2.0 * MARGIN * vehicle.max_deceleration
    # Braking, v^2 falls by `reach` a metre: of the lines that lead into the bends the lowest holds.
    lowest = np.minimum.accumulate((squared + reach * arc)[::-1])[::-1]
    return np.sqrt(lowest - reach * arc)


def _keeps(
    wanted: FloatArray, speeds: FloatArray, allowed: FloatArray, vehicle: VehicleParameters
) -> bool:
    return bool(
        (speeds[1:] <= allowed[1:]).all()
        and (wanted >= -MARGIN * vehicle.max_deceleration).all()
        and (wanted <= MARGIN * vehicle.max_acceleration).all()
    )


def _held(
    wanted: FloatArray, speeds: FloatArray, arc: FloatArray, allowed: FloatArray,
    vehicle: VehicleParameters,
) -> tuple[FloatArray, FloatArray]:
    """(64,) accelerations within the limits and the (65,) ways that they lead to."""
    hardest, fastest = MARGIN * vehicle.max_deceleration, MARGIN * vehicle.max_acceleration
    held, ways = np.empty(POINTS), np.zeros(POINTS + 1)
    now = float(speeds[0])
    for k in range(POINTS):
        aim = now + min(max(float(wanted[k]), -hardest), fastest) * PERIOD_S
        if now > speeds[k]:
            # It could not brake as hard as was wanted and has to make up for it.
            aim = min(aim, float(speeds[k + 1]))
        ahead = ways[k] + 0.5 * (now + max(aim, 0.0)) * PERIOD_S
        aim = min(aim, float(np.interp(ahead, arc, allowed)))
        after = max(aim, now - hardest * PERIOD_S, 0.0)
        held[k] = (after - now) / PERIOD_S
        ways[k + 1] = ways[k] + 0.5 * (now + after) * PERIOD_S
        now = after
    return held, ways
