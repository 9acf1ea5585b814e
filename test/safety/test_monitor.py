"""The whole monitor in closed loop: engage, drive, and what each fault leads to."""

from __future__ import annotations

import itertools
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
    constant,
    engaged,
    plan_of,
    signed_plan,
    signed_state,
    status,
    text,
)

from vla_driving.contract.checksum import approved_plan_checksum, signed
from vla_driving.contract.clock import nanoseconds
from vla_driving.contract.events import Severity
from vla_driving.contract.frames import FrameStatus
from vla_driving.contract.navigation import EngagementRequest, EngagementWish, Route, Turn
from vla_driving.contract.plan import LateralAction, Plan, PlanSource
from vla_driving.contract.scene import (
    LaneLine,
    LaneLineKind,
    SignalState,
    TrafficControl,
    TrafficControlKind,
)
from vla_driving.contract.supervision import Alert, Engagement, Level, Manoeuvre, Verdict
from vla_driving.contract.trajectory import POINTS, integrate
from vla_driving.contract.vehicle import Gear, VehicleState
from vla_driving.safety.approval import CAP_HEALS
from vla_driving.safety.checks import CANDIDATE_CHECKS
from vla_driving.safety.checks.table import Situation
from vla_driving.safety.intake import MonitorInputs
from vla_driving.safety.judge import CandidateJudge
from vla_driving.safety.monitor import SafetyMonitor

NO_DRIVER = replace(SETTINGS, driver=replace(SETTINGS.driver, requirement="L4"))





def approved_sources(world: World, first: int = 0) -> set[PlanSource]:
    return {o.approved.source for o in world.outputs[first:] if o.approved is not None}


# -- good driving --------------------------------------------------------------------------------


@pytest.mark.parametrize("curvature", [0.0, 0.02, -0.015])
@pytest.mark.requirement("SR-25")
def test_good_driving_is_left_alone(curvature: float) -> None:
    world = engaged(8.0, curvature=curvature)
    assert world.speed > 9.0
    assert approved_sources(world, 50) == {PlanSource.MODEL}
    levels = {o.safety_state.level for o in world.outputs[30:] if o.safety_state is not None}
    assert levels == {Level.NOMINAL}


@pytest.mark.requirement("SR-25")
def test_traffic_around_is_left_alone() -> None:
    def traffic(world: World) -> tuple[object, ...]:
        t = world.elapsed_s
        beside = [world.ahead(10.0 * t + k, 3.5, 10.0) for k in (-40, -10, 0, 10, 40)]
        oncoming = [world.ahead(300.0 - 10.0 * t, -3.5, -10.0)]
        behind = [world.ahead(world.x - 12.0, 0.0, 12.0)]
        return (*beside, *oncoming, *behind)

    world = engaged(8.0, objects=traffic)
    assert approved_sources(world, 50) == {PlanSource.MODEL}
    assert world.lowest_acceleration > -1.0


def test_the_approved_plan_is_the_models_own() -> None:
    world = engaged()
    approved = world.approved
    assert approved is not None
    assert approved.checksum == approved_plan_checksum(approved)
    assert approved.valid_until_ns <= approved.stamp_ns + nanoseconds(0.6)
    assert approved.frame_stamp_ns == approved.stamp_ns
    sequences = [o.approved.sequence for o in world.outputs if o.approved is not None]
    assert sequences == list(range(1, len(sequences) + 1))


# -- before and at engaging ----------------------------------------------------------------------


def test_nothing_is_approved_before_the_vehicle_speaks() -> None:
    monitor = SafetyMonitor(SETTINGS, VEHICLE, RATES)
    out = monitor.step(MonitorInputs(), START)
    assert out.approved is None
    state = out.safety_state
    assert state is not None
    assert not state.ready
    verdicts = {c.name: c.verdict for c in state.checks}
    assert verdicts["vehicle_state_freshness"] == Verdict.NOT_INITIALISED
    assert verdicts["gear"] == Verdict.NOT_INITIALISED
    assert verdicts["plan_freshness"] == Verdict.NOT_INITIALISED


def test_without_plans_the_driver_still_gets_a_message_that_asks_for_nothing() -> None:
    world = World(on_plan=lambda plan, world: None).run(1.0)
    assert world.approved is not None
    assert not world.approved.engaged
    assert world.approved.source == PlanSource.FALLBACK
    assert text(world) == "not ready: plan has never come"


@pytest.mark.requirement("SR-21")
def test_engaging_waits_for_the_checks() -> None:
    world = World(on_plan=lambda plan, world: plan if world.elapsed_s > 2.0 else None)
    world.run(0.2).run(0.04, engage_button=True)
    assert status(world)[1] == Engagement.PRE_ENABLED
    assert "waiting to engage" in text(world)
    world.run(2.5)
    assert status(world)[1] == Engagement.ENABLED


