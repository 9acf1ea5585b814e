"""Lists of objects in numbers: which are kept, moved, given a measured speed, missed."""

from __future__ import annotations

import cmath
import math
from dataclasses import replace

import numpy as np
import pytest
from drive import START, constant

from vla_driving.contract.motion import PoseChange
from vla_driving.contract.scene import MAX_OBJECTS, ObjectClass, SceneObject, table_of
from vla_driving.safety.candidates import batch
from vla_driving.safety.obstacles import (
    Objects,
    missing,
    moved,
    no_objects,
    objects,
    with_measured_velocity,
)
from vla_driving.safety.paths import Paths

pytestmark = pytest.mark.requirement("SR-05")

APART = 2.0


def thing(
    x: float, y: float = 0.0, vx: float = 0.0, vy: float = 0.0, heading: float = 0.0,
    length: float = 4.0, width: float = 2.0, probability: float = 0.9,
) -> SceneObject:
    return SceneObject(
        ObjectClass.CAR, probability, x, y, heading, vx, vy, length, width, 1.5
    )


def listed(*items: SceneObject) -> Objects:
    return objects(START, table_of(items), 0.5)


def some(rng: np.random.Generator, count: int) -> tuple[SceneObject, ...]:
    return tuple(
        thing(*map(float, row)) for row in rng.uniform(
            (-5.0, -6.0, -9.0, -9.0, -3.0, 0.1, 0.1), (40.0, 6.0, 9.0, 9.0, 3.0, 8.0, 3.0),
            (count, 7),
        )
    )


def test_an_object_as_numbers() -> None:
    found = listed(thing(1.0, 2.0, 3.0, 4.0, 0.5, 6.0, 0.1))
    assert found.vectors[0, :, 0] == pytest.approx([1.0, 3.0, math.cos(0.5)])
    assert found.vectors[1, :, 0] == pytest.approx([2.0, 4.0, math.sin(0.5)])
    assert found.halves[:, 0] == pytest.approx([3.0, 0.15])
    assert (found.stamp_ns, found.malformed, len(found)) == (START, 0, 1)
    assert found.vectors.dtype == found.halves.dtype == np.float64


@pytest.mark.parametrize(
    ("item", "kept", "malformed"),
    [
        (thing(1.0, probability=0.5), 1, 0), (thing(1.0, probability=0.49), 0, 0),
        (thing(math.nan), 0, 1), (thing(1.0, math.inf), 0, 1), (thing(1.0, vx=math.nan), 0, 1),
        (thing(1.0, vy=math.nan), 0, 1), (thing(1.0, heading=math.nan), 0, 1),
        (thing(1.0, length=math.nan), 0, 1), (thing(1.0, width=-math.inf), 0, 1),
        (thing(1.0, probability=math.nan), 0, 1),
        (replace(thing(1.0), height=math.nan), 1, 0),
    ],
)
def test_which_are_kept(item: SceneObject, kept: int, malformed: int) -> None:
    found = listed(thing(9.0), item)
    assert (len(found), found.malformed) == (1 + kept, malformed)


def test_each_malformed_one_is_counted() -> None:
    odd = thing(math.nan)
    assert [listed(*(odd,) * k, thing(9.0), odd).malformed for k in range(3)] == [1, 2, 3]


def test_the_nearest_are_kept() -> None:
    items = tuple(thing(float(k % 9), float(80 - k)) for k in range(MAX_OBJECTS + 10))
    found = listed(*items)
    nearest = sorted(math.hypot(i.x, i.y) for i in items)[:MAX_OBJECTS]
    assert np.hypot(*found.vectors[:, 0]) == pytest.approx(nearest, rel=1e-6)
    assert len(listed(*items[:MAX_OBJECTS])) == MAX_OBJECTS
    assert listed(*items[:MAX_OBJECTS]).vectors[1, 0, 0] == 80.0


def test_of_equally_near_ones_the_first_are_kept() -> None:
    items = [thing(9.0 + k % 2, vx=0.1 * k) for k in range(2 * MAX_OBJECTS + 20)]
    found = listed(*items)
    assert found.vectors[0, 1] == pytest.approx([0.2 * k for k in range(MAX_OBJECTS)])


def test_moved_and_turned() -> None:
    change = PoseChange(2.0, -1.0, 0.3)
    items = listed(thing(5.0, 1.0, 3.0, -2.0, 0.7), thing(-4.0, 2.0, 0.0, 1.0, -0.2))
    found = moved(items, change)
    for k in range(2):
        z = complex(*items.vectors[:, 0, k]) - complex(2.0, -1.0)
        for row, value in ((0, z), (1, complex(*items.vectors[:, 1, k])),
                           (2, complex(*items.vectors[:, 2, k]))):
            turned = value * cmath.exp(-0.3j)
            assert complex(*found.vectors[:, row, k]) == pytest.approx(turned)
    assert found.halves is items.halves
    assert (found.stamp_ns, found.malformed) == (items.stamp_ns, 0)


