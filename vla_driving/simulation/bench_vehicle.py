"""A vehicle without a world: the car that the stack is given while a video feeds it on a desk."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

from vla_driving.contract.checksum import command_checksum, signed, vehicle_state_checksum
from vla_driving.contract.clock import SECOND, Nanoseconds, age_s
from vla_driving.contract.settings import described, quantity
from vla_driving.contract.vehicle import (
    ControlCommand,
    DriverState,
    Gear,
    VehicleParameters,
    VehicleState,
)

COMMAND_TIMEOUT = "command_timeout"
"""The fault it reports then."""

@dataclass(frozen=True)
class BenchVehicleSettings:
    """What the bench vehicle reports."""

    speed: float = quantity("m/s", 0.0, 60.0, "assumed at the start, and kept unless it follows")
    follow: bool = described("obey engaged commands; else speed and wheel stay as they are")
    command_timeout: float = quantity("s", 0.05, 5.0, "without commands it brakes by itself")


class BenchVehicle:
    """Reports gear drive, a driver who is there and watches, and a speed.

    With `follow` it is a kinematic bicycle that obeys engaged commands; without, a car at constant
    speed on a straight road, as assumed for a video that somebody else has filmed.
    """

    def __init__(self, settings: BenchVehicleSettings, vehicle: VehicleParameters) -> None:
        self._follow = settings.follow
        self._timeout_s = settings.command_timeout
        self._vehicle = vehicle
        self._speed = settings.speed
        self._angle = 0.0
        self._last_ns: Nanoseconds | None = None
        self._command: ControlCommand | None = None
        self._heard_ns: Nanoseconds | None = None
        self._tripped = False
        self._sequence = 0
        self._driver_sequence = 0

    def obey(self, command: ControlCommand, now_ns: Nanoseconds) -> None:
        """Take a command; one whose checksum does not fit is left out."""
        if command.checksum == command_checksum(command):
            self._command, self._heard_ns = command, now_ns
            # As in a real gateway: after a time-out the car must be handed back once.
            self._tripped = self._tripped and command.engaged

    def step(self, now_ns: Nanoseconds) -> VehicleState:
        """Move on to now and report."""
        elapsed_s = 0.0 if self._last_ns is None else (now_ns - self._last_ns) / SECOND
        self._last_ns = now_ns
        before, angle_before = self._speed, self._angle
        if self._follow and elapsed_s > 0.0:
            self._move(min(elapsed_s, 1.0), now_ns)
        turned = elapsed_s if elapsed_s > 0.0 else math.inf
        acceleration = (self._speed - before) / turned
        steering_rate = (self._angle - angle_before) / turned
        return self._report(acceleration, steering_rate, now_ns)

    def driver(self, now_ns: Nanoseconds) -> DriverState:
        """A driver who sits there, hands on the wheel, eyes on the road."""
        self._driver_sequence += 1
        return signed(DriverState(now_ns, True, True, True, 0.0, 0.0, self._driver_sequence))

    def _move(self, elapsed_s: float, now_ns: Nanoseconds) -> None:
        command, car = self._command, self._vehicle
        if command is None or self._heard_ns is None or not command.engaged:
            return
        self._tripped = self._tripped or age_s(self._heard_ns, now_ns) > self._timeout_s
        acceleration = -car.comfort_deceleration if self._tripped else command.acceleration
        self._speed = max(0.0, min(self._speed + acceleration * elapsed_s, car.max_speed))
        step = car.max_steering_rate * elapsed_s
        wanted = max(-car.max_steering_angle, min(command.steering_angle, car.max_steering_angle))
        self._angle += max(-step, min(wanted - self._angle, step))

    def _report(
        self, acceleration: float, steering_rate: float, now_ns: Nanoseconds
    ) -> VehicleState:
        curvature = math.tan(self._angle) / self._vehicle.wheelbase
        state = VehicleState(
            stamp_ns=now_ns,
            sequence=self._sequence,
            speed=self._speed,
            wheel_speed=self._speed,
            acceleration=acceleration,
            lateral_acceleration=self._speed * self._speed * curvature,
            yaw_rate=self._speed * curvature,
            steering_angle=self._angle,
            steering_rate=steering_rate,
            gear=Gear.DRIVE,
            standstill=self._speed < 0.05,
            hazard_lights=self._tripped
            or (self._command is not None and self._command.hazard_lights),
            faults=(COMMAND_TIMEOUT,) if self._tripped else (),
        )
        self._sequence += 1
        return replace(state, checksum=vehicle_state_checksum(state))
