from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vla_driving.camera.settings import SynchronisationSettings
from vla_driving.camera.synchronisation import GIVES_IN, MAX_AHEAD_S, Synchroniser

from .scenes import MILLISECOND, START, image

SETTINGS = SynchronisationSettings(tolerance=0.025, warning=0.010, wait=0.03)


def pairs() -> Synchroniser:
    return Synchroniser(("front", "left"), "front", SETTINGS)


def at(ms: float) -> int:
    return START + round(ms * MILLISECOND)


def test_images_within_the_tolerance_belong_together() -> None:
    both = pairs()
    assert both.add(image(0, "front"), at(5)) is None
    assert both.take(at(5)) is None
    assert both.add(image(20, "left"), at(25)) is None
    paired = both.take(at(25))
    assert paired is not None
    assert paired.stamp_ns == at(0)
    assert [i.stamp_ns for i in paired.images.values() if i] == [at(0), at(20)]
    assert both.take(at(25)) is None


def test_the_nearest_exposure_is_taken() -> None:
    both = pairs()
    for stamp in (0, 20, 40):
        both.add(image(stamp, "left"), at(50))
    both.add(image(24, "front"), at(50))
    paired = both.take(at(50))
    assert paired is not None
    left = paired.images["left"]
    assert left is not None
    assert left.stamp_ns == at(20)


def test_a_late_camera_is_waited_for_and_then_left_out() -> None:
    both = pairs()
    both.add(image(0, "front"), at(5))
    assert both.take(at(34)) is None
    paired = both.take(at(35))
    assert paired is not None
    assert paired.images["left"] is None
    assert paired.newest["left"] is None


def test_nobody_waits_for_a_camera_that_is_already_further() -> None:
    both = pairs()
    both.add(image(60, "left"), at(61))
    both.add(image(0, "front"), at(61))
    paired = both.take(at(61))
    assert paired is not None
    assert paired.images["left"] is None
    assert paired.newest["left"] == at(60)


def test_the_newest_complete_set_wins() -> None:
    both = pairs()
    for stamp in (0, 100, 200):
        both.add(image(stamp, "front"), at(210))
        both.add(image(stamp + 1, "left"), at(210))
    paired = both.take(at(210))
    assert paired is not None
    assert paired.stamp_ns == at(200)
    assert both.take(at(400)) is None


def test_stamps_that_repeat_or_run_backwards_are_named() -> None:
    both = pairs()
    both.add(image(100), at(100))
    repeated, back = both.add(image(100), at(101)), both.add(image(60), at(102))
    assert repeated is not None
    assert (repeated.name, repeated.subject) == ("stamp_repeated", "front")
    assert back is not None
    assert (back.name, back.unit) == ("stamp_went_back", "s")
    assert abs(back.value - 0.04) < 1e-9


def test_a_clock_that_was_set_back_is_believed_in_the_end() -> None:
    one = Synchroniser(("front",), "front", SETTINGS)
    one.add(image(9000), at(9000))
    faults = [one.add(image(k * 100), at(9100 + k * 100)) for k in range(GIVES_IN + 2)]
    assert [f is None for f in faults] == [False] * (GIVES_IN - 1) + [True] * 3
    paired = one.take(at(9800))
    assert paired is not None
    assert paired.stamp_ns == at((GIVES_IN + 1) * 100)


def test_a_stamp_in_the_future_is_refused() -> None:
    one = Synchroniser(("front",), "front", SETTINGS)
    fault = one.add(image(200), at(100))
    assert fault is not None
    assert (fault.name, fault.value, fault.limit) == ("stamp_in_future", 0.1, MAX_AHEAD_S)
    assert one.take(at(100)) is None
    assert one.add(image(110), at(120)) is None


@pytest.mark.parametrize(("stamp_ms", "now_ms"), [(4100, 4210), (1200, 6210)])
def test_stamps_that_jump_are_named_and_used(stamp_ms: int, now_ms: int) -> None:
    one = Synchroniser(("front",), "front", SETTINGS)
    for stamp, now in ((1000, 3000), (1100, 3110)):
        assert one.add(image(stamp), at(now)) is None
        assert one.jump("front") is None
    assert one.add(image(stamp_ms), at(now_ms)) is None
    jump = one.jump("front")
    assert jump is not None
    assert (jump.name, jump.subject) == ("stamp_jumped", "front")
    assert jump.value == pytest.approx((stamp_ms - 1100 - (now_ms - 3110)) / 1000)
    paired = one.take(at(now_ms))
    assert paired is not None
    assert paired.stamp_ns == at(stamp_ms)
    assert one.add(image(stamp_ms + 100), at(now_ms + 100)) is None
    assert one.jump("front") is None


def test_an_unknown_camera_is_named() -> None:
    fault = pairs().add(image(0, "rear"), at(0))
    assert fault is not None
    assert fault.detail == "known: front, left"


@given(st.lists(st.tuples(st.sampled_from(["front", "left"]), st.integers(1, 80)), max_size=60))
def test_sets_only_move_forward_and_belong_together(arrivals: list[tuple[str, int]]) -> None:
    both, now, stamps, last = pairs(), 0, {"front": 0, "left": 0}, at(0)
    for name, step in arrivals:
        stamps[name] += step
        now = max(now, stamps[name]) + 1
        assert both.add(image(stamps[name], name, content=0), at(now)) is None
        paired = both.take(at(now))
        if paired is None:
            continue
        assert paired.stamp_ns > last
        last = paired.stamp_ns
        for found in paired.images.values():
            assert found is None or abs(found.stamp_ns - paired.stamp_ns) <= 25 * MILLISECOND
        reference = paired.images["front"]
        assert reference is not None
        assert reference.stamp_ns == paired.stamp_ns
