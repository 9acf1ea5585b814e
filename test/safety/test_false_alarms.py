"""What good drives in the simulator once made the monitor do without need."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
from drive import SETTINGS, START, VEHICLE, car, constant, plan_of

from vla_driving.contract.plan import LateralAction, LongitudinalAction
from vla_driving.contract.scene import LaneLine, LaneLineKind, table_of
from vla_driving.contract.trajectory import POINTS, Trajectory, integrate
from vla_driving.safety.candidates import batch
from vla_driving.safety.checks import plan, world
from vla_driving.safety.checks.table import CandidateCheck, Candidates, Limits, fails
from vla_driving.safety.contacts import NEVER_S
from vla_driving.safety.lanes import departures
from vla_driving.safety.obstacles import NOWHERE_M, Approach, Surroundings, no_objects, objects
from vla_driving.safety.paths import Paths

LIMITS = Limits(SETTINGS, VEHICLE)


def candidates(path: Trajectory, speed: float, rss_slack: float, **changes: object) -> Candidates:
    far = np.full(1, NOWHERE_M)
    never, zero = np.full(1, NEVER_S), np.zeros(1)
    none = np.zeros(1)
    near = Approach(
        never, never, far, np.full(1, rss_slack), far, far, none, far
    )
    return Candidates(
        LIMITS, batch(START, (path,)), plan_of((path,), **changes), 0.1, speed, zero, near, zero,
        zero, speed, zero > 0.0,
    )


def speaks(table: tuple[CandidateCheck, ...], name: str, given: Candidates) -> bool:
    check = next(c for c in table if c.name == name)
    return fails(float(check.measure(given)[0]), check.limit(LIMITS), check.at_least)


@pytest.mark.parametrize(("speed", "expected"), [(0.0, False), (-0.02, False), (3.0, True)])
@pytest.mark.requirement("SR-25")
def test_a_car_that_stands_is_not_too_near_to_one_that_crosses(
    speed: float, expected: bool
) -> None:
    given = candidates(constant(max(speed, 0.0)), speed, -2.8)
    assert speaks(world.CHECKS, "headway", given) == expected


@pytest.mark.parametrize(
    ("speed", "pull", "expected"),
    [
        (8.0, 0.0, True), (8.0, -0.9, True), (8.0, -1.05, False), (8.0, -3.0, False),
        (2.5, -0.4, True), (2.5, -0.6, False), (1.9, 0.0, False), (1.9, 0.3, True),
    ],
)
@pytest.mark.requirement("SR-05", "SR-25")
def test_a_plan_that_slows_as_the_cap_would_is_not_slowed(
    speed: float, pull: float, expected: bool
) -> None:
    """Somebody pulls out and the plan brakes: the proper response, to which a cap adds nothing.

    The cap comes down by 1 m/s² and leaves a crawl of 2 m/s.
    """
    given = candidates(constant(speed, pull), speed, -5.0)
    assert speaks(world.CHECKS, "headway", given) == expected


@pytest.mark.requirement("SR-03", "SR-25")
def test_who_says_stop_may_first_go_on_to_where_it_stops() -> None:
    """Through a junction to a goal close behind it."""
    pull = np.where(np.arange(POINTS) < 5, -1.0, np.where(np.arange(POINTS) < 34, 1.5, -1.9))
    path = integrate(1.9, pull, np.zeros(POINTS))
    assert path.speed[29] - path.speed[0] > SETTINGS.plan.max_action_speed
    assert path.speed[-1] < 1.0
    stop = candidates(path, 1.9, NOWHERE_M, longitudinal_action=LongitudinalAction.STOP)
    assert not speaks(plan.CHECKS, "plan_action_speed", stop)
    goes_on = candidates(
        constant(5.0, -0.1), 5.0, NOWHERE_M, longitudinal_action=LongitudinalAction.STOP
    )
    assert speaks(plan.CHECKS, "plan_action_speed", goes_on)


@pytest.mark.requirement("SR-25")
def test_out_of_a_roundabout_the_turn_comes_after_a_bend_the_other_way() -> None:
    bend = np.where(np.arange(POINTS) < 52, 0.05, -0.15)
    around = integrate(5.0, np.zeros(POINTS), bend)
    assert around.heading[-1] > SETTINGS.plan.max_action_heading
    right = candidates(around, 5.0, NOWHERE_M, lateral_action=LateralAction.TURN_RIGHT)
    assert not speaks(plan.CHECKS, "plan_action_heading", right)
    mirrored = integrate(5.0, np.zeros(POINTS), -bend)
    left = candidates(mirrored, 5.0, NOWHERE_M, lateral_action=LateralAction.TURN_LEFT)
    assert not speaks(plan.CHECKS, "plan_action_heading", left)


@pytest.mark.requirement("SR-25")
def test_after_the_turn_a_bend_the_other_way_may_come() -> None:
    bend = np.where(np.arange(POINTS) < 10, -0.05, np.where(np.arange(POINTS) < 50, 0.0, 0.1))
    path = integrate(6.0, np.zeros(POINTS), bend)
    assert path.heading[-1] > SETTINGS.plan.max_action_heading
    right = candidates(path, 6.0, NOWHERE_M, lateral_action=LateralAction.TURN_RIGHT)
    assert not speaks(plan.CHECKS, "plan_action_heading", right)


@pytest.mark.parametrize(
    ("action", "bend"), [(LateralAction.TURN_RIGHT, 0.05), (LateralAction.TURN_LEFT, -0.05)]
)
@pytest.mark.requirement("SR-03")
def test_a_turn_to_the_wrong_side_still_contradicts(action: LateralAction, bend: float) -> None:
    wrong = candidates(constant(5.0, 0.0, bend), 5.0, NOWHERE_M, lateral_action=action)
    assert speaks(plan.CHECKS, "plan_action_heading", wrong)


@pytest.mark.requirement("SR-25")
def test_one_that_crosses_does_not_come_towards_us() -> None:
    """A lorry that turns across the junction, seen by a car that starts to move."""
    slow = constant(1.0)
    path = Paths(batch(START, (slow,)))

    def slack(velocity_x: float, velocity_y: float) -> float:
        item = replace(car(12.0, 0.5), velocity_x=velocity_x, velocity_y=velocity_y)
        listed = objects(START, table_of((item,)), 0.5)
        found = Surroundings(VEHICLE, SETTINGS.world).approach(
            path, no_objects(START), listed, START, START, 1.0, np.array([False]),
        )
        return float(found.rss_slack[0])

    assert slack(-1.7, 8.9) == pytest.approx(slack(0.0, 8.9))
    # Who approaches more than he crosses counts as before.
    assert slack(-5.0, 1.0) < slack(-1.0, 0.0) < slack(0.0, 0.0)


@pytest.mark.parametrize(
    ("x", "y", "across", "approaches"),
    [
        (16.0, 1.8, 5.3, False), (16.0, -1.8, -5.3, False), (16.0, 0.0, 0.6, True),
        (16.0, -1.8, 1.0, True), (6.0, 1.8, 5.3, True),
    ],
)
@pytest.mark.requirement("SR-05", "SR-25")
def test_one_that_has_left_our_way_before_we_meet_does_not_come_towards_us(
    x: float, y: float, across: float, approaches: bool
) -> None:
    """One that turns into the road beside us: for a moment it comes as fast as it crosses."""
    path = Paths(batch(START, (constant(3.5),)))

    def slack(velocity_x: float) -> float:
        item = replace(car(x, y), velocity_x=velocity_x, velocity_y=across)
        found = Surroundings(VEHICLE, SETTINGS.world).approach(
            path, no_objects(START), objects(START, table_of((item,)), 0.5), START, START, 3.5,
            np.array([False]),
        )
        return float(found.rss_slack[0])

    assert (slack(-5.4) < slack(0.0)) == approaches


def lane_line(kind: LaneLineKind, y: float) -> LaneLine:
    x = np.arange(-10.0, 61.0, 1.0, dtype=np.float32)
    return LaneLine(kind, 1.0, x, np.full_like(x, y))


def departure(heading: float, y: float, kind: LaneLineKind = LaneLineKind.LANE_LEFT) -> float:
    """Of a plan at 8 m/s that begins at a heading, beside a line on the left at `y`."""
    straight = constant(8.0)
    cos, sin = math.cos(heading), math.sin(heading)
    path = replace(
        straight, x=straight.x * np.float32(cos), y=straight.x * np.float32(sin),
        heading=np.full(POINTS, heading, np.float32),
    )
    lane, edge = departures(
        batch(START, (path,)), (lane_line(kind, y),), 0.1, VEHICLE, SETTINGS.world
    )
    return float(max(lane[0], edge[0]))


@pytest.mark.requirement("SR-07", "SR-25")
def test_a_plan_that_comes_back_into_its_lane_does_not_leave_it() -> None:
    """Where a lane ends in another, the one to keep to is the other from one plan to the next."""
    half = 0.5 * VEHICLE.width
    assert departure(0.0, half - 0.8) == pytest.approx(0.8, abs=1e-3), "it stays beside it"
    assert departure(-0.08, half - 0.8) < 0.1 < SETTINGS.world.max_lane_departure
    assert departure(0.08, half - 0.2) > 0.8, "it leaves farther"
    assert departure(-0.08, half - 0.8, LaneLineKind.ROAD_EDGE_LEFT) > 0.6, "off the road is off"


@pytest.mark.requirement("SR-07")
def test_who_swings_out_and_back_has_left_the_lane() -> None:
    swing = np.where(np.arange(POINTS) < 4, 0.05, np.where(np.arange(POINTS) < 12, -0.05, 0.0))
    path = integrate(8.0, np.zeros(POINTS), swing)
    assert path.y[1] < path.y[6] > path.y[14]
    lane, _ = departures(
        batch(START, (path,)),
        (lane_line(LaneLineKind.LANE_LEFT, 0.5 * VEHICLE.width - 0.1),), 0.1, VEHICLE,
        SETTINGS.world,
    )
    assert lane[0] > 0.3


@pytest.mark.requirement("SR-07")
def test_where_the_line_ends_before_the_car_is_back_it_counts_as_it_was() -> None:
    half = 0.5 * VEHICLE.width
    line = lane_line(LaneLineKind.LANE_LEFT, half - 0.8)
    short = replace(line, x=line.x[:17], y=line.y[:17])
    straight = constant(8.0)
    path = replace(straight, y=-0.08 * straight.x, heading=np.full(POINTS, -0.08, np.float32))
    lane, _ = departures(batch(START, (path,)), (short,), 0.1, VEHICLE, SETTINGS.world)
    assert 0.2 < lane[0] < 0.8


@pytest.mark.parametrize(("pull", "action"), [
    (1.5, LongitudinalAction.ACCELERATE), (-3.0, LongitudinalAction.STOP),
])
@pytest.mark.requirement("SR-03", "SR-25")
def test_a_choice_behind_the_first_may_give_way_whatever_is_said(
    pull: float, action: LongitudinalAction
) -> None:
    """The stated action is that of the first; less than it is no contradiction, more is one."""
    paths = constant(5.0, pull), constant(5.0, -2.0), constant(5.0, 0.0)
    one = candidates(paths[0], 5.0, NOWHERE_M, longitudinal_action=action)
    given = replace(one, batch=batch(START, paths))
    check = next(c for c in plan.CHECKS if c.name == "plan_action_speed")
    says = [fails(float(v), check.limit(LIMITS), check.at_least) for v in check.measure(given)]
    assert says == [False, False, action == LongitudinalAction.STOP]
    brakes = candidates(
        constant(5.0, -2.0), 5.0, NOWHERE_M, longitudinal_action=LongitudinalAction.ACCELERATE
    )
    assert speaks(plan.CHECKS, "plan_action_speed", brakes)
