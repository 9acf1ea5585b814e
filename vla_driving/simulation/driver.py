"""The person behind the simulated wheel: presses the engage button as the scenario says."""

from __future__ import annotations

from vla_driving.contract.clock import Nanoseconds, age_s
from vla_driving.contract.supervision import Engagement, SafetyState
from vla_driving.simulation.drive_by_wire import DriverInputs
from vla_driving.simulation.scenario import DriverScript

_DRIVEN_BY_THE_STACK = (
    Engagement.PRE_ENABLED, Engagement.ENABLED, Engagement.OVERRIDING,
    Engagement.SOFT_DISABLING, Engagement.MINIMAL_RISK,
)


class ScriptedDriver:
    """Engages once the stack is ready, again after a stop, and does nothing else."""

    def __init__(self, script: DriverScript) -> None:
        self._script = script
        self._waiting_since_ns: Nanoseconds | None = None
        self._pressed_since_ns: Nanoseconds | None = None
        self._has_engaged = False

    def step(
        self, safety: SafetyState | None, standing: bool, now_ns: Nanoseconds
    ) -> DriverInputs:
        """What the driver does now, from the newest safety state and whether the car stands."""
        if self._pressed_since_ns is not None:
            if age_s(self._pressed_since_ns, now_ns) < self._script.press_duration:
                return DriverInputs(engage_button=True)
            self._pressed_since_ns = None
        if safety is None or not safety.ready or safety.engagement in _DRIVEN_BY_THE_STACK:
            self._waiting_since_ns = None
            return DriverInputs()
        delay = self._script.reengage_delay if self._has_engaged else self._script.engage_delay
        if self._waiting_since_ns is None:
            self._waiting_since_ns = now_ns
        if 0.0 <= delay <= age_s(self._waiting_since_ns, now_ns) and standing:
            self._pressed_since_ns = now_ns
            self._waiting_since_ns = None
            self._has_engaged = True
            return DriverInputs(engage_button=True)
        return DriverInputs()
