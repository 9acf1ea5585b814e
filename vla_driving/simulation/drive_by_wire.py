"""What lies between a ControlCommand and the actuators in a real car: gateway, limits, watchdog."""

from __future__ import annotations

import math
from collections import deque
from dataclasses import dataclass

from vla_driving.contract.checksum import command_checksum
from vla_driving.contract.clock import Nanoseconds, age_s
from vla_driving.contract.vehicle import ControlCommand, VehicleParameters

WATCHDOG_S = 0.1
"""Ten commands at 100 Hz."""
WATCHDOG_DECELERATION = 4.0
"""m/s²: UN R157 §5.5 allows a minimum-risk manoeuvre up to this much."""
_HOLD_SPEED = 0.15

MAX_AHEAD = 200
"""Commands that may have been lost in between; a number beyond it is somebody else's."""
MAX_DISORDERED = 5
"""Of the last WINDOW commands, as opendbc: five wrong counters end control."""
WINDOW = 20

COMMAND_TIMEOUT = "command_timeout"
COMMAND_DISORDER = "command_disorder"


@dataclass(frozen=True)
class DriverInputs:
    """What the person at the wheel does. `steering_angle` in rad at the road wheel, `brake` and
    `accelerator` in m/s² (positive numbers); None: hands or feet off.
    """

    engage_button: bool = False
    cancel_button: bool = False
    steering_angle: float | None = None
    brake: float | None = None
    accelerator: float | None = None


@dataclass(frozen=True)
class ActuatorDemand:
    """What the actuators do in the coming physics step: rad, m/s²."""

    steering_angle: float
    acceleration: float
    hold: bool
    hazard_lights: bool
    faults: tuple[str, ...]
    engaged: bool


class DriveByWire:
    """The vehicle's own gateway: takes fresh valid commands, limits steering, stops when they end.

    The driver always wins. While disengaged the car belongs to the driver, who without other
    inputs holds it on the brake. After WATCHDOG_S without a valid new command while engaged, or
    where numbers say that two speak to it, the car brakes by itself with hazard lights, its wheels
    held where they are, until the driver takes over. Then, and also after a stop, only a command
    that is not engaged makes it ready again.
    """

    def __init__(self, vehicle: VehicleParameters, driver_deceleration: float = 2.0) -> None:
        self._vehicle = vehicle
        self._driver_deceleration = driver_deceleration
        self._command: ControlCommand | None = None
        self._age_s = 0.0
        self._arrived_ns: Nanoseconds | None = None
        self._disordered: deque[bool] = deque(maxlen=WINDOW)
        self._tripped = ""
        self._locked = False
        self._angle = 0.0

    @property
    def steering_angle(self) -> float:
        """Present road-wheel angle, rad."""
        return self._angle

    def receive(self, command: ControlCommand, at_ns: Nanoseconds | None = None) -> None:
        """Take a command as it arrives; one that came before is no new one.

        `at_ns` is the time of its arrival, for those who hand `now_ns` to `step`.
        """
        last = self._command
        if (last is not None and command.sequence == last.sequence) or not _valid(command):
            return
        if last is not None and last.engaged and not self._locked:
            wrong = not 0 < command.sequence - last.sequence <= MAX_AHEAD
            self._disordered.append(wrong)
            if wrong:
                return
        self._command, self._age_s, self._arrived_ns = command, 0.0, at_ns

    def step(
        self, command: ControlCommand | None, driver: DriverInputs, speed: float, dt_s: float,
        now_ns: Nanoseconds | None = None,
    ) -> ActuatorDemand:
        """Advance by `dt_s` s. `command`: the newest received, the same again where none is new.

        `now_ns` is the instant that the step ends at; without it the watchdog counts the steps.
        """
        self._age_s += dt_s
        if command is not None:
            self.receive(command, now_ns)
        if now_ns is not None and self._arrived_ns is not None:
            self._age_s = max(0.0, age_s(self._arrived_ns, now_ns))
        obeyed = self._supervise(driver)
        if self._tripped:
            angle, acceleration, hold = self._angle, -WATCHDOG_DECELERATION, True
        elif obeyed is not None:
            angle, acceleration, hold = obeyed.steering_angle, obeyed.acceleration, obeyed.hold
        else:
            angle, acceleration, hold = self._angle, -self._driver_deceleration, True
        angle, acceleration, hold = _overridden(driver, angle, acceleration, hold)
        self._steer(angle, dt_s)
        return ActuatorDemand(
            steering_angle=self._angle, acceleration=acceleration,
            hold=(hold or acceleration < 0.0) and abs(speed) < _HOLD_SPEED,
            hazard_lights=bool(self._tripped) or (obeyed is not None and obeyed.hazard_lights),
            faults=(self._tripped,) if self._tripped else (), engaged=obeyed is not None,
        )

    def _supervise(self, driver: DriverInputs) -> ControlCommand | None:
        """The command to obey, or None; sets and clears the watchdog's trip."""
        command = self._command
        if command is None or not command.engaged:
            self._tripped, self._locked = "", False
            self._disordered.clear()
            return None
        if not self._locked:
            self._tripped = self._cause()
            self._locked = bool(self._tripped)
        if self._tripped and _touches(driver):
            self._tripped = ""
        return None if self._locked else command

    def _cause(self) -> str:
        """Why commands are not to be obeyed any more; empty where they are."""
        if self._age_s > WATCHDOG_S + 1e-9:
            return COMMAND_TIMEOUT
        return COMMAND_DISORDER if sum(self._disordered) >= MAX_DISORDERED else ""

    def place(self, angle: float) -> None:
        """Put the wheels at an angle at once: for the start of a drive."""
        self._angle = self._clipped(angle)

    def steer(self, angle: float, dt_s: float) -> float:
        """Turn the wheels towards `angle` at most as fast as the actuator can; rad."""
        self._steer(angle, dt_s)
        return self._angle

    def _steer(self, angle: float, dt_s: float) -> None:
        step = self._vehicle.max_steering_rate * dt_s
        self._angle = self._clipped(self._angle + max(-step, min(step, angle - self._angle)))

    def _clipped(self, angle: float) -> float:
        limit = self._vehicle.max_steering_angle
        return max(-limit, min(limit, angle))


def _valid(command: ControlCommand) -> bool:
    return (
        math.isfinite(command.steering_angle) and math.isfinite(command.acceleration)
        and command.checksum == command_checksum(command)
    )


def _touches(driver: DriverInputs) -> bool:
    return (
        driver.steering_angle is not None or driver.brake is not None
        or driver.accelerator is not None or driver.cancel_button
    )


def _overridden(
    driver: DriverInputs, angle: float, acceleration: float, hold: bool
) -> tuple[float, float, bool]:
    if driver.steering_angle is not None:
        angle = driver.steering_angle
    if driver.brake is not None:
        return angle, min(acceleration, -driver.brake), hold
    if driver.accelerator is not None:
        return angle, driver.accelerator, False
    return angle, acceleration, hold
