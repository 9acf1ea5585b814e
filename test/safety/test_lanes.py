"""Departure from lane and road."""

from __future__ import annotations

import itertools
import math
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from drive import SETTINGS, START, VEHICLE, constant

from vla_driving.contract.scene import LaneLine, LaneLineKind
from vla_driving.contract.trajectory import POINTS, Trajectory
from vla_driving.safety.candidates import batch
from vla_driving.safety.lanes import departures, is_usable

pytestmark = pytest.mark.requirement("SR-07")

WORLD = SETTINGS.world
X = np.linspace(-5.0, 100.0, 50, dtype=np.float32)
HALF = 0.5 * VEHICLE.width
LEFT = LaneLine(LaneLineKind.LANE_LEFT, 0.9, X, np.full(50, 1.75, np.float32))
RIGHT_EDGE = LaneLine(LaneLineKind.ROAD_EDGE_RIGHT, 0.9, X, np.full(50, -1.75, np.float32))


def found(
    *lines: LaneLine, curvature: float = 0.0, speed: float = 10.0, now_s: float = 0.0
) -> tuple[float, float]:
    lane, edge = departures(
        batch(START, (constant(speed, 0.0, curvature),)), lines, now_s, VEHICLE, WORLD
    )
    return float(lane[0]), float(edge[0])


def test_within_the_lane() -> None:
    assert found(LEFT, RIGHT_EDGE) == (0.0, 0.0)
    assert found() == (0.0, 0.0)


def test_too_near_a_line() -> None:
    near = replace(LEFT, y=np.full(50, HALF - 0.4, np.float32))
    assert found(near) == pytest.approx((0.4, 0.0), abs=1e-3)
    near = replace(RIGHT_EDGE, y=np.full(50, 0.2 - HALF, np.float32))
    assert found(near) == pytest.approx((0.0, 0.2), abs=1e-3)


def test_leaving_to_either_side() -> None:
    lane, edge = found(LEFT, RIGHT_EDGE, curvature=0.02)
    assert lane > 0.5
    assert edge == 0.0
    lane, edge = found(LEFT, RIGHT_EDGE, curvature=-0.02)
    assert lane == 0.0
    assert edge > 0.5


def test_a_bend_is_followed() -> None:
    radius = 50.0
    x = np.linspace(-5.0, 45.0, 50)
    outer = replace(LEFT, x=x.astype(np.float32),
                    y=(radius - np.sqrt((radius - 1.75) ** 2 - x**2)).astype(np.float32))
    assert found(outer, curvature=1 / radius)[0] == 0.0
    assert found(LEFT, curvature=1 / radius)[0] > 0.5


def circle(radius: float, left: float, kind: LaneLineKind) -> LaneLine:
    """A line `left` m to the left of a left bend's path, up to three quarters of a right angle."""
    angle = np.linspace(-0.3, 1.2, 60)
    x, y = (radius - left) * np.sin(angle), radius - (radius - left) * np.cos(angle)
    return LaneLine(kind, 0.9, x.astype(np.float32), y.astype(np.float32))


def test_in_a_tight_bend_the_bumper_may_swing_over_the_edge_but_no_wheel() -> None:
    """As out of a roundabout of one lane: ISO 17361 and UN R130 look at the wheels."""
    radius = 8.0
    outer = circle(radius, -1.3, LaneLineKind.ROAD_EDGE_RIGHT)
    corner = math.hypot(radius + HALF, VEHICLE.wheelbase + VEHICLE.front_overhang) - radius
    assert corner - 1.3 > WORLD.max_edge_departure
    wheel = math.hypot(radius + HALF, VEHICLE.wheelbase) - radius
    edge = found(outer, curvature=1 / radius, speed=4.0)[1]
    assert edge == pytest.approx(max(0.0, wheel - 1.3), abs=0.02)


