"""How hard the monitor's own stops brake, how long that takes and how far they go.

The braking builds up once, from the acceleration at which the stop began, and does not start anew
with every message.
"""

from __future__ import annotations

from dataclasses import dataclass

from vla_driving.contract.clock import Nanoseconds, age_s
from vla_driving.contract.vehicle import VehicleParameters


@dataclass(frozen=True)
class Braking:
    """One stop: deceleration in m/s² and jerk in m/s³, both positive, from `acceleration` on."""

    since_ns: Nanoseconds
    acceleration: float
    deceleration: float
    jerk: float

    def at(self, stamp_ns: Nanoseconds) -> float:
        """Acceleration asked for at an instant, m/s²."""
        change = self.jerk * max(age_s(self.since_ns, stamp_ns), 0.0)
        if self.acceleration >= -self.deceleration:
            return max(self.acceleration - change, -self.deceleration)
        return min(self.acceleration + change, -self.deceleration)

    def longest_s(self, speed: float) -> float:
        """Time to standstill from `speed` in m/s, with the full build-up still to come."""
        return max(speed, 0.0) / self.deceleration + self.deceleration / self.jerk

    def longest_m(self, speed: float) -> float:
        """Distance to standstill from `speed` in m/s, with the full build-up still to come."""
        build_up_s = self.deceleration / self.jerk
        return max(speed, 0.0) * (0.5 * max(speed, 0.0) / self.deceleration + build_up_s)


PLANNED_DECELERATION = 4.0
"""m/s². No planned stop brakes harder, not even at its begin (UN R157 section 5.5)."""


def comfortable(vehicle: VehicleParameters, acceleration: float, now_ns: Nanoseconds) -> Braking:
    """A planned stop, in lane or beside it, from the acceleration measured now, m/s²."""
    start = min(max(acceleration, -PLANNED_DECELERATION), 0.0)
    return Braking(now_ns, start, vehicle.comfort_deceleration, vehicle.max_jerk)


def emergency(vehicle: VehicleParameters, acceleration: float, now_ns: Nanoseconds) -> Braking:
    """Full braking from the acceleration measured now, m/s²."""
    start = min(max(acceleration, -vehicle.emergency_deceleration), 0.0)
    return Braking(now_ns, start, vehicle.emergency_deceleration, vehicle.emergency_jerk)
