"""What the bridge does when things are not as they should be."""

import copy
import math
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from bicycle_plant import RATES, SETTINGS, STEP_NS, VEHICLE, Car, Loop, Road, approved, sealed
from hypothesis import given, settings
from hypothesis import strategies as st
from strategies import objects

from vla_driving.contract.checksum import (
    approved_plan_checksum,
    command_checksum,
    vehicle_state_checksum,
)
from vla_driving.contract.clock import SECOND
from vla_driving.contract.plan import ApprovedPlan, PlanSource
from vla_driving.contract.trajectory import POINTS, integrate
from vla_driving.contract.vehicle import CommandSource, VehicleState
from vla_driving.control.bridge import ControllerBridge, Inputs
from vla_driving.control.faults import REACTIONS

STRAIGHT = Road(lambda s: 0.0, lambda s: 10.0)
BEND = Road(lambda s: 0.01, lambda s: 10.0)


def driving(road: Road = STRAIGHT, **kwargs: Any) -> Loop:
    loop = Loop(road, Car(speed=10.0), **kwargs)
    last = loop.run(3.0)
    assert last.command.source == CommandSource.PLAN
    loop.log.clear()
    return loop


def sources(loop: Loop) -> list[CommandSource]:
    return [outcome.command.source for _, outcome in loop.log]


def events(loop: Loop) -> list[str]:
    return [event.name for _, outcome in loop.log for event in outcome.events]


def test_before_anything_came_it_stands_by() -> None:
    outcome = ControllerBridge(SETTINGS, VEHICLE, RATES).step(Inputs(None, None), 5 * SECOND)
    assert outcome.command.source == CommandSource.STANDBY
    assert not outcome.command.engaged
    assert {f.name for f in outcome.faults} == {"approved_plan_missing", "vehicle_state_missing"}
    assert outcome.tracking is None


def test_commands_count_up_and_carry_stamps_and_a_fitting_checksum() -> None:
    loop = driving()
    loop.run(0.5)
    commands = [outcome.command for _, outcome in loop.log]
    assert [c.sequence for c in commands] == list(
        range(commands[0].sequence, commands[0].sequence + 50)
    )
    assert all(c.checksum == command_checksum(c) for c in commands)
    assert 0 <= loop.now_ns - commands[-1].stamp_ns <= 3 * STEP_NS
    assert 0.1 < (loop.now_ns - commands[-1].frame_stamp_ns) / SECOND < 0.35


@pytest.mark.requirement("SR-17")
def test_when_plans_end_it_stops_in_its_path_and_holds() -> None:
    loop = driving(BEND)
    loop.plans_come = False
    last = loop.run(10.0)
    assert last.command.source == CommandSource.STOP
    assert last.command.hold
    assert last.command.hazard_lights
    assert loop.car.speed == 0.0
    assert events(loop)[:2] == ["approved_plan_silent", "control_mode"]
    # Long before the last plan's own end: the reaction is the step after the time-out.
    timeout = SETTINGS.supervision.approved_plan_timeout
    assert sources(loop).index(CommandSource.STOP) == pytest.approx(100 * timeout, abs=2)
    assert np.abs(loop.offsets()).max() < 0.3
    braking = [outcome.command.acceleration for _, outcome in loop.log]
    assert min(braking) == pytest.approx(-VEHICLE.comfort_deceleration, abs=0.01)


@pytest.mark.requirement("SR-17")
def test_when_the_state_ends_it_stops_by_the_last_path_alone() -> None:
    loop = driving(BEND)
    loop.states_come = False
    last = loop.run(8.0)
    assert last.command.source == CommandSource.STOP
    assert loop.car.speed == 0.0
    assert last.command.hold
    assert last.command.acceleration == -VEHICLE.max_deceleration
    assert "vehicle_state_stale" in events(loop)
    assert np.abs(loop.offsets()).max() < 0.5, "it follows the bend while it brakes"


