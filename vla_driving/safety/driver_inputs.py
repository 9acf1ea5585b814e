"""What the driver does: buttons, pedals, wheel, and requests of the cockpit."""

from __future__ import annotations

from collections.abc import Sequence

from vla_driving.contract.checksum import request_checksum
from vla_driving.contract.clock import Nanoseconds, age_s
from vla_driving.contract.navigation import EngagementRequest, EngagementWish
from vla_driving.contract.vehicle import VehicleState
from vla_driving.safety.engagement import Driver

MAX_REQUESTS = 16
"""Newest requests looked at in one step."""


class DriverInputs:
    """Turns the engage button into an edge: one that is down when first seen is not a press."""

    def __init__(self, request_max_age_s: float, future_tolerance_s: float) -> None:
        self._oldest_s = request_max_age_s
        self._newest_s = -future_tolerance_s
        self._button: bool | None = None

    def forget(self) -> None:
        """The state of the button is not known any more."""
        self._button = None

    def read(
        self,
        states: Sequence[VehicleState],
        current: VehicleState | None,
        requests: Sequence[EngagementRequest],
        now_ns: Nanoseconds,
    ) -> Driver:
        """What the driver does now.

        `states` are new in this step, oldest first; `current` stands for them where there are none.
        """
        engage = cancel = False
        for state in states:
            engage |= state.engage_button and self._button is False
            self._button = state.engage_button
        for request in requests[-MAX_REQUESTS:]:
            engage |= self._engages(request, now_ns)
            # Whatever else is wrong with it, a wish to let go is granted.
            cancel |= getattr(request, "request", None) == EngagementWish.DISENGAGE
        seen = states or ([current] if current is not None else [])
        return Driver(
            engage=engage,
            cancel=cancel or any(s.cancel_button for s in seen),
            brake=any(s.brake_override for s in seen),
            steer=any(s.steering_override for s in seen),
            accelerate=any(s.accelerator_override for s in seen),
        )

    def _engages(self, request: EngagementRequest, now_ns: Nanoseconds) -> bool:
        try:
            if request.request != EngagementWish.ENGAGE:
                return False
            recent = self._newest_s <= age_s(request.stamp_ns, now_ns) <= self._oldest_s
            return recent and request.checksum == request_checksum(request)
        except Exception:  # whatever arrived, it is no request
            return False
