"""The vehicle without a world."""

from dataclasses import replace
from pathlib import Path

import pytest

from vla_driving.contract.checksum import command_checksum, vehicle_state_checksum
from vla_driving.contract.clock import SECOND
from vla_driving.contract.vehicle import CommandSource, ControlCommand, Gear, load_vehicle
from vla_driving.simulation.bench_vehicle import BenchVehicle, BenchVehicleSettings

VEHICLE = load_vehicle(Path(__file__).parents[2] / "config/vehicles/default.yaml")
STEP_NS = SECOND // 50


def command(angle: float, acceleration: float, engaged: bool = True) -> ControlCommand:
    made = ControlCommand(
        stamp_ns=0, sequence=0, plan_sequence=0, frame_stamp_ns=0, source=CommandSource.PLAN,
        engaged=engaged, steering_angle=angle, steering_rate=0.0, acceleration=acceleration,
        jerk=0.0, hazard_lights=False, hold=False,
    )
    return replace(made, checksum=command_checksum(made))


def test_it_keeps_its_speed_whatever_is_commanded() -> None:
    car = BenchVehicle(BenchVehicleSettings(speed=20.0, follow=False, command_timeout=0.2), VEHICLE)
    for k in range(50):
        car.obey(command(0.2, -3.0), k * STEP_NS)
        state = car.step(k * STEP_NS)
    assert (state.speed, state.steering_angle, state.yaw_rate) == (20.0, 0.0, 0.0)
    assert state.gear == Gear.DRIVE
    assert state.sequence == 49
    assert state.checksum == vehicle_state_checksum(state)
    assert car.driver(7).present


def test_told_to_follow_it_does_within_its_limits() -> None:
    car = BenchVehicle(BenchVehicleSettings(speed=10.0, follow=True, command_timeout=0.2), VEHICLE)
    car.step(0)
    for k in range(1, 51):
        car.obey(command(0.1, -2.0), k * STEP_NS)
        state = car.step(k * STEP_NS)
        assert abs(state.steering_rate) <= VEHICLE.max_steering_rate + 1e-9
    assert state.speed == pytest.approx(8.0)
    assert state.acceleration == pytest.approx(-2.0)
    assert state.steering_angle == pytest.approx(0.1)
    assert state.yaw_rate > 0.0


def test_not_engaged_or_corrupt_commands_are_left_out() -> None:
    car = BenchVehicle(BenchVehicleSettings(speed=10.0, follow=True, command_timeout=0.2), VEHICLE)
    car.step(0)
    car.obey(command(0.1, -2.0, engaged=False), 0)
    assert car.step(STEP_NS).speed == 10.0
    car.obey(replace(command(0.1, -2.0), acceleration=2.0), STEP_NS)
    assert car.step(2 * STEP_NS).speed == 10.0


def test_it_brakes_by_itself_when_commands_end() -> None:
    car = BenchVehicle(BenchVehicleSettings(speed=5.0, follow=True, command_timeout=0.2), VEHICLE)
    car.obey(command(0.0, 0.0), 0)
    for k in range(250):
        state = car.step(k * STEP_NS)
    assert state.standstill
