from __future__ import annotations

import math

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from vla_driving.contract.clock import SECOND
from vla_driving.contract.navigation import Route, Turn
from vla_driving.vla.inputs import (
    NO_ROUTE,
    Navigation,
    ego_vector,
    malformed,
    navigation_at,
    navigation_vector,
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
