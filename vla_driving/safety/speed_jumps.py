"""A speed that changes faster than tyres can make it change: the sensor, not the car."""

from __future__ import annotations

from vla_driving.contract.clock import age_s
from vla_driving.contract.vehicle import VehicleState

FRICTION = 12.0
"""m/s². More than tyres hold on any road: 1.2 times the car's weight."""


class SpeedJumps:
    """From one vehicle state to the next, as they were measured."""

    def __init__(self) -> None:
        self._last: VehicleState | None = None

    def forget(self) -> None:
        """Start anew, after a jump of the clock."""
        self._last = None

    def take(self, state: VehicleState) -> float:
        """m/s by which the speed changed since the state before, beyond what friction allows."""
        last, self._last = self._last, state
        if last is None:
            return 0.0
        allowed = FRICTION * age_s(last.stamp_ns, state.stamp_ns)
        return max(abs(state.speed - last.speed) - allowed, 0.0)
