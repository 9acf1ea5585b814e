"""Contacts, paths and worst cases in round numbers, at their limits and beside them."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from drive import SETTINGS, START, VEHICLE, constant

from vla_driving.contract.trajectory import POINTS, integrate
from vla_driving.safety.candidates import batch
from vla_driving.safety.contacts import NEVER_S, STANDING, along_path, straight_on, turns
from vla_driving.safety.counterfactuals import (
    Answer,
    braking_distance,
    cut_in_impact,
    needed_gap,
    speed_for_cut_in,
    speed_for_gap,
    time_to_cut_in,
)
from vla_driving.safety.measures import measures
from vla_driving.safety.obstacles import Approach
from vla_driving.safety.paths import ARC, HEADING, SPEED, OnPath, Paths, X, Y, at_time, place

pytestmark = pytest.mark.requirement("SR-04")

CAR = measures(VEHICLE, SETTINGS.world)._replace(
    length=4.0, width=2.0, centre_offset=1.0, longitudinal_margin=1.0, lateral_margin=1.0,
    collision_horizon=2.5,
)


def still(speed: float = 1.0) -> Any:
    """A way whose points all are the car's own place."""
    way = np.zeros((5, POINTS + 1))
    way[SPEED] = speed
    return way


# -- along the path ----------------------------------------------------------------------------


def item(**changes: float) -> OnPath:
    numbers = {
        "s": 0.0, "d": 0.0, "v_s": 0.0, "v_d": 0.0, "reach_s": 4.0, "reach_d": 1.0,
        "measured_s": 0.0,
    }
    return OnPath(**(numbers | changes))


@pytest.mark.parametrize(
    ("changes", "speed", "contact"),
    [
        ({}, 1.0, 0.0), ({"s": 4.99}, 1.0, 0.0), ({"s": 5.0}, 1.0, NEVER_S),
        ({"s": -1.99}, 1.0, 0.0), ({"s": -2.0}, 1.0, NEVER_S), ({"s": -5.0}, 1.0, NEVER_S),
        ({"d": 0.99}, 1.0, 0.0), ({"d": 1.0}, 1.0, NEVER_S), ({"d": -1.0}, 1.0, NEVER_S),
        ({}, STANDING, NEVER_S), ({}, STANDING + 1e-6, 0.0),
        ({"d": -2.5, "v_d": 1.0}, 1.0, 1.6),
        ({"s": 15.0, "v_s": -10.0}, 1.0, 1.2), ({"d": 9.0, "v_d": -8.0}, 1.0, 1.2),
        ({"s": 15.0, "v_s": -10.0, "measured_s": -0.5}, 1.0, 0.6),
        ({"s": 31.1, "v_s": -10.0}, 1.0, NEVER_S), ({"s": 30.9, "v_s": -10.0}, 1.0, 2.6),
    ],
)
def test_contact_along_the_path(
    changes: dict[str, float], speed: float, contact: float
) -> None:
    assert along_path(still(speed), item(**changes), 0.0, CAR) == pytest.approx(contact)


def test_contact_counts_from_now() -> None:
    away = item(s=15.0, v_s=-10.0)
    assert along_path(still(), away, 0.45, CAR) == pytest.approx(1.2 - 0.45)
    assert along_path(still(), item(), 0.45, CAR) == 0.0


def test_the_way_of_the_car_counts() -> None:
    way = still()
    way[ARC] = np.arange(POINTS + 1.0)
    assert along_path(way, item(s=14.5), 0.0, CAR) == pytest.approx(1.0)
    way[SPEED, 10] = 0.0
    assert along_path(way, item(s=14.5), 0.0, CAR) == NEVER_S