@pytest.mark.requirement("SR-21")
def test_a_button_that_is_down_from_the_start_does_not_engage() -> None:
    world = World().run(2.0, engage_button=True)
    assert status(world)[1] == Engagement.DISABLED
    world.run(0.1).run(0.04, engage_button=True)
    assert status(world)[1] == Engagement.ENABLED


@pytest.mark.parametrize(
    ("age_s", "accepted"), [(0.0, True), (0.9, True), (1.1, False), (-0.2, False)]
)
def test_the_cockpit_may_ask(age_s: float, accepted: bool) -> None:
    world = World().run(1.0)
    stamp = world.now_ns + STEP - nanoseconds(age_s)
    request = signed(EngagementRequest(stamp, EngagementWish.ENGAGE, "cockpit"))
    world.on_inputs = lambda inputs, world: replace(inputs, requests=(request,))
    world.run(0.02)
    assert (status(world)[1] == Engagement.ENABLED) == accepted
    stop = EngagementRequest(stamp, EngagementWish.DISENGAGE, "cockpit")
    world.on_inputs = lambda inputs, world: replace(inputs, requests=(request, stop))
    world.run(0.02)
    assert status(world)[1] == Engagement.DISABLED


@pytest.mark.parametrize("flag", ["brake_override", "cancel_button"])
@pytest.mark.requirement("SR-20")
def test_the_driver_ends_it_at_once(flag: str) -> None:
    world = engaged().run(0.02, **{flag: True})
    assert status(world)[1] == Engagement.DISABLED
    assert world.approved is not None
    assert not world.approved.engaged


@pytest.mark.requirement("SR-20")
def test_steering_lets_go_and_comes_back() -> None:
    world = engaged().run(0.2, steering_override=True)
    assert status(world)[1] == Engagement.OVERRIDING
    assert world.approved is not None
    assert not world.approved.engaged
    assert text(world) == "the driver overrides"
    world.run(SETTINGS.reaction.override_release + 0.1)
    assert status(world)[1] == Engagement.ENABLED


# -- faults: what is found, and what follows -----------------------------------------------------


@pytest.mark.requirement("SR-10", "SR-19")
def test_lost_plans_lead_to_a_comfortable_stop_and_the_driver_engages_again() -> None:
    world = engaged()
    first = len(world.outputs)
    world.on_plan = lambda plan, world: None
    world.run(0.5)
    assert status(world) == (Level.NOMINAL, Engagement.ENABLED)
    world.run(12.0)
    assert status(world) == (Level.STOPPED, Engagement.STOPPED)
    assert world.lowest_acceleration >= -VEHICLE.comfort_deceleration - 0.01
    assert "no plan for 0.5" in text(world)
    assert world.approved is not None
    assert world.approved.hold
    assert world.approved.hazard_lights
    assert world.speed == 0.0
    assert PlanSource.FALLBACK in approved_sources(world, first)
    world.run(0.1, engage_button=True)
    assert status(world)[1] == Engagement.STOPPED
    world.on_plan = lambda plan, world: plan
    world.run(1.0)
    assert status(world)[1] == Engagement.STOPPED
    assert world.safety is not None
    assert world.safety.ready
    world.run(0.1, engage_button=True).run(3.0)
    assert status(world)[1] == Engagement.ENABLED
    assert world.speed > 2.0


@pytest.mark.requirement("SR-10")
def test_the_stop_begins_before_the_last_plan_ends() -> None:
    world = engaged()
    first = len(world.outputs)
    world.on_plan = lambda plan, world: None
    for _ in range(60):
        world.run(0.02)
        assert world.approved is not None
        assert world.approved.valid_until_ns - world.now_ns >= nanoseconds(0.04)
    assert approved_sources(world, first) == {PlanSource.MODEL, PlanSource.FALLBACK}


@pytest.mark.requirement("SR-03")
def test_one_bad_frame_is_bridged() -> None:
    world = engaged()
    bad = iter([True])
    world.on_plan = lambda plan, world: swerving(plan, world) if next(bad, False) else plan
    first = len(world.outputs)
    world.run(2.0)
    assert status(world) == (Level.NOMINAL, Engagement.ENABLED)
    assert approved_sources(world, first) == {PlanSource.MODEL}
    names = [e.name for o in world.outputs[first:] for e in o.events]
    assert "plan_lateral_acceleration" in names


