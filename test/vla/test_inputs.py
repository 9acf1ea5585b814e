from __future__ import annotations

import math

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from vla_driving.contract.clock import SECOND
from vla_driving.contract.language import Command, Intent
from vla_driving.contract.navigation import Route, Turn
from vla_driving.vla.inputs import (
    NO_ROUTE,
    Navigation,
    ego_vector,
    malformed,
    navigation_at,
    navigation_vector,
    obeyed,
    route_vector,
)

from .tiny_model import HEIGHT, WIDTH, frame_set, manifest, vehicle_state


def route(turn: Turn, distance: float, limit: float, stamp_ns: int = 0) -> Route:
    empty = np.zeros(0, np.float32)
    return Route(stamp_ns, empty, empty, turn, distance, 500.0, limit)


@given(st.sampled_from(Turn), st.floats(0.0, 1e6), st.floats(0.0, 60.0))
def test_navigation_is_one_hot_and_scaled(turn: Turn, distance: float, limit: float) -> None:
    vector = navigation_vector(Navigation(turn, distance, limit))
    assert vector.dtype == np.float32
    assert vector.shape == (8,)
    assert vector[: len(Turn)].sum() == 1.0
    assert vector[turn] == 1.0
    expected = 1.0 if turn == Turn.NONE else min(distance, 100.0) / 100.0
    assert math.isclose(vector[6], expected, rel_tol=1e-6, abs_tol=1e-7)
    assert math.isclose(vector[7], limit / 30.0, rel_tol=1e-6, abs_tol=1e-7)


def test_no_route_looks_like_no_turn() -> None:
    expected = [1, 0, 0, 0, 0, 0, 1, 0]
    assert navigation_vector(NO_ROUTE).tolist() == expected
    assert navigation_vector(navigation_at(None, 0, 9.0)).tolist() == expected


@given(st.floats(0.0, 300.0), st.floats(0.0, 40.0), st.integers(0, 10 * SECOND))
def test_turn_comes_closer_with_what_was_driven(distance: float, speed: float, age: int) -> None:
    seen = navigation_at(route(Turn.LEFT, distance, 10.0), age, speed)
    assert math.isclose(
        seen.distance_to_turn, max(0.0, distance - speed * age / SECOND), abs_tol=1e-6
    )


def test_ego_signals_come_by_name_and_in_order() -> None:
    state = vehicle_state(0, speed=3.0, yaw_rate=0.25)
    assert ego_vector(("yaw_rate", "speed"), state, 4.0).tolist() == [0.25, 4.0]


def test_images_that_do_not_fit_are_named() -> None:
    assert malformed(frame_set(0), manifest()) is None
    line = malformed(frame_set(0, image=np.zeros((HEIGHT, WIDTH + 1, 3), np.uint8)), manifest())
    assert line == "front: image (16, 33, 3) instead of (16, 32, 3)"
    line = malformed(frame_set(0, name="rear"), manifest())
    assert line == "cameras ['rear'] instead of ['front']"


def wish(intent: Intent = Intent.NONE, speed: float = 0.0) -> Command:
    return Command(0, 1, 7, intent, speed, 0.0, np.zeros(0, np.float32), SECOND)


@given(st.floats(0.0, 30.0), st.floats(0.0, 60.0))
def test_a_wish_for_a_speed_never_goes_beyond_the_limit(limit: float, speed: float) -> None:
    seen = obeyed(Navigation(Turn.LEFT, 40.0, limit), wish(speed=speed)).speed_limit
    if limit > 0.0 and speed > 0.0:
        assert seen == min(limit, speed)
    else:
        assert seen == max(limit, speed)


def test_another_turn_is_taken_at_a_junction_alone() -> None:
    left = wish(Intent.NEXT_LEFT)
    assert obeyed(Navigation(Turn.RIGHT, 40.0, 9.0), left) == Navigation(Turn.LEFT, 40.0, 9.0)
    for turn in (Turn.NONE, Turn.ARRIVE, Turn.ROUNDABOUT):
        assert obeyed(Navigation(turn, 40.0, 9.0), left).turn == turn
    assert obeyed(Navigation(Turn.RIGHT, 40.0, 9.0), None).turn == Turn.RIGHT
    assert obeyed(Navigation(Turn.RIGHT, 40.0, 9.0), wish(Intent.STOP)).turn == Turn.RIGHT


def test_points_of_the_route_lie_at_their_distances_along_it() -> None:
    x, y = [-5.0, 5.0, 15.0, 15.0], [0.0, 0.0, 0.0, 30.0]
    points = route_vector(x, y, (10.0, 25.0, 50.0)).reshape(3, 3)
    np.testing.assert_allclose(points[0], [0.2, 0.0, 1.0], atol=1e-6)
    np.testing.assert_allclose(points[1], [0.3, 0.2, 1.0], atol=1e-6)
    assert points[2].tolist() == [0.0, 0.0, 0.0]


@given(st.lists(st.floats(width=32), max_size=6), st.lists(st.floats(width=32), max_size=6))
def test_any_route_becomes_finite_points(x: list[float], y: list[float]) -> None:
    vector = route_vector(np.array(x), np.array(y), (10.0, 20.0))
    assert vector.shape == (6,) and np.isfinite(vector).all()
    if len(x) != len(y) or not np.isfinite(x + y).all():
        assert not vector.any()
