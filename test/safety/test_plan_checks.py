"""Each check of a plan: a sound plan passes all, each defect is found by its own check."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
from drive import SETTINGS, START, VEHICLE, constant, plan_of
from hypothesis import given
from hypothesis import strategies as st

from vla_driving.contract.plan import LateralAction, LongitudinalAction, Plan
from vla_driving.contract.trajectory import POINTS, Trajectory, integrate
from vla_driving.safety.candidates import batch
from vla_driving.safety.checks import plan as checks
from vla_driving.safety.checks.table import Candidates, Limits
from vla_driving.safety.contacts import NEVER_S
from vla_driving.safety.judge import CandidateJudge, Judgement
from vla_driving.safety.obstacles import NOWHERE_M, Approach

LIMITS = Limits(SETTINGS, VEHICLE)
JUDGE = CandidateJudge(checks.CHECKS, LIMITS)
SPEED = 10.0


def judge(*trajectories: Trajectory, speed: float = SPEED, **changes: object) -> Judgement:
    plan: Plan = plan_of(trajectories, **changes)
    count = len(trajectories)
    far = np.full(count, NOWHERE_M)
    never = np.full(count, NEVER_S)
    zero = np.zeros(count)
    near = Approach(never, never, far, far, far, far, zero, far)
    return JUDGE.judge(
        Candidates(
            LIMITS, batch(START, trajectories), plan, 0.1, speed, zero, near, zero, zero, speed,
            zero > 0.0,
        )
    )


def failing(*trajectories: Trajectory, candidate: int = 0, **changes: object) -> set[str]:
    judgement = judge(*trajectories, **changes)  # type: ignore[arg-type]
    return {o.check.name for o in judgement.outcomes(candidate) if o.counts}


def with_point(name: str, index: int, value: float) -> Callable[[Trajectory], Trajectory]:
    def change(trajectory: Trajectory) -> Trajectory:
        values = getattr(trajectory, name).copy()
        values[index] = value
        return replace(trajectory, **{name: values})

    return change


def test_a_sound_plan_passes() -> None:
    assert failing(constant(SPEED, 0.5, 0.005)) == set()


@given(
    st.floats(0.0, 20.0), st.floats(-3.0, 1.5), st.floats(-1.0, 1.0), st.floats(0.0, 0.3)
)
def test_what_the_car_can_do_passes(
    speed: float, acceleration: float, bend: float, ramp: float
) -> None:
    """Whatever stays within the limits as (acceleration, curvature) is approved as a trajectory."""
    top = max(speed + max(acceleration, 0.0) * 6.4, 1.0)
    curvature = bend * min(2.5 / top**2, 0.1)
    start = np.clip(np.arange(POINTS) * 0.1 * (0.05 + ramp), 0.0, 1.0)
    trajectory = integrate(speed, np.full(POINTS, acceleration), curvature * start)
    assert failing(trajectory, speed=speed) == set()


@pytest.mark.parametrize(
    ("name", "change"),
    [
        ("plan_finite", with_point("x", 5, math.nan)),
        ("plan_finite", with_point("heading", 63, math.inf)),
        ("plan_finite", with_point("curvature", 0, math.nan)),
        ("plan_time", with_point("time", 9, 0.5)),
        ("plan_start", lambda t: replace(t, y=t.y + np.float32(0.6))),
        ("plan_start", lambda t: replace(t, x=t.x + np.float32(0.6))),
        ("plan_steps", with_point("x", 30, 35.0)),
        ("plan_slip", lambda t: replace(t, y=t.y + np.linspace(0, 10, POINTS, dtype=np.float32))),
        ("plan_turns", with_point("curvature", 20, 0.05)),
        ("plan_speeds", with_point("acceleration", 20, 3.0)),
        ("plan_forward", with_point("speed", 63, -0.1)),
    ],
)
@pytest.mark.requirement("SR-02")
def test_a_defect_is_found_by_its_check(
    name: str, change: Callable[[Trajectory], Trajectory]
) -> None:
    assert name in failing(change(constant(SPEED)))


@pytest.mark.parametrize(
    ("name", "trajectory", "speed"),
    [
        ("plan_curvature", constant(1.0, 0.0, 0.28), 1.0),
        ("plan_steering_rate",
         integrate(2.0, np.zeros(POINTS), np.where(np.arange(POINTS) < 30, 0.0, 0.05)), 2.0),
        ("plan_lateral_acceleration", constant(15.0, 0.0, 0.0145), 15.0),
        ("plan_lateral_jerk",
         integrate(20.0, np.zeros(POINTS), np.where(np.arange(POINTS) < 30, -0.004, 0.004)), 20.0),
        ("plan_acceleration", constant(5.0, 2.2), 5.0),
        ("plan_deceleration", constant(25.0, -3.8), 25.0),
        ("plan_start_speed", constant(12.0), 10.0),
    ],
)
@pytest.mark.requirement("SR-02")
def test_what_the_car_cannot_do_is_refused(
    name: str, trajectory: Trajectory, speed: float
) -> None:
    assert name in failing(trajectory, speed=speed)


def test_at_standstill_the_wheels_may_turn() -> None:
    turning = integrate(0.0, np.zeros(POINTS), np.where(np.arange(POINTS) < 30, -0.2, 0.2))
    assert failing(turning, speed=0.0) == set()


@pytest.mark.parametrize(
    ("action", "acceleration", "contradicts"),
    [
        (LongitudinalAction.CRUISE, -3.0, False),
        (LongitudinalAction.ACCELERATE, -1.0, True),
        (LongitudinalAction.ACCELERATE, 1.0, False),
        (LongitudinalAction.DECELERATE, 1.0, True),
        (LongitudinalAction.STOP, 1.0, True),
        (LongitudinalAction.STOP, -2.0, False),
        (LongitudinalAction.WAIT, 0.0, True),
    ],
)
@pytest.mark.requirement("SR-03")
def test_speed_must_agree_with_the_stated_action(
    action: LongitudinalAction, acceleration: float, contradicts: bool
) -> None:
    found = failing(constant(SPEED, acceleration), longitudinal_action=action)
    assert ("plan_action_speed" in found) == contradicts


@pytest.mark.parametrize(
    ("action", "curvature", "contradicts"),
    [
        (LateralAction.TURN_LEFT, 0.02, False),
        (LateralAction.TURN_LEFT, -0.02, True),
        (LateralAction.TURN_RIGHT, 0.02, True),
        (LateralAction.TURN_RIGHT, -0.02, False),
        (LateralAction.KEEP_LANE, 0.02, False),
    ],
)
@pytest.mark.requirement("SR-03")
def test_the_turn_must_agree_with_the_stated_action(
    action: LateralAction, curvature: float, contradicts: bool
) -> None:
    found = failing(constant(SPEED, 0.0, curvature), lateral_action=action)
    assert ("plan_action_heading" in found) == contradicts


def test_candidates_are_judged_apart() -> None:
    good = constant(SPEED)
    bad = with_point("x", 5, math.nan)(good)
    judgement = judge(bad, good, bad)
    assert judgement.best() == 1
    assert "plan_finite" in failing(bad, good, bad, candidate=2)
    assert failing(bad, good, bad, candidate=1) == set()


@pytest.mark.requirement("SR-02")
def test_an_array_of_another_length_is_refused() -> None:
    short = replace(constant(SPEED), x=np.zeros(63, np.float32))
    assert "plan_finite" in failing(short, constant(SPEED))


@pytest.mark.requirement("SR-02")
def test_not_a_number_passes_no_check_of_its_channel() -> None:
    nothing = np.full(POINTS, np.nan, np.float32)
    good = constant(SPEED)
    found = failing(
        replace(good, x=nothing, y=nothing, heading=nothing, speed=nothing, acceleration=nothing,
                curvature=nothing, time=nothing)
    )
    silent = {"plan_in_time", "plan_shift", "plan_action_speed", "plan_action_heading"}
    assert found == {check.name for check in checks.CHECKS} - silent