def test_a_plan_that_comes_too_late_does_not_replace_the_one_that_holds() -> None:
    world = engaged()
    before = world.approved
    assert before is not None
    world.on_plan = expired
    world.run(0.3)
    assert status(world) == (Level.NOMINAL, Engagement.ENABLED)
    assert world.approved is not None
    assert world.approved.plan_sequence <= before.plan_sequence + 1


def test_the_second_candidate_is_taken_where_the_first_is_bad() -> None:
    world = engaged()
    world.on_plan = lambda plan, world: signed_plan(
        plan, candidates=(constant(world.speed, 0.0, 0.3), *plan.candidates)
    )
    world.run(2.0)
    assert status(world) == (Level.NOMINAL, Engagement.ENABLED)


def nan_plan(plan: Plan, world: World) -> Plan:
    broken = replace(plan.candidates[0], x=np.full(POINTS, np.nan, np.float32))
    return signed_plan(plan, candidates=(broken,))


def swerving(plan: Plan, world: World) -> Plan:
    return signed_plan(plan, candidates=(constant(world.speed, 0.0, 0.3),))


def wrong_checksum(plan: Plan, world: World) -> Plan:
    return replace(plan, checksum=1)


def empty(plan: Plan, world: World) -> Plan:
    return signed_plan(plan, candidates=())


def expired(plan: Plan, world: World) -> Plan:
    return signed_plan(plan, valid_until_ns=plan.stamp_ns)


def late(plan: Plan, world: World) -> Plan:
    return signed_plan(plan, stamp_ns=plan.stamp_ns - nanoseconds(0.7))


def off_road(plan: Plan, world: World) -> Plan:
    x = np.linspace(0.0, 80.0, 40, dtype=np.float32)
    edge = LaneLine(LaneLineKind.ROAD_EDGE_LEFT, 0.9, x, np.full(40, 0.2, np.float32))
    return signed_plan(plan, lane_lines=(edge,))


def running_a_light(plan: Plan, world: World) -> Plan:
    light = TrafficControl(TrafficControlKind.TRAFFIC_LIGHT, SignalState.RED, 0.9, 25.0)
    return signed_plan(plan, traffic_controls=(light,))


@pytest.mark.parametrize(
    ("fault", "words"),
    [
        (nan_plan, "of the plan are not finite"),
        (swerving, "plan turns as tight as"),
        (wrong_checksum, "newer plans are invalid (checksum 1 does not fit)"),
        (empty, "newer plans are invalid (it holds no candidate)"),
        (expired, "plan has -0.08 s left when it comes"),
        (late, "no plan for 0.5"),
        (off_road, "plan leaves the road by"),
        (running_a_light, "plan passes a red light by"),
    ],
)
@pytest.mark.requirement("SR-02", "SR-26")
def test_a_lasting_fault_of_the_plan_stops_the_car_and_is_named(
    fault: Callable[[Plan, World], Plan], words: str
) -> None:
    world = engaged()
    world.on_plan = fault
    world.run(0.9)
    assert status(world)[1] == Engagement.MINIMAL_RISK, text(world)
    assert words in text(world)
    assert "limit" in text(world)
    world.run(12.0)
    assert status(world) == (Level.STOPPED, Engagement.STOPPED)


def lying(state: VehicleState, world: World) -> VehicleState:
    return signed_state(state, wheel_speed=state.speed + 3.0)


def in_reverse(state: VehicleState, world: World) -> VehicleState:
    return signed_state(state, gear=Gear.REVERSE)


def unknown_gear(state: VehicleState, world: World) -> VehicleState:
    return signed_state(state, gear=17)


def faulty(state: VehicleState, world: World) -> VehicleState:
    return signed_state(state, faults=("brake_pressure",))


def corrupt(state: VehicleState, world: World) -> VehicleState:
    return replace(state, checksum=state.checksum ^ 1)


def skidding(state: VehicleState, world: World) -> VehicleState:
    return signed_state(state, lateral_acceleration=8.0, yaw_rate=0.9)


def racing(state: VehicleState, world: World) -> VehicleState:
    # The accelerometer alone: a state that repeats itself is another fault.
    return signed_state(state, acceleration=5.0 + 1e-3 * (state.sequence % 2))


@pytest.mark.parametrize(
    ("fault", "words"),
    [
        (lying, "speed and wheel speed differ by 3.00 m/s (limit 2 m/s): stopping"),
        (in_reverse, "gear is REVERSE: stopping"),
        (unknown_gear, "gear is 17: stopping"),
        (faulty, "the vehicle reports brake_pressure: stopping"),
        (corrupt, "invalid: checksum"),
        (skidding, "car corners at"),
        (racing, "car accelerates or brakes at 5.00 m/s^2 (limit 4 m/s^2): stopping"),
    ],
)
@pytest.mark.requirement("SR-14", "SR-26")
def test_a_fault_of_the_vehicle_stops_the_car_and_is_named(
    fault: Callable[[VehicleState, World], VehicleState], words: str
) -> None:
    world = engaged()
    world.on_state = fault
    world.run(0.5)
    assert status(world)[1] == Engagement.MINIMAL_RISK, text(world)
    assert words in text(world)


