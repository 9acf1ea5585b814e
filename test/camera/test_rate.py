from __future__ import annotations

import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vla_driving.camera.rate import LEAST_STAMPS, RateMeter

from .scenes import MILLISECOND, START


def rate_of(stamps_ms: list[float], nominal_hz: float = 10.0) -> float:
    meter = RateMeter(nominal_hz)
    for ms in stamps_ms:
        meter.add(START + round(ms * MILLISECOND))
    return meter.rate_hz


@settings(deadline=None)
@given(st.floats(1.0, 60.0))
def test_a_steady_rate_is_measured(rate_hz: float) -> None:
    stamps = [k * 1000.0 / rate_hz for k in range(200)]
    assert rate_of(stamps, rate_hz) == pytest.approx(rate_hz, rel=1e-3)


def test_a_few_stamps_tell_nothing() -> None:
    assert math.isnan(rate_of([100.0 * k for k in range(LEAST_STAMPS - 1)]))
    assert rate_of([100.0 * k for k in range(LEAST_STAMPS)]) == pytest.approx(10.0)


def test_lost_images_count() -> None:
    assert rate_of([100.0 * k for k in range(40) if k % 4]) == pytest.approx(7.5, abs=0.4)


def test_the_last_two_seconds_count() -> None:
    stamps = [100.0 * k for k in range(50)] + [5000.0 + 50.0 * k for k in range(41)]
    assert rate_of(stamps) == pytest.approx(20.0, abs=0.1)


@pytest.mark.parametrize("gap_ms", [5000.0, -60_000.0])
def test_after_a_gap_or_a_step_back_it_begins_anew(gap_ms: float) -> None:
    before = [100.0 * k for k in range(30)]
    after = [2900.0 + gap_ms + 50.0 * k for k in range(LEAST_STAMPS)]
    assert math.isnan(rate_of(before + after[:-1]))
    assert rate_of(before + after) == pytest.approx(20.0)