@pytest.mark.parametrize("beyond_m", [0.1, 0.5])
def test_distance_is_square_to_the_line(beyond_m: float) -> None:
    """Along a road that leads off by 60 degrees, and the car with it."""
    slope = math.tan(math.radians(60.0))
    x = np.linspace(-5.0, 30.0, 20, dtype=np.float32)
    away = (HALF - beyond_m) / math.cos(math.radians(60.0))
    line = LaneLine(LaneLineKind.ROAD_EDGE_LEFT, 0.9, x, (slope * x + away).astype(np.float32))
    straight = constant(8.0)
    cos, sin = math.cos(math.radians(60.0)), math.sin(math.radians(60.0))
    turned = replace(
        straight, x=straight.x * cos, y=straight.x * sin,
        heading=np.full(POINTS, math.radians(60.0), np.float32),
    )
    _, edge = departures(batch(START, (turned,)), (line,), 0.0, VEHICLE, WORLD)
    assert edge[0] == pytest.approx(beyond_m, abs=1e-3)


@pytest.mark.parametrize(
    "useless",
    [
        replace(LEFT, probability=0.2),
        replace(LEFT, probability=math.nan),
        replace(LEFT, x=X[:1], y=X[:1]),
        replace(LEFT, x=X, y=X[:9]),
        replace(LEFT, x=X[::-1]),
        replace(LEFT, x=np.full(50, np.nan, np.float32)),
        replace(LEFT, y=np.full(50, np.nan, np.float32)),
        replace(LEFT, x=np.where(X > 90, np.inf, X).astype(np.float32)),
    ],
)
def test_useless_lines_say_nothing(useless: LaneLine) -> None:

    assert found(useless, curvature=0.02) == (0.0, 0.0)


def test_a_plan_that_comes_back_may_first_go_along_the_line() -> None:
    """As long as it gets no further over it: beyond an edge nothing is forgiven."""
    y = np.interp(np.arange(POINTS), [6, 12], [0.0, -1.0]).astype(np.float32)
    path = replace(constant(10.0), y=y)
    for kind, beyond in ((LaneLineKind.LANE_LEFT, 0.0), (LaneLineKind.ROAD_EDGE_LEFT, 0.4)):
        line = replace(LEFT, kind=kind, y=np.full(50, HALF - 0.4, np.float32))
        lane, edge = departures(batch(START, (path,)), (line,), 0.0, VEHICLE, WORLD)
        assert lane[0] + edge[0] == pytest.approx(beyond, abs=1e-6)


def test_where_a_line_does_not_reach_nothing_is_said() -> None:
    behind = replace(LEFT, x=np.linspace(-50, -10, 50, dtype=np.float32), y=-LEFT.y)
    assert found(behind) == (0.0, 0.0)


def test_the_past_does_not_count() -> None:
    """A line that the plan has already crossed back over."""
    crossed = replace(LEFT, x=np.linspace(-5, 6, 50, dtype=np.float32), y=-LEFT.y)
    assert found(crossed)[0] > 0.0
    assert found(crossed, now_s=1.0)[0] == 0.0


def test_long_lines_and_long_lists_are_cut() -> None:
    x = np.linspace(-5.0, 5000.0, 5000, dtype=np.float32)
    long = replace(LEFT, x=x, y=np.full(5000, 1.75, np.float32))
    assert found(long) == (0.0, 0.0)
    assert found(*(LEFT,) * 8, replace(LEFT, y=-LEFT.y)) == (0.0, 0.0)


# -- the same numbers by another way -----------------------------------------------------------