@pytest.mark.requirement("SR-16")
def test_a_lost_vehicle_state_stops_the_car_blind() -> None:
    world = engaged()
    world.on_state = lambda state, world: None
    world.run(0.5)
    assert status(world)[1] == Engagement.MINIMAL_RISK
    assert "vehicle state is 0.2" in text(world)
    assert world.approved is not None
    assert world.approved.source == PlanSource.FALLBACK
    assert world.approved.valid_until_ns >= world.now_ns
    world.run(9.0)
    assert world.speed < 0.5
    assert status(world)[1] == Engagement.STOPPED
    assert world.approved.valid_until_ns - world.approved.stamp_ns <= nanoseconds(6.4)


@pytest.mark.requirement("SR-11", "SR-26")
def test_a_bad_camera_stops_the_car_and_is_named() -> None:
    world = engaged()
    world.camera = FrameStatus.FROZEN
    world.run(0.5)
    assert status(world)[1] == Engagement.MINIMAL_RISK
    assert text(world) == "front camera frozen for 0.31 s (limit 0.2): stopping"


@pytest.mark.requirement("SR-13")
def test_two_publishers_of_plans_stop_the_car() -> None:
    world = engaged()
    count = iter(range(1000))
    world.on_plan = lambda plan, world: signed_plan(plan, sequence=5 if next(count) % 2 else 9000)
    world.run(2.0)
    assert status(world)[1] in (Engagement.MINIMAL_RISK, Engagement.STOPPED)
    assert "two publishers?" in text(world)


@pytest.mark.requirement("SR-12")
def test_a_jump_of_the_clock_stops_the_car() -> None:
    world = engaged()
    world.now_ns += nanoseconds(0.7)
    world.run(0.1)
    assert status(world)[1] == Engagement.MINIMAL_RISK
    assert "the clock jumped" in text(world)


@pytest.mark.requirement("SR-12")
def test_a_clock_that_runs_back_stops_the_car_and_it_can_go_on() -> None:
    world = engaged()
    world.now_ns -= nanoseconds(5.0)
    world._pending.clear()
    world.run(0.1)
    assert status(world)[1] == Engagement.MINIMAL_RISK
    assert "the clock ran back: -4.98 s" in text(world)
    world.run(8.0)
    assert status(world)[1] == Engagement.STOPPED
    assert world.check("plan_order").verdict == Verdict.PASS
    assert world.safety is not None
    assert world.safety.ready
    world._pending.clear()
    world.now_ns -= nanoseconds(5.0)
    world.run(0.1)
    assert status(world)[1] == Engagement.STOPPED


def test_running_back_while_braking_goes_on_braking() -> None:
    world = engaged()
    world.on_plan = lambda plan, world: None
    world.run(1.5)
    world.now_ns -= nanoseconds(5.0)
    world._pending.clear()
    world.run(0.2)
    assert status(world)[1] == Engagement.MINIMAL_RISK
    assert world.acceleration == pytest.approx(-VEHICLE.comfort_deceleration, abs=0.05)


# -- the world -----------------------------------------------------------------------------------


@pytest.mark.requirement("SR-04")
def test_an_obstacle_on_the_road_is_not_hit() -> None:
    world = engaged(target_speed=10.0)
    place = world.x + 45.0
    world.objects = lambda world: (world.ahead(place, 0.0),)
    world.run(12.0)
    assert status(world)[1] == Engagement.STOPPED
    assert world.x + VEHICLE.wheelbase + VEHICLE.front_overhang < place - 2.25
    assert "collision" in text(world) or "braking leaves" in text(world)


@pytest.mark.requirement("SR-04")
def test_an_obstacle_that_appears_late_is_met_with_full_braking() -> None:
    world = engaged(target_speed=10.0)
    place = world.x + 18.0
    world.objects = lambda world: (world.ahead(place, 0.0),)
    world.run(0.4)
    assert status(world) == (Level.EMERGENCY, Engagement.MINIMAL_RISK)
    assert text(world).endswith("emergency stop")
    world.run(4.0)
    assert status(world)[1] == Engagement.STOPPED
    assert world.lowest_acceleration < -VEHICLE.comfort_deceleration - 1.0
    assert world.x + VEHICLE.wheelbase + VEHICLE.front_overhang < place - 2.25