# -- straight on -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("place", "velocity", "contact"),
    [
        ((1.0, 0.0), (0.0, 0.0), 0.0), ((5.99, 0.0), (0.0, 0.0), 0.0),
        ((6.0, 0.0), (0.0, 0.0), NEVER_S), ((1.0, 2.99), (0.0, 0.0), 0.0),
        ((1.0, 3.0), (0.0, 0.0), NEVER_S), ((1.0, -3.0), (0.0, 0.0), NEVER_S),
        ((-0.99, 0.0), (0.0, 0.0), 0.0), ((-1.0, 0.0), (0.0, 0.0), NEVER_S),
        ((16.5, 0.0), (-10.0, 0.0), 1.2), ((1.0, 14.0), (0.0, -10.0), 1.2),
    ],
)
def test_contact_straight_on(
    place: tuple[float, float], velocity: tuple[float, float], contact: float
) -> None:
    vectors = np.array([place, velocity, (1.0, 0.0)]).T[:, :, None].copy()
    halves = np.array([[2.0], [1.0]])
    way = still()
    found = straight_on(way, turns(way), vectors, halves, 0, 0.0, 0.0, CAR)
    assert found == pytest.approx(contact)


@pytest.mark.parametrize(
    ("x", "y", "touches"),
    [(4.99, 0.0, True), (5.01, 0.0, False), (1.0, 3.99, True), (1.0, 4.01, False)],
)
def test_one_that_stands_across(x: float, y: float, touches: bool) -> None:
    vectors = np.array([(x, y), (0.0, 0.0), (0.0, 1.0)]).T[:, :, None].copy()
    way = still()
    found = straight_on(way, turns(way), vectors, np.array([[2.0], [1.0]]), 0, 0.0, 0.0, CAR)
    assert (found == 0.0) == touches


@pytest.mark.parametrize("angle", [0.5, -1.0, 2.5])
def test_it_does_not_matter_which_way_the_car_looks(angle: float) -> None:
    way = still()
    way[HEADING], way[X], way[Y] = angle, 7.0, -3.0
    cos, sin = math.cos(angle), math.sin(angle)
    assert turns(way) == pytest.approx(np.array([[cos] * 65, [sin] * 65]))
    for along, across, touches in ((5.9, 0.0, True), (6.1, 0.0, False), (1.0, 2.9, True),
                                   (1.0, 3.1, False), (1.0, -2.9, True)):
        x, y = 7.0 + cos * along - sin * across, -3.0 + sin * along + cos * across
        vectors = np.array([(x, y), (0.0, 0.0), (cos, sin)]).T[:, :, None].copy()
        found = straight_on(
            way, turns(way), vectors, np.array([[2.0], [1.0]]), 0, 0.0, 0.0, CAR
        )
        assert (found == 0.0) == touches


def test_one_that_was_measured_before_is_carried_on() -> None:
    vectors = np.array([(16.5, 0.0), (-10.0, 0.0), (1.0, 0.0)]).T[:, :, None].copy()
    way = still()
    halves = np.array([[2.0], [1.0]])
    assert straight_on(way, turns(way), vectors, halves, 0, -0.5, 0.0, CAR) == pytest.approx(0.6)
    assert straight_on(way, turns(way), vectors, halves, 0, 0.0, 0.25, CAR) == pytest.approx(0.95)


# -- ways and chords ---------------------------------------------------------------------------


def test_a_way_begins_at_the_car() -> None:
    plan = integrate(8.0, np.linspace(-1.0, 1.0, POINTS), np.full(POINTS, 0.02))
    (way,) = Paths(batch(START, (plan,))).ways
    assert way[:, 0].tolist()[:2] == [0.0, 0.0]
    assert (way[HEADING, 0], way[ARC, 0]) == (0.0, 0.0)
    assert way[SPEED, 0] == plan.speed[0] != plan.speed[1]
    for row, values in ((X, plan.x), (Y, plan.y), (HEADING, plan.heading), (SPEED, plan.speed)):
        assert way[row, 1:] == pytest.approx(values)
    steps = np.hypot(np.diff(way[X]), np.diff(way[Y]))
    assert way[ARC, 1:] == pytest.approx(np.cumsum(steps))


