"""The car: what it reports, what it is told, and what it can do."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum
from itertools import pairwise
from pathlib import Path

from vla_driving.contract.clock import Nanoseconds
from vla_driving.contract.settings import SettingsError, load, quantity


class Gear(IntEnum):
    """Values as in VehicleState.msg."""

    UNKNOWN = 0
    PARK = 1
    REVERSE = 2
    NEUTRAL = 3
    DRIVE = 4


class CommandSource(IntEnum):
    """Values as in ControlCommand.msg."""

    STANDBY = 0
    PLAN = 1
    STOP = 2


@dataclass(frozen=True)
class VehicleState:
    """What the vehicle reports of itself, measured at `stamp_ns`.

    Speeds in m/s (`wheel_speed` is the second source), accelerations in m/s², yaw rate and steering
    rate in rad/s, road-wheel angle in rad; left and counter-clockwise positive.
    """

    stamp_ns: Nanoseconds
    sequence: int
    speed: float
    wheel_speed: float
    acceleration: float
    lateral_acceleration: float
    yaw_rate: float
    steering_angle: float
    steering_rate: float
    gear: Gear
    standstill: bool
    steering_override: bool = False
    brake_override: bool = False
    accelerator_override: bool = False
    engage_button: bool = False
    cancel_button: bool = False
    hazard_lights: bool = False
    faults: tuple[str, ...] = ()
    checksum: int = 0


@dataclass(frozen=True)
class DriverState:
    """What driver monitoring reports; durations in s, 0 while eyes or hands are in place."""

    stamp_ns: Nanoseconds
    present: bool
    eyes_on_road: bool
    hands_on_wheel: bool
    eyes_off_duration_s: float
    hands_off_duration_s: float
    sequence: int = 0
    checksum: int = 0


@dataclass(frozen=True)
class ControlCommand:
    """What the actuators are to do now; `stamp_ns` is the vehicle state it was made from.

    Road-wheel angle in rad and rate in rad/s, left positive; acceleration in m/s², jerk in m/s³.
    `frame_stamp_ns` is the exposure of the frames behind the plan it follows.
    """

    stamp_ns: Nanoseconds
    sequence: int
    plan_sequence: int
    frame_stamp_ns: Nanoseconds
    source: CommandSource
    engaged: bool
    steering_angle: float
    steering_rate: float
    acceleration: float
    jerk: float
    hazard_lights: bool
    hold: bool
    checksum: int = 0


@dataclass(frozen=True)
class VehicleParameters:
    """One car's geometry, actuators and limits, from config/vehicles/<name>.yaml."""

    name: str
    wheelbase: float = quantity("m", 0.5, 10.0)
    front_overhang: float = quantity("m", 0.0, 3.0, "front axle to front bumper")
    rear_overhang: float = quantity("m", 0.0, 3.0, "rear axle to rear bumper")
    width: float = quantity("m", 0.5, 4.0, "without mirrors")
    height: float = quantity("m", 0.5, 5.0)
    max_steering_angle: float = quantity("rad", 0.05, 1.2, "at the road wheel")
    max_steering_rate: float = quantity("rad/s", 0.05, 3.0, "at the road wheel")
    steering_delay: float = quantity("s", 0.0, 1.0, "command to motion")
    acceleration_delay: float = quantity("s", 0.0, 1.0, "command to motion")
    max_speed: float = quantity("m/s", 1.0, 60.0, "of the operational design domain")
    max_lateral_acceleration: float = quantity("m/s^2", 0.5, 5.0, "ISO 11270: 3.0")
    max_lateral_jerk: float = quantity("m/s^3", 0.5, 10.0, "ISO 11270: 5.0")
    max_acceleration: float = quantity("m/s^2", 0.2, 4.0, "ISO 15622: 2.0")
    max_deceleration: float = quantity("m/s^2", 1.0, 6.0, "ISO 15622: 3.5, as a positive number")
    emergency_deceleration: float = quantity("m/s^2", 2.0, 10.0, "as a positive number")
    comfort_deceleration: float = quantity(
        "m/s^2", 0.3, 4.0, "of the stop in lane; UN R157: at most 4.0"
    )
    max_jerk: float = quantity("m/s^3", 0.5, 20.0, "longitudinal, while following a plan")
    emergency_jerk: float = quantity("m/s^3", 1.0, 60.0, "longitudinal, while stopping")

    @property
    def length(self) -> float:
        """Bumper to bumper, m."""
        return self.rear_overhang + self.wheelbase + self.front_overhang

    @property
    def centre_offset(self) -> float:
        """Rear axle to the centre of the footprint, m, forward."""
        return 0.5 * self.length - self.rear_overhang


def load_vehicle(path: Path) -> VehicleParameters:
    """Read config/vehicles/<name>.yaml. Raises SettingsError."""
    vehicle = load(VehicleParameters, path)
    ladder = ("comfort_deceleration", "max_deceleration", "emergency_deceleration")
    for gentle, hard in pairwise(ladder):
        low, high = getattr(vehicle, gentle), getattr(vehicle, hard)
        if low > high:
            raise SettingsError(f"{path}: {gentle}: {low} is above {hard}, {high} m/s^2")
    return vehicle
