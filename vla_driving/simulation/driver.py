"""The person at the wheel of the simulated car, following the scenario's script."""

from __future__ import annotations

import dataclasses

from vla_driving.simulation.drive_by_wire import DriverInputs
from vla_driving.simulation.scenario import DriverAction, DriverScript


class ScriptedDriver:
    """Presses the engage button when the stack is ready, again after a stop; intervenes on cue."""

    def __init__(self, script: DriverScript) -> None:
        self._script = script
        self._waiting_since_s: float | None = None
        self._pressed_since_s: float | None = None
        self._pressed_before = False

    def step(self, now_s: float, ready: bool, engaged: bool, standstill: bool) -> DriverInputs:
        """Inputs at simulated time `now_s`.

        `ready`: the stack would engage; `engaged`: it drives; `standstill`: the car stands.
        """
        pressed = self._press(now_s, ready and standstill and not engaged)
        inputs = DriverInputs(engage_button=pressed)
        for action in self._script.actions:
            if action.start <= now_s < action.start + action.duration:
                inputs = _with(inputs, action)
        return inputs

    def _press(self, now_s: float, wanted: bool) -> bool:
        if self._pressed_since_s is not None:
            if now_s - self._pressed_since_s < self._script.press_duration:
                return True
            self._pressed_since_s = None
            self._waiting_since_s = None
        if not wanted:
            self._waiting_since_s = None
            return False
        if self._waiting_since_s is None:
            self._waiting_since_s = now_s
        script = self._script
        delay = script.reengage_delay if self._pressed_before else script.engage_delay
        if delay < 0.0 or now_s - self._waiting_since_s < delay:
            return False
        self._pressed_since_s = now_s
        self._pressed_before = True
        return True


def _with(inputs: DriverInputs, action: DriverAction) -> DriverInputs:
    match action.kind:
        case "cancel":
            return dataclasses.replace(inputs, cancel_button=True)
        case "steer":
            return dataclasses.replace(inputs, steering_angle=action.value)
        case "brake":
            return dataclasses.replace(inputs, brake=abs(action.value))
        case _:
            return dataclasses.replace(inputs, accelerator=abs(action.value))
