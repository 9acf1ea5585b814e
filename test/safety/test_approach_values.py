"""What is said of objects around a path, worked out again one object and one instant at a time."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import pytest
from drive import SETTINGS, START, VEHICLE, constant

from vla_driving.contract.clock import nanoseconds
from vla_driving.contract.scene import ObjectClass, SceneObject, table_of
from vla_driving.contract.trajectory import POINTS, Trajectory, integrate
from vla_driving.safety.candidates import batch
from vla_driving.safety.obstacles import Objects, Surroundings, objects
from vla_driving.safety.paths import Paths

CAR, WORLD = VEHICLE, SETTINGS.world
NEVER, NOWHERE = 99.0, 999.0
KNOTS = [*range(0, 32, 4), *range(32, 65, 8)]
FRONT = CAR.length + CAR.width + WORLD.longitudinal_margin + WORLD.lateral_margin


class Said(NamedTuple):
    """As `Approach`, of one path."""

    scene_s: float
    sensor_s: float
    lead_speed: float
    rss_slack: float
    stop_slack: float
    worst_slack: float
    cut_in_impact: float
    safe_speed: float


@dataclass
class Way:
    """One path with the car's own place in front."""

    x: list[float]
    y: list[float]
    heading: list[float]
    speed: list[float]
    arc: list[float]

    @classmethod
    def of(cls, t: Trajectory) -> Way:
        x, y, heading, speed = (
            a.astype(float).tolist() for a in (t.x, t.y, t.heading, t.speed)
        )
        x, y = [0.0, *x], [0.0, *y]
        arc = [0.0]
        for k in range(1, POINTS + 1):
            arc.append(arc[-1] + math.hypot(x[k] - x[k - 1], y[k] - y[k - 1]))
        return cls(x, y, [0.0, *heading], [speed[0], *speed], arc)

    def at(self, values: list[float], time_s: float) -> float:
        place = min(max(time_s * 10.0, 0.0), POINTS - 0.001)
        low = int(place)
        return values[low] + (place - low) * (values[low + 1] - values[low])

    def project(self, px: float, py: float) -> tuple[float, float, float, float]:
        """s, d and the tangent at the nearest point of the chords."""
        last = (
            self.x[-1] + 200.0 * math.cos(self.heading[-1]),
            self.y[-1] + 200.0 * math.sin(self.heading[-1]),
        )
        knots = [(-60.0, 0.0), *((self.x[k], self.y[k]) for k in KNOTS), last]
        begins = [-60.0, *(self.arc[k] for k in KNOTS)]
        best = (math.inf, 0.0, 0.0, 1.0, 0.0)
        for k, begin in enumerate(begins):
            dx, dy = knots[k + 1][0] - knots[k][0], knots[k + 1][1] - knots[k][1]
            length = math.hypot(dx, dy)
            if length <= 1e-3:
                continue
            tx, ty = dx / length, dy / length
            along = (px - knots[k][0]) * tx + (py - knots[k][1]) * ty
            across = (py - knots[k][1]) * tx - (px - knots[k][0]) * ty
            off = along - min(max(along, 0.0), length)
            if off * off + across * across < best[0]:
                best = (off * off + across * across, begin + along, across, tx, ty)
        return best[1:]


def said(
    t: Trajectory, scene: list[SceneObject], sensor: list[SceneObject], scene_age: float,
    sensor_age: float, now_s: float, speed: float, sideways: bool,
) -> Said:
    way = Way.of(t)
    result = [NEVER, NEVER, 0.0, NOWHERE, NOWHERE, NOWHERE, 0.0, NOWHERE]
    for which, items, measured in ((0, scene, -scene_age), (1, sensor, -sensor_age)):
        for item in items:
            _one(way, item, which, measured, now_s, speed, sideways, result)
    return Said(*result)


