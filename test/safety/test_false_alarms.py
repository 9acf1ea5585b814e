"""What good drives in the simulator once made the monitor do without need."""

from __future__ import annotations

import numpy as np
import pytest
from drive import SETTINGS, START, VEHICLE, constant, plan_of

from vla_driving.contract.plan import LateralAction
from vla_driving.contract.trajectory import POINTS, Trajectory, integrate
from vla_driving.safety.candidates import batch
from vla_driving.safety.checks import plan, world
from vla_driving.safety.checks.table import CandidateCheck, Candidates, Limits, fails
from vla_driving.safety.obstacles import NEVER_S, NOWHERE_M, Approach

LIMITS = Limits(SETTINGS, VEHICLE)


def candidates(path: Trajectory, speed: float, rss_slack: float, **changes: object) -> Candidates:
    far = np.full(1, NOWHERE_M, np.float32)
    never, zero = np.full(1, NEVER_S, np.float32), np.zeros(1)
    none = np.zeros(1, np.float32)
    near = Approach(
        never, never, far, np.full(1, rss_slack, np.float32), far, far, none, far
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


@pytest.mark.parametrize(
    ("action", "bend"), [(LateralAction.TURN_RIGHT, 0.05), (LateralAction.TURN_LEFT, -0.05)]
)
@pytest.mark.requirement("SR-03")
def test_a_turn_to_the_wrong_side_still_contradicts(action: LateralAction, bend: float) -> None:
    wrong = candidates(constant(5.0, 0.0, bend), 5.0, NOWHERE_M, lateral_action=action)
    assert speaks(plan.CHECKS, "plan_action_heading", wrong)
