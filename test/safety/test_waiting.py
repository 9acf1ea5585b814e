"""What asks for no stop: a ghost, and what is in the way of a car that stands."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from drive import SETTINGS, World, car, constant, engaged, signed_plan, status, text

from vla_driving.contract.frames import FrameStatus
from vla_driving.contract.plan import Plan, PlanSource
from vla_driving.contract.scene import SceneObject
from vla_driving.contract.supervision import Engagement, Level
from vla_driving.contract.trajectory import POINTS


def nan_plan(plan: Plan, world: World) -> Plan:
    broken = replace(plan.candidates[0], x=np.full(POINTS, np.nan, np.float32))
    return signed_plan(plan, candidates=(broken,))


def test_a_ghost_of_one_frame_slows_nothing() -> None:
    """What is not confirmed asks for nothing, not even for less speed."""
    world = engaged(target_speed=10.0)
    before = len(world.outputs)
    once = iter([True])
    world.objects = lambda world: (
        (world.ahead(world.x + 22.0, 0.0),) if next(once, False) else ()
    )
    world.run(1.0)
    reports = [o.safety_state for o in world.outputs[before:] if o.safety_state is not None]
    seen = [c.value for r in reports for c in r.checks if c.name == "collision_sensor"]
    assert min(seen) < SETTINGS.world.collision_horizon
    assert {r.level for r in reports} == {Level.NOMINAL}


def crossing(since_s: float, until_s: float) -> Callable[[World], tuple[SceneObject, ...]]:
    """Somebody stands in the way for a while."""
    return lambda world: (car(8.0, 0.0),) if since_s <= world.elapsed_s < until_s else ()


def standing() -> World:
    """Engaged, and the plan is to stand."""
    return engaged(speed=0.0, target_speed=0.0)


def starts(plan: Plan, world: World) -> Plan:
    return signed_plan(plan, candidates=(constant(world.speed, 1.5),))


@pytest.mark.requirement("SR-05")
def test_a_car_that_stands_waits_while_its_way_is_blocked_and_then_drives_on() -> None:
    world = standing()
    first, now = len(world.outputs), world.elapsed_s
    world.objects = crossing(now, now + 3.0)
    world.on_plan = starts
    world.run(2.5)
    assert status(world) == (Level.DEGRADED, Engagement.ENABLED)
    assert "collision" in text(world)
    assert text(world).endswith("waiting")
    assert world.approved is not None
    assert (world.approved.source, world.approved.hold) == (PlanSource.FALLBACK, True)
    assert not world.approved.hazard_lights
    assert world.speed == 0.0
    left = {o.approved.valid_until_ns - world.now_ns for o in world.outputs[-1:] if o.approved}
    assert min(left) > 0
    world.run(3.5)
    assert status(world) == (Level.NOMINAL, Engagement.ENABLED)
    assert world.approved.source == PlanSource.MODEL
    assert world.speed > 1.0
    levels = {o.safety_state.level for o in world.outputs[first:] if o.safety_state is not None}
    assert levels == {Level.NOMINAL, Level.DEGRADED}


@pytest.mark.requirement("SR-05")
def test_who_moves_does_not_wait_but_stops() -> None:
    world = engaged(speed=3.0, target_speed=3.0)
    world.objects = crossing(0.0, math.inf)
    world.run(1.0)
    assert status(world)[1] in (Engagement.MINIMAL_RISK, Engagement.STOPPED)


@pytest.mark.parametrize(
    "worse",
    [
        {"on_plan": nan_plan},
        {"on_plan": lambda plan, world: None},
        {"camera": FrameStatus.FROZEN},
        {"on_state": lambda state, world: None},
    ],
)
def test_waiting_is_for_what_is_in_the_way_alone(worse: dict[str, Any]) -> None:
    world = standing()
    world.objects, world.on_plan = crossing(0.0, math.inf), starts
    world.run(1.5)
    assert status(world) == (Level.DEGRADED, Engagement.ENABLED)
    for name, value in worse.items():
        setattr(world, name, value)
    world.run(1.5)
    assert status(world) == (Level.STOPPED, Engagement.STOPPED)
    world.objects = lambda world: ()
    world.on_plan, world.camera = starts, FrameStatus.OK
    world.on_state = lambda state, world: state
    world.run(1.0)
    assert status(world) == (Level.STOPPED, Engagement.STOPPED)


def test_while_it_waits_the_driver_has_the_last_word() -> None:
    world = standing()
    world.objects, world.on_plan = crossing(0.0, math.inf), starts
    world.run(1.0)
    world.run(0.1, brake_override=True)
    assert status(world)[1] == Engagement.DISABLED