def _one(
    way: Way, item: SceneObject, which: int, measured: float, now_s: float, speed: float,
    sideways: bool, result: list[float],
) -> None:
    half_l, half_w = 0.5 * max(item.length, 0.3), 0.5 * max(item.width, 0.3)
    s, d, tx, ty = way.project(item.x, item.y)
    s -= CAR.centre_offset
    v_s = item.velocity_x * tx + item.velocity_y * ty
    v_d = item.velocity_y * tx - item.velocity_x * ty
    v_d = v_d if abs(v_d) >= WORLD.lateral_speed_deadband else 0.0
    cos, sin = math.cos(item.heading), math.sin(item.heading)
    lengthwise, crosswise = abs(cos * tx + sin * ty), abs(sin * tx - cos * ty)
    reach_s = half_l * lengthwise + half_w * crosswise + 0.5 * CAR.length
    reach_d = half_l * crosswise + half_w * lengthwise + 0.5 * CAR.width + WORLD.lateral_margin
    first = max(int(now_s * 10.0), 0)
    instants = range(first, min(first + int(WORLD.collision_horizon * 10.0) + 2, 65), 2)

    def touches(k: int) -> float | None:
        after = 0.1 * k - measured
        apart = s + v_s * after - way.arc[k]
        near = abs(d + v_d * after) < reach_d and abs(apart) < reach_s + WORLD.longitudinal_margin
        return apart if near else None

    def touches_straight_on(k: int) -> float | None:
        after = 0.1 * k - measured
        x = item.x + item.velocity_x * after - way.x[k]
        y = item.y + item.velocity_y * after - way.y[k]
        c, n = math.cos(way.heading[k]), math.sin(way.heading[k])
        apart, across = x * c + y * n - CAR.centre_offset, y * c - x * n
        lw, cw = abs(cos * c + sin * n), abs(sin * c - cos * n)
        near = abs(apart) < (
            half_l * lw + half_w * cw + 0.5 * CAR.length + WORLD.longitudinal_margin
        ) and abs(across) < half_l * cw + half_w * lw + 0.5 * CAR.width + WORLD.lateral_margin
        return apart if near else None

    for touch in (touches, touches_straight_on) if sideways else (touches,):
        for k in instants:
            apart = touch(k)
            if apart is None:
                continue
            if apart > -0.5 * CAR.length and way.speed[k] > 0.3:
                result[which] = min(result[which], max(0.1 * k - now_s, 0.0))
            break

    after = now_s - measured
    beside = abs(d + v_d * after) - reach_d
    arc = way.at(way.arc, now_s)
    gap = s + v_s * after - arc - reach_s
    in_lane = beside < 0.0 and gap > -reach_s and gap < way.arc[-1] - arc
    if in_lane:
        reach = math.copysign(reach_d, v_d) - (d + v_d * after)
        leaves = v_d != 0.0 and v_s < 0.0 and reach / v_d < gap / (speed - v_s)
        towards = max(v_s, 0.0) if abs(v_d) > abs(v_s) or leaves else v_s
        rss = gap - _rss(speed, towards)
        if rss < result[3]:
            result[2], result[3] = v_s, rss
        result[4] = min(result[4], gap - _stop(speed, v_s))
    later = now_s + WORLD.worst_case_preview
    beyond = later - measured
    delay = (
        WORLD.answer_time + CAR.acceleration_delay
        + 0.5 * CAR.emergency_deceleration / CAR.emergency_jerk
    )
    brake, theirs = CAR.emergency_deceleration, max(v_s, 0.0) ** 2 / (2 * WORLD.lead_deceleration)
    if in_lane and abs(d + v_d * beyond) < reach_d:
        ours = way.at(way.speed, later)
        left = s + v_s * beyond - way.at(way.arc, later) - reach_s - WORLD.longitudinal_margin
        slack = left - max(ours * delay + ours**2 / (2 * brake) - theirs, 0.0)
        result[5] = min(result[5], slack)
        if slack < 0.0:
            room = max(gap - WORLD.longitudinal_margin + theirs, 0.0)
            lost = brake * delay
            result[7] = min(result[7], math.sqrt(lost**2 + 2 * brake * room) - lost)
    closing = speed - v_s
    if not (beside >= 0.0 and v_s > abs(v_d) and v_s > 0.3 and closing > 0.0):
        return
    if gap >= closing * delay + closing**2 / (2 * brake):
        return
    cut_in = max(beside, 0.0) / max(min(WORLD.cut_in_lateral_speed, 0.35 * v_s), 1e-3)
    hit = _impact(gap, 2.0 * reach_s, closing, cut_in, delay, brake)
    result[6] = max(result[6], hit)
    if hit > WORLD.max_cut_in_impact:
        braked = min(max(cut_in - delay, 0.0), 10.0)
        result[7] = min(result[7], v_s + WORLD.max_cut_in_impact + brake * braked)


