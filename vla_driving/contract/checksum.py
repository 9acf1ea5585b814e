"""CRC-32 over what must not change between two nodes.

Each function takes the fields in the order of the message, little-endian, floats in single
precision as they travel (IEEE 802.3 polynomial, `zlib.crc32`), and leaves the checksum field out.
"""

from __future__ import annotations

import struct
import zlib

import numpy as np

from vla_driving.contract.plan import ApprovedPlan, Plan
from vla_driving.contract.trajectory import Trajectory
from vla_driving.contract.vehicle import ControlCommand, VehicleState


def plan_checksum(plan: Plan) -> int:
    """CRC-32 of a plan's identity, validity and candidates."""
    head = struct.pack(
        "<qQQq", plan.stamp_ns, plan.sequence, plan.frame_sequence, plan.valid_until_ns
    )
    return _crc(head, *(_trajectory_bytes(t) for t in plan.candidates))


def approved_plan_checksum(plan: ApprovedPlan) -> int:
    """CRC-32 of an approved plan."""
    head = struct.pack(
        "<qQQqqB???f",
        plan.stamp_ns, plan.sequence, plan.plan_sequence, plan.frame_stamp_ns,
        plan.valid_until_ns, plan.source, plan.engaged, plan.hold, plan.hazard_lights,
        _single(plan.speed_cap),
    )
    return _crc(head, _trajectory_bytes(plan.trajectory))


def command_checksum(command: ControlCommand) -> int:
    """CRC-32 of a control command."""
    return _crc(
        struct.pack(
            "<qQQqB?ffff??",
            command.stamp_ns, command.sequence, command.plan_sequence, command.frame_stamp_ns,
            command.source, command.engaged,
            _single(command.steering_angle), _single(command.steering_rate),
            _single(command.acceleration), _single(command.jerk),
            command.hazard_lights, command.hold,
        )
    )


def vehicle_state_checksum(state: VehicleState) -> int:
    """CRC-32 of a vehicle state."""
    numbers = (
        state.speed, state.wheel_speed, state.acceleration, state.lateral_acceleration,
        state.yaw_rate, state.steering_angle, state.steering_rate,
    )
    head = struct.pack(
        "<qQ7fB???????",
        state.stamp_ns, state.sequence, *map(_single, numbers), state.gear,
        state.standstill, state.steering_override, state.brake_override,
        state.accelerator_override, state.engage_button, state.cancel_button,
        state.hazard_lights,
    )
    return _crc(head, "\0".join(state.faults).encode())


def _trajectory_bytes(trajectory: Trajectory) -> bytes:
    arrays = (np.ascontiguousarray(a, "<f4").tobytes() for a in trajectory.arrays())
    return b"".join((np.float32(trajectory.probability).tobytes(), *arrays))


def _single(value: float) -> float:
    # struct refuses a double beyond single precision; numpy turns it into infinity, as DDS would.
    with np.errstate(over="ignore"):
        return float(np.float32(value))


def _crc(*parts: bytes) -> int:
    crc = 0
    for part in parts:
        crc = zlib.crc32(part, crc)
    return crc