@pytest.mark.parametrize(
    ("point", "found"),
    [
        ((10.0, 2.0), (10.0, 2.0, 1.0, 0.0)), ((-20.0, -1.0), (-20.0, -1.0, 1.0, 0.0)),
        ((150.0, 3.0), (150.0, 3.0, 1.0, 0.0)), ((-90.0, 0.0), (-90.0, 0.0, 1.0, 0.0)),
        ((0.0, 5.0), (0.0, 5.0, 1.0, 0.0)), ((400.0, -1.0), (400.0, -1.0, 1.0, 0.0)),
    ],
)
def test_places_along_a_straight_path(
    point: tuple[float, float], found: tuple[float, float, float, float]
) -> None:
    chords = Paths(batch(START, (constant(10.0),))).chords[0]
    assert place(chords, *point) == pytest.approx(found, abs=1e-4)


def test_places_along_a_bend() -> None:
    """A left bend of 50 m: chords lie up to a few centimetres inside of it."""
    chords = Paths(batch(START, (constant(10.0, 0.0, 0.02),))).chords[0]
    for angle in np.linspace(0.1, 1.2, 12):
        for off in (-3.0, 0.0, 4.0):
            r = 50.0 - off
            s, d, tx, ty = place(chords, r * math.sin(angle), 50.0 - r * math.cos(angle))
            assert s == pytest.approx(50.0 * angle, abs=0.35)
            assert d == pytest.approx(off, abs=0.2)
            assert math.atan2(ty, tx) == pytest.approx(angle, abs=0.09)
    end = 0.02 * 64.0
    far = (50.0 * math.sin(end) + 30.0 * math.cos(end), 50.0 - 50.0 * math.cos(end)
           + 30.0 * math.sin(end))
    assert place(chords, *far)[:2] == pytest.approx((64.0 + 30.0, 0.0), abs=0.05)


def test_outside_of_a_corner_the_chord_before_it_counts() -> None:
    """A left turn at the origin: the place is as near to what leads there as to what leads on."""
    chords = np.array([[-60.0, 0.0, 1.0, 0.0, 60.0, -60.0], [0.0, 0.0, 0.0, 1.0, 200.0, 0.0]])
    assert place(chords, 1.0, -1.0) == (1.0, -1.0, 1.0, 0.0)
    assert place(chords, 1.0, 0.5) == (0.5, -1.0, 0.0, 1.0)
    no_way = np.array([[1.0, 0.4, 0.6, 0.8, 1e-3, 9.0]])
    assert place(np.concatenate([no_way, chords]), 1.0, 0.5) == (0.5, -1.0, 0.0, 1.0)


def test_a_car_that_stands_has_a_path_ahead() -> None:
    chords = Paths(batch(START, (constant(0.0),))).chords[0]
    assert place(chords, 9.0, 1.0) == pytest.approx((9.0, 1.0, 1.0, 0.0))
    assert place(chords, -9.0, 1.0) == pytest.approx((-9.0, 1.0, 1.0, 0.0))


@pytest.mark.parametrize(
    ("time_s", "value"), [(-1.0, 0.0), (0.0, 0.0), (0.25, 2.5), (6.3, 63.0), (9.0, 63.999)]
)
def test_a_row_at_a_time(time_s: float, value: float) -> None:
    assert at_time(np.arange(POINTS + 1.0), time_s) == pytest.approx(value)


@pytest.mark.parametrize("row", [1, 2])
@pytest.mark.parametrize("odd", [math.nan, math.inf, -math.inf])
def test_what_is_not_finite_is_laid_at_the_car(row: int, odd: float) -> None:
    made = batch(START, (constant(5.0), constant(6.0)))
    sound = Paths(made).ways
    made.values[row, 1, 7] = odd
    made.values[3, 1, 9] = odd
    found = Paths(made).ways
    assert (found[1, {1: X, 2: Y}[row], 8], found[1, HEADING, 10]) == (0.0, 0.0)
    assert np.isfinite(found).all()
    found[1, {1: X, 2: Y}[row], 8] = sound[1, {1: X, 2: Y}[row], 8]
    found[1, HEADING, 10] = sound[1, HEADING, 10]
    assert np.array_equal(found[:, :ARC], sound[:, :ARC])


