"""The numbers behind the checks of a plan against what is around, several candidates at once."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from drive import SETTINGS, VEHICLE, constant, plan_of

from vla_driving.contract.plan import LateralAction, Plan
from vla_driving.contract.scene import SignalState, TrafficControl, TrafficControlKind
from vla_driving.contract.trajectory import POINTS, TIMES_S, Trajectory, integrate
from vla_driving.safety.candidates import batch
from vla_driving.safety.checks.table import Candidates, Limits
from vla_driving.safety.checks.world import CHECKS
from vla_driving.safety.obstacles import Approach

pytestmark = pytest.mark.requirement("SR-04", "SR-07")

LIMITS = Limits(SETTINGS, VEHICLE)
ROWS = {check.name: check for check in CHECKS}
FRONT = VEHICLE.wheelbase + VEHICLE.front_overhang
PLANS = (constant(8.0), constant(6.0, 1.0), integrate(8.0, np.full(POINTS, -1.5), np.zeros(POINTS)))


def near(**changes: list[float]) -> Approach:
    rows = {
        "scene_s": [1.0, 5.0, 3.0], "sensor_s": [4.0, 2.0, 3.0], "lead_speed": [1.0, 2.0, 3.0],
        "rss_slack": [-1.0, 2.0, -3.0], "stop_slack": [-4.0, 5.0, -6.0],
        "worst_slack": [7.0, -8.0, 9.0], "cut_in_impact": [0.1, 0.2, 0.3],
        "safe_speed": [5.0, 6.0, 7.0],
    } | changes
    return Approach(**{name: np.array(values) for name, values in rows.items()})


def values(
    name: str, trajectories: tuple[Trajectory, ...] = PLANS, plan: Plan | None = None,
    around: Approach | None = None, **changes: Any,
) -> list[float]:
    plan = plan or plan_of(trajectories)
    zero: Any = np.zeros(len(trajectories))
    given = {
        "limits": LIMITS, "batch": batch(plan.stamp_ns, trajectories), "plan": plan,
        "now_s": 0.1, "start_speed": 8.0, "shift": zero, "near": around or near(),
        "lane_departure": np.array([0.1, 0.2, 0.3]), "edge_departure": np.array([0.4, 0.5, 0.6]),
        "measured_speed": 8.0, "sideways": zero.astype(bool), "speed_limit": 7.0,
    } | changes
    found: list[float] = np.asarray(ROWS[name].measure(Candidates(**given))).tolist()
    return found


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("collision_scene", [1.0, 5.0, 3.0]), ("collision_sensor", [4.0, 2.0, 3.0]),
        ("time_to_collision", [1.0, 2.0, 3.0]), ("lead_braking", [7.0, -8.0, 9.0]),
        ("cut_in", [0.1, 0.2, 0.3]), ("lane_departure", [0.1, 0.2, 0.3]),
        ("road_edge", [0.4, 0.5, 0.6]),
        # The first collides, the third keeps clear by itself.
        ("stopping_distance", [-4.0, 5.0, 0.0]),
        # The third gives way by itself.
        ("headway", [-1.0, 2.0, 0.0]),
    ],
)
def test_every_candidate_has_its_own_number(name: str, expected: list[float]) -> None:
    assert values(name) == pytest.approx(expected)


def test_at_the_horizon_it_collides() -> None:
    horizon = SETTINGS.world.collision_horizon
    at = near(scene_s=[horizon, 99.0, 99.0], sensor_s=[99.0, horizon, horizon + 1e-6])
    at = replace(at, stop_slack=np.array([-1.0, -2.0, -3.0]))
    assert values("stopping_distance", around=at) == [-1.0, -2.0, 0.0]


@pytest.mark.parametrize(
    ("speed", "slack"), [(0.0, 0.0), (SETTINGS.reaction.standstill_speed, 0.0), (0.5, -1.0)]
)
def test_a_car_that_stands_keeps_no_distance(speed: float, slack: float) -> None:
    fast = (constant(8.0),) * 3
    assert values("headway", fast, measured_speed=speed)[0] == slack


@pytest.mark.parametrize(
    ("pull", "now_s", "measured", "slack"),
    [
        # The cap falls by 1 m/s within the second that is looked at.
        (-1.0, 0.0, 8.0, 0.0), (-0.95, 0.0, 8.0, -1.0), (-1.0, 0.0, 7.9, -1.0),
        (-1.0, -9.0, 8.0, -1.0), (-0.9, 0.2, 8.0, 0.0), (-0.9, 0.0, 8.0, -1.0),
        (0.0, 9.0, 8.0, -1.0), (0.0, 0.0, 9.1, 0.0), (-0.95, 9.0, 1.0, 0.0),
    ],
)
def test_giving_way_is_slowing_as_the_cap_would(
    pull: float, now_s: float, measured: float, slack: float
) -> None:
    path = constant(8.0, pull)
    found = values("headway", (path,) * 3, now_s=now_s, measured_speed=measured)
    assert found[0] == pytest.approx(slack)


def test_a_crawl_gives_way() -> None:
    assert values("headway", (constant(2.0),) * 3, measured_speed=1.0)[0] == 0.0
    assert values("headway", (constant(2.1),) * 3, measured_speed=1.0)[0] == -1.0


@pytest.mark.parametrize("action", LateralAction)
def test_an_announced_lane_is_no_departure(action: LateralAction) -> None:
    plan = replace(plan_of(PLANS), lateral_action=action)
    kept = action == LateralAction.KEEP_LANE
    assert values("lane_departure", plan=plan) == ([0.1, 0.2, 0.3] if kept else [0.0] * 3)


def test_speeds() -> None:
    assert values("plan_speed") == pytest.approx([8.0, 12.4, 7.85], abs=1e-5)


@pytest.mark.parametrize("now_s", [-1.0, 0.0, 0.55])
@pytest.mark.parametrize("measured", [4.0, 8.0, 12.0])
def test_above_the_limit_is_above_what_the_cap_comes_down_to(now_s: float, measured: float) -> None:
    found = values("plan_limit", now_s=now_s, measured_speed=measured)
    down = SETTINGS.reaction.cap_deceleration
    for k, path in enumerate(PLANS):
        worst = max(
            float(v) - max(7.0, measured - down * max(float(t) - now_s, 0.0))
            for t, v in zip(TIMES_S, path.speed, strict=True)
        )
        assert found[k] == pytest.approx(worst, abs=1e-5)


def light(distance: float, **changes: Any) -> TrafficControl:
    control = TrafficControl(TrafficControlKind.TRAFFIC_LIGHT, SignalState.RED, 0.9, distance)
    return replace(control, **changes)


def past(*controls: TrafficControl, measured: float = 8.0) -> list[float]:
    plan = plan_of(PLANS, traffic_controls=controls)
    return values("red_light", plan=plan, measured_speed=measured)


def test_how_far_the_front_gets_past_a_red_light() -> None:
    reach = [float(p.x[29]) for p in PLANS]
    assert past(light(20.0)) == pytest.approx([max(r + FRONT - 20.0, 0.0) for r in reach])
    assert past(light(20.0), light(18.0)) == pytest.approx(
        [max(r + FRONT - 18.0, 0.0) for r in reach]
    )
    assert past(light(90.0)) == [0.0, 0.0, 0.0]


@pytest.mark.parametrize(
    "other",
    [
        light(20.0, state=SignalState.GREEN), light(20.0, state=SignalState.AMBER),
        light(20.0, probability=0.49), light(20.0, kind=TrafficControlKind.STOP_SIGN),
    ],
)
def test_what_is_no_red_light(other: TrafficControl) -> None:
    assert past(other) == [0.0, 0.0, 0.0]


def test_a_light_counts_where_the_car_can_still_stop() -> None:
    needed = 8.0**2 / (2.0 * VEHICLE.max_deceleration)
    assert past(light(FRONT + needed))[0] > 0.0
    assert past(light(FRONT + needed - 1e-6))[0] == 0.0
    assert past(light(20.0, probability=0.5))[0] > 0.0
    green = light(20.0, state=SignalState.GREEN)
    assert past(*(green,) * 7, light(20.0))[0] > 0.0
    assert past(*(green,) * 8, light(20.0))[0] == 0.0


def test_in_a_bend_the_light_is_as_far_as_the_eye_sees() -> None:
    path = constant(8.0, 0.0, 0.02)
    plan = plan_of((path,), traffic_controls=(light(15.0),))
    (found,) = values("red_light", (path,), plan)
    reach = math.hypot(float(path.x[29]), float(path.y[29]))
    assert found == pytest.approx(reach + FRONT - 15.0)