@pytest.mark.parametrize("seed", range(30))
def test_a_measured_speed_goes_to_what_lies_on_what_was_measured(seed: int) -> None:
    rng = np.random.default_rng(seed)
    sensor = listed(*some(rng, 6))
    near = sensor.vectors[:, 0] + rng.normal(0.0, 1.2, (2, 6))
    scene = listed(*(thing(float(near[0, k]), float(near[1, k]), 1.0, -1.0) for k in range(6)))
    found = with_measured_velocity(scene, sensor, APART)
    for i in range(6):
        z, best, speed = complex(*scene.vectors[:, 0, i]), math.inf, (1.0, -1.0)
        for j in range(6):
            w = complex(*sensor.vectors[:, 0, j])
            seen = z * w.conjugate() / abs(w)
            across, along = abs(seen.imag), abs(seen.real - abs(w))
            fits = across <= sensor.halves[1, j] and along <= sensor.halves[0, j] + APART
            if fits and across + along < best:
                best, speed = across + along, tuple(sensor.vectors[:, 1, j])
        assert tuple(found.vectors[:, 1, i]) == pytest.approx(speed)
    assert found.vectors[:, (0, 2)] == pytest.approx(scene.vectors[:, (0, 2)])
    assert found.halves is scene.halves
    assert scene.vectors[0, 1] == pytest.approx(np.ones(6))


def test_without_one_of_the_lists_the_scene_stays_as_it_is() -> None:
    scene, none = listed(thing(9.0)), no_objects(START)
    assert with_measured_velocity(scene, none, APART) is scene
    assert with_measured_velocity(none, scene, APART) is none
    assert len(none) == none.malformed == 0


@pytest.mark.parametrize(
    ("across", "along", "same"),
    [
        (0.999, 0.0, True), (1.001, 0.0, False), (-0.999, 0.0, True), (-1.001, 0.0, False),
        (0.0, 3.999, True), (0.0, 4.001, False), (0.0, -3.999, True), (0.0, -4.001, False),
    ],
)
@pytest.mark.parametrize("angle", [0.0, 1.0, -2.0])
def test_how_far_off_is_the_same(across: float, along: float, same: bool, angle: float) -> None:
    turned = cmath.exp(1j * angle)
    there, seen = 20.0 * turned, (20.0 + along + 1j * across) * turned
    sensor = listed(thing(there.real, there.imag, 7.0, 8.0))
    scene = listed(thing(seen.real, seen.imag))
    speed = with_measured_velocity(scene, sensor, APART).vectors[:, 1, 0].tolist()
    assert speed == ([7.0, 8.0] if same else [0.0, 0.0])


@pytest.mark.parametrize(("x", "y"), [(24.0, 0.0), (16.0, 0.0), (20.0, 1.0), (20.0, -1.0)])
def test_what_is_just_as_far_off_as_may_be_is_the_same(x: float, y: float) -> None:
    found = with_measured_velocity(listed(thing(x, y)), listed(thing(20.0, 0.0, 7.0)), APART)
    assert found.vectors[0, 1, 0] == 7.0


def test_right_at_the_car_nothing_is_divided_by_nothing() -> None:
    found = with_measured_velocity(listed(thing(0.0)), listed(thing(0.0, 0.0, 3.0)), APART)
    assert np.isfinite(found.vectors).all()


# -- what only one of two lists holds ----------------------------------------------------------

WIDTH = 2.0
PATH = Paths(batch(START, (constant(10.0),)))


@pytest.mark.parametrize(
    ("known", "other", "distance"),
    [
        ((), (), math.inf),
        ((thing(20.0),), (), 20.0),
        ((thing(20.0), thing(12.0), thing(30.0)), (), 12.0),
        ((thing(20.0), thing(12.0)), (thing(12.0),), 20.0),
        ((thing(20.0),), (thing(24.9),), math.inf),
        ((thing(20.0),), (thing(25.1),), 20.0),
        ((thing(20.0),), (thing(20.0, 4.9),), math.inf),
        ((thing(20.0),), (thing(20.0, 5.1),), 20.0),
        ((thing(20.0),), (thing(23.0, 4.1),), 20.0),
        ((thing(20.0),), (thing(50.0), thing(20.0)), math.inf),
        ((thing(20.0),), (thing(20.0), thing(50.0)), math.inf),
        ((thing(20.0, 1.5),), (thing(20.0, -3.4),), math.inf),
        ((thing(20.0, 1.5),), (thing(20.0, -3.6),), 20.0),
        ((thing(20.0, 5.0), thing(12.0)), (), 12.0),
        ((thing(20.0),), (thing(25.0),), math.inf),
        ((thing(20.0, 2.0),), (), math.inf),
        ((thing(0.0),), (), math.inf),
        ((thing(20.0, 1.99),), (), 20.0),
        ((thing(20.0, 2.01),), (), math.inf),
        ((thing(20.0, -1.99),), (), 20.0),
        ((thing(20.0, -2.01),), (), math.inf),
        ((thing(-0.01),), (), math.inf),
        ((thing(0.01),), (), 0.01),
        ((thing(63.9),), (), 63.9),
        ((thing(64.0),), (), math.inf),
        ((thing(64.1),), (), math.inf),
    ],
)
def test_what_the_other_list_lacks(
    known: tuple[SceneObject, ...], other: tuple[SceneObject, ...], distance: float
) -> None:
    found = missing(listed(*known), listed(*other), PATH, WIDTH, APART)
    assert found == pytest.approx(distance, rel=1e-5, abs=1e-6)


@pytest.mark.parametrize(("turned", "forward"), [(1.2, True), (-1.5, True), (1.6, False)])
def test_which_paths_never_turn_back(turned: float, forward: bool) -> None:
    bend = turned / 32.0
    assert Paths(batch(START, (constant(5.0), constant(5.0, 0.0, bend)))).forward == forward