@pytest.mark.requirement("SR-04")
def test_a_comfortable_stop_that_would_touch_something_gets_harder() -> None:
    world = engaged(target_speed=10.0)
    place = world.x + 28.0
    world.on_plan = lambda plan, world: None
    world.run(0.7)
    assert status(world) == (Level.MINIMAL_RISK, Engagement.MINIMAL_RISK)
    world.objects = lambda world: (world.ahead(place, 0.0),)
    world.run(5.0)
    assert world.x + VEHICLE.wheelbase + VEHICLE.front_overhang < place - 2.25
    levels = {o.safety_state.level for o in world.outputs if o.safety_state is not None}
    assert Level.EMERGENCY in levels


def test_a_ghost_of_one_frame_is_not_braked_for() -> None:
    world = engaged(target_speed=10.0)
    once = iter([True])
    world.objects = lambda world: (
        (world.ahead(world.x + 24.0, 0.0),) if next(once, False) else ()
    )
    world.run(3.0)
    assert status(world)[1] == Engagement.ENABLED


@pytest.mark.requirement("SR-05")
def test_a_short_gap_is_answered_with_the_speed_of_the_one_ahead() -> None:
    world = engaged(target_speed=10.0)
    place = world.x + 18.5

    def one(world: World) -> tuple[object, ...]:
        return (world.ahead(place + 5.5 * (world.elapsed_s - begin), 0.0, 5.5),)

    begin = world.elapsed_s
    world.objects = one
    world.on_plan = lambda plan, world: signed_plan(
        plan, candidates=(constant(world.speed, -0.5),)
    )
    world.run(0.3)
    assert status(world) == (Level.DEGRADED, Engagement.ENABLED)
    assert world.check("headway").verdict == Verdict.FAIL
    assert text(world).endswith("slowing down")
    assert world.approved is not None
    assert 5.5 <= world.approved.speed_cap < 10.0


