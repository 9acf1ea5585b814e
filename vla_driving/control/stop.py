"""The bridge's own stop: when nobody tells it where to go any more, it brings the car to rest."""

from __future__ import annotations

from vla_driving.contract.clock import Nanoseconds, age_s
from vla_driving.contract.vehicle import VehicleParameters
from vla_driving.control.settings import LongitudinalSettings
from vla_driving.control.tracking import landing


class OwnStop:
    """One stop, from its first step to the car at rest and held.

    It brakes with the comfort deceleration, or harder where the car was already braking harder or
    the last plan would by now. Blind, with no vehicle state to go by, it brakes with the maximum
    deceleration and goes on doing so, for a speed that is only reckoned may be wrong.
    """

    def __init__(
        self,
        settings: LongitudinalSettings,
        vehicle: VehicleParameters,
        acceleration: float,
        now_ns: Nanoseconds,
    ) -> None:
        """Begin at `now_ns`, when `acceleration` in m/s² was the last commanded."""
        self._settings = settings
        self._vehicle = vehicle
        self._begun_ns = now_ns
        self._entry = min(acceleration, 0.0)
        self.holding = False

    def lasted_s(self, now_ns: Nanoseconds) -> float:
        """Since its begin, s."""
        return age_s(self._begun_ns, now_ns)

    def acceleration(
        self, planned: float, speed: float, standing: bool, blind: bool
    ) -> tuple[float, bool]:
        """Demanded acceleration in m/s² and whether the car is to be held.

        `planned` is what the last plan would command now in m/s², 0 where it has ended.
        """
        if blind:
            return -self._vehicle.max_deceleration, standing
        self.holding = self.holding or standing
        if self.holding:
            return -self._settings.hold_deceleration, True
        wanted = min(-self._vehicle.comfort_deceleration, self._entry, planned)
        return landing(self._settings, wanted, speed), False
