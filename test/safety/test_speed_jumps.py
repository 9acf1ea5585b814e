"""A speed that jumps is no motion of a car."""

from __future__ import annotations

from dataclasses import replace

import pytest
from drive import SETTINGS, START, STATE, STEP, World, signed_state

from vla_driving.contract.clock import nanoseconds
from vla_driving.contract.supervision import Engagement, Level
from vla_driving.contract.vehicle import VehicleState
from vla_driving.safety.speed_jumps import FRICTION, SpeedJumps

pytestmark = pytest.mark.requirement("SR-14")


@pytest.mark.parametrize(
    ("before", "after", "seconds", "jump"),
    [
        (8.0, 8.2, 0.02, 0.0), (8.0, 7.8, 0.02, 0.0), (8.0, 8.3, 0.02, 0.06),
        (8.0, 0.0, 0.02, 7.76), (0.0, 8.0, 0.02, 7.76), (8.0, 0.0, 0.5, 2.0), (8.0, 0.0, 1.0, 0.0),
    ],
)
def test_beyond_friction(before: float, after: float, seconds: float, jump: float) -> None:
    jumps = SpeedJumps()
    assert jumps.take(replace(STATE, speed=before)) == 0.0
    later = replace(STATE, speed=after, stamp_ns=START + nanoseconds(seconds))
    assert jumps.take(later) == pytest.approx(jump)
    assert jumps.take(replace(later, stamp_ns=later.stamp_ns + STEP)) == 0.0
    jumps.forget()
    assert jumps.take(replace(later, speed=before)) == 0.0


def engaged() -> World:
    world = World(speed=8.0, target_speed=8.0).engage().run(1.2)
    assert world.safety is not None
    assert world.safety.engagement == Engagement.ENABLED
    return world


def signed_with(state: VehicleState, speed: float) -> VehicleState:
    return signed_state(state, speed=speed, wheel_speed=speed, standstill=speed == 0.0)


def test_a_car_that_is_suddenly_said_to_stand_is_held() -> None:
    world = engaged()
    world.on_state = lambda state, world: signed_with(state, 0.0)
    world.run(0.04)
    assert world.safety is not None
    assert world.safety.level >= Level.MINIMAL_RISK
    assert "speed jumped by 7.7" in world.safety.alert_text
    world.run(1.0)
    assert world.safety.engagement == Engagement.STOPPED
    assert world.approved is not None
    assert world.approved.hold


def test_a_step_within_the_limit_is_left_alone() -> None:
    world = engaged()
    most = SETTINGS.inputs.max_speed_jump + FRICTION * 0.02
    offset = 0.9 * most
    world.on_state = lambda state, world: signed_with(state, state.speed + offset)
    world.run(0.1)
    assert world.check("vehicle_state_jump").value == 0.0
    offset = 0.9 * most + 1.1 * most
    world.run(0.1)
    assert world.check("vehicle_state_jump").value > SETTINGS.inputs.max_speed_jump


def test_it_is_said_for_a_while_and_then_over() -> None:
    world = engaged()
    world.run(0.5, brake_override=True)
    world.on_state = lambda state, world: signed_with(state, state.speed + 3.0)
    world.run(0.5)
    assert world.check("vehicle_state_jump").value > 2.0
    world.run(1.0)
    assert world.check("vehicle_state_jump").value == 0.0
