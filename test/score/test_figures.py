"""Figures from drives."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from score_scenes import track

from vla_driving.score.blame import Collision, Contact
from vla_driving.score.drive import ARRIVED, COLLISION, Drive
from vla_driving.score.figures import by_map, figures, wilson
from vla_driving.score.interventions import Intervention, Watch


def row(**changes: Any) -> dict[str, Any]:
    drive = Drive("stack", "curve", 10_000, "CC", track=track())
    drive.ended, drive.success, drive.completion = ARRIVED, True, 1.0
    drive.distance_m, drive.duration_s, drive.spans, drive.comfortable = 200.0, 20.0, 5, 4
    return dataclasses.replace(drive, **changes).as_dict()


@pytest.mark.parametrize(
    ("good", "of", "low", "high"),
    # Brown, Cai and DasGupta 2001 give the formula; values by R's prop.test(correct = FALSE).
    [(90, 100, 0.8256, 0.9448), (0, 10, 0.0, 0.2775), (10, 10, 0.7225, 1.0)],
)
def test_wilsons_interval(good: int, of: int, low: float, high: float) -> None:
    assert wilson(good, of) == pytest.approx((low, high), abs=1e-4)


@given(st.integers(0, 200), st.integers(1, 200))
def test_the_interval_holds_the_share(good: int, of: int) -> None:
    good = min(good, of)
    low, high = wilson(good, of)
    assert 0.0 <= low <= good / of + 1e-12 and good / of - 1e-12 <= high <= 1.0


def test_rates_are_per_100_km_driven() -> None:
    hit = Collision(3.0, "car", Contact.FRONT, True, 6.0)
    grazed = Collision(3.0, "car", Contact.FROM_BEHIND, False, 6.0)
    eased = Intervention(2.0, "DEGRADED", "headway", 1.0, 2.0, "m", "too near")
    found = figures([
        row(),
        row(success=False, ended=COLLISION, completion=0.5, collisions=[hit, grazed], off_road=1,
            watch=Watch([eased, eased], 1)),
    ], {})
    assert found["routes"] == 2 and found["success"] == 0.5 and found["km"] == 0.4
    assert found["collisions_per_100km"] == 500.0 and found["at_fault_collisions"] == 1
    assert found["off_road_per_100km"] == 250.0
    assert found["interventions_per_100km"] == 500.0
    assert found["interventions_per_100km_by_check"] == {"headway": 500.0}
    assert found["disengagements_per_100km"] == 250.0
    assert found["comfort"] == 0.8 and found["route_completion"] == 0.75
    assert found["progress_to_teacher"] is None


def test_progress_is_held_against_where_the_teacher_had_arrived() -> None:
    teacher = {10_000: row(track=track(20.0, 10.0), duration_s=20.0)}
    slow = row(track=track(40.0, 5.0), duration_s=40.0)
    fast = row(track=track(10.0, 20.0), duration_s=10.0)
    assert figures([slow], teacher)["progress_to_teacher"] == pytest.approx(0.5, abs=0.01)
    assert figures([fast], teacher)["progress_to_teacher"] == pytest.approx(1.0, abs=0.01)
    failed = {10_000: row(success=False)}
    assert figures([slow], failed)["progress_to_teacher"] is None


def test_by_map() -> None:
    found = by_map([row(), row(kind="random", success=False)], {})
    assert found["curve"]["success"] == 1.0 and found["random"]["success"] == 0.0


def test_nothing_driven_is_no_figure() -> None:
    found = figures([], {})
    assert found["routes"] == 0 and found["success"] is None
    assert found["collisions_per_100km"] is None
