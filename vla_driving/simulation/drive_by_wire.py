"""What lies between a ControlCommand and the actuators in a real car: gateway, limits, watchdog."""

from __future__ import annotations

import math
from dataclasses import dataclass

from vla_driving.contract.checksum import command_checksum
from vla_driving.contract.vehicle import ControlCommand, VehicleParameters

WATCHDOG_S = 0.25
WATCHDOG_DECELERATION = 4.0
"""m/s²: UN R157 §5.5 allows a minimum-risk manoeuvre up to this much."""
_HOLD_SPEED = 0.15

COMMAND_TIMEOUT = "command_timeout"


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
    inputs holds it on the brake. After WATCHDOG_S without a valid new command while engaged the
    car brakes by itself with hazard lights, its wheels held where they are, until the driver takes
    over. Then, and also after a stop, only a command that is not engaged makes it ready again.
    """

    def __init__(self, vehicle: VehicleParameters, driver_deceleration: float = 2.0) -> None:
        self._vehicle = vehicle
        self._driver_deceleration = driver_deceleration
        self._command: ControlCommand | None = None
        self._age_s = 0.0
        self._tripped = False
        self._locked = False
        self._angle = 0.0

    @property
    def steering_angle(self) -> float:
        """Present road-wheel angle, rad."""
        return self._angle

    def step(
        self, command: ControlCommand | None, driver: DriverInputs, speed: float, dt_s: float
    ) -> ActuatorDemand:
        """Advance by `dt_s` s. `command`: the newest received, the same again where none is new."""
        self._take(command, dt_s)
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
            hazard_lights=self._tripped or (obeyed is not None and obeyed.hazard_lights),
            faults=(COMMAND_TIMEOUT,) if self._tripped else (), engaged=obeyed is not None,
        )

    def _supervise(self, driver: DriverInputs) -> ControlCommand | None:
        """The command to obey, or None; sets and clears the watchdog's trip."""
        command = self._command
        if command is None or not command.engaged:
            self._tripped = self._locked = False
            return None
        if not self._locked and self._age_s > WATCHDOG_S + 1e-9:
            self._tripped = self._locked = True
        if self._tripped and _touches(driver):
            self._tripped = False
        return None if self._locked else command

    def place(self, angle: float) -> None:
        """Put the wheels at an angle at once: for the start of a drive."""
        self._angle = self._clipped(angle)

    def steer(self, angle: float, dt_s: float) -> float:
        """Turn the wheels towards `angle` at most as fast as the actuator can; rad."""
        self._steer(angle, dt_s)
        return self._angle

    def _take(self, command: ControlCommand | None, dt_s: float) -> None:
        self._age_s += dt_s
        if command is None or (
            self._command is not None and command.sequence == self._command.sequence
        ):
            return
        if not _valid(command):
            return
        self._command = command
        self._age_s = 0.0

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
