"""The bounds of comfort."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from vla_driving.score.comfort import BOUNDS, PERIOD_S, SPAN, comfort, smooth

STILL = np.zeros(2 * SPAN)


def test_a_steady_drive_is_comfortable() -> None:
    found = comfort(STILL, STILL, STILL)
    assert (found.spans, found.comfortable, found.broken) == (2, 2, {})


def test_less_than_one_span_says_nothing() -> None:
    assert comfort(STILL[:SPAN - 1], STILL[:SPAN - 1], STILL[:SPAN - 1]).spans == 0


@pytest.mark.parametrize(
    ("value", "name"),
    [(2.5, "longitudinal_acceleration"), (-4.1, "longitudinal_acceleration")],
)
def test_hard_pedals_break_the_bound(value: float, name: str) -> None:
    found = comfort(STILL, STILL + value, STILL)
    assert found.comfortable == 0 and found.broken == {name: 2}


def test_one_bad_second_spoils_its_span_alone() -> None:
    aside = STILL.copy()
    aside[SPAN + 10:SPAN + 20] = 5.5
    found = comfort(STILL, STILL, aside)
    assert (found.spans, found.comfortable) == (2, 1) and "lateral_acceleration" in found.broken


def test_turning_quickly_breaks_the_yaw_rate_alone_and_across_half_a_turn() -> None:
    turning = np.angle(np.exp(1j * (math.pi - 0.5 + 1.0 * PERIOD_S * np.arange(2 * SPAN))))
    assert comfort(turning, STILL, STILL).broken == {"yaw_rate": 2}


def test_every_bound_can_be_broken() -> None:
    t = PERIOD_S * np.arange(2 * SPAN)
    found = comfort(3.0 * np.sin(t), 14.0 * np.sin(1.2 * t), 14.0 * np.sin(1.2 * t))
    assert set(found.broken) == set(BOUNDS)


@given(st.lists(st.floats(-5, 5), min_size=3, max_size=3))
def test_a_parabola_is_smoothed_to_itself(c: list[float]) -> None:
    t = PERIOD_S * np.arange(30)
    values = c[0] + c[1] * t + c[2] * t**2
    np.testing.assert_allclose(smooth(values, 15), values, atol=1e-9)
    np.testing.assert_allclose(smooth(values, 15, 1), c[1] + 2 * c[2] * t, atol=1e-8)
    np.testing.assert_allclose(smooth(values, 15, 2), np.full(30, 2 * c[2]), atol=1e-7)