@pytest.mark.requirement("SR-13")
def test_a_second_publisher_of_approved_plans_stops_the_car_by_the_last_good_path() -> None:
    loop = driving(BEND)
    loop.publishers = 2
    loop.run(0.02)
    assert sources(loop)[-1] == CommandSource.STOP
    assert events(loop)[0] == "approved_plan_publishers"
    followed = loop.bridge._plans.plan
    # Whatever comes now may be anybody's.
    loop.plan_changes = {"speed_cap": 1.0}
    last = loop.run(10.0)
    assert loop.bridge._plans.plan is followed
    assert last.command.hold and loop.car.speed == 0.0
    assert np.abs(loop.offsets()).max() < 0.3
    loop.publishers, loop.plan_changes = 1, {}
    assert loop.run(0.3).command.source == CommandSource.PLAN


def test_a_short_interruption_is_bridged() -> None:
    loop = driving()
    loop.plans_come = False
    loop.run(0.4)
    assert sources(loop)[-1] == CommandSource.STOP
    loop.plans_come = True
    last = loop.run(0.2)
    assert last.command.source == CommandSource.PLAN


@pytest.mark.requirement("SR-18")
def test_after_a_long_interruption_the_car_stands_first() -> None:
    loop = driving()
    loop.plans_come = False
    loop.run(1.5)
    loop.plans_come = True
    begin = len(loop.log)
    loop.run(15.0)
    back = sources(loop)[begin:].index(CommandSource.PLAN) + begin
    assert loop.log[back - 1][0].speed < SETTINGS.longitudinal.standstill_speed + 0.01
    assert loop.car.speed > 5.0, "and then drives on"


def test_braking_is_not_eased_by_its_own_stop() -> None:
    """The last plan brakes hard; without plans the car goes on braking as hard."""
    bridge = ControllerBridge(SETTINGS, VEHICLE, RATES)
    car = Car(speed=15.0)
    hard = integrate(15.0, np.full(POINTS, -5.0), np.zeros(POINTS))
    now, plan = 100 * SECOND, None
    for k in range(80):
        if plan is None:
            plan = approved(hard, now, now, 1, source=PlanSource.FALLBACK)
        outcome = bridge.step(Inputs(plan, car.state(now, k)), now)
        car.move(outcome.command)
        now += STEP_NS
    assert outcome.command.source == CommandSource.STOP
    assert outcome.command.acceleration < -4.9


@pytest.mark.parametrize(
    ("name", "spoil"),
    [
        ("approved_plan_corrupt", lambda p: replace(p, checksum=p.checksum ^ 1)),
        ("approved_plan_out_of_order", lambda p: sealed(replace(p, sequence=p.sequence - 200))),
        ("approved_plan_invalid", lambda p: sealed(replace(p, stamp_ns=p.stamp_ns + SECOND))),
        ("approved_plan_invalid", lambda p: sealed(replace(p, speed_cap=math.nan))),
        (
            "approved_plan_invalid",
            lambda p: sealed(replace(p, valid_until_ns=p.stamp_ns + 60 * SECOND)),
        ),
        (
            "approved_plan_invalid",
            lambda p: sealed(
                replace(p, trajectory=replace(p.trajectory, y=np.full(POINTS, np.nan, np.float32)))
            ),
        ),
        (
            "approved_plan_invalid",
            lambda p: sealed(replace(p, trajectory=replace(p.trajectory, x=np.zeros(3)))),
        ),
        (
            "approved_plan_invalid",
            lambda p: sealed(
                replace(p, trajectory=replace(p.trajectory, speed=-p.trajectory.speed))
            ),
        ),
    ],
)
@pytest.mark.requirement("SR-13")
def test_bad_plans_are_named_and_soon_end_in_a_stop(
    name: str, spoil: Callable[[ApprovedPlan], ApprovedPlan]
) -> None:
    loop = driving()
    loop.spoil = spoil
    last = loop.run(0.25)
    assert name in {f.name for f in last.faults}
    assert sources(loop)[0] == CommandSource.PLAN, "the plan before stays in force"
    assert last.command.source == CommandSource.STOP
    assert sources(loop).index(CommandSource.STOP) <= 2 * SETTINGS.supervision.max_rejections
    loop.spoil = lambda plan: plan
    assert loop.run(0.2).command.source == CommandSource.PLAN


