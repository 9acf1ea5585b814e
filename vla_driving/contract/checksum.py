"""CRC-32 over what must not change between two nodes.

Each function takes the fields in the order of the message, little-endian, floats in single
precision as they travel (IEEE 802.3 polynomial, `zlib.crc32`), and leaves the checksum field out.
"""

from __future__ import annotations

import dataclasses
import struct
import zlib
from collections.abc import Callable
from itertools import chain
from operator import attrgetter
from typing import Any, TypeAlias, TypeVar, cast

import numpy as np
import numpy.typing as npt

from vla_driving.contract.frames import CameraHealth
from vla_driving.contract.navigation import EngagementRequest, Route
from vla_driving.contract.plan import ApprovedPlan, Plan
from vla_driving.contract.scene import ObjectList
from vla_driving.contract.trajectory import Trajectories
from vla_driving.contract.vehicle import ControlCommand, DriverState, VehicleState

T = TypeVar("T")

_LARGEST = 3e38
_SINGLE = np.dtype("<f4")
Buffer: TypeAlias = bytes | npt.NDArray[np.float32]
_VEHICLE_STATE = struct.Struct("<qQ7fB???????")
_CONTROL = attrgetter("kind", "state", "probability", "distance", "value")


def plan_checksum(plan: Plan) -> int:
    """CRC-32 of all of a plan that is driven or judged by: not of names, words and times spent."""
    head = struct.pack(
        "<qQQqBBfQf",
        plan.stamp_ns, plan.sequence, plan.frame_sequence, plan.valid_until_ns,
        plan.lateral_action, plan.longitudinal_action, _single(plan.uncertainty),
        plan.instruction_id, _single(plan.speed_cap),
    )
    parts: list[Buffer] = [head]
    if isinstance(plan.candidates, Trajectories):
        parts.append(plan.candidates.numbers)
    else:
        parts += [trajectory.as_travelled for trajectory in plan.candidates]
    parts += _in_single((), plan.object_table)
    for line in plan.lane_lines:
        parts += _in_single((line.kind, line.probability), line.x, line.y)
    parts += _in_single(tuple(chain.from_iterable(map(_CONTROL, plan.traffic_controls))))
    return _crc(*parts)


def objects_checksum(objects: ObjectList) -> int:
    """CRC-32 of an object list."""
    head = struct.pack("<qQ", objects.stamp_ns, objects.sequence)
    return _crc(head, objects.source.encode(), *_in_single((), objects.table))


def route_checksum(route: Route) -> int:
    """CRC-32 of a route."""
    head = struct.pack(
        "<qBfffQ", route.stamp_ns, route.next_turn, _single(route.distance_to_turn),
        _single(route.distance_to_goal), _single(route.speed_limit), route.sequence,
    )
    return _crc(head, *_in_single((), route.x, route.y))


def driver_state_checksum(state: DriverState) -> int:
    """CRC-32 of a driver state."""
    return _crc(
        struct.pack(
            "<q???ffQ", state.stamp_ns, state.present, state.eyes_on_road, state.hands_on_wheel,
            _single(state.eyes_off_duration_s), _single(state.hands_off_duration_s),
            state.sequence,
        )
    )


def camera_health_checksum(health: CameraHealth) -> int:
    """CRC-32 of camera health, names included."""
    head = struct.pack("<qQ", health.stamp_ns, health.sequence)
    reports = (
        struct.pack(
            "<qB7f", report.stamp_ns, report.status,
            *map(_single, (
                report.status_value, report.status_limit, report.rate, report.brightness,
                report.saturated, report.contrast, report.sharpness,
            )),
        ) + report.name.encode()
        for report in health.cameras
    )
    return _crc(head, health.model.encode(), *reports)


def request_checksum(request: EngagementRequest) -> int:
    """CRC-32 of a request of the cockpit."""
    return _crc(struct.pack("<qB", request.stamp_ns, request.request), request.source.encode())


def approved_plan_checksum(plan: ApprovedPlan) -> int:
    """CRC-32 of an approved plan."""
    head = struct.pack(
        "<qQQqqB???f",
        plan.stamp_ns, plan.sequence, plan.plan_sequence, plan.frame_stamp_ns,
        plan.valid_until_ns, plan.source, plan.engaged, plan.hold, plan.hazard_lights,
        _single(plan.speed_cap),
    )
    return _crc(head, plan.trajectory.as_travelled)


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
    rest = (
        state.gear, state.standstill, state.steering_override, state.brake_override,
        state.accelerator_override, state.engage_button, state.cancel_button,
        state.hazard_lights,
    )
    try:
        head = _VEHICLE_STATE.pack(state.stamp_ns, state.sequence, *numbers, *rest)
    except OverflowError:
        singles = map(_single, numbers)
        head = _VEHICLE_STATE.pack(state.stamp_ns, state.sequence, *singles, *rest)
    return _crc(head, "".join(f"{name}\0" for name in state.faults).encode())


_CHECKSUMS: dict[type, Callable[[Any], int]] = {
    Plan: plan_checksum,
    ApprovedPlan: approved_plan_checksum,
    ControlCommand: command_checksum,
    VehicleState: vehicle_state_checksum,
    ObjectList: objects_checksum,
    Route: route_checksum,
    DriverState: driver_state_checksum,
    CameraHealth: camera_health_checksum,
    EngagementRequest: request_checksum,
}


def checksum_of(value: Any) -> int:
    """What the checksum of a message of the contract has to be. Raises KeyError for one without."""
    return _CHECKSUMS[type(value)](value)


def signed(value: T) -> T:
    """The same message with its checksum. Raises KeyError for one that has none."""
    return dataclasses.replace(value, checksum=checksum_of(value))  # type: ignore[type-var]


def _in_single(numbers: tuple[float, ...], *arrays: npt.ArrayLike) -> list[Buffer]:
    """The numbers of a row and arrays of any shape, as the bytes that travel."""
    parts: list[Buffer] = [struct.pack(f"<{len(numbers)}f", *map(_single, numbers))]
    for array in arrays:
        if isinstance(array, np.ndarray) and array.dtype == _SINGLE and array.flags.c_contiguous:
            parts.append(array)  # as it lies there: nothing is copied but once, by `_crc`
        else:
            with np.errstate(over="ignore"):
                parts.append(np.asarray(array).astype(_SINGLE).tobytes())
    return parts


def _single(value: float) -> float:
    if -_LARGEST < value < _LARGEST:
        return value
    # struct refuses a double beyond single precision; numpy turns it into infinity, as DDS would.
    with np.errstate(over="ignore"):
        return float(np.float32(value))


def _crc(*parts: Buffer) -> int:
    return zlib.crc32(b"".join(cast("tuple[bytes, ...]", parts)))
