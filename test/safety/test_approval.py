"""Which candidate is approved, and what is remembered of it."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from drive import SETTINGS, START, STATE, STEP, VEHICLE, car, constant, plan_of

from vla_driving.contract.clock import nanoseconds
from vla_driving.contract.motion import EgoMotion
from vla_driving.contract.plan import LateralAction, Plan
from vla_driving.contract.scene import LaneLine, LaneLineKind, ObjectList
from vla_driving.contract.supervision import Level, Verdict
from vla_driving.contract.trajectory import Trajectory
from vla_driving.safety.approval import Approval
from vla_driving.safety.checks import STATE_CHECKS
from vla_driving.safety.checks.table import Limits
from vla_driving.safety.contacts import NEVER_S
from vla_driving.safety.judge import Outcome
from vla_driving.safety.paths import Paths

pytestmark = pytest.mark.requirement("SR-02", "SR-03")

PLAN_VALIDITY = next(check for check in STATE_CHECKS if check.name == "plan_validity")
GOOD, TIGHT, FAST = constant(8.0), constant(8.0, 0.0, 0.3), constant(8.0, 0.5)


def approval(yaw_rate: float = 0.0, speed: float = 8.0) -> Approval:
    motion = EgoMotion()
    for k in range(51):
        motion.add(
            replace(STATE, stamp_ns=START + (k - 25) * STEP, speed=speed, yaw_rate=yaw_rate)
        )
    return Approval(Limits(SETTINGS, VEHICLE), motion)


def considered(*paths: Trajectory, limit: float = 25.0, **changes: Any) -> Approval:
    made = approval()
    made.consider(plan_of(paths, **changes), 8.0, limit, START)
    return made


def test_before_a_plan_there_is_nothing() -> None:
    none = approval()
    assert none.approved is None
    assert (none.refused, none.safe_speed) == (False, 0.0)
    assert none.unseen_m is none.unlisted_m is None
    assert (none.failing(), none.shown()) == (frozenset(), ())
    assert none.cause([]) is None
    assert not none.way_is_blocked()
    assert none.follow(8.0, START) == Level.MINIMAL_RISK
    assert (none.world.scene.stamp_ns, none.world.sensor.stamp_ns) == (0, 0)


@pytest.mark.parametrize(
    ("paths", "index"),
    [
        ((GOOD,), 0), ((GOOD, FAST), 0), ((FAST, GOOD), 0), ((TIGHT, GOOD), 1),
        ((TIGHT, FAST, GOOD), 1), ((TIGHT, TIGHT, GOOD), 2),
    ],
)
def test_the_first_without_a_failure_is_approved_alone(
    paths: tuple[Trajectory, ...], index: int
) -> None:
    made = considered(*paths)
    found = made.approved
    assert found is not None
    assert not made.refused
    assert found.trajectory is paths[index]
    assert len(found.batch) == len(found.paths.ways) == len(found.paths.chords) == 1
    assert found.batch.x[0] == pytest.approx(paths[index].x)
    assert found.batch.stamp_ns == START
    alone = Paths(found.batch)
    assert found.paths.ways == pytest.approx(alone.ways)
    assert found.paths.chords == pytest.approx(alone.chords)
    assert found.sideways.tolist() == [False]
    assert (found.level, found.failing) == (Level.NOMINAL, frozenset())
    assert made.unseen_m is made.unlisted_m is None


def test_of_candidates_that_fail_the_first_is_told() -> None:
    made = considered(TIGHT, constant(8.0, 0.0, 0.31))
    assert made.refused
    assert made.approved is None
    curvature = next(o for o in made.shown() if o.check.name == "plan_curvature")
    assert curvature.value == pytest.approx(0.3)
    cause = made.cause([])
    assert cause is None or cause.check.name.startswith("plan_")


def test_one_that_is_approved_is_told_itself() -> None:
    made = considered(TIGHT, FAST)
    speeds = {o.check.name: o.value for o in made.shown()}
    assert speeds["plan_acceleration"] == pytest.approx(0.5)
    assert speeds["plan_curvature"] == 0.0


def test_with_caps_it_is_degraded() -> None:
    made = considered(GOOD, limit=4.0)
    assert made.approved is not None
    assert (made.approved.level, made.approved.failing) == (
        Level.DEGRADED, frozenset(("plan_limit",))
    )
    assert made.failing() == {"plan_limit"}
    assert made.follow(8.0, START) == Level.DEGRADED
    assert made.follow(8.0, START + STEP) == Level.DEGRADED


@pytest.mark.parametrize(("valid_s", "until_s"), [(0.3, 0.3), (5.0, 0.6)])
def test_it_holds_as_long_as_it_says_and_no_longer_than_any(valid_s: float, until_s: float) -> None:
    made = considered(GOOD, valid_until_ns=START + nanoseconds(valid_s))
    assert made.approved is not None
    until_ns = START + nanoseconds(until_s)
    assert made.approved.until_ns == until_ns
    left = nanoseconds(SETTINGS.plan.min_left)
    assert made.follow(8.0, until_ns - left) == Level.NOMINAL
    assert made.follow(8.0, until_ns - left + 1000) == Level.MINIMAL_RISK
    assert made.failing() == frozenset()


def test_the_lane_that_is_left_is_told_of_the_one_that_is_approved() -> None:
    x = np.linspace(0.0, 80.0, 40, dtype=np.float32)
    line = LaneLine(LaneLineKind.LANE_LEFT, 0.9, x, np.full(40, 1.5, np.float32))
    leaving = constant(8.0, 0.0, 0.02)
    made = considered(
        TIGHT, leaving, GOOD, lane_lines=(line,), lateral_action=LateralAction.KEEP_LANE
    )
    assert made.approved is not None
    assert made.approved.trajectory is GOOD
    assert made.approved.sideways.tolist() == [False]
    announced = considered(
        leaving, GOOD, lane_lines=(line,), lateral_action=LateralAction.CHANGE_LEFT
    )
    assert announced.approved is not None
    assert announced.approved.sideways.tolist() == [True]


# -- a collision ahead of the plan that is followed --------------------------------------------


def seen(made: Approval, *items: Any, at_ns: int = START) -> None:
    made.world.see_objects(ObjectList(at_ns, 1, "radar", items))


def test_a_collision_counts_once_it_has_lasted() -> None:
    made = considered(GOOD)
    seen(made, car(22.0))
    confirm = nanoseconds(SETTINGS.world.collision_confirm)
    first = START + STEP
    assert made.follow(8.0, first) == Level.NOMINAL
    assert made.follow(8.0, first + confirm - 1000) == Level.NOMINAL
    assert made.follow(8.0, first + confirm) == Level.MINIMAL_RISK
    seen(made)
    assert made.follow(8.0, first + confirm + STEP) == Level.NOMINAL
    seen(made, car(22.0))
    assert made.follow(8.0, first + confirm + 2 * STEP) == Level.NOMINAL


def test_of_refused_candidates_the_first_is_told_even_where_another_is_less_bad() -> None:
    made = approval()
    seen(made, car(12.0))
    made.consider(plan_of((GOOD, beside(GOOD, 3.0), TIGHT)), 8.0, 25.0, START)
    assert made.refused
    told = {o.check.name: o for o in made.shown()}
    assert told["time_to_collision"].reaction == Level.EMERGENCY
    assert told["plan_start"].value < 0.1
    assert made.way_is_blocked() is False
    expired = Outcome(PLAN_VALIDITY, Verdict.FAIL, 0.0, 0.06, None, True)
    cause = made.cause([expired])
    assert cause is not None and cause.check.name == "time_to_collision"


def test_what_comes_into_the_way_of_an_approved_plan_blocks_it() -> None:
    made = considered(GOOD)
    assert not made.way_is_blocked()
    seen(made, car(14.0))
    made.follow(8.0, START + STEP)
    assert not made.refused
    assert made.way_is_blocked()


def test_a_plan_with_nothing_wrong_but_what_is_in_its_way_is_blocked() -> None:
    made = approval()
    seen(made, car(14.0))
    made.consider(plan_of((GOOD,)), 8.0, 25.0, START)
    assert made.refused
    assert made.way_is_blocked()


@pytest.mark.parametrize(
    ("x", "y", "whole", "contact"),
    [
        (20.0, 0.0, False, 1.8), (20.0, 0.0, True, 1.8), (30.0, 0.0, False, NEVER_S),
        (30.0, 0.0, True, 3.0), (20.0, 2.5, False, NEVER_S),
    ],
)
@pytest.mark.parametrize("source", ["scene", "sensor"])
def test_contacts_of_the_monitors_own_stop(
    x: float, y: float, whole: bool, contact: float, source: str
) -> None:
    made = approval()
    if source == "sensor":
        seen(made, car(x, y))
    else:
        made.world.see_plan(plan_of((GOOD,), objects=(car(x, y),)))
    assert made.contact_s(GOOD, START, START, whole) == pytest.approx(contact)


def test_a_stop_that_leaves_the_lane_is_held_against_who_drives_straight_on() -> None:
    """One comes towards us beside the lane: along the bend it passes, straight on it does not."""
    bend = constant(8.0, 0.0, 0.02)
    made = approval()
    seen(made, car(26.3, 11.6, 8.0, 0.6 + math.pi))
    assert made.contact_s(bend, START, START, False) == NEVER_S
    assert made.contact_s(bend, START, START, True) < 2.5


def test_an_emergency_counts_at_once() -> None:
    made = considered(GOOD)
    seen(made, car(8.0))
    assert made.follow(8.0, START + STEP) == Level.EMERGENCY
    assert made.failing() >= {"collision_sensor", "time_to_collision"}


def test_a_new_plan_starts_the_confirmation_anew() -> None:
    made = considered(GOOD)
    seen(made, car(22.0))
    assert made.follow(8.0, START + STEP) == Level.NOMINAL
    seen(made)
    again = START + 5 * STEP
    made.consider(plan_of((GOOD,), again, 2), 8.0, 25.0, again)
    seen(made, car(22.0), at_ns=again)
    assert made.follow(8.0, again + STEP) == Level.NOMINAL


def test_what_only_one_source_sees_is_measured_along_the_path() -> None:
    made = approval()
    seen(made, car(15.0, 0.0, 9.0))
    made.consider(plan_of((FAST,), objects=(car(30.0, 0.0, 9.0),)), 8.0, 25.0, START)
    assert made.unseen_m == pytest.approx(15.0, abs=0.01)
    assert made.unlisted_m == pytest.approx(30.0, abs=0.01)
    both = approval()
    seen(both, car(30.0, 0.0, 9.0))
    both.consider(plan_of((FAST,), objects=(car(30.5, 0.0, 9.0),)), 8.0, 25.0, START)
    assert both.unseen_m is both.unlisted_m is None


def test_lists_of_before_are_taken_to_where_the_car_is_now() -> None:
    """2 m ago, and 0.1 rad further to the right."""
    made = approval(yaw_rate=0.4)
    at_ns = START - nanoseconds(0.25)
    seen(made, car(32.0), at_ns=at_ns)
    made.consider(plan_of((constant(8.0, 0.1),)), 8.0, 25.0, START)
    scene, sensor = made.world._both(START)
    assert len(scene) == 0
    x, y = sensor.vectors[:, 0, 0]
    assert math.hypot(x, y) == pytest.approx(30.0, abs=0.05)
    assert math.atan2(y, x) == pytest.approx(-0.1, abs=0.01)
    assert made.world._both(START)[1] is sensor
    assert made.world._both(at_ns)[1] is made.world.sensor


def test_a_clock_that_ran_back_voids_all() -> None:
    made = considered(GOOD)
    seen(made, car(15.0))
    made.clear()
    assert made.approved is None
    assert (made.refused, made.shown(), made.failing()) == (False, (), frozenset())
    assert len(made.world.sensor) == len(made.world.scene) == 0
    assert made.unseen_m is made.unlisted_m is None


# -- jumps -------------------------------------------------------------------------------------


def beside(path: Trajectory, off: float) -> Trajectory:
    return replace(path, y=path.y + np.float32(off))


def shift(made: Approval, plan: Plan) -> float:
    made.consider(plan, 8.0, 25.0, plan.stamp_ns)
    return next(o.value for o in made.shown() if o.check.name == "plan_shift")


def test_a_jump_is_told_once_and_believed_when_it_is_confirmed() -> None:
    made = considered(GOOD)
    at_ns = START + 5 * STEP
    first = plan_of((beside(GOOD, 0.7),), at_ns, 2)
    assert shift(made, first) == pytest.approx(0.7, abs=1e-3)
    assert made.refused
    second = plan_of((beside(GOOD, 0.75),), at_ns + 5 * STEP, 3)
    assert shift(made, second) == pytest.approx(0.05, abs=1e-3)


def test_only_a_jump_beyond_the_limit_is_looked_up_in_the_plan_before() -> None:
    """That proposed 0.3 m to the side first, with a bend that was refused at its end."""
    made = approval()
    other = replace(beside(GOOD, 0.3), curvature=GOOD.curvature + np.float32(0.3))
    made.consider(plan_of((other, GOOD)), 8.0, 25.0, START)
    assert made.approved is not None and made.approved.trajectory is GOOD
    at_ns = START + 5 * STEP
    assert shift(made, plan_of((beside(GOOD, 0.5),), at_ns, 2)) == 0.5


def test_a_plan_before_that_turns_back_confirms_no_jump() -> None:
    made = considered(GOOD)
    made.consider(plan_of((TIGHT,), START + 5 * STEP, 2), 8.0, 25.0, START + 5 * STEP)
    assert made.refused
    plan = plan_of((beside(GOOD, 0.7),), START + 10 * STEP, 3)
    assert shift(made, plan) == pytest.approx(0.7, abs=1e-3)


def test_after_its_end_a_plan_is_compared_with_nothing() -> None:
    made = considered(GOOD, valid_until_ns=START + 4 * STEP)
    late = plan_of((beside(GOOD, 0.7),), START + 5 * STEP, 2)
    assert shift(made, late) == 0.0


def test_each_candidate_jumps_by_itself() -> None:
    made = considered(GOOD)
    plan = plan_of((beside(GOOD, 0.9), beside(GOOD, 0.02)), START + 5 * STEP, 2)
    assert shift(made, plan) == pytest.approx(0.02, abs=1e-3)
    assert made.approved is not None
    assert made.approved.trajectory is plan.candidates[1]


def test_a_plan_that_stands_may_jump_as_well() -> None:
    made, stands = approval(speed=0.0), constant(0.0)
    made.consider(plan_of((stands,)), 0.0, 25.0, START)
    plan = plan_of((beside(stands, 0.7),), START + 5 * STEP, 2)
    made.consider(plan, 0.0, 25.0, plan.stamp_ns)
    found = next(o.value for o in made.shown() if o.check.name == "plan_shift")
    assert found == pytest.approx(0.7)