def beyond(trajectory: Trajectory, line: LaneLine, now_s: float) -> float:
    """Farthest that a wheel gets beyond a line, one wheel and one instant at a time.

    Of a lane line only what it gets farther than the instant before, and where it ends.
    """
    left = line.kind in (LaneLineKind.LANE_LEFT, LaneLineKind.ROAD_EDGE_LEFT)
    side = 0.5 * VEHICLE.width * (1.0 if left else -1.0)
    first = min(max(int(now_s * 10.0), 0), POINTS - 1)
    instants = []
    for k in range(first, min(first + int(SETTINGS.world.lane_horizon * 10.0) + 1, POINTS), 2):
        cos, sin = math.cos(trajectory.heading[k]), math.sin(trajectory.heading[k])
        wheels = []
        for ahead in (0.0, VEHICLE.wheelbase):
            x = float(trajectory.x[k]) + ahead * cos - side * sin
            y = float(trajectory.y[k]) + ahead * sin + side * cos
            if line.x[0] <= x <= line.x[-1]:
                after = int(np.flatnonzero(line.x >= x)[0]) or 1
                rise = float(line.y[after] - line.y[after - 1])
                run = float(line.x[after] - line.x[after - 1])
                off = (y - float(np.interp(x, line.x, line.y))) * math.cos(math.atan2(rise, run))
                wheels.append(off if left else -off)
        instants += [max(wheels)] if wheels else []
    counted = instants
    if line.kind in (LaneLineKind.LANE_LEFT, LaneLineKind.LANE_RIGHT):
        counted = [b for a, b in itertools.pairwise(instants) if b > a] + instants[-1:]
    return max([0.0, *counted])


@pytest.mark.parametrize("seed", range(20))
def test_every_wheel_counts_at_every_instant(seed: int) -> None:
    rng = np.random.default_rng(seed)
    paths = tuple(
        constant(float(rng.uniform(3.0, 15.0)), 0.0, float(rng.normal(0.0, 0.03)))
        for _ in range(3)
    )
    ends = np.sort(rng.uniform(-5.0, 40.0, (4, 2)), axis=1)
    lines = tuple(
        LaneLine(
            kind, 0.9, np.linspace(float(ends[k, 0]), float(ends[k, 1]), 9, dtype=np.float32),
            rng.normal(1.0 if kind in (0, 2) else -1.0, 0.3, 9).astype(np.float32),
        )
        for k, kind in enumerate(LaneLineKind)
    )
    now_s = float(rng.choice((-1.0, 0.0, 0.3, 5.5, 9.0)))
    lane, edge = departures(batch(START, paths), lines, now_s, VEHICLE, SETTINGS.world)
    for k, path in enumerate(paths):
        off = [beyond(path, line, now_s) for line in lines]
        assert lane[k] == pytest.approx(max(off[0], off[1]), abs=1e-4)
        assert edge[k] == pytest.approx(max(off[2], off[3]), abs=1e-4)


@pytest.mark.parametrize(
    ("changes", "usable"),
    [
        ({}, True),
        ({"probability": 0.5}, True),
        ({"probability": 0.49}, False),
        ({"probability": math.nan}, False),
        ({"x": np.array([0, 1], "f4"), "y": np.array([0, 1], "f4")}, True),
        ({"x": np.array([0], "f4"), "y": np.array([0], "f4")}, False),
        ({"y": np.array([0, 1], "f4")}, False),
        ({"x": np.array([0, 1, 1], "f4")}, False),
        ({"x": np.array([0, 2, 1], "f4")}, False),
        ({"x": np.array([0, np.nan, 1], "f4")}, False),
        ({"x": np.array([0, 1, np.inf], "f4")}, False),
        ({"x": np.array([-np.inf, 1, 2], "f4")}, False),
        ({"x": np.array([-3e38, 1, 3e38], "f4")}, False),
        ({"y": np.array([0, np.nan, 1], "f4")}, False),
        ({"y": np.array([0, 1, np.inf], "f4")}, False),
    ],
)
def test_which_lines_are_of_use(changes: dict[str, Any], usable: bool) -> None:
    good = LaneLine(
        LaneLineKind.LANE_LEFT, 0.9, np.array([0, 1, 2], "f4"), np.array([1, 1, 1], "f4")
    )
    with np.errstate(over="ignore"):
        assert is_usable(replace(good, **changes), 0.5) is usable