def test_one_bad_plan_between_good_ones_changes_nothing_but_a_word() -> None:
    loop = driving()
    count = iter(range(1000))
    loop.spoil = lambda p: replace(p, checksum=0) if next(count) == 5 else p
    loop.run(1.0)
    assert set(sources(loop)) == {CommandSource.PLAN}
    assert events(loop) == ["approved_plan_corrupt"]


def test_a_restarted_monitor_is_followed_again_once_the_car_stands() -> None:
    loop = driving()
    offset = loop.tick + 10_000
    loop.spoil = lambda p: sealed(replace(p, sequence=p.sequence + 10_000 - offset))
    loop.run(10.0)
    assert CommandSource.STOP in sources(loop)
    assert sources(loop)[-1] == CommandSource.PLAN


@pytest.mark.requirement("SR-12", "SR-17")
def test_a_silent_monitor_is_noticed_before_its_last_plan_ends() -> None:
    loop = driving()
    loop.plans_come = False
    loop.run(SETTINGS.supervision.approved_plan_timeout + 0.03)
    assert sources(loop)[-1] == CommandSource.STOP
    assert "approved_plan_silent" in events(loop)
    assert loop.log[-1][1].command.hazard_lights


def test_of_two_who_approve_plans_none_is_followed_for_long() -> None:
    loop = driving()
    count = iter(range(10_000))
    loop.spoil = lambda p: (
        sealed(replace(p, sequence=p.sequence + 20)) if next(count) % 3 == 0 else p
    )
    loop.run(0.3)
    assert sources(loop)[-1] == CommandSource.STOP
    assert {"approved_plan_out_of_order", "approved_plan_refused"} <= set(events(loop))


def test_a_plan_whose_number_runs_far_ahead_is_not_followed() -> None:
    loop = driving()
    count = iter(range(1000))
    loop.spoil = lambda p: (
        sealed(replace(p, sequence=p.sequence + 10**9)) if next(count) == 5 else p
    )
    loop.run(1.0)
    assert set(sources(loop)) == {CommandSource.PLAN}
    assert events(loop) == ["approved_plan_out_of_order"]


@pytest.mark.parametrize("kind", ["steering_override", "brake_override"])
@pytest.mark.requirement("SR-20")
def test_the_driver_wins_at_once_and_gets_a_bumpless_car_back(kind: str) -> None:
    loop = driving(BEND)
    loop.state_changes = {kind: True, "steering_angle": 0.2}
    loop.run(0.03)
    taken = loop.log[-1][1].command
    assert taken.source == CommandSource.STANDBY
    assert not taken.engaged
    assert taken.steering_angle == pytest.approx(0.2)
    loop.car.angle = 0.1
    loop.car.steering.extend([0.1] * 12)
    loop.state_changes = {}
    loop.run(0.3)
    assert sources(loop)[-1] == CommandSource.STANDBY, "not back before the driver has let go"
    loop.run(0.5)
    assert sources(loop)[-1] == CommandSource.PLAN
    first = sources(loop).index(CommandSource.PLAN)
    angles = [outcome.command.steering_angle for _, outcome in loop.log][first - 1 :]
    assert max(map(abs, np.diff(angles))) <= VEHICLE.max_steering_rate * 0.01 + 1e-9


@pytest.mark.requirement("SR-20")
def test_the_driver_wins_in_a_stop_as_well() -> None:
    loop = driving()
    loop.plans_come = False
    loop.run(0.6)
    loop.state_changes = {"brake_override": True}
    assert loop.run(0.05).command.source == CommandSource.STANDBY
    loop.state_changes = {}
    assert loop.run(1.0).command.source == CommandSource.STANDBY