def _rss(speed: float, lead: float) -> float:
    ours = speed * WORLD.rss_reaction + speed**2 / (2.0 * WORLD.rss_ego_deceleration)
    theirs = lead * abs(lead) / (2.0 * WORLD.rss_object_deceleration)
    return max(ours - theirs, 0.0) + WORLD.rss_margin


def _stop(speed: float, lead: float) -> float:
    closing = max(speed - lead, 0.0)
    delay = CAR.acceleration_delay + 0.5 * CAR.emergency_deceleration / CAR.emergency_jerk
    return closing * delay + closing**2 / (2.0 * CAR.emergency_deceleration)


def _impact(
    gap: float, length: float, closing: float, cut_in: float, delay: float, brake: float
) -> float:
    if gap <= -length or gap + length < closing * cut_in:
        return 0.0
    braked = min(max(cut_in - delay, 0.0), closing / brake)
    by_then = closing * min(cut_in, delay + closing / brake) - 0.5 * brake * braked**2
    farthest = closing * delay + closing**2 / (2 * brake)
    left = max(farthest - max(gap, by_then), 0.0)
    return min(closing, math.sqrt(2.0 * brake * left))


# -- scenes ------------------------------------------------------------------------------------


def thing(rng: np.random.Generator, way: Way) -> SceneObject:
    """Somewhere about the path, driving about as it leads, across it, or standing."""
    k = int(rng.integers(0, 65))
    heading = way.heading[k] + float(rng.choice((0.0, 0.0, 1.5, 3.1))) + float(rng.normal(0, 0.1))
    speed = float(rng.choice((0.0, 3.0, 8.0, 12.0)))
    side = float(rng.choice((0.0, 0.0, 2.2, -2.2, 3.5))) + float(rng.normal(0.0, 0.2))
    return SceneObject(
        ObjectClass.CAR, 0.9, way.x[k] - side * math.sin(way.heading[k]) + 3.0,
        way.y[k] + side * math.cos(way.heading[k]), heading, speed * math.cos(heading),
        speed * math.sin(heading), float(rng.uniform(0.1, 6.0)), float(rng.uniform(0.1, 2.5)), 1.5,
    )


def listed(items: list[SceneObject], age_s: float) -> Objects:
    return objects(START - nanoseconds(age_s), table_of(tuple(items)), 0.5)


PATHS = (
    constant(10.0), constant(10.0, 0.0, 0.02), constant(12.0, -2.0, -0.01), constant(4.0, 1.0),
    constant(3.0, -1.0), constant(0.0), constant(8.0, 0.0, 0.15),
    integrate(12.0, np.zeros(POINTS), np.where(np.arange(POINTS) < 20, 0.02, -0.02)),
)


