"""The last gate before the actuators: whatever is asked for, what leaves is within the envelope.

Limits are the car's own (VehicleParameters). Where two of them cannot both be kept, the rate wins:
an angle or acceleration that has come to lie outside its bound, because the car became faster or
the driver has just let go, returns to it no quicker than the rate allows.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from vla_driving.contract.clock import SECOND, Nanoseconds
from vla_driving.contract.vehicle import VehicleParameters

_MAX_SPEED = 100.0
"""m/s. Bound of what is believed of a speed; keeps its square finite."""

_MAX_PERIODS = 3.0
"""Command periods. After a longer pause the rates count for this time alone."""


@dataclass(frozen=True)
class Actuation:
    """What leaves the gate: road-wheel angle in rad and rad/s, acceleration in m/s² and m/s³."""

    steering_angle: float
    steering_rate: float
    acceleration: float
    jerk: float


class Envelope:
    """Angle, rate, acceleration, jerk, lateral acceleration and lateral jerk, kept step by step.

    A demand that is not a finite number repeats the last output; a speed that is not one counts as
    the highest of the operational domain, where the limits are tightest.
    """

    def __init__(self, vehicle: VehicleParameters, period_s: float) -> None:
        self._vehicle = vehicle
        self._period_s = period_s
        self._stamp_ns: Nanoseconds | None = None
        self.last = Actuation(0.0, 0.0, 0.0, 0.0)

    def follow(self, steering_angle: float, acceleration: float, now_ns: Nanoseconds) -> Actuation:
        """Take over what the driver does, so that the first engaged step starts from there.

        Only the bounds of the actuators hold here: the command is not obeyed.
        """
        car = self._vehicle
        angle = _finite(steering_angle, self.last.steering_angle)
        longitudinal = _finite(acceleration, 0.0)
        self._stamp_ns = now_ns
        self.last = Actuation(
            _clamp(angle, -car.max_steering_angle, car.max_steering_angle), 0.0,
            _clamp(longitudinal, -car.emergency_deceleration, car.max_acceleration), 0.0,
        )
        return self.last

    def step(
        self,
        steering_angle: float,
        acceleration: float,
        speed: float,
        now_ns: Nanoseconds,
        stopping: bool,
    ) -> Actuation:
        """One command from a demand: angle in rad, acceleration in m/s², measured speed in m/s.

        `stopping` opens the limits of a stop: emergency deceleration and emergency jerk.
        """
        dt = self._elapsed_s(now_ns)
        fast = _clamp(abs(_finite(speed, self._vehicle.max_speed)), 0.0, _MAX_SPEED)
        angle = self._angle(_finite(steering_angle, self.last.steering_angle), fast, dt)
        longitudinal = self._acceleration(
            _finite(acceleration, self.last.acceleration), fast, dt, stopping
        )
        over = dt if dt > 0.0 else self._period_s
        self.last = Actuation(
            angle, (angle - self.last.steering_angle) / over,
            longitudinal, (longitudinal - self.last.acceleration) / over,
        )
        return self.last

    def _elapsed_s(self, now_ns: Nanoseconds) -> float:
        before, self._stamp_ns = self._stamp_ns, now_ns
        if before is None:
            return self._period_s
        elapsed_ns = min(max(now_ns - before, 0), round(_MAX_PERIODS * self._period_s * SECOND))
        return elapsed_ns / SECOND

    def _angle(self, wanted: float, speed: float, dt: float) -> float:
        car, last = self._vehicle, self.last.steering_angle
        bound = car.max_steering_angle
        step = car.max_steering_rate * dt
        squared = speed * speed
        if squared > 0.0:
            bend = math.tan(last) / car.wheelbase
            turn = car.max_lateral_jerk / squared * dt
            step = min(
                step,
                math.atan(car.wheelbase * (bend + turn)) - last,
                last - math.atan(car.wheelbase * (bend - turn)),
            )
            bound = min(bound, math.atan(car.wheelbase * car.max_lateral_acceleration / squared))
        step = max(step, 0.0)
        return _clamp(_clamp(wanted, -bound, bound), last - step, last + step)

    def _acceleration(self, wanted: float, speed: float, dt: float, stopping: bool) -> float:
        car, last = self._vehicle, self.last.acceleration
        low = -(car.emergency_deceleration if stopping else car.max_deceleration)
        high = car.max_acceleration if speed < car.max_speed else 0.0
        step = (car.emergency_jerk if stopping else car.max_jerk) * dt
        return _clamp(_clamp(wanted, low, high), last - step, last + step)


def _clamp(value: float, low: float, high: float) -> float:
    return min(max(value, low), high)


def _finite(value: float, otherwise: float) -> float:
    return float(value) if math.isfinite(value) else otherwise
