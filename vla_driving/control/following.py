"""The speed side of following a plan: track it, come to rest at its end, hold, start again."""

from __future__ import annotations

from vla_driving.contract.plan import ApprovedPlan
from vla_driving.contract.vehicle import VehicleParameters
from vla_driving.control.path import Path
from vla_driving.control.settings import LongitudinalSettings
from vla_driving.control.tracking import LongitudinalTracker, landing


class PlanFollower:
    """Acceleration and hold for an approved plan.

    A plan departs where it moves within the start preview. A car at rest whose plan does not depart
    is held; it stays held, whatever the speed sensor says, until a plan departs.
    """

    def __init__(self, settings: LongitudinalSettings, vehicle: VehicleParameters) -> None:
        self._settings = settings
        self._vehicle = vehicle
        self._tracker = LongitudinalTracker(settings)
        self.holding = False

    def reset(self) -> None:
        """Forget the past: somebody else has driven."""
        self._tracker.reset()
        self.holding = False

    def target(self, plan: ApprovedPlan, path: Path, age_s: float) -> float:
        """Speed in m/s that the plan asks for now, capped."""
        return min(path.speed_at(age_s), self._cap(plan))

    def acceleration(
        self, plan: ApprovedPlan, path: Path, age_s: float, speed: float,
        standing: bool, withheld: float, elapsed_s: float,
    ) -> tuple[float, bool]:
        """Demanded acceleration in m/s² and whether the car is to be held.

        `age_s` since the plan's stamp, `speed` in m/s, `withheld` as in LongitudinalTracker.
        """
        departs = self._departs(plan, path, age_s)
        if not departs and (standing or self.holding):
            self.reset()
            self.holding = True
            return -self._settings.hold_deceleration, True
        self.holding = False
        wanted = self._track(plan, path, age_s, speed, withheld, elapsed_s)
        if departs:
            return wanted, False
        if plan.hold:
            wanted = min(wanted, -self._vehicle.comfort_deceleration)
        # The target alone would only be crept up to: brake until the car stands.
        wanted = min(wanted, -self._settings.landing_deceleration)
        return landing(self._settings, wanted, speed), False

    def _track(
        self, plan: ApprovedPlan, path: Path, age_s: float, speed: float,
        withheld: float, elapsed_s: float,
    ) -> float:
        feed_forward = path.acceleration_at(age_s + self._vehicle.acceleration_delay)
        # Towards the cap the plan's acceleration fades, above it none is left; what the cap takes
        # from the plan is no bias of the car, so it is not integrated.
        room = self._cap(plan) - path.speed_at(age_s)
        feed_forward = min(feed_forward, self._settings.proportional_gain * max(room, 0.0))
        return self._tracker.acceleration(
            feed_forward, self.target(plan, path, age_s), speed, withheld,
            elapsed_s if room > 0.0 else 0.0,
        )

    def _departs(self, plan: ApprovedPlan, path: Path, age_s: float) -> bool:
        soon = path.fastest_between(age_s, age_s + self._settings.start_preview)
        return not plan.hold and min(soon, self._cap(plan)) > self._settings.standstill_speed

    def _cap(self, plan: ApprovedPlan) -> float:
        return min(plan.speed_cap, self._vehicle.max_speed)
