"""The vehicle's own gateway: what it obeys, when it stops by itself, who wins."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sim_setup import VEHICLE, command

from vla_driving.contract.vehicle import ControlCommand
from vla_driving.simulation.drive_by_wire import (
    COMMAND_DISORDER,
    COMMAND_TIMEOUT,
    MAX_AHEAD,
    MAX_DISORDERED,
    WATCHDOG_DECELERATION,
    WATCHDOG_S,
    ActuatorDemand,
    DriveByWire,
    DriverInputs,
)

STEP = 0.02
NOBODY = DriverInputs()


def run(
    gateway: DriveByWire, commands: list[ControlCommand | None], speed: float = 10.0,
    driver: DriverInputs = NOBODY,
) -> list[ActuatorDemand]:
    return [gateway.step(c, driver, speed, STEP) for c in commands]


def silent(gateway: DriveByWire, duration: float, speed: float = 10.0) -> list[ActuatorDemand]:
    return run(gateway, [None] * round(duration / STEP), speed)


def engaged() -> DriveByWire:
    gateway = DriveByWire(VEHICLE)
    assert run(gateway, [command(1, acceleration=0.5)])[0].acceleration == 0.5
    return gateway


def test_before_anything_comes_the_driver_holds_the_car() -> None:
    demand = silent(DriveByWire(VEHICLE), 1.0, speed=0.0)[-1]
    assert demand.hold and demand.acceleration < 0.0 and not demand.engaged and not demand.faults


def test_silence_while_engaged_ends_in_braking_with_hazard_lights() -> None:
    demands = silent(engaged(), 1.0)
    tripped = [k for k, d in enumerate(demands) if d.faults]
    assert WATCHDOG_S < (tripped[0] + 1) * STEP < WATCHDOG_S + STEP
    assert all(d.acceleration == 0.5 for d in demands[:tripped[0]])
    last = demands[-1]
    assert last.faults == (COMMAND_TIMEOUT,) and last.hazard_lights and not last.engaged
    assert last.acceleration == -WATCHDOG_DECELERATION


def test_the_same_command_again_and_again_is_silence() -> None:
    demands = run(engaged(), [command(1, acceleration=0.5)] * 20)
    assert demands[-1].faults == (COMMAND_TIMEOUT,)


def test_the_clock_of_arrival_decides_where_there_is_one() -> None:
    """A simulator that was held up makes many steps at once; commands were there all the while."""
    gateway = DriveByWire(VEHICLE)
    late_ns = 10**9
    gateway.receive(command(1, acceleration=0.5), late_ns)
    for k in range(20):
        now_ns = late_ns - (20 - k) * 20_000_000
        assert gateway.step(None, NOBODY, 10.0, STEP, now_ns).acceleration == 0.5
    assert not gateway.step(None, NOBODY, 10.0, STEP, late_ns + 100_000_000).faults
    silent_ns = late_ns + 120_000_000
    assert gateway.step(None, NOBODY, 10.0, STEP, silent_ns).faults == (COMMAND_TIMEOUT,)


@pytest.mark.parametrize("offset", [MAX_AHEAD + 1, -500])
def test_two_who_command_are_noticed_and_the_other_is_never_obeyed(offset: int) -> None:
    gateway = DriveByWire(VEHICLE)
    demands = []
    for k in range(1000, 1020):
        gateway.receive(command(k, acceleration=0.5))
        gateway.receive(command(k + offset, acceleration=2.0))
        demands += run(gateway, [None])
    tripped = next(k for k, d in enumerate(demands) if d.faults)
    assert tripped == MAX_DISORDERED - 1
    assert demands[tripped].faults == (COMMAND_DISORDER,)
    assert {d.acceleration for d in demands} == {0.5, -WATCHDOG_DECELERATION}


def test_a_bridge_that_starts_anew_is_obeyed_once_it_has_let_go() -> None:
    gateway = DriveByWire(VEHICLE)
    run(gateway, [command(k) for k in range(1000, 1010)])
    silent(gateway, 0.5)
    assert run(gateway, [command(0, engaged=False)])[-1].faults == ()
    demands = run(gateway, [command(k, acceleration=0.7) for k in range(1, 30)])
    assert {d.acceleration for d in demands} == {0.7}


@pytest.mark.parametrize(
    "broken",
    [
        replace(command(2), acceleration=1.0),
        command(2, steering_angle=float("nan")),
        command(2, acceleration=float("inf")),
    ],
    ids=["checksum", "nan", "infinite"],
)
def test_broken_commands_are_silence_too(broken: ControlCommand) -> None:
    demands = run(engaged(), [replace(broken, sequence=k) for k in range(2, 22)])
    assert {d.acceleration for d in demands} == {0.5, -WATCHDOG_DECELERATION}


def test_after_a_trip_only_disengaging_makes_it_ready_again() -> None:
    gateway = engaged()
    silent(gateway, 0.5)
    assert run(gateway, [command(9, acceleration=1.0)])[-1].faults
    assert run(gateway, [None], driver=DriverInputs(brake=1.0))[-1].faults == ()
    assert not run(gateway, [command(10, acceleration=1.0)])[-1].engaged
    assert not run(gateway, [command(11, engaged=False)])[-1].engaged
    assert run(gateway, [command(12, acceleration=1.0)])[-1].acceleration == 1.0


def test_silence_while_disengaged_is_no_fault() -> None:
    gateway = engaged()
    run(gateway, [command(2, engaged=False)])
    assert not any(d.faults for d in silent(gateway, 2.0))


def test_the_driver_wins() -> None:
    gateway = engaged()
    hands = run(gateway, [command(2, steering_angle=-0.3)], driver=DriverInputs(steering_angle=0.1))
    assert hands[0].steering_angle > 0.0
    brakes = run(gateway, [command(3, acceleration=1.0)], driver=DriverInputs(brake=3.0))
    assert brakes[0].acceleration == -3.0
    gas = run(gateway, [command(4, acceleration=-1.0)], driver=DriverInputs(accelerator=1.5))
    assert gas[0].acceleration == 1.5 and not gas[0].hold
    harder = run(gateway, [command(5, acceleration=-5.0)], driver=DriverInputs(brake=3.0))
    assert harder[0].acceleration == -5.0


def test_hazard_lights_and_hold_are_passed_on() -> None:
    demand = run(engaged(), [command(2, hazard_lights=True, hold=True)], speed=0.0)[0]
    assert demand.hazard_lights and demand.hold


def test_a_moving_car_is_not_held() -> None:
    assert not run(engaged(), [command(2, hold=True, acceleration=-1.0)], speed=5.0)[0].hold


@given(st.lists(st.floats(-3.0, 3.0), min_size=1, max_size=60))
def test_the_wheels_turn_within_rate_and_limit(angles: list[float]) -> None:
    gateway = DriveByWire(VEHICLE)
    before = 0.0
    for sequence, angle in enumerate(angles):
        now = run(gateway, [command(sequence, steering_angle=angle)])[0].steering_angle
        assert abs(now - before) <= VEHICLE.max_steering_rate * STEP + 1e-9
        assert abs(now) <= VEHICLE.max_steering_angle
        before = now
