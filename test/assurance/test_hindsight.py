"""What makes a drive calm is found by what happened, and by nothing else."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from vla_driving import paths
from vla_driving.assurance.hindsight import (
    CRITICAL_S,
    Moment,
    accidents,
    conflicts,
    encroachments,
    moment,
    touches,
)
from vla_driving.contract.scene import ObjectClass, SceneObject
from vla_driving.contract.vehicle import load_vehicle

CAR = load_vehicle(paths.config("vehicles") / "default.yaml")
FRONT = CAR.wheelbase + CAR.front_overhang


def thing(x: float, y: float = 0.0, heading: float = 0.0) -> SceneObject:
    return SceneObject(ObjectClass.CAR, 1.0, x, y, heading, 0.0, 0.0, 4.0, 2.0, 1.5)


def approach(speed: float, gap: float, seconds: float, stops: bool) -> list[Moment]:
    """Towards a car that stands; `stops`: the last metre is not driven."""
    found, x = [], 0.0
    for k in range(round(seconds / 0.1)):
        rear = gap + FRONT + 2.0
        now = 0.0 if stops and x > gap - 1.0 else speed
        found.append(moment(0.1 * k, (x, 0.0, 0.0), now, (thing(rear - x),)))
        x += 0.1 * now
    return found


def test_who_brakes_early_has_no_conflict_and_who_brakes_late_has_one() -> None:
    assert conflicts(approach(5.0, 30.0, 3.0, False), CAR) == []
    late = conflicts(approach(5.0, 10.0, 4.0, True), CAR)
    assert late
    assert late[0].time_s == pytest.approx((10.0 - 5.0 * CRITICAL_S) / 5.0, abs=0.21)
    assert late[0].contact_s == pytest.approx(CRITICAL_S, abs=0.11)
    assert min(c.contact_s for c in late) == pytest.approx(0.3, abs=0.11)


def test_one_that_gets_out_of_the_way_in_time_is_none() -> None:
    """A prediction would have found contact; hindsight knows that it went."""
    close = approach(5.0, 12.0, 3.0, False)
    gone = [m if m.time_s < 0.8 else replace(m, others=np.zeros((0, 5))) for m in close]
    assert conflicts(close, CAR)
    assert conflicts(gone, CAR) == []


def test_who_stands_causes_none() -> None:
    still = [moment(0.1 * k, (0.0, 0.0, 0.0), 0.0, (thing(12.0 - k),)) for k in range(20)]
    assert conflicts(still, CAR) == []


def test_round_a_bend_the_way_that_was_driven_counts() -> None:
    """Straight on stands a car; the way leads past it."""
    found = []
    for k in range(40):
        angle = 0.05 * k
        pose = (10.0 * math.sin(angle), 10.0 - 10.0 * math.cos(angle), angle)
        x, y = 16.0 - pose[0], 0.0 - pose[1]
        cos, sin = math.cos(angle), math.sin(angle)
        seen = thing(cos * x + sin * y, cos * y - sin * x, -angle)
        found.append(moment(0.1 * k, pose, 5.0, (seen,)))
    assert conflicts(found, CAR) == []
    assert conflicts(approach(5.0, 16.0 - 2.0 - FRONT, 3.0, False), CAR)


def crossing(gap_s: float, heading: float = math.pi / 2, pause: int = 0) -> list[Moment]:
    """At 5 m/s over a place that somebody leaves or comes to `gap_s` after the car has been there.

    `pause`: the car stands for so many moments at its start.
    """
    found = []
    back = 0.5 * (CAR.width + 4.0)
    for k in range(60):
        at = 0.1 * max(k - pause, 0)
        x = 5.0 * at
        # At `passed` the tail has left the other's way, whose nose comes `gap_s` later.
        passed = 0.1 * pause + (10.0 + 1.0 + CAR.rear_overhang) / 5.0
        across = -back + 6.0 * (0.1 * k - passed - gap_s)
        pose = (x, 0.0, 0.0)
        speed = 0.0 if k < pause else 5.0
        found.append(moment(0.1 * k, pose, speed, (thing(10.0 - x, across, heading),)))
    return found


def least(moments: list[Moment]) -> float:
    return min((e.apart_s for e in encroachments(moments, CAR)), default=math.inf)


@pytest.mark.parametrize("gap_s", [0.25, 0.35, 0.7])
def test_who_crosses_just_behind_or_just_before_encroaches(gap_s: float) -> None:
    """Told to within two samples, one for each of the two."""
    behind = crossing(gap_s)
    assert gap_s <= least(behind) < gap_s + 0.2
    before = [replace(m, time_s=0.1 * k) for k, m in enumerate(reversed(behind))]
    assert least(before) == pytest.approx(least(behind))


@pytest.mark.parametrize("gap_s", [1.0, 2.0])
def test_who_crosses_a_second_later_does_not(gap_s: float) -> None:
    assert encroachments(crossing(gap_s), CAR) == []


def test_who_follows_or_meets_does_not_cross() -> None:
    for heading in (0.0, 0.4, math.pi - 0.4, math.pi):
        assert encroachments(crossing(0.35, heading), CAR) == []
    assert encroachments(crossing(0.35, 0.7), CAR)


def test_a_car_that_stands_encroaches_on_nobody() -> None:
    waits = crossing(-3.0, pause=25)
    assert encroachments([m for m in waits if m.speed == 0.0], CAR) == []


@pytest.mark.parametrize(("away", "near"), [(10.0, True), (-20.0, True), (30.0, False)])
def test_others_who_crash_nearby_are_an_accident(away: float, near: bool) -> None:
    found = [
        moment(0.1 * k, (0.0, 0.0, 0.0), 5.0, (
            thing(away, 3.0), thing(away, 9.0 - 0.4 * min(k, 12), math.pi / 2),
        )) for k in range(30)
    ]
    # Half a width and half a length meet: 3 m.
    assert accidents(found) == ([pytest.approx(0.8)] if near else [])
    assert accidents([m for m in found if m.time_s < 0.75]) == []


def test_objects_are_placed_in_the_map() -> None:
    found = moment(1.0, (10.0, 5.0, math.pi / 2), 3.0, (thing(4.0, 1.0, 0.3),))
    assert found.others[0] == pytest.approx([9.0, 9.0, math.pi / 2 + 0.3, 2.0, 1.0])
    assert moment(1.0, (0.0, 0.0, 0.0), 3.0, ()).others.shape == (0, 5)


def box(x: float, y: float, heading: float) -> np.ndarray:
    return np.array([x, y, heading, 2.0, 1.0])


@given(st.floats(-6, 6), st.floats(-6, 6), st.floats(-4, 4), st.floats(-4, 4))
def test_rectangles_touch_as_their_corners_and_points_do(
    x: float, y: float, own: float, other: float
) -> None:
    first, second = box(0.0, 0.0, own), box(x, y, other)
    along, across = np.meshgrid(np.linspace(-2, 2, 41), np.linspace(-1, 1, 21))
    px = x + along * math.cos(other) - across * math.sin(other)
    py = y + along * math.sin(other) + across * math.cos(other)
    in_s = px * math.cos(own) + py * math.sin(own)
    in_d = py * math.cos(own) - px * math.sin(own)
    inside = (np.abs(in_s) <= 2.0) & (np.abs(in_d) <= 1.0)
    if inside.any():
        assert touches(first, second[None])
    assert touches(first, second[None]) == touches(second, first[None])
    if math.hypot(x, y) > 2.0 * math.hypot(2.0, 1.0):
        assert not touches(first, second[None])
    assert not touches(first, np.zeros((0, 5)))


def test_conflicts_say_when_and_how_near() -> None:
    first = conflicts(approach(4.0, 2.1, 1.0, False), CAR)[0]
    assert first.time_s == 0.0
    assert first.contact_s == pytest.approx(0.6)
