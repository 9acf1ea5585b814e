"""Footprints that meet, and people who walk."""

import math

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from vla_driving.contract.scene import ObjectClass, SceneObject
from vla_driving.simulation.ego import Motion
from vla_driving.simulation.placed import Placed
from vla_driving.simulation.scenario import PlacedObject
from vla_driving.simulation.surroundings import overlapping

LENGTH, WIDTH, CENTRE = 4.5, 1.85, 1.4
STEP = 0.02


def at(x: float, y: float, heading: float = 0.0) -> Motion:
    return Motion(x, y, heading, 0.0, 0.0, 0.0, 0.0, 0.0)


def box(x: float, y: float, heading: float, length: float = 4.0, width: float = 1.8) -> SceneObject:
    return SceneObject(ObjectClass.CAR, 1.0, x, y, heading, 0.0, 0.0, length, width)


def corners(item: SceneObject) -> np.ndarray:
    c, s = math.cos(item.heading), math.sin(item.heading)
    unit = np.array([[a, b] for a in (-0.5, 0.5) for b in (-0.5, 0.5)]) * [item.length, item.width]
    return unit @ np.array([[c, s], [-s, c]]) + [item.x, item.y]


@given(st.floats(-8, 10), st.floats(-6, 6), st.floats(-math.pi, math.pi))
def test_a_corner_inside_the_other_is_an_overlap(x: float, y: float, heading: float) -> None:
    item = box(x, y, heading)
    inside = np.abs(corners(item) - [CENTRE, 0.0]) <= [LENGTH / 2, WIDTH / 2]
    assume(inside.all(1).any())
    assert overlapping(item, LENGTH, WIDTH, CENTRE)


@given(st.floats(-12, 14), st.floats(-9, 9), st.floats(-math.pi, math.pi))
def test_beyond_the_circles_around_both_there_is_none(x: float, y: float, heading: float) -> None:
    item = box(x, y, heading)
    reach = math.hypot(LENGTH, WIDTH) / 2 + math.hypot(item.length, item.width) / 2
    assume(math.hypot(x - CENTRE, y) > reach)
    assert not overlapping(item, LENGTH, WIDTH, CENTRE)


def test_crossed_bars_overlap_without_a_corner_inside() -> None:
    assert overlapping(box(CENTRE, 0.0, math.pi / 2, 10.0, 0.5), LENGTH, WIDTH, CENTRE)
    assert not overlapping(box(CENTRE + 3.0, 0.0, math.pi / 2, 10.0, 0.5), LENGTH, WIDTH, CENTRE)


def test_a_pedestrian_starts_when_the_car_is_near_and_then_walks_on() -> None:
    wish = PlacedObject("pedestrian", 50.0, -6.0, crossing_speed=1.5, trigger_distance=20.0)
    thing = Placed("p", wish, x=50.0, y=-6.0, road=0.0)
    for _ in range(50):
        thing.step(at(0.0, 0.0), STEP)
    assert (thing.body().y, thing.body().velocity_y) == (-6.0, 0.0)
    thing.step(at(35.0, 0.0), STEP)
    for _ in range(99):
        thing.step(at(0.0, 0.0), STEP)
    body = thing.body()
    assert body.y == pytest.approx(-6.0 + 1.5 * 2.0)
    assert body.velocity_x == pytest.approx(0.0)
    assert body.velocity_y == pytest.approx(1.5)
    assert body.heading == pytest.approx(math.pi / 2)


def test_a_walk_shows_all_poses() -> None:
    wish = PlacedObject("pedestrian", 50.0, crossing_speed=1.0, trigger_distance=200.0)
    thing = Placed("p", wish, x=50.0, y=0.0, road=0.3)
    models = set()
    for _ in range(100):
        thing.step(at(45.0, 0.0), STEP)
        models.add(thing.body().model)
    assert models == {f"pedestrian_{k}" for k in range(4)}


def test_what_stands_stands() -> None:
    thing = Placed("c", PlacedObject("cone", 30.0), x=30.0, y=1.0, road=0.0)
    for _ in range(10):
        thing.step(at(29.0, 0.0), STEP)
    assert (thing.body().x, thing.body().y, thing.body().velocity_x) == (30.0, 1.0, 0.0)
