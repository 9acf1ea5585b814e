from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from vla_driving.camera.source_clock import SourceClock
from vla_driving.contract.clock import SECOND

from .scenes import MILLISECOND, START

FOREIGN = -9_000 * SECOND
"""What a camera's own clock shows when this machine's shows START."""


def at(ms: float) -> int:
    return START + round(ms * MILLISECOND)


def test_a_driver_that_stamps_by_our_clock_is_believed() -> None:
    clock = SourceClock(0.05)
    assert clock.stamp(at(0), at(40)) == at(0)


def test_without_a_word_of_the_source_the_arrival_less_the_latency_counts() -> None:
    assert SourceClock(0.05).stamp(None, at(100)) == at(50)


@settings(deadline=None)
@given(st.lists(st.floats(0.0, 200.0), min_size=2, max_size=60))
def test_what_waited_on_the_way_is_stamped_by_what_did_not(delays_ms: list[float]) -> None:
    """Whatever the network does, once an image came at once all that follow are right."""
    clock = SourceClock(0.0)
    for k, delay in enumerate([0.0, *delays_ms]):
        exposed = at(100 * k)
        stamp = clock.stamp(exposed + FOREIGN, exposed + round(delay * MILLISECOND))
        assert 0 <= stamp - exposed <= 5 * MILLISECOND


@settings(max_examples=20, deadline=None)
@given(st.floats(-1e-4, 1e-4), st.integers(0, 2**32 - 1))
def test_a_clock_that_drifts_is_followed(drift: float, seed: int) -> None:
    clock, worst = SourceClock(0.0), 0
    for k in range(1000):
        exposed = at(100 * k)
        waited = (hash((seed, k)) % 10) * 3 * MILLISECOND
        shown = round((exposed - START) * (1.0 + drift)) + START + FOREIGN
        worst = max(worst, abs(clock.stamp(shown, exposed + waited) - exposed))
    assert worst < 30 * MILLISECOND


def test_a_source_that_begins_anew_is_followed_at_once() -> None:
    clock = SourceClock(0.0)
    for k in range(5):
        clock.stamp(at(100 * k) + FOREIGN, at(100 * k))
    for k in range(5):
        assert clock.stamp(at(100 * k), at(60_000 + 100 * k)) == at(60_000 + 100 * k)