@pytest.mark.requirement("SR-05")
@pytest.mark.parametrize(
    ("causes", "speed"),
    [(CAP_HEALS, 6.5), (CAP_HEALS | {"scene_agreement"}, SETTINGS.reaction.degraded_speed)],
)
def test_all_that_a_speed_heals_is_answered_with_it_even_at_once(
    causes: frozenset[str], speed: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    world = engaged()
    monitor = world.monitor
    monkeypatch.setattr(monitor, "_arbiter", replace(monitor._arbiter, level=Level.DEGRADED))
    monkeypatch.setattr(monitor._approval, "failing", lambda: causes)
    monkeypatch.setattr(monitor._approval, "safe_speed", 6.5)
    assert monitor._target_speed([], world.now_ns) == speed


@pytest.mark.parametrize(
    ("seen_by", "check"), [("sensor", "scene_agreement"), ("scene", "sensor_agreement")]
)
@pytest.mark.requirement("SR-06")
def test_what_only_one_source_sees_on_the_path_caps_the_speed(seen_by: str, check: str) -> None:
    world = engaged()
    begin, place = world.elapsed_s, world.x + 27.0

    def one(world: World) -> tuple[Any, ...]:
        return (world.ahead(place + 10.0 * (world.elapsed_s - begin), 0.0, 10.0),)

    if seen_by == "sensor":
        world.objects = one
    else:
        world.on_plan = lambda plan, world: signed_plan(plan, objects=one(world))
    world.run(0.5)
    assert world.check(check).verdict == Verdict.WARN
    assert status(world)[0] == Level.NOMINAL
    world.run(1.0)
    assert world.check(check).verdict == Verdict.FAIL
    assert status(world) == (Level.DEGRADED, Engagement.ENABLED)
    assert "ahead on the path" in text(world)


def test_sources_that_agree_cap_nothing() -> None:
    world = engaged()
    begin, place = world.elapsed_s, world.x + 27.0

    def one(world: World) -> tuple[Any, ...]:
        return (world.ahead(place + 10.0 * (world.elapsed_s - begin), 0.0, 10.0),)

    world.objects = one
    world.on_plan = lambda plan, world: signed_plan(plan, objects=one(world))
    world.run(3.0)
    assert status(world) == (Level.NOMINAL, Engagement.ENABLED)
    assert world.check("scene_agreement").verdict == Verdict.PASS
    assert world.check("sensor_agreement").verdict == Verdict.PASS


@pytest.mark.requirement("SR-03")
def test_uncertainty_caps_the_speed_and_the_cap_is_lifted() -> None:
    world = engaged()
    world.on_plan = lambda plan, world: signed_plan(plan, uncertainty=3.0)
    world.run(4.0)
    assert status(world) == (Level.DEGRADED, Engagement.ENABLED)
    assert text(world) == "plan is uncertain by 3.00 m at 2 s (limit 2 m): slowing down"
    assert world.approved is not None
    assert world.approved.speed_cap == SETTINGS.reaction.degraded_speed
    assert world.lowest_acceleration > -1.5
    world.on_plan = lambda plan, world: plan
    world.run(3.0)
    assert status(world)[0] == Level.NOMINAL
    assert world.approved.speed_cap == VEHICLE.max_speed


@pytest.mark.requirement("SR-08")
def test_route_and_signs_cap_the_speed() -> None:
    world = engaged()
    sign = TrafficControl(TrafficControlKind.SPEED_LIMIT, SignalState.UNKNOWN, 0.9, -1.0, 7.0)
    route_limit, number = 9.0, itertools.count(1)

    def with_route(inputs: MonitorInputs, world: World) -> MonitorInputs:
        points = np.zeros(1, np.float32)
        return replace(
            inputs,
            routes=(
                signed(
                    Route(world.now_ns, points, points, Turn.NONE, 99.0, 999.0, route_limit,
                          next(number))
                ),
            ),
        )

    world.on_inputs = with_route
    world.run(2.0)
    assert world.approved is not None
    assert world.approved.speed_cap == route_limit
    world.on_plan = lambda plan, world: signed_plan(plan, traffic_controls=(sign,))
    world.run(3.0)
    assert world.approved.speed_cap == 7.0
    route_limit = 3.0
    world.run(0.5)
    assert world.check("plan_limit").verdict == Verdict.FAIL
    assert status(world) == (Level.DEGRADED, Engagement.ENABLED)
    world.run(4.0)
    assert world.approved.speed_cap == 3.0
    assert world.speed < 3.0 + SETTINGS.world.speed_tolerance
    assert status(world)[1] == Engagement.ENABLED


def test_an_announced_lane_change_is_no_departure() -> None:
    def over_the_line(plan: Plan, world: World, action: LateralAction) -> Plan:
        x = np.linspace(0.0, 80.0, 40, dtype=np.float32)
        line = LaneLine(LaneLineKind.LANE_LEFT, 0.9, x, np.full(40, 0.3, np.float32))
        return signed_plan(plan, lane_lines=(line,), lateral_action=action)

    world = engaged()
    world.on_plan = lambda plan, world: over_the_line(plan, world, LateralAction.CHANGE_LEFT)
    world.run(1.0)
    assert status(world)[0] == Level.NOMINAL
    world.on_plan = lambda plan, world: over_the_line(plan, world, LateralAction.KEEP_LANE)
    world.run(1.0)
    assert status(world)[0] == Level.DEGRADED
    assert "leaves its lane" in text(world)


# -- driver --------------------------------------------------------------------------------------


def absent_minded(eyes_s: float, hands_s: float = 0.0) -> Callable[..., MonitorInputs]:
    def change(inputs: MonitorInputs, world: World) -> MonitorInputs:
        return replace(
            inputs,
            driver_states=tuple(
                signed(
                    replace(d, eyes_on_road=eyes_s == 0.0, eyes_off_duration_s=eyes_s,
                            hands_on_wheel=hands_s == 0.0, hands_off_duration_s=hands_s)
                )
                for d in inputs.driver_states
            ),
        )

    return change


@pytest.mark.parametrize(
    ("eyes_s", "hands_s", "alert"),
    [
        (2.9, 0.0, Alert.NONE), (3.1, 0.0, Alert.INFO), (5.1, 0.0, Alert.WARNING),
        (0.0, 14.9, Alert.NONE), (0.0, 15.1, Alert.INFO), (0.0, 24.1, Alert.WARNING),
        (3.1, 24.1, Alert.WARNING), (3.1, 15.1, Alert.INFO), (5.1, 15.1, Alert.WARNING),
    ],
)
@pytest.mark.requirement("SR-22")
def test_a_driver_who_looks_away_is_told_in_steps(
    eyes_s: float, hands_s: float, alert: Alert
) -> None:
    world = engaged()
    world.on_inputs = absent_minded(eyes_s, hands_s)
    world.run(0.5)
    assert status(world) == (Level.NOMINAL, Engagement.ENABLED)
    assert world.safety is not None
    assert world.safety.alert == alert
    assert ("for" in text(world)) == (alert > Alert.NONE)


@pytest.mark.requirement("SR-22")
def test_a_driver_who_does_not_come_back_is_locked_out() -> None:
    world = engaged()
    for _ in range(SETTINGS.driver.max_hand_overs):
        world.on_inputs = absent_minded(12.0)
        world.run(0.5)
        assert status(world)[1] == Engagement.SOFT_DISABLING
        assert text(world).endswith("take over now")
        world.on_inputs = lambda inputs, world: inputs
        world.run(0.5)
    assert status(world)[1] == Engagement.SOFT_DISABLING
    assert "locked out" in text(world)
    world.run(SETTINGS.reaction.soft_disable + 0.1)
    assert status(world)[1] == Engagement.MINIMAL_RISK


@pytest.mark.requirement("SR-22")
def test_an_empty_seat_stops_the_car() -> None:
    world = engaged()
    world.on_inputs = lambda inputs, world: replace(
        inputs, driver_states=tuple(signed(replace(d, present=False)) for d in inputs.driver_states)
    )
    world.run(0.5)
    assert text(world) == "driver is not in the seat: stopping"


def test_without_a_driver_by_design_nothing_is_asked() -> None:
    world = World(settings=NO_DRIVER)
    world.on_inputs = lambda inputs, world: replace(inputs, driver_states=())
    world.engage().run(3.0)
    assert status(world) == (Level.NOMINAL, Engagement.ENABLED)


# -- following -----------------------------------------------------------------------------------


@pytest.mark.requirement("SR-15")
def test_a_car_that_does_not_follow_is_stopped() -> None:
    world = engaged()
    world.on_state = lambda state, world: signed_state(state, yaw_rate=state.yaw_rate + 0.35)
    world.run(1.5)
    assert status(world)[1] == Engagement.MINIMAL_RISK
    assert "beside the approved path" in text(world)


@pytest.mark.requirement("SR-15")
def test_brakes_that_do_nothing_are_found() -> None:
    world = engaged()
    world.on_plan = lambda plan, world: signed_plan(
        plan, candidates=(constant(10.0, -3.0),)
    )
    world.on_state = lambda state, world: signed_state(
        state, speed=10.0, wheel_speed=10.0 + 0.01 * (state.sequence % 2)
    )
    world.run(1.5)
    assert status(world)[1] == Engagement.MINIMAL_RISK
    assert "faster than approved" in text(world)


# -- bad input and the monitor itself ------------------------------------------------------------


def test_malformed_messages_are_counted_for_their_topic() -> None:
    world = engaged()
    world.on_inputs = lambda inputs, world: replace(
        inputs, plans=(), malformed=(("plans", "unknown enum value 99"),)
    )
    world.run(1.0)
    assert status(world)[1] == Engagement.MINIMAL_RISK
    assert "unknown enum value 99" in text(world)


@pytest.mark.requirement("SR-06")
def test_objects_that_are_not_finite_stop_the_car() -> None:
    world = engaged()
    world.objects = lambda world: (replace(world.ahead(50.0, 20.0), x=math.nan),)
    world.run(0.5)
    assert text(world) == "1 of the object list are not finite (limit 0): stopping"


@pytest.mark.requirement("SR-24")
def test_a_broken_check_has_failed(monkeypatch: pytest.MonkeyPatch) -> None:
    world = engaged()

    def broken(situation: Situation) -> None:
        raise ZeroDivisionError("no such thing")

    rows = world.monitor._judge._rows
    world.monitor._judge._rows = tuple(
        (replace(check, measure=broken) if check.name == "speed_sources" else check, *rest)
        for check, *rest in rows
    )
    world.run(0.5)
    assert status(world)[1] == Engagement.MINIMAL_RISK
    assert "check speed_sources is broken: ZeroDivisionError: no such thing" in text(world)


@pytest.mark.requirement("SR-24")
def test_a_broken_check_of_candidates_has_failed() -> None:
    world = engaged()
    approval = world.monitor._approval

    def broken(candidates: object) -> Any:
        raise KeyError("gone")

    checks = tuple(
        replace(check, measure=broken) if check.name == "plan_steps" else check
        for check in CANDIDATE_CHECKS
    )
    approval._judge = CandidateJudge(checks, approval._limits)
    world.run(1.0)
    assert status(world)[1] == Engagement.MINIMAL_RISK
    assert "check plan_steps is broken: KeyError" in text(world)


@pytest.mark.requirement("SR-12", "SR-24")
def test_a_monitor_that_fails_says_so_and_goes_quiet() -> None:
    world = engaged()

    def broken(*args: object) -> None:
        raise RuntimeError("inside" + 200 * "x")

    whole = world.monitor._report
    world.monitor._report = broken
    world.run(0.06)
    failed = world.outputs[-3:]
    assert all(out.approved is None for out in failed)
    assert [len(out.events) for out in failed] == [1, 0, 0]
    inside = "inside" + 114 * "x"
    assert f"the safety monitor itself failed: RuntimeError: {inside}: the bridge" in text(world)
    world.monitor._report = whole
    world.run(0.1)
    assert status(world)[1] == Engagement.MINIMAL_RISK
    assert "RuntimeError: inside" in text(world)


@pytest.mark.requirement("SR-26")
def test_reports_come_at_their_rate_and_at_once_on_a_change() -> None:
    world = engaged()
    first = len(world.outputs)
    world.run(2.0)
    reports = sum(o.safety_state is not None for o in world.outputs[first:])
    assert 18 <= reports <= 25
    world.run(0.02, cancel_button=True)
    assert world.outputs[-1].safety_state is not None


@pytest.mark.requirement("SR-26")
def test_a_report_gives_way_to_a_plan_once_and_no_longer() -> None:
    world = engaged()

    def every_step(inputs: MonitorInputs, world: World) -> MonitorInputs:
        path = constant(world.speed)
        return replace(inputs, plans=(plan_of((path,), world.now_ns, len(world.outputs) + 99),))

    world.on_inputs = every_step
    first = len(world.outputs)
    world.run(2.0)
    assert status(world) == (Level.NOMINAL, Engagement.ENABLED)
    reports = sum(o.safety_state is not None for o in world.outputs[first:])
    assert 15 <= reports <= 25


def test_events_are_bounded() -> None:
    world = World()
    world.run(3.0)
    assert max(len(o.events) for o in world.outputs) <= 16


@pytest.mark.requirement("SR-26")
def test_a_stop_holds_its_first_cause_or_takes_a_worse_one() -> None:
    world = engaged(target_speed=10.0)
    world.on_plan = lambda plan, world: None
    world.run(1.0)
    first = text(world)
    world.camera = FrameStatus.DARK
    world.run(0.5)
    assert text(world) == first
    place = world.x + 14.0
    world.objects = lambda world: (world.ahead(place, 0.0),)
    world.run(0.3)
    assert status(world)[0] == Level.EMERGENCY


def test_manoeuvres_are_reported() -> None:
    world = engaged()
    world.on_plan = lambda plan, world: None
    world.run(15.0)
    seen = [o.safety_state.manoeuvre for o in world.outputs if o.safety_state is not None]
    order = [m for k, m in enumerate(seen) if k == 0 or seen[k - 1] != m]
    assert order == [Manoeuvre.NONE, Manoeuvre.COMFORTABLE_STOP, Manoeuvre.HOLD]


def test_driving_with_a_ramp_of_curvature_is_left_alone() -> None:
    """A model that steers into a bend: its plans overlap but are not the same."""
    world = engaged()
    first = len(world.outputs)
    begin = world.elapsed_s

    def winding(plan: Plan, world: World) -> Plan:
        times = world.elapsed_s - begin + np.arange(1, POINTS + 1) * 0.1
        bends = 0.012 * np.sin(times * 0.8)
        return signed_plan(plan, candidates=(integrate(world.speed, np.zeros(POINTS), bends),))

    world.on_plan = winding
    world.run(10.0)
    assert approved_sources(world, first) == {PlanSource.MODEL}
    assert status(world) == (Level.NOMINAL, Engagement.ENABLED)


def test_plan_of_and_state_helpers_are_sound() -> None:
    """The other tests rest on these: unchanged they pass the intake."""
    monitor = SafetyMonitor(SETTINGS, VEHICLE, RATES)
    out = monitor.step(
        MonitorInputs(vehicle_states=(signed_state(STATE),), plans=(plan_of((constant(0.0),)),)),
        START,
    )
    assert out.approved is not None
    assert out.approved.source == PlanSource.MODEL


def test_before_anything_came_there_is_nothing_alarming() -> None:
    monitor = SafetyMonitor(SETTINGS, VEHICLE, RATES)
    events = monitor.step(MonitorInputs(), START).events
    checks = [event for event in events if event.name != "level"]
    assert checks and all(event.severity == Severity.INFO for event in checks)


def test_while_the_driver_drives_nothing_is_worse_than_a_warning() -> None:
    monitor = SafetyMonitor(SETTINGS, VEHICLE, RATES)
    worst: dict[str, Severity] = {}
    for k in range(25):
        now_ns = START + k * STEP
        state = replace(STATE, stamp_ns=now_ns, sequence=k, gear=Gear.REVERSE)
        outputs = monitor.step(MonitorInputs(vehicle_states=(signed_state(state),)), now_ns)
        worst |= {event.name: event.severity for event in outputs.events}
    assert worst["gear"] == max(worst.values()) == Severity.WARNING