def test_one_of_several() -> None:
    names = (
        "scene_s", "sensor_s", "lead_speed", "rss_slack", "stop_slack", "worst_slack",
        "cut_in_impact", "safe_speed",
    )
    whole = Approach(**{name: np.array([k, k + 0.5]) for k, name in enumerate(names)})
    for index in (0, 1):
        one = whole.only(index)
        assert [getattr(one, n).tolist() for n in names] == [
            [k + 0.5 * index] for k in range(len(names))
        ]


# -- worst cases -------------------------------------------------------------------------------

ANSWER = Answer(1.0, 5.0)


def test_gaps_and_speeds() -> None:
    assert braking_distance(10.0, ANSWER) == 20.0
    assert needed_gap(10.0, 8.0, 8.0, ANSWER) == 16.0
    assert needed_gap(10.0, -8.0, 8.0, ANSWER) == 20.0
    assert needed_gap(2.0, 20.0, 8.0, ANSWER) == 0.0
    assert speed_for_gap(16.0, 8.0, 8.0, ANSWER) == pytest.approx(10.0)
    assert speed_for_gap(20.0, -8.0, 8.0, ANSWER) == pytest.approx(10.0)
    assert speed_for_gap(-9.0, 0.0, 8.0, ANSWER) == 0.0


@pytest.mark.parametrize(
    ("beside", "speed", "seconds"),
    [(2.0, 10.0, 2.0), (2.0, 2.0, 2.0 / 0.7), (-1.0, 10.0, 0.0), (1.0, 0.0, 1000.0)],
)
def test_the_time_to_cut_in(beside: float, speed: float, seconds: float) -> None:
    assert time_to_cut_in(beside, speed, 1.0) == pytest.approx(seconds)


@pytest.mark.parametrize(
    ("gap", "length", "closing", "cut_in_s", "impact"),
    [
        # Past it: behind us already, or by the time it is in the way.
        (-5.0, 5.0, 10.0, 0.0, 0.0), (-4.99, 5.0, 10.0, 0.0, 10.0),
        (5.0, 5.0, 10.0, 1.0, 10.0), (4.99, 5.0, 10.0, 1.0, 0.0),
        # It comes in at once: 20 m are lost until we are as slow.
        (20.0, 9.0, 10.0, 0.0, 0.0), (19.6, 9.0, 10.0, 0.0, 2.0), (15.0, 9.0, 10.0, 0.0, 50.0**0.5),
        # It takes two seconds: by then 17.5 m are lost, and 5 m/s are left.
        (0.0, 99.0, 10.0, 2.0, 5.0), (17.5, 99.0, 10.0, 2.0, 5.0),
        (19.6, 99.0, 10.0, 2.0, 2.0), (0.0, 99.0, 10.0, 9.0, 0.0), (10.0, 9.0, 0.0, 1.0, 0.0),
    ],
)
def test_the_impact_of_a_cut_in(
    gap: float, length: float, closing: float, cut_in_s: float, impact: float
) -> None:
    assert cut_in_impact(gap, length, closing, cut_in_s, ANSWER) == pytest.approx(impact)


@pytest.mark.parametrize(
    ("cut_in_s", "speed"), [(0.0, 12.0), (1.0, 12.0), (3.0, 22.0), (11.0, 62.0), (99.0, 62.0)]
)
def test_the_speed_at_which_a_cut_in_does_no_harm(cut_in_s: float, speed: float) -> None:
    assert speed_for_cut_in(8.0, cut_in_s, 4.0, ANSWER) == speed
