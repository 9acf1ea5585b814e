"""The monitor in its first steps, and in the step in which something happens."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from drive import (
    RATES,
    SETTINGS,
    START,
    STATE,
    STEP,
    VEHICLE,
    World,
    car,
    constant,
    plan_of,
    signed_plan,
    signed_state,
    status,
    text,
)

from vla_driving.contract.checksum import signed
from vla_driving.contract.clock import Nanoseconds, nanoseconds
from vla_driving.contract.frames import CameraHealth, CameraReport, FrameStatus
from vla_driving.contract.navigation import Route, Turn
from vla_driving.contract.scene import LaneLine, LaneLineKind, ObjectList, SceneObject
from vla_driving.contract.supervision import Engagement, Level, Manoeuvre, Verdict
from vla_driving.contract.vehicle import VehicleState
from vla_driving.safety.intake import MonitorInputs
from vla_driving.safety.monitor import MonitorOutputs, SafetyMonitor

INPUTS, REACTION = SETTINGS.inputs, SETTINGS.reaction


def begun(**kwargs: Any) -> World:
    """A car that has just been engaged, at 10 m/s unless told otherwise."""
    world = World(**{"speed": 10.0, **kwargs}).run(0.2).run(0.04, engage_button=True)
    assert status(world)[1] == Engagement.ENABLED, text(world)
    return world


def monitor(**kwargs: Any) -> SafetyMonitor:
    return SafetyMonitor(SETTINGS, VEHICLE, RATES, **kwargs)


def state(at_ns: Nanoseconds, speed: float = 0.0, **changes: Any) -> MonitorInputs:
    """One vehicle state of that instant."""
    number = (at_ns - START) // 1_000_000 + 10_000
    made = signed_state(
        STATE, stamp_ns=at_ns, sequence=number, speed=speed, wheel_speed=speed, **changes
    )
    return MonitorInputs(vehicle_states=(made,))


def route(at_ns: Nanoseconds, **changes: Any) -> Route:
    x, y = np.array([-10.0, 90.0], np.float32), np.array([30.0, 30.0], np.float32)
    made = Route(at_ns, x, y, Turn.NONE, 99.0, 999.0, 0.0, 1)
    return signed(replace(made, **changes))


def check(out: MonitorOutputs, name: str) -> tuple[float, Verdict]:
    assert out.safety_state is not None
    (found,) = (c for c in out.safety_state.checks if c.name == name)
    return round(found.value, 6), found.verdict


# -- what arrives reaches its check ------------------------------------------------------------


def test_each_oddity_is_seen_by_its_check() -> None:
    odd = replace(car(30.0, 9.0), x=math.nan)
    cameras = (CameraReport("front", START, FrameStatus.STALE, 0.31, 0.2),
               CameraReport("rear", START, FrameStatus.OK, 0.0, 0.0))
    inputs = replace(
        state(START, 10.0),
        plans=(plan_of((constant(10.0),), objects=(odd, odd)),),
        objects=(signed(ObjectList(START, 1, "radar", (odd,))),),
        routes=(route(START),),
        frames=(signed(CameraHealth(START, 1, "m/1", cameras)),),
        publishers=(("vla/plan", 2), ("vla/route", 1)),
    )
    out = monitor(cameras=("front",)).step(inputs, START)
    assert check(out, "scene_finite")[0] == 2.0
    assert check(out, "objects_finite")[0] == 1.0
    assert check(out, "route_deviation")[0] == pytest.approx(30.0)
    assert check(out, "camera_set") == (1.0, Verdict.FAIL)
    assert check(out, "camera_late") == (0.31, Verdict.FAIL)
    assert check(out, "publishers") == (2.0, Verdict.FAIL)
    assert check(out, "speed_cap") == (0.0, Verdict.PASS)


def test_of_several_routes_the_newest_leads() -> None:
    near = route(START, y=np.array([3.0, 3.0], np.float32))
    far = route(START + STEP, sequence=2)
    both = replace(state(START + STEP), routes=(near, far))
    out = monitor().step(both, START + STEP)
    assert check(out, "route_deviation")[0] == pytest.approx(30.0)


@pytest.mark.parametrize(("speed", "jump"), [(3.5, 0.0), (3.51, 0.51)])
def test_a_jump_is_one_beyond_the_limit(speed: float, jump: float) -> None:
    """In a quarter of a second tyres change 3 m/s, and half a metre per second is tolerated."""
    made, later = monitor(), START + nanoseconds(0.25)
    made.step(state(START), START)
    out = made.step(state(later, speed), later)
    assert check(out, "vehicle_state_jump")[0] == pytest.approx(jump)


def test_speed_is_carried_on_between_states() -> None:
    made = monitor()
    assert made._speed(START) == 0.0
    made.step(state(START, 4.0, acceleration=-2.0), START)
    assert made._speed(START + nanoseconds(0.4)) == pytest.approx(3.2)
    assert made._speed(START + nanoseconds(3.0)) == 4.0  # too long ago: as it was measured
    made.step(state(START + STEP, -1.0), START + STEP)
    assert made._speed(START + STEP) == 0.0


def test_the_cap_comes_down_from_the_first_step_on() -> None:
    made = monitor()
    slow = replace(state(START, 10.0), routes=(route(START, speed_limit=5.0),))
    outs = [made.step(slow, START)]
    outs += [made.step(state(at_ns, 10.0), at_ns) for at_ns in (START + STEP, START + 2 * STEP)]
    fall = 0.02 * REACTION.cap_deceleration
    assert [out.approved and out.approved.speed_cap for out in outs] == pytest.approx(
        [10.0, 10.0 - fall, 10.0 - 2.0 * fall]
    )


def test_while_engaged_speed_is_held_against_the_cap() -> None:
    world = begun().run(0.12)
    assert world.check("speed_cap").value == pytest.approx(world.speed - VEHICLE.max_speed)


# -- the clock ---------------------------------------------------------------------------------


@pytest.mark.parametrize(("step_s", "value"), [(0.5, 0.0), (0.501, 0.501), (-0.001, -0.001)])
def test_how_long_a_step_may_take(step_s: float, value: float) -> None:
    made, later = monitor(), START + nanoseconds(step_s)
    made.step(state(START), START)
    out = made.step(state(later), later)
    found, verdict = check(out, "clock")
    assert found == pytest.approx(value)
    assert verdict == (Verdict.FAIL if value else Verdict.PASS)


def test_a_second_step_at_once_excuses_no_jump() -> None:
    made, later = monitor(), START + nanoseconds(0.7)
    made.step(state(START), START)
    made.step(state(later), later)
    made.step(MonitorInputs(), later)
    out = made.step(state(later + nanoseconds(0.4)), later + nanoseconds(0.4))
    assert check(out, "clock") == (0.7, Verdict.FAIL)


@pytest.mark.parametrize(("step_s", "verdict"), [(0.7, Verdict.STALE),
                                                 (-0.7, Verdict.NOT_INITIALISED)])
def test_only_a_clock_that_ran_back_voids_what_came(step_s: float, verdict: Verdict) -> None:
    made, later = monitor(), START + nanoseconds(step_s)
    made.step(state(START), START)
    assert check(made.step(MonitorInputs(), later), "vehicle_state_freshness")[1] == verdict


def test_a_second_step_at_once_voids_nothing() -> None:
    made = monitor()
    made.step(state(START), START)
    assert made.step(MonitorInputs(), START).approved is not None


def test_who_let_go_before_the_clock_ran_back_is_stopped_by_that() -> None:
    world = begun().run(0.1, steering_override=True).run(0.02)
    assert status(world)[1] == Engagement.OVERRIDING
    world.now_ns -= nanoseconds(5.0)
    world.run(0.02)
    assert status(world) == (Level.MINIMAL_RISK, Engagement.MINIMAL_RISK)


def test_letting_go_and_calming_down_end_in_time_by_the_new_clock() -> None:
    """The driver steers before and after the jump; a plan that is unsure had asked for a cap."""
    world = begun(on_plan=lambda plan, world: signed_plan(plan, uncertainty=3.0))
    world.run(0.4, steering_override=True)
    assert status(world) == (Level.DEGRADED, Engagement.OVERRIDING)
    world.now_ns -= nanoseconds(60.0)
    world._pending.clear()
    world.on_plan = lambda plan, world: plan
    world.run(INPUTS.clock_settle + 0.5, steering_override=True)
    assert status(world) == (Level.DEGRADED, Engagement.OVERRIDING)
    world.run(REACTION.override_release + 0.04)
    assert status(world)[1] == Engagement.ENABLED, text(world)
    world.run(REACTION.degraded_hold)
    assert status(world) == (Level.NOMINAL, Engagement.ENABLED)


def test_waiting_to_engage_ends_in_time_by_the_new_clock() -> None:
    made, back = monitor(), START - nanoseconds(60.0)
    made.step(state(START), START)
    out = made.step(state(START + STEP, engage_button=True), START + STEP)
    assert out.safety_state is not None
    assert out.safety_state.engagement == Engagement.PRE_ENABLED
    seen = {}
    for k in range(12):
        now_ns = back + nanoseconds(0.5 * k)
        made.step(MonitorInputs(), now_ns)
        seen[0.5 * k] = made._engagement.engagement
    assert seen[REACTION.pre_enable - 0.5] == Engagement.PRE_ENABLED
    assert seen[REACTION.pre_enable] == Engagement.DISABLED


# -- engaging, and handing over ----------------------------------------------------------------


def test_who_may_drive_with_a_cap_may_engage() -> None:
    world = begun(on_plan=lambda plan, world: signed_plan(plan, uncertainty=3.0))
    assert status(world) == (Level.DEGRADED, Engagement.ENABLED)


def looks_away(inputs: MonitorInputs, world: World) -> MonitorInputs:
    away = (replace(d, eyes_on_road=False, eyes_off_duration_s=12.0) for d in inputs.driver_states)
    return replace(inputs, driver_states=tuple(map(signed, away)))


def arrives(inputs: MonitorInputs, world: World) -> MonitorInputs:
    number = round(world.elapsed_s / 0.02)
    end = route(world.now_ns, sequence=number, next_turn=Turn.ARRIVE, distance_to_goal=1.0,
                y=np.zeros(2, np.float32))
    return replace(inputs, routes=(end,))


def goes_on(inputs: MonitorInputs, world: World) -> MonitorInputs:
    number = round(world.elapsed_s / 0.02)
    return replace(inputs, routes=(route(world.now_ns, sequence=number, y=np.zeros(2, "f4")),))


def test_hand_overs_for_want_of_attention_are_counted_when_they_begin() -> None:
    short = replace(SETTINGS, driver=replace(SETTINGS.driver, max_hand_overs=2))
    world = begun(settings=short)
    phases: tuple[tuple[Callable[[MonitorInputs, World], MonitorInputs], int], ...] = (
        (looks_away, 1), (goes_on, 1), (arrives, 1), (goes_on, 1), (looks_away, 2), (goes_on, 2),
    )
    for change, count in phases:
        world.on_inputs = change
        world.run(0.24)
        lock_out = world.check("driver_lock_out")
        assert lock_out.value == count
        assert lock_out.verdict == (Verdict.PASS if count < 2 else Verdict.FAIL)
        asked = change is not goes_on or count == 2
        assert status(world)[1] == (
            Engagement.SOFT_DISABLING if asked else Engagement.ENABLED
        )


# -- the monitor's own stop --------------------------------------------------------------------


def beside_an_edge(**kwargs: Any) -> World:
    x = np.linspace(-5.0, 120.0, 60, dtype=np.float32)
    edge = LaneLine(LaneLineKind.ROAD_EDGE_RIGHT, 0.9, x, np.full(60, -2.4, np.float32))
    return begun(on_plan=lambda plan, world: signed_plan(plan, lane_lines=(edge,)), **kwargs)


def stops(world: World, *items: SceneObject) -> Manoeuvre:
    """What it does in the step in which the sensor sees these and the camera goes dark."""
    front = CameraReport("front", 0, FrameStatus.DARK, 0.31, 0.2)
    before = world.on_inputs

    def dark(inputs: MonitorInputs, world: World) -> MonitorInputs:
        number = 1000 + round(world.elapsed_s / 0.02)
        now_ns = world.now_ns
        return replace(
            before(inputs, world),
            frames=(signed(CameraHealth(now_ns, number, "test/1", (front,))),),
            objects=(signed(ObjectList(now_ns, number, "radar", items)),),
        )

    world.on_inputs = dark
    world.run(0.02)
    world.on_inputs = before
    assert status(world)[1] == Engagement.MINIMAL_RISK
    assert world.safety is not None
    return world.safety.manoeuvre


def aside(world: World) -> float:
    """How far to the side the stop under way ends, m."""
    assert world.approved is not None
    return float(world.approved.trajectory.y[-1])


def test_a_stop_ends_at_a_free_edge() -> None:
    world = beside_an_edge()
    assert stops(world) == Manoeuvre.PULL_OVER
    assert aside(world) == pytest.approx(-2.4 + 0.5 * VEHICLE.width + 0.3, abs=0.01)


@pytest.mark.parametrize("x", [20.0, 26.0, 28.0])
def test_what_stands_anywhere_along_the_edge_keeps_the_stop_in_its_lane(x: float) -> None:
    """Also where the car would get there only beyond the horizon of other collisions."""
    world, parked = beside_an_edge(), replace(car(x, -2.6), width=1.0)
    assert stops(world, parked) == Manoeuvre.COMFORTABLE_STOP
    assert aside(world) == pytest.approx(0.0, abs=1e-6)


@pytest.mark.parametrize("x", [63.5, 66.0, 72.0])
def test_an_edge_that_is_blocked_where_the_stop_ends_is_not_free(x: float) -> None:
    """At 15 m/s the car rolls on for more than a second after all that is foreseen."""
    world = beside_an_edge(speed=15.0, target_speed=15.0)
    assert stops(world, replace(car(x, -2.6), width=1.0)) == Manoeuvre.COMFORTABLE_STOP
    assert aside(world) == pytest.approx(0.0, abs=1e-6)


def test_a_stop_that_ends_within_what_is_foreseen_ends_at_the_edge_where_that_is_free() -> None:
    world = beside_an_edge(speed=11.9, target_speed=11.9)
    assert stops(world) == Manoeuvre.PULL_OVER
    assert world.approved is not None and world.approved.trajectory.speed[-1] == 0.0
    end = float(world.approved.trajectory.x[-1]) + VEHICLE.wheelbase + VEHICLE.front_overhang
    for gap, manoeuvre in ((0.1, Manoeuvre.COMFORTABLE_STOP), (0.5, Manoeuvre.PULL_OVER)):
        world = beside_an_edge(speed=11.9, target_speed=11.9)
        parked = replace(car(end + gap + 0.5 * 4.5, -2.6), width=1.0)
        assert stops(world, parked) == manoeuvre


def test_an_emergency_is_no_time_to_leave_the_lane() -> None:
    """The plan would hit it; the car is slower, so that its stop is free, and so is the edge."""
    world = beside_an_edge(speed=20.0, target_speed=20.0)
    world.on_state = lambda state, world: signed_state(state, speed=7.0, wheel_speed=7.0)
    assert stops(world, car(24.5)) == Manoeuvre.EMERGENCY_STOP
    assert world.monitor._approval.failing() >= {"time_to_collision"}
    assert aside(world) == pytest.approx(0.0, abs=1e-6)


def test_what_is_met_at_the_horizon_is_not_met_within_it() -> None:
    short = replace(SETTINGS, world=replace(SETTINGS.world, collision_horizon=2.0))
    world = begun(settings=short)
    assert stops(world, car(22.25)) == Manoeuvre.COMFORTABLE_STOP
    assert world.monitor._contact_s == 2.0


def test_a_planned_stop_in_a_bend_is_not_held_against_who_keeps_to_the_next_lane() -> None:
    world = begun(curvature=0.02)
    assert stops(world, car(26.3, 11.6, 8.0, 0.6 + math.pi)) == Manoeuvre.COMFORTABLE_STOP


def test_a_car_that_all_but_stands_stops_short_of_what_is_right_ahead() -> None:
    world = begun(speed=0.2, target_speed=0.2)
    ahead = VEHICLE.wheelbase + VEHICLE.front_overhang + 0.5 * 4.5
    assert stops(world, car(ahead + 0.4)) == Manoeuvre.COMFORTABLE_STOP


def test_a_car_that_rolls_though_it_is_held_is_told_what_it_stopped_for() -> None:
    world = begun(speed=0.3, target_speed=0.3)
    stops(world)
    world.camera, world.on_plan = FrameStatus.DARK, lambda plan, world: None
    world.run(0.8)
    assert status(world) == (Level.STOPPED, Engagement.STOPPED)
    before = text(world)
    assert "dark" in before

    def rolls(state: VehicleState, world: World) -> VehicleState:
        return signed_state(state, speed=2.0, wheel_speed=2.0, standstill=False)

    world.on_state = rolls
    world.objects = lambda world: (car(6.5),)
    world.run(0.12)
    assert status(world) == (Level.STOPPED, Engagement.STOPPED)
    assert text(world) == before