# At 32 two chords are equally near to one object: either is right.
@pytest.mark.parametrize("seed", [seed for seed in range(41) if seed != 32])
@pytest.mark.parametrize("sideways", [False, True])
def test_all_objects_at_once_are_as_each_by_itself(seed: int, sideways: bool) -> None:
    rng = np.random.default_rng((seed, 7))
    chosen = [PATHS[int(k)] for k in rng.integers(0, len(PATHS), 3)]
    way = Way.of(chosen[0])
    scene = [thing(rng, way) for _ in range(int(rng.integers(0, 4)))]
    sensor = [thing(rng, way) for _ in range(int(rng.integers(0, 3)))]
    ages = float(rng.choice((0.0, 0.1, 0.3))), float(rng.choice((0.0, 0.15)))
    now_s = float(rng.choice((0.0, 0.05, 0.37)))
    speed = float(chosen[0].speed[0]) + float(rng.normal(0.0, 1.0))
    flags = np.array([sideways, False, sideways])
    found = Surroundings(CAR, WORLD).approach(
        Paths(batch(START, tuple(chosen))), listed(scene, ages[0]), listed(sensor, ages[1]), START,
        START + nanoseconds(now_s), speed, flags,
    )
    for k, path in enumerate(chosen):
        wanted = said(path, scene, sensor, *ages, now_s, speed, bool(flags[k]))
        for name, value in wanted._asdict().items():
            if name == "lead_speed" and wanted.rss_slack == NOWHERE:
                continue  # of nobody
            got = float(getattr(found, name)[k])
            assert got == pytest.approx(value, rel=1e-3, abs=5e-3), (name, k, path.speed[0])


# -- one object, where it matters --------------------------------------------------------------


def one(
    x: float, y: float = 0.0, vx: float = 0.0, vy: float = 0.0, length: float = 4.0,
    width: float = 2.0, heading: float = 0.0,
) -> SceneObject:
    return SceneObject(ObjectClass.CAR, 0.9, x, y, heading, vx, vy, length, width, 1.5)


def against(
    path: Trajectory, *items: SceneObject, age_s: float = 0.0, now_s: float = 0.0,
    sideways: bool = False,
) -> Said:
    """What is said of a scene, which must be what is worked out again here."""
    speed = float(path.speed[0])
    found = Surroundings(CAR, WORLD).approach(
        Paths(batch(START, (path,))), listed(list(items), age_s), listed([], 0.0), START,
        START + nanoseconds(now_s), speed, np.array([sideways]),
    )
    got = Said(*(float(getattr(found, name)[0]) for name in Said._fields))
    wanted = said(path, list(items), [], age_s, 0.0, now_s, speed, sideways)
    if wanted.rss_slack == NOWHERE:
        wanted = wanted._replace(lead_speed=got.lead_speed)  # of nobody
    assert tuple(got) == pytest.approx(tuple(wanted), rel=1e-3, abs=5e-3)
    return got


# At 9 two chords are equally near to it: either is right.
@pytest.mark.parametrize("seed", [seed for seed in range(60) if seed != 9])
@pytest.mark.parametrize("sideways", [False, True])
def test_what_comes_from_far_is_seen_as_if_it_were_near(seed: int, sideways: bool) -> None:
    """Fast ones and long ones, each about to be met within the horizon, wherever it is now."""
    rng = np.random.default_rng((seed, 11))
    path = PATHS[seed % len(PATHS)]
    way = Way.of(path)
    meeting = float(rng.uniform(0.0, 2.7))
    heading, speed = float(rng.uniform(-3.1, 3.1)), float(rng.choice((0.0, 5.0, 15.0, 30.0)))
    length = float(rng.choice((0.5, 4.0, 18.0)))
    vx, vy = speed * math.cos(heading), speed * math.sin(heading)
    # Its middle, front or tail is there.
    ahead = meeting * speed + float(rng.choice((-0.45, 0.0, 0.45))) * length
    x = way.at(way.x, meeting) + CAR.centre_offset - ahead * math.cos(heading)
    y = way.at(way.y, meeting) - ahead * math.sin(heading)
    item = one(x, y, vx, vy, length, float(rng.choice((0.5, 2.5))), heading)
    against(path, item, age_s=float(rng.choice((0.0, 0.2))), sideways=sideways)


