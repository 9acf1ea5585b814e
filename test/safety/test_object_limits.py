"""One object right at each limit, on a straight path at 10 m/s, in round numbers."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from drive import SETTINGS, START, VEHICLE, constant

from vla_driving.safety.candidates import batch
from vla_driving.safety.obstacles import NOWHERE_M, Approach, Objects, Surroundings, no_objects
from vla_driving.safety.paths import Paths

pytestmark = pytest.mark.requirement("SR-04", "SR-05")

CAR = replace(
    VEHICLE, wheelbase=2.0, front_overhang=1.0, rear_overhang=1.0, width=2.0,
    emergency_deceleration=8.0, emergency_jerk=16.0, acceleration_delay=0.25,
)
WORLD = replace(
    SETTINGS.world, longitudinal_margin=1.0, lateral_margin=1.0, lateral_speed_deadband=0.5,
    rss_reaction=1.0, rss_ego_deceleration=5.0, rss_object_deceleration=1.0, rss_margin=1.0,
    answer_time=0.5, lead_deceleration=10.0, worst_case_preview=1.0, cut_in_lateral_speed=1.0,
    max_cut_in_impact=4.0,
)
PATH = Paths(batch(START, (constant(10.0),)))
TOUCH_S, TOUCH_D = 5.0, 3.0
"""m. Where an object of 4 m by 2 m begins to touch the car or its margin, ahead and beside."""


def near(
    gap: float, beside: float, v_x: float = 0.0, v_y: float = 0.0, speed: float = 10.0
) -> Approach:
    """Of one object `gap` m ahead and, where that is not negative, `beside` m beside the car."""
    vectors = np.array([[[gap + TOUCH_S], [v_x], [1.0]], [[beside + TOUCH_D], [v_y], [0.0]]])
    return Surroundings(CAR, WORLD).approach(
        PATH, Objects(START, vectors, np.array([[2.0], [1.0]]), 0), no_objects(START), START,
        START, speed, np.array([False]),
    )


@pytest.mark.parametrize(
    ("gap", "beside", "counts"),
    [
        (9.0, -0.01, True), (9.0, 0.0, False), (9.0, -2.0 * TOUCH_D, False),
        (9.0, 0.01 - 2.0 * TOUCH_D, True),
        (-3.99, -3.0, True), (-4.0, -3.0, False), (63.99, -3.0, True), (64.0, -3.0, False),
    ],
)
def test_who_is_ahead(gap: float, beside: float, counts: bool) -> None:
    found = near(gap, beside)
    assert (found.rss_slack[0] < NOWHERE_M) == (found.stop_slack[0] < NOWHERE_M) == counts


@pytest.mark.parametrize(("gap", "towards"), [(16.0, -6.0), (16.01, 0.0)])
def test_who_is_beside_the_path_just_when_we_meet_has_not_left_it(
    gap: float, towards: float
) -> None:
    """At 16 m/s we meet in one second, in which it gains 1 m to the side, the last one."""
    found = near(gap, -1.0, -6.0, 1.0).rss_slack[0]
    assert found == pytest.approx(gap - (10.0 + 10.0 - 0.5 * towards * abs(towards) + 1.0))


def test_from_the_deadband_on_sideways_motion_counts() -> None:
    still, moving = (near(30.0, -0.5, -6.0, v_y).rss_slack[0] for v_y in (0.4999, 0.5))
    assert moving > still + 1.0


def test_who_leaves_slowly_leaves() -> None:
    assert near(30.0, -0.5, -6.0, 0.75).rss_slack[0] == pytest.approx(30.0 - 21.0)
    assert near(30.0, 0.5 - 2.0 * TOUCH_D, -6.0, -0.75).rss_slack[0] == pytest.approx(30.0 - 21.0)
    assert near(30.0, 0.5 - 2.0 * TOUCH_D, -6.0, 0.75).rss_slack[0] == pytest.approx(30.0 - 39.0)
    assert near(30.0, -0.5, -6.0, -0.75).rss_slack[0] == pytest.approx(30.0 - 39.0)


@pytest.mark.parametrize(("beside", "counts"), [(-2.01, True), (-2.0, False)])
def test_who_has_left_by_the_preview_is_no_worst_case(beside: float, counts: bool) -> None:
    assert (near(20.0, beside, 10.0, 2.0).worst_slack[0] < NOWHERE_M) == counts


def test_a_gap_that_is_just_enough_asks_for_no_other_speed() -> None:
    """1 m of margin, 16.25 m to brake in, 5 m of which the one ahead needs itself."""
    just = near(12.25, -3.0, 10.0)
    assert (just.worst_slack[0], just.safe_speed[0]) == (0.0, NOWHERE_M)
    less = near(12.24, -3.0, 10.0)
    assert less.worst_slack[0] == pytest.approx(-0.01)
    assert less.safe_speed[0] == pytest.approx(10.0, abs=0.01)


@pytest.mark.parametrize(
    ("beside", "v_x", "v_y", "impact"),
    [
        (0.0, 6.0, 0.0, 4.0), (-0.01, 6.0, 0.0, 0.0), (0.0, 9.5, 0.0, 0.5), (0.0, 10.0, 0.0, 0.0),
        (0.0, 11.0, 0.0, 0.0), (0.0, 0.3, 0.0, 0.0), (0.0, 0.31, 0.0, 9.69), (0.0, -5.0, 0.0, 0.0),
        (0.0, 6.0, 5.9, 4.0), (0.0, 6.0, 6.0, 0.0), (0.0, 6.0, -6.0, 0.0),
    ],
    ids=[
        "beside", "in the way already", "a little slower", "as fast", "faster", "standing",
        "just moving", "oncoming", "more along than across", "as much", "as much, to the right",
    ],
)
def test_who_may_cut_in_abreast_of_us(
    beside: float, v_x: float, v_y: float, impact: float
) -> None:
    assert near(-2.0, beside, v_x, v_y).cut_in_impact[0] == pytest.approx(impact)


@pytest.mark.parametrize(("gap", "impact"), [(-5.51, 0.0), (-5.5, 5.0)])
def test_who_is_passed_before_it_is_there_cannot_cut_in(gap: float, impact: float) -> None:
    """It needs half a second; by then we have gained 2.5 m, and both cars are 8 m long."""
    assert near(gap, 0.5, 5.0).cut_in_impact[0] == pytest.approx(impact)


def test_an_impact_that_is_just_allowed_asks_for_no_other_speed() -> None:
    allowed = near(-2.0, 0.0, 6.0)
    assert (allowed.cut_in_impact[0], allowed.safe_speed[0]) == (4.0, NOWHERE_M)
    more = near(-2.0, 0.0, 5.5)
    assert (more.cut_in_impact[0], more.safe_speed[0]) == (4.5, 9.5)
