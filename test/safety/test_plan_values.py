"""The numbers behind the checks of a plan, each worked out again in plain loops."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from drive import SETTINGS, START, VEHICLE, constant, plan_of

from vla_driving.contract.clock import nanoseconds
from vla_driving.contract.plan import LateralAction, LongitudinalAction, Plan
from vla_driving.contract.supervision import Level, Verdict
from vla_driving.contract.trajectory import POINTS, TIMES_S, Trajectory
from vla_driving.safety.candidates import batch
from vla_driving.safety.checks.plan import _ACTION_HEADING, CHECKS, _compare
from vla_driving.safety.checks.table import Candidates, Limits, Row
from vla_driving.safety.judge import CandidateJudge, Judgement

LIMITS = Limits(SETTINGS, VEHICLE)
NAMES = [check.name for check in CHECKS]
DT = 0.1


def rough(seed: int, speed: float) -> Trajectory:
    """Numbers that fit nothing, so that every check has its own worst place."""
    rng = np.random.default_rng(seed)
    sound = constant(speed, 0.3, 0.02)
    return Trajectory(0.5, *(
        (array + rng.normal(0.0, 0.05, POINTS)).astype(np.float32) for array in sound.arrays()
    ))


def candidates(
    trajectories: tuple[Trajectory, ...], plan: Plan | None = None, **changes: Any
) -> Candidates:
    plan = plan or plan_of(trajectories)
    count = len(trajectories)
    zero: Any = np.zeros(count)
    return Candidates(**{
        "limits": LIMITS, "batch": batch(plan.stamp_ns, trajectories), "plan": plan,
        "now_s": 0.1, "start_speed": 8.0, "shift": zero, "near": None, "lane_departure": zero,
        "edge_departure": zero, "measured_speed": 9.0, "sideways": zero.astype(bool),
    } | changes)


def judged(trajectories: tuple[Trajectory, ...], **changes: Any) -> Judgement:
    return CandidateJudge(CHECKS, LIMITS).judge(candidates(trajectories, **changes))


def values(trajectory: Trajectory, **changes: Any) -> dict[str, float]:
    found = judged((constant(3.0), trajectory), **changes)
    return dict(zip(NAMES, found.values[:, 1].tolist(), strict=True))


def expected(t: Trajectory, start_speed: float) -> dict[str, float]:
    """Of what every trajectory has by itself."""
    time, x, y, heading, speed, pull, bend = (a.astype(float).tolist() for a in t.arrays())
    steps, slips, turns, speeds, rates = [], [], [], [], []
    for k in range(POINTS):
        before = (x[k - 1], y[k - 1], heading[k - 1]) if k else (0.0, 0.0, 0.0)
        dx, dy, turn = x[k] - before[0], y[k] - before[1], heading[k] - before[2]
        middle = heading[k] - 0.5 * turn
        slips.append(abs(dy * math.cos(middle) - dx * math.sin(middle)))
        if not k:
            continue
        mean = 0.5 * (speed[k] + speed[k - 1])
        steps.append(abs(math.hypot(dx, dy) - mean * DT))
        turns.append(abs(turn - bend[k] * mean * DT))
        speeds.append(abs(speed[k] - speed[k - 1] - pull[k] * DT))
        angles = [math.atan(VEHICLE.wheelbase * b) for b in (bend[k - 1], bend[k])]
        rates.append(abs(angles[1] - angles[0]) / DT if mean >= 1.5 else 0.0)
    lateral = [v * v * b for v, b in zip(speed, bend, strict=True)]
    jerks = [abs(lateral[k] - lateral[k - 5]) / 0.5 for k in range(5, POINTS)]
    return {
        "plan_finite": 0.0,
        "plan_time": max(abs(a - b) for a, b in zip(time, TIMES_S.tolist(), strict=True)),
        "plan_start": math.hypot(x[0] - 0.5 * (start_speed + speed[0]) * DT, y[0]),
        "plan_start_speed": abs(speed[0] - start_speed),
        "plan_steps": max(steps), "plan_slip": max(slips), "plan_turns": max(turns),
        "plan_speeds": max(speeds), "plan_forward": -min(speed),
        "plan_curvature": max(map(abs, bend)), "plan_steering_rate": max(rates),
        "plan_lateral_acceleration": max(map(abs, lateral)), "plan_lateral_jerk": max(jerks),
        "plan_acceleration": max(pull), "plan_deceleration": -min(pull),
    }


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("speed", [0.5, 1.4, 8.0])
def test_every_value_is_what_a_plain_loop_says(seed: int, speed: float) -> None:
    trajectory = rough(seed, speed)
    found = values(trajectory)
    for name, value in expected(trajectory, 8.0).items():
        assert found[name] == pytest.approx(value, rel=1e-6, abs=1e-7), name


def test_without_a_speed_at_the_stamp_the_one_of_now_counts() -> None:
    trajectory = rough(1, 8.0)
    found, wanted = values(trajectory, start_speed=math.nan), expected(trajectory, 9.0)
    for name in ("plan_start", "plan_start_speed"):
        assert found[name] == pytest.approx(wanted[name])


@pytest.mark.parametrize("channel", range(7))
@pytest.mark.parametrize("bad", [math.nan, math.inf])
def test_what_is_not_finite_is_counted_and_spares_the_others(channel: int, bad: float) -> None:
    arrays = [array.copy() for array in constant(5.0).arrays()]
    arrays[channel][[3, 9]] = bad
    found = judged((constant(5.0), Trajectory(1.0, *arrays)))
    assert found.values[NAMES.index("plan_finite")].tolist() == [0.0, 2.0]


@pytest.mark.parametrize(
    ("horizon_s", "now_s", "left"), [(0.4, 0.1, 0.3), (0.6, 0.1, 0.5), (5.0, 0.2, 0.4)]
)
def test_time_that_is_left(horizon_s: float, now_s: float, left: float) -> None:
    plan = plan_of((constant(8.0),), valid_until_ns=START + nanoseconds(horizon_s))
    found = values(constant(8.0), plan=plan, now_s=now_s)
    assert found["plan_in_time"] == pytest.approx(left)


def test_the_shift_is_that_of_each_candidate() -> None:
    found = judged((constant(8.0), constant(8.0)), shift=np.array([0.1, 0.7]))
    row = NAMES.index("plan_shift")
    assert found.values[row].tolist() == [0.1, 0.7]
    assert found.failed[row].tolist() == [False, True]


@pytest.mark.parametrize(
    ("action", "pull", "value"),
    [
        (LongitudinalAction.CRUISE, 1.0, 0.0),
        (LongitudinalAction.ACCELERATE, 1.0, -2.9),
        (LongitudinalAction.ACCELERATE, -1.0, 2.9),
        (LongitudinalAction.DECELERATE, 1.0, 2.9),
        (LongitudinalAction.STOP, 1.0, 16.4),
        (LongitudinalAction.STOP, -1.0, 3.6),
        (LongitudinalAction.WAIT, 1.0, 13.0),
        (LongitudinalAction.WAIT, -1.0, 7.0),
    ],
)
def test_speed_against_the_stated_action(
    action: LongitudinalAction, pull: float, value: float
) -> None:
    path = constant(10.0, pull)
    plan = plan_of((path,), longitudinal_action=action)
    row = judged((path, path), plan=plan).values[NAMES.index("plan_action_speed")]
    behind = 0.0 if action == LongitudinalAction.ACCELERATE else value
    assert row.tolist() == pytest.approx([value, behind], abs=1e-5)


def turned(whole: float, last: float) -> Trajectory:
    heading = np.linspace(0.0, whole - last, POINTS)
    heading[-11:] = np.linspace(whole - last, whole, 11)
    return replace(constant(10.0), heading=heading.astype(np.float32))


@pytest.mark.parametrize(
    ("action", "whole", "last", "value"),
    [
        (LateralAction.KEEP_LANE, 1.0, 0.5, 0.0),
        (LateralAction.TURN_LEFT, 1.0, 0.5, 0.0),
        (LateralAction.TURN_LEFT, -1.0, -0.5, 1.0),
        (LateralAction.TURN_LEFT, -1.0, 0.5, 0.0),
        (LateralAction.TURN_LEFT, 1.0, -0.5, 0.0),
        (LateralAction.TURN_LEFT, -1.0, 0.11, 0.0),
        (LateralAction.TURN_LEFT, -1.0, 0.09, 1.0),
        (LateralAction.TURN_LEFT, -0.2, 0.0, 0.2),
        (LateralAction.TURN_RIGHT, -1.0, -0.5, 0.0),
        (LateralAction.TURN_RIGHT, 1.0, 0.5, 1.0),
        (LateralAction.TURN_RIGHT, 1.0, -0.5, 0.0),
        (LateralAction.TURN_RIGHT, -1.0, 0.5, 0.0),
        (LateralAction.TURN_RIGHT, 1.0, -0.11, 0.0),
        (LateralAction.TURN_RIGHT, 1.0, -0.09, 1.0),
        (LateralAction.TURN_RIGHT, 0.2, 0.0, 0.2),
    ],
)
def test_turn_against_the_stated_action(
    action: LateralAction, whole: float, last: float, value: float
) -> None:
    path = turned(whole, last)
    plan = plan_of((path,), lateral_action=action)
    assert values(path, plan=plan)["plan_action_heading"] == pytest.approx(value, abs=1e-5)


@pytest.mark.parametrize(
    ("first", "second", "then", "end", "value"),
    [
        (0.0, 0.0, 0.1, -0.3, 0.0),  # a tenth is a turn
        (0.0, 0.0, 0.0999, -0.3, 0.3),
        (-0.2, -0.1, -0.1, -0.1, 0.0),  # from the first point on
        (0.0, -0.2, -0.1, -0.1, 0.0),  # and from the second
        (0.0, -0.3, -0.25, -0.3, 0.3),
    ],
)
@pytest.mark.parametrize("side", [1.0, -1.0])
def test_turning_a_tenth_anywhere_is_a_turn(
    first: float, second: float, then: float, end: float, value: float, side: float
) -> None:
    numbers = np.zeros((7, 1, POINTS))
    numbers[3, 0] = side * np.array([first, second, *[then] * (POINTS - 3), end])
    assert _compare(numbers, 0.0, 0, side)[_ACTION_HEADING].tolist() == [value]


def test_limits_of_the_car_are_stretched_by_the_tolerance() -> None:
    limits = dict(zip(NAMES, judged((constant(8.0),)).limits, strict=True))
    more = 1.0 + SETTINGS.plan.limit_tolerance
    assert limits["plan_lateral_acceleration"] == pytest.approx(3.0 * more)
    assert limits["plan_lateral_jerk"] == pytest.approx(5.0 * more)
    assert limits["plan_acceleration"] == pytest.approx(2.0 * more)
    assert limits["plan_deceleration"] == pytest.approx(3.5 * more)
    assert limits["plan_steering_rate"] == pytest.approx(VEHICLE.max_steering_rate * more)
    assert limits["plan_curvature"] == pytest.approx(
        math.tan(VEHICLE.max_steering_angle) / VEHICLE.wheelbase * more
    )


# -- the judgement -----------------------------------------------------------------------------


def test_failures_ask_for_their_reaction_and_the_least_is_best() -> None:
    wide = constant(8.0, 0.0, 0.2)
    odd = replace(constant(8.0), heading=np.zeros(POINTS, np.float32))
    found = judged((wide, constant(8.0), constant(8.0)), shift=np.array([0.0, 0.6, 0.1]))
    assert found.best() == 2
    assert found.reaction(0) == found.reaction(1) == Level.MINIMAL_RISK
    assert found.reaction(2) == Level.NOMINAL
    assert found.reaction_at_approval(1) == Level.MINIMAL_RISK
    assert judged((odd, odd)).best() == 0


def test_outcomes_say_value_limit_and_verdict_in_the_order_of_the_table() -> None:
    found = judged((constant(8.0), constant(8.0)), shift=np.array([0.1, 0.7]))
    outcomes = found.outcomes(1)
    assert [o.check.name for o in outcomes] == NAMES
    shift = outcomes[NAMES.index("plan_shift")]
    assert (shift.value, shift.limit, shift.verdict, shift.counts, shift.says) == (
        0.7, SETTINGS.plan.max_shift, Verdict.FAIL, True, None
    )
    assert found.outcomes(0)[NAMES.index("plan_shift")].verdict == Verdict.PASS
    assert not found.outcomes(0)[NAMES.index("plan_shift")].counts


def test_a_value_at_its_limit_passes_and_no_number_fails() -> None:
    limit = SETTINGS.plan.max_shift
    found = judged((constant(8.0),) * 3, shift=np.array([limit, limit + 1e-6, math.nan]))
    assert found.failed[NAMES.index("plan_shift")].tolist() == [False, True, True]


def test_a_check_that_is_broken_has_failed_for_every_candidate() -> None:
    def breaks(_: Candidates) -> Any:
        raise RuntimeError("no")

    checks = (replace(CHECKS[0], measure=breaks), CHECKS[1])
    found = CandidateJudge(checks, LIMITS).judge(candidates((constant(8.0),) * 2))
    assert found.failed[0].tolist() == [True, True]
    assert found.failed[1].tolist() == [False, False]
    assert found.broken == {"plan_finite": "check plan_finite is broken: RuntimeError: no"}
    assert found.outcomes(0)[0].text() == "check plan_finite is broken: RuntimeError: no"


def test_where_a_block_is_broken_all_of_its_checks_have_failed_and_no_other() -> None:
    def breaks(_: Candidates) -> Any:
        raise RuntimeError("no")

    first, second, other = CHECKS[0], CHECKS[2], CHECKS[1]
    checks = (
        replace(first, measure=Row(breaks, 0)), other, replace(second, measure=Row(breaks, 1))
    )
    found = CandidateJudge(checks, LIMITS).judge(candidates((constant(8.0),) * 2))
    assert found.failed.tolist() == [[True, True], [False, False], [True, True]]
    assert np.isnan(found.values[[0, 2]]).all()
    assert found.broken == {
        check.name: f"check {check.name} is broken: RuntimeError: no" for check in (first, second)
    }


def test_numbers_that_overflow_fail_a_check_and_break_none() -> None:
    endless = replace(constant(8.0), x=np.full(POINTS, np.inf, np.float32))
    with np.errstate(all="ignore"):  # as the monitor runs its step
        found = judged((endless, constant(8.0)))
    assert found.broken == {}
    assert found.failed[NAMES.index("plan_finite")].tolist() == [True, False]


def test_where_all_checks_are_made_in_every_step_none_is_left_to_approval() -> None:
    always = tuple(replace(check, always=True) for check in CHECKS)
    wide = constant(8.0, 0.0, 0.2)
    found = CandidateJudge(always, LIMITS).judge(candidates((wide,)))
    assert found.reaction(0) == Level.MINIMAL_RISK
    assert found.reaction_at_approval(0) == Level.NOMINAL


def test_the_rows_of_a_block_reach_their_checks() -> None:
    def block(given: Candidates) -> Any:
        return np.array([[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]])

    checks = tuple(replace(CHECKS[0], measure=Row(block, row)) for row in (2, 0))
    given = candidates((constant(8.0),) * 2)
    assert CandidateJudge(checks, LIMITS).judge(given).values.tolist() == [[5.0, 6.0], [1.0, 2.0]]
    assert [check.measure(given).tolist() for check in checks] == [[5.0, 6.0], [1.0, 2.0]]
