"""A sensor that lies by standing still: fresh stamps, the same numbers, though it says it moves."""

from __future__ import annotations

from vla_driving.contract.vehicle import VehicleState

_MOVING = 0.3
"""m/s. The numbers of a car that stands may well repeat."""


class Repetition:
    """Vehicle states in a row whose numbers are all the same, while by those the motion changes.

    A car that accelerates or steers has another speed or angle 20 ms later; one that reports both
    changes and no change repeats itself. At constant motion without noise nothing is said.
    """

    def __init__(self) -> None:
        self._last: tuple[float, ...] | None = None
        self.count = 0

    def take(self, state: VehicleState) -> None:
        """One more state."""
        numbers = (
            state.speed, state.wheel_speed, state.acceleration, state.lateral_acceleration,
            state.yaw_rate, state.steering_angle, state.steering_rate,
        )
        changing = state.acceleration != 0.0 or state.steering_rate != 0.0
        same = numbers == self._last and changing and abs(state.speed) > _MOVING
        self.count = self.count + 1 if same else 0
        self._last = numbers
