"""From where the car is and where the path goes to a road-wheel angle and an acceleration."""

from __future__ import annotations

import math

from vla_driving.contract.vehicle import VehicleParameters
from vla_driving.control.path import PathPoint
from vla_driving.control.settings import LateralSettings, LongitudinalSettings


class LateralTracker:
    """Curvature feed-forward with feedback on lateral and heading error. Without state.

    With look-ahead distance L the feedback is -(2/L²)(e + L sin(psi)), the pure-pursuit law about a
    curved path. For small errors e'' + (2/L) e' + (2/L²) e = 0 over the distance driven: damping
    0.71 at every speed, one setting to tune.
    """

    def __init__(self, settings: LateralSettings, vehicle: VehicleParameters) -> None:
        self._settings = settings
        self._wheelbase = vehicle.wheelbase

    def angle(self, point: PathPoint, speed: float) -> float:
        """Road-wheel angle in rad for a car that sees the path as `point` and drives at `speed`."""
        correction = -self._stiffness(speed) * (
            point.lateral_error + self.look_ahead(speed) * math.sin(point.heading_error)
        )
        bound = self._settings.max_correction / max(speed * speed, 1.0)
        return self.angle_of(point.curvature + min(max(correction, -bound), bound))

    def angle_of(self, curvature: float) -> float:
        """Road-wheel angle in rad of the kinematic bicycle on an arc of this curvature in 1/m."""
        return math.atan(self._wheelbase * curvature)

    def look_ahead(self, speed: float) -> float:
        """Look-ahead distance in m."""
        return max(self._settings.min_look_ahead, self._settings.look_ahead_time * abs(speed))

    def _stiffness(self, speed: float) -> float:
        return 2.0 / self.look_ahead(speed) ** 2


class LongitudinalTracker:
    """Acceleration feed-forward with a PI on the speed error.

    The integral stands still while the gate limits the output in the direction of the error, so it
    does not wind up.
    """

    def __init__(self, settings: LongitudinalSettings) -> None:
        self._settings = settings
        self.integral = 0.0

    def reset(self) -> None:
        """Forget the past: the car was held or somebody else drove."""
        self.integral = 0.0

    def acceleration(
        self, feed_forward: float, target: float, speed: float, withheld: float, dt: float
    ) -> float:
        """Acceleration in m/s² towards the `target` speed in m/s.

        `withheld` is what was asked for in the last step less what left the gate, in m/s².
        """
        error = target - speed
        if error * withheld <= 0.0 or abs(withheld) < 1e-6:
            bound = self._settings.max_integral
            grown = self.integral + self._settings.integral_gain * error * dt
            self.integral = min(max(grown, -bound), bound)
        return feed_forward + self._settings.proportional_gain * error + self.integral


def landing(settings: LongitudinalSettings, acceleration: float, speed: float) -> float:
    """Ease braking just before standstill, so that the car comes to rest without a jolt.

    Below the landing speed no more than the deceleration that reaches standstill with the landing
    jerk: a = sqrt(2 j v).
    """
    if speed >= settings.landing_speed:
        return acceleration
    eased = math.sqrt(2.0 * settings.landing_jerk * max(speed, 0.0))
    return max(acceleration, -max(settings.landing_deceleration, eased))
