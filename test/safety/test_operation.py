"""The operational domain and the monitor's own inputs, in closed loop."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable
from dataclasses import replace
from typing import Any, cast

import numpy as np
import pytest
from drive import (
    RATES,
    SETTINGS,
    VEHICLE,
    World,
    car,
    constant,
    engaged,
    signed_plan,
    signed_state,
    status,
    text,
)

from vla_driving.contract.checksum import signed
from vla_driving.contract.frames import FrameStatus
from vla_driving.contract.navigation import EngagementRequest, EngagementWish, Route, Turn
from vla_driving.contract.supervision import Engagement, Level, Manoeuvre, Verdict
from vla_driving.contract.vehicle import VehicleState
from vla_driving.safety.intake import MonitorInputs
from vla_driving.safety.monitor import SafetyMonitor
from vla_driving.safety.report import Cause
from vla_driving.safety.speed_cap import SpeedCap

Change = Callable[[MonitorInputs, World], MonitorInputs]





def routed(aside: float = 0.0, turn: Turn = Turn.NONE, to_goal: float = 500.0) -> Change:
    """A route that runs `aside` m left of the car."""
    number = itertools.count(1)
    x = np.arange(10.0, 170.0, 10.0, dtype=np.float32)

    def change(inputs: MonitorInputs, world: World) -> MonitorInputs:
        y = np.full(len(x), aside, np.float32)
        route = Route(world.now_ns, x, y, turn, 99.0, to_goal, 0.0, next(number))
        return replace(inputs, routes=(signed(route),))

    return change


# -- route ---------------------------------------------------------------------------------------


def test_on_its_route_the_car_drives_on() -> None:
    world = engaged()
    world.on_inputs = routed(SETTINGS.operation.max_route_deviation - 0.5, Turn.ARRIVE)
    world.run(3.0)
    assert status(world) == (Level.NOMINAL, Engagement.ENABLED)


@pytest.mark.requirement("SR-23")
def test_off_the_route_the_driver_is_asked_to_take_over() -> None:
    world = engaged()
    world.on_inputs = routed(SETTINGS.operation.max_route_deviation + 0.5)
    world.run(SETTINGS.operation.confirm - 0.1)
    assert status(world) == (Level.NOMINAL, Engagement.ENABLED)
    world.run(0.2)
    assert status(world)[1] == Engagement.SOFT_DISABLING
    assert text(world) == "car is 20.50 m off the route (limit 20 m): take over now"


@pytest.mark.requirement("SR-23")
def test_at_the_end_of_its_route_the_car_stops() -> None:
    world = engaged()
    world.on_inputs = routed(0.0, Turn.ARRIVE, SETTINGS.operation.route_end - 0.1)
    world.run(0.1)
    assert status(world)[1] == Engagement.SOFT_DISABLING
    assert "the route ends in 1.90 m" in text(world)
    world.run(SETTINGS.reaction.soft_disable + 0.2)
    assert status(world)[1] == Engagement.MINIMAL_RISK


def test_near_the_goal_a_turn_that_is_not_the_last_ends_nothing() -> None:
    world = engaged()
    world.on_inputs = routed(0.0, Turn.LEFT, 0.0)
    world.run(2.0)
    assert status(world) == (Level.NOMINAL, Engagement.ENABLED)


# -- speed ---------------------------------------------------------------------------------------


@pytest.mark.requirement("SR-08")
def test_the_instructions_cap_holds_for_plan_and_car() -> None:
    world = engaged()
    world.on_plan = lambda plan, world: signed_plan(plan, speed_cap=6.0)
    world.run(2.0)
    assert world.check("plan_limit").verdict == Verdict.FAIL
    assert status(world) == (Level.DEGRADED, Engagement.ENABLED)
    world.run(5.0)
    assert world.approved is not None
    assert world.approved.speed_cap == 6.0
    assert world.speed < 6.0 + SETTINGS.world.speed_tolerance


@pytest.mark.parametrize("none", [0.0, math.nan, -1.0])
def test_without_an_instruction_nothing_is_capped(none: float) -> None:
    world = engaged()
    world.on_plan = lambda plan, world: signed_plan(plan, speed_cap=none)
    world.run(2.0)
    assert status(world)[0] == Level.NOMINAL
    assert world.approved is not None and world.approved.speed_cap == VEHICLE.max_speed


def test_a_plan_may_come_down_to_a_new_limit_as_the_cap_does() -> None:
    world = engaged(target_speed=10.0)
    world.on_plan = lambda plan, world: signed_plan(
        plan, candidates=(constant(world.speed, -1.2),)
    )
    world.run(0.3)
    world.on_inputs = limited(5.0)
    world.run(1.5)
    assert status(world) == (Level.NOMINAL, Engagement.ENABLED)
    assert world.approved is not None and 5.0 < world.approved.speed_cap < 10.0


def limited(speed: float) -> Change:
    change = routed()
    return lambda inputs, world: replace(
        inputs, routes=tuple(
            signed(replace(r, speed_limit=speed)) for r in change(inputs, world).routes
        ),
    )


@pytest.mark.requirement("SR-08")
def test_a_car_that_does_not_obey_its_cap_is_stopped() -> None:
    world = engaged()
    world.on_plan = lambda plan, world: signed_plan(
        plan, candidates=(constant(10.3),), uncertainty=3.0
    )

    def deaf(state: VehicleState, world: World) -> VehicleState:
        return signed_state(
            state, speed=10.3 + 0.01 * (state.sequence % 2), wheel_speed=10.3, standstill=False
        )

    world.on_state = deaf
    world.run(5.0)
    assert status(world)[1] == Engagement.MINIMAL_RISK
    assert "above the cap that it was given" in text(world)


def test_a_driver_who_accelerates_past_the_cap_is_not_held_against_the_car() -> None:
    world = engaged()
    world.on_plan = lambda plan, world: signed_plan(plan, uncertainty=3.0)
    world.run(4.0)
    world.run(0.5, accelerator_override=True)
    while world.speed < 14.0:
        world.speed += 0.1
        world.run(0.02, accelerator_override=True)
    assert status(world)[1] == Engagement.OVERRIDING
    world.run(2.0)
    assert status(world) == (Level.DEGRADED, Engagement.ENABLED)


def test_the_cap_that_was_asked_for_lasts_as_long_as_the_level() -> None:
    """A gap that is short for a moment leads to no crawl while DEGRADED lasts on."""
    world = engaged()
    begin, place = world.elapsed_s, world.x + 8.0
    moment = 0.1
    world.objects = lambda world: (
        (world.ahead(place + 10.0 * (world.elapsed_s - begin), 0.0, 9.8),)
        if world.elapsed_s - begin < moment else ()
    )
    world.run(1.5)
    assert status(world)[0] == Level.DEGRADED
    assert world.approved is not None
    assert world.approved.speed_cap > SETTINGS.reaction.degraded_speed + 1.0


def test_a_released_cap_starts_anew() -> None:
    cap = SpeedCap(VEHICLE, 1.0)
    assert cap.step(8.0, 10.0, 1.0) == 9.0
    cap.release()
    assert cap.step(8.0, 12.0, 1.0) == 11.0
    assert cap.step(8.0, 2.0, 1.0) == 8.0
    assert cap.step(20.0, 12.0, 1.0) == 20.0


# -- cameras -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("camera", "check"),
    [
        (FrameStatus.FROZEN, "camera_health"), (FrameStatus.COVERED, "camera_health"),
        (FrameStatus.DARK, "light"), (FrameStatus.OVEREXPOSED, "light"),
        (FrameStatus.BLURRED, "visibility"), (99, "camera_health"),
    ],
)
@pytest.mark.requirement("SR-11")
def test_each_state_of_a_camera_has_its_check_and_stops_the_car(
    camera: FrameStatus, check: str
) -> None:
    world = engaged()
    world.camera = camera
    world.run(0.12)
    failed = {c.name for c in world.safety.checks if c.verdict == Verdict.FAIL}
    assert failed == {check}
    assert status(world)[1] == Engagement.MINIMAL_RISK
    assert text(world).startswith("front camera ")


@pytest.mark.parametrize(
    ("names", "wrong"),
    [
        (("front",), None),
        (("rear",), "the camera set is rear, this car has front, left"),
        (("front", "front"), "the camera set is front, front, this car has front, left"),
        ((), "the camera set is empty, this car has front, left"),
    ],
)
@pytest.mark.requirement("SR-11")
def test_only_this_cars_cameras_count(names: tuple[str, ...], wrong: str | None) -> None:
    world = World(speed=10.0)
    world.monitor = SafetyMonitor(SETTINGS, VEHICLE, RATES, ("front", "left"))
    world.engage().run(1.0)

    def renamed(inputs: MonitorInputs, world: World) -> MonitorInputs:
        return replace(inputs, frames=tuple(
            signed(replace(health, cameras=tuple(
                replace(health.cameras[0], name=name) for name in names
            )))
            for health in inputs.frames
        ))

    world.on_inputs = renamed
    world.run(0.3)
    if wrong is None:
        assert status(world) == (Level.NOMINAL, Engagement.ENABLED)
    else:
        assert text(world) == f"{wrong}: stopping"


# -- the monitor's own inputs --------------------------------------------------------------------


@pytest.mark.requirement("SR-13")
def test_a_second_publisher_stops_the_car_and_is_named() -> None:
    world = engaged()
    counted = (("vehicle/state", 1), ("vla/plan", 2))
    world.on_inputs = lambda inputs, world: replace(inputs, publishers=counted)
    world.run(0.1)
    assert status(world)[1] == Engagement.MINIMAL_RISK
    assert text(world) == "vla/plan has 2 publishers (limit 1): stopping"
    # Between two counts the last one holds.
    world.on_inputs = lambda inputs, world: inputs
    world.run(12.0)
    assert world.safety is not None and not world.safety.ready
    alone = (("vla/plan", 1),)
    world.on_inputs = lambda inputs, world: replace(inputs, publishers=alone)
    world.run(0.5)
    assert world.safety.ready


@pytest.mark.requirement("SR-14")
def test_a_state_that_repeats_itself_is_no_state() -> None:
    world = engaged(target_speed=14.0)
    frozen: list[VehicleState] = []

    def stuck(state: VehicleState, world: World) -> VehicleState:
        frozen.append(state)
        return signed_state(frozen[0], stamp_ns=state.stamp_ns, sequence=state.sequence)

    world.on_state = stuck
    world.run(0.02 * SETTINGS.inputs.max_identical)
    assert status(world)[1] == Engagement.ENABLED
    world.run(0.1)
    assert status(world)[1] == Engagement.MINIMAL_RISK
    assert "vehicle state repeats itself 11 times" in text(world)


@pytest.mark.parametrize(
    ("spoil", "event"),
    [
        (lambda i: replace(i, plans=tuple(replace(p, checksum=1) for p in i.plans)),
         "plan_refused"),
        (lambda i: replace(
            i, vehicle_states=tuple(replace(s, checksum=1) for s in i.vehicle_states)),
         "vehicle_state_refused"),
        (lambda i: replace(i, objects=tuple(replace(o, checksum=1) for o in i.objects)),
         "object_list_refused"),
    ],
)
@pytest.mark.requirement("SR-10")
def test_the_first_refused_message_is_told_at_once(
    spoil: Callable[[MonitorInputs], MonitorInputs], event: str
) -> None:
    world = engaged()
    first = len(world.outputs)
    told: list[str] = []

    def once(inputs: MonitorInputs, world: World) -> MonitorInputs:
        spoiled = spoil(inputs)
        if told or spoiled == inputs:
            return inputs
        told.append(event)
        return spoiled

    world.on_inputs = once
    world.run(0.3)
    names = [e.name for o in world.outputs[first:] for e in o.events]
    assert names.count(event) == 1
    assert status(world) == (Level.NOMINAL, Engagement.ENABLED)


def test_junk_among_the_requests_is_left_out() -> None:
    world = World().run(1.0)
    unsigned = EngagementRequest(world.now_ns, EngagementWish.ENGAGE, "cockpit")
    junk: tuple[Any, ...] = (None, "engage", unsigned, replace(unsigned, source=cast(str, 7)))
    world.on_inputs = lambda inputs, world: replace(inputs, requests=junk)
    world.run(0.1)
    assert status(world)[1] == Engagement.DISABLED
    assert "failed" not in text(world)


def test_a_wish_to_let_go_needs_no_checksum() -> None:
    world = engaged()
    stop = EngagementRequest(world.now_ns, EngagementWish.DISENGAGE, "cockpit")
    world.on_inputs = lambda inputs, world: replace(inputs, requests=(stop,))
    world.run(0.02)
    assert status(world)[1] == Engagement.DISABLED


# -- the stop ------------------------------------------------------------------------------------


@pytest.mark.requirement("SR-16", "SR-19")
def test_everything_dead_but_the_vehicle_the_car_still_stops() -> None:
    world = engaged(curvature=0.01)
    world.on_inputs = lambda inputs, world: MonitorInputs(vehicle_states=inputs.vehicle_states)
    world.run(12.0)
    assert status(world) == (Level.STOPPED, Engagement.STOPPED)
    assert world.speed == 0.0
    assert world.lowest_acceleration >= -VEHICLE.comfort_deceleration - 0.01
    radius = math.hypot(world.x, world.y - 100.0)
    assert radius == pytest.approx(100.0, abs=0.5)


def test_why_a_soft_stop_is_not_enough_is_said() -> None:
    world = engaged(target_speed=10.0)
    place = world.x + 28.0
    world.on_plan = lambda plan, world: None
    world.run(0.7)
    world.objects = lambda world: (world.ahead(place, 0.0),)
    while status(world)[0] != Level.EMERGENCY:
        world.run(0.02)
    assert text(world).startswith("a collision in ")
    assert text(world).endswith("s ends the planned stop (limit 2.5 s): emergency stop")
    assert world.safety is not None
    assert world.safety.manoeuvre == Manoeuvre.EMERGENCY_STOP


def test_a_worse_cause_is_not_replaced_by_the_planned_stops_own() -> None:
    cause = Cause()
    cause.note(True, Level.EMERGENCY, None)
    cause.text = "collision in 0.40 s"
    cause.harder("a collision in 2.00 s ends the planned stop")
    assert cause.text == "collision in 0.40 s"


def test_what_only_one_source_sees_beside_the_path_is_no_disagreement() -> None:
    """Within the box around a bent path, but not on it."""
    world = engaged(curvature=0.02)
    world.objects = lambda world: (car(35.0, 4.0, 8.0),)
    world.run(0.3)
    assert world.check("scene_agreement").verdict == Verdict.PASS