@pytest.mark.requirement("SR-20")
def test_the_driver_s_foot_wins_over_the_plan_s_brakes_while_steering_goes_on() -> None:
    loop = driving(BEND)
    loop.state_changes = {"accelerator_override": True, "acceleration": 1.0}
    last = loop.run(1.0)
    assert last.command.source == CommandSource.PLAN
    assert last.command.acceleration == pytest.approx(1.0)
    assert last.command.steering_angle > 0.02


def test_not_engaged_the_angle_follows_the_measured_one() -> None:
    loop = driving(BEND)
    loop.plan_changes = {"engaged": False}
    loop.run(0.1)
    loop.state_changes = {"steering_angle": -0.1}
    last = loop.run(0.1)
    assert not last.command.engaged
    assert last.command.steering_angle == pytest.approx(-0.1)


def test_when_plans_end_while_not_engaged_the_car_stays_the_driver_s() -> None:
    loop = driving()
    loop.plan_changes = {"engaged": False}
    loop.run(0.2)
    loop.plans_come = False
    assert loop.run(1.0).command.source == CommandSource.STANDBY


def test_hold_of_the_monitor_brings_the_car_to_rest() -> None:
    loop = driving()
    loop.plan_changes = {"hold": True, "hazard_lights": True, "source": PlanSource.FALLBACK}
    last = loop.run(10.0)
    assert loop.car.speed == 0.0
    assert last.command.hold
    assert last.command.hazard_lights
    assert last.command.source == CommandSource.PLAN


def test_a_clock_that_is_set_back_stops_the_car_until_all_is_new() -> None:
    loop = driving()
    loop.now_ns -= 500 * SECOND
    loop._pending.clear()
    loop._newest = None
    loop.run(0.05)
    assert sources(loop)[0] == CommandSource.STOP
    assert loop.run(0.4).command.source == CommandSource.PLAN


def test_every_fault_has_a_row_and_tells_value_limit_and_reaction() -> None:
    loop = driving()
    loop.plans_come = False
    loop.run(1.0)
    event = next(e for _, o in loop.log for e in o.events if e.name == "approved_plan_expired")
    row = REACTIONS[event.name]
    assert row.text in event.text
    assert event.subject == "vla/approved_plan"
    assert "\n" not in event.text


def _fitting(plan: ApprovedPlan) -> ApprovedPlan:
    return replace(plan, checksum=approved_plan_checksum(plan))


def _fitting_state(state: VehicleState) -> VehicleState:
    return replace(state, checksum=vehicle_state_checksum(state))


DRIVEN = driving()
ANYTHING = st.builds(
    Inputs,
    st.none() | objects(ApprovedPlan) | objects(ApprovedPlan).map(_fitting),
    st.none() | objects(VehicleState) | objects(VehicleState).map(_fitting_state),
)


@given(st.lists(st.tuples(ANYTHING, st.integers(-(10**9), 10**9)), min_size=1, max_size=6))
@settings(max_examples=100, deadline=None)
@pytest.mark.requirement("SR-01", "SR-24")
def test_whatever_comes_there_is_a_command_within_the_limits(
    steps: list[tuple[Inputs, int]],
) -> None:
    bridge, now_ns = copy.deepcopy(DRIVEN.bridge), DRIVEN.now_ns
    for inputs, elapsed in steps:
        now_ns += elapsed
        command = bridge.step(inputs, now_ns).command
        assert abs(command.steering_angle) <= VEHICLE.max_steering_angle
        assert -VEHICLE.emergency_deceleration <= command.acceleration <= VEHICLE.max_acceleration
        assert math.isfinite(command.steering_rate)
        assert math.isfinite(command.jerk)
        assert command.checksum == command_checksum(command)