BRAKES = constant(8.0, -3.2)
"""Stands after 10 m and 2.5 s."""


@pytest.mark.parametrize(
    ("item", "path", "age_s"),
    [
        (one(45.0, 0.0, -17.0), BRAKES, 0.0),
        (one(12.0, 40.0, 0.0, -22.0, heading=-1.5708), BRAKES, 0.0),
        (one(12.0, -40.0, 0.0, 22.0, heading=1.5708), BRAKES, 0.0),
        (one(83.0, 0.0, -20.0), BRAKES, 1.0),
        (one(68.7, 0.0, -20.0), constant(8.0, -2.9), 0.0),
        (one(32.0, 0.0, length=40.0), BRAKES, 0.0),
        (one(10.0, 19.0, length=40.0, heading=1.5708), BRAKES, 0.0),
        (one(10.0, -19.0, length=40.0, heading=1.5708), BRAKES, 0.0),
        (one(10.0, 19.0, length=2.0, width=40.0), BRAKES, 0.0),
        (one(13.5, 0.0, length=0.3, width=0.3), BRAKES, 0.0),
        (one(6.7, 10.05, length=0.3, width=0.3), constant(8.0, -3.05, 0.15), 0.0),
        (one(-2.3, 13.3, length=0.3, width=0.3), constant(8.0, 0.0, 0.15), 0.0),
    ],
    ids=[
        "oncoming", "from the left", "from the right", "seen a while ago", "at the horizon",
        "long", "long, left", "long, right", "wide", "a pole where we stop",
        "a pole where we stop in a bend", "a pole behind us, where we turn back to",
    ],
)
def test_far_but_in_the_way_in_time(item: SceneObject, path: Trajectory, age_s: float) -> None:
    assert against(path, item, age_s=age_s).scene_s <= 2.6


def test_who_walks_into_the_rear_wheel_of_a_car_that_crawls_is_met() -> None:
    walks = one(-0.3, 1.7, 0.0, -1.5, 0.3, 0.3)
    assert against(constant(0.5), walks).scene_s < 0.5
    stays_behind = one(-3.0, 1.7, 0.0, -1.5, 0.3, 0.3)
    assert against(constant(0.5), stays_behind).scene_s == NEVER


@pytest.mark.parametrize(
    ("across", "towards"), [(2.9, -3.0), (3.0, -3.0), (3.1, 0.0), (-3.0, -3.0), (-3.1, 0.0)]
)
def test_who_comes_more_towards_us_than_across_comes_towards_us(
    across: float, towards: float
) -> None:
    path = constant(10.0)
    found = against(path, one(18.0, -0.6 * across, -3.0, across))
    gap = 18.0 - CAR.centre_offset - 0.5 * (4.0 + CAR.length)
    assert found.rss_slack == pytest.approx(gap - _rss(10.0, towards), abs=1e-3)


@pytest.mark.parametrize(("age_s", "leaves"), [(0.0, False), (0.5, True)])
def test_who_leaves_the_path_has_been_doing_so_since_it_was_measured(
    age_s: float, leaves: bool
) -> None:
    x = 26.0 + 3.0 * age_s
    found = against(constant(10.0), one(x, -0.5, -3.0, 1.5), age_s=age_s)
    gap = 26.0 - CAR.centre_offset - 0.5 * (4.0 + CAR.length)
    wanted = gap - _rss(10.0, 0.0 if leaves else -3.0)
    assert found.rss_slack == pytest.approx(wanted, abs=1e-3)


@pytest.mark.parametrize(("first", "second"), [(14.0, 16.0), (16.0, 14.0)])
def test_of_two_that_limit_us_alike_the_first_is_named(first: float, second: float) -> None:
    """Both are so fast that only the margin counts."""
    found = against(constant(5.0), one(9.0, 0.0, first), one(9.0, 0.0, second))
    assert found.lead_speed == pytest.approx(first)
