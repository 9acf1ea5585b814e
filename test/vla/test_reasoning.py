from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from vla_driving.contract.language import Cause, Command, Intent
from vla_driving.contract.navigation import Turn
from vla_driving.contract.plan import LateralAction, LongitudinalAction
from vla_driving.contract.scene import LaneLine, LaneLineKind, ObjectClass, SceneObject
from vla_driving.contract.trajectory import POINTS, Trajectory, integrate
from vla_driving.vla.inputs import NO_ROUTE, Navigation
from vla_driving.vla.outputs import Decoded, ReportedCause
from vla_driving.vla.reasoning import (
    SLOWER,
    Explanation,
    Stated,
    explain,
    lateral_action,
    longitudinal_action,
    object_in_the_way,
    stated,
)

X = np.array([5.0, 20.0, 60.0], np.float32)
LINES = (
    LaneLine(LaneLineKind.LANE_LEFT, 0.9, X, np.full(3, 1.8, np.float32)),
    LaneLine(LaneLineKind.LANE_RIGHT, 0.9, X, np.full(3, -1.8, np.float32)),
)


def path(speed: float, acceleration: float = 0.0, curvature: float = 0.0) -> Trajectory:
    return integrate(speed, np.full(64, acceleration), np.full(64, curvature))


def car(x: float, y: float = 0.0, speed: float = 6.0) -> SceneObject:
    return SceneObject(ObjectClass.CAR, 0.9, x, y, 0.0, speed, 0.0, 4.5, 1.8)


def decoded(trajectory: Trajectory, *objects: SceneObject) -> Decoded:
    return Decoded((trajectory,), objects, LINES, 0.3, {})


def test_slows_for_a_car_and_says_so() -> None:
    told = explain(decoded(path(8.0, -1.0), car(18.0)), 8.0, NO_ROUTE)
    assert told.sentence == "car 18 m ahead at 6 m/s, so slow to 5 m/s; keep lane"
    assert told.longitudinal == LongitudinalAction.DECELERATE
    figures = {(e.subject, e.quantity): (e.value, e.unit) for e in told.evidence}
    assert figures["car ahead", "distance"] == (18.0, "m")
    assert figures["car ahead", "speed"] == (6.0, "m/s")
    assert figures["own car", "speed"] == (8.0, "m/s")


def test_claims_no_cause_it_does_not_report() -> None:
    told = explain(decoded(path(8.0, -1.0)), 8.0, NO_ROUTE)
    assert told.sentence == "nothing seen in the way; slow to 5 m/s; keep lane"
    told = explain(decoded(path(8.0, 1.0), car(60.0, y=8.0)), 8.0, NO_ROUTE)
    assert told.sentence == "nothing seen in the way; speed up to 11 m/s; keep lane"


def test_names_a_sharp_bend() -> None:
    told = explain(decoded(path(5.0, 0.0, -0.05)), 5.0, NO_ROUTE)
    assert told.sentence.startswith("right bend of 20 m radius; hold 5 m/s")


@pytest.mark.parametrize(
    ("speed", "acceleration", "action"),
    [
        (10.0, 0.0, LongitudinalAction.CRUISE),
        (10.0, 0.5, LongitudinalAction.ACCELERATE),
        (10.0, -0.5, LongitudinalAction.DECELERATE),
        (5.0, -3.0, LongitudinalAction.STOP),
        (0.0, 0.0, LongitudinalAction.WAIT),
        (0.0, 1.0, LongitudinalAction.ACCELERATE),
    ],
)
def test_longitudinal_actions(
    speed: float, acceleration: float, action: LongitudinalAction
) -> None:
    assert longitudinal_action(path(speed, acceleration), speed) == action


def test_a_change_that_begins_later_is_for_a_later_plan_to_say() -> None:
    late = np.where(np.arange(64) < 12, 0.0, -1.2)
    assert longitudinal_action(
        integrate(8.0, late, np.zeros(64)), 8.0
    ) == LongitudinalAction.CRUISE


def test_lateral_actions() -> None:
    straight = path(8.0)
    assert lateral_action(straight, LINES, NO_ROUTE) == LateralAction.KEEP_LANE
    assert lateral_action(path(8.0, 0.0, 0.005), LINES, NO_ROUTE) == LateralAction.CHANGE_LEFT
    assert lateral_action(path(8.0, 0.0, -0.005), LINES, NO_ROUTE) == LateralAction.CHANGE_RIGHT
    assert lateral_action(path(8.0, 0.0, 0.005), (), NO_ROUTE) == LateralAction.KEEP_LANE
    near, far = Navigation(Turn.LEFT, 20.0, 0.0), Navigation(Turn.LEFT, 90.0, 0.0)
    assert lateral_action(straight, LINES, near) == LateralAction.TURN_LEFT
    assert lateral_action(straight, LINES, far) == LateralAction.KEEP_LANE
    right = Navigation(Turn.RIGHT, 20.0, 0.0)
    assert lateral_action(straight, LINES, right) == LateralAction.TURN_RIGHT


@pytest.mark.parametrize(
    ("turn", "bend", "action"),
    [(Turn.RIGHT, 0.01, LateralAction.TURN_RIGHT), (Turn.LEFT, -0.01, LateralAction.TURN_LEFT)],
)
def test_a_turn_that_is_over_or_not_yet_reached_is_not_told_of_a_bend_the_other_way(
    turn: Turn, bend: float, action: LateralAction
) -> None:
    """Out of a junction into a bend: within the junction the route still says so."""
    within = Navigation(turn, 0.0, 0.0)
    assert lateral_action(path(8.0, 0.0, bend), (), within) == LateralAction.KEEP_LANE
    assert lateral_action(path(8.0, 0.0, -bend), (), within) == action
    turns = np.where(np.arange(POINTS) < 50, bend, -5.0 * bend)
    both = integrate(8.0, np.zeros(POINTS), turns)
    assert lateral_action(both, (), within) == action


def test_what_is_in_the_way_follows_the_path() -> None:
    assert object_in_the_way(path(0.0), (car(12.0),)) is not None
    assert object_in_the_way(path(8.0), (car(12.0, y=5.0),)) is None
    assert object_in_the_way(path(8.0), (car(-8.0),)) is None
    bend = path(8.0, 0.0, 0.03)
    at = 30
    assert object_in_the_way(bend, (car(float(bend.x[at]), float(bend.y[at])),)) is not None
    assert object_in_the_way(bend, (car(35.0),)) is None


@given(st.floats(0.0, 40.0), st.floats(-6.0, 4.0), st.floats(-0.2, 0.2), st.floats(-50.0, 90.0))
def test_one_short_sentence_for_any_path(
    speed: float, acceleration: float, curvature: float, x: float
) -> None:
    told = explain(decoded(path(speed, acceleration, curvature), car(x)), speed, NO_ROUTE)
    assert 0 < len(told.sentence) < 100
    assert "\n" not in told.sentence
    assert len(told.evidence) <= 16
    assert all(np.isfinite(e.value) for e in told.evidence)


def test_a_line_that_is_off_far_round_a_bend_is_no_lane_change() -> None:
    bend = path(8.0, -0.3, 1.0 / 24.0)
    x = np.array([5.0, 10.0, 15.0, 20.0, 22.0], np.float32)
    left = (24.0 - np.sqrt(22.25**2 - x**2)).astype(np.float32)
    left[-1] -= 12.0  # a guess where the line runs sideways
    line = LaneLine(LaneLineKind.LANE_LEFT, 0.9, x, left)
    assert lateral_action(bend, (line,), NO_ROUTE) == LateralAction.KEEP_LANE


def command(intent: Intent = Intent.NONE, speed: float = 0.0) -> Command:
    return Command(0, 1, 7, intent, speed, 0.0, np.zeros(0, np.float32), 10**12)


def cause_of(told: Explanation) -> Stated:
    said = stated(told.evidence)
    assert said is not None and said.cause == told.cause
    return said


@pytest.mark.parametrize(
    ("thing", "cause", "words"),
    [
        (car(18.0), Cause.LEAD, "car 18 m ahead at 6 m/s, so"),
        (car(18.0, speed=0.0), Cause.STOPPED, "car 18 m ahead stands, so"),
        (SceneObject(ObjectClass.PEDESTRIAN, 0.9, 15.0, 0.0, 0.0, 0.0, 1.2, 0.6, 0.6),
         Cause.PEDESTRIAN, "pedestrian 15 m ahead at 0 m/s, so"),
    ],
)
def test_causes_by_what_is_in_the_way(thing: SceneObject, cause: Cause, words: str) -> None:
    told = explain(decoded(path(8.0, -1.0), thing), 8.0, NO_ROUTE)
    said = cause_of(told)
    assert said.cause == cause and told.sentence.startswith(words)
    assert said.object_class == thing.classification and said.distance == thing.x
    assert said.planned_speed == pytest.approx(5.0)


@pytest.mark.parametrize(
    ("navigation", "wish", "cause", "words"),
    [
        (Navigation(Turn.NONE, np.inf, 5.0), None, Cause.SPEED_LIMIT, "speed limit 5 m/s, so slow"),
        (Navigation(Turn.LEFT, 20.0, 20.0), None, Cause.JUNCTION, "left turn in 20 m, so slow"),
        (Navigation(Turn.ARRIVE, 30.0, 20.0), None, Cause.ROUTE_END, "goal in 30 m, so slow"),
        (NO_ROUTE, command(speed=5.0), Cause.INSTRUCTION, "you asked for 5 m/s, so slow"),
        (NO_ROUTE, command(Intent.STOP), Cause.INSTRUCTION, "you asked to stop, so slow"),
    ],
)
def test_causes_of_road_route_and_instruction(
    navigation: Navigation, wish: Command | None, cause: Cause, words: str
) -> None:
    told = explain(decoded(path(8.0, -1.0)), 8.0, navigation, wish)
    assert cause_of(told).cause == cause and told.sentence.startswith(words)


def test_the_networks_cause_goes_before_geometry_where_its_figures_are_there() -> None:
    lead = car(18.0)
    brakes = ReportedCause(Cause.LEAD_BRAKES, 0.8, lead, 18.0)
    told = explain(decoded(path(8.0, -1.0), lead), 8.0, NO_ROUTE, cause=brakes)
    assert told.sentence == "car 18 m ahead brakes, so slow to 5 m/s; keep lane"
    unsure = ReportedCause(Cause.CUT_IN, 0.3, lead, 18.0)
    assert explain(decoded(path(8.0, -1.0), lead), 8.0, NO_ROUTE, cause=unsure).cause == Cause.LEAD
    nobody = ReportedCause(Cause.PEDESTRIAN, 0.9, None, None)
    assert explain(decoded(path(8.0, -1.0), lead), 8.0, NO_ROUTE, cause=nobody).cause == Cause.LEAD


def test_a_bend_is_stated_with_side_and_radius() -> None:
    said = cause_of(explain(decoded(path(8.0, -1.0, -0.05)), 8.0, NO_ROUTE))
    assert (said.cause, said.side) == (Cause.BEND, -1) and said.radius == pytest.approx(20.0)
    assert stated(()) is None


@given(
    st.floats(0.0, 40.0), st.floats(-6.0, 4.0), st.floats(-0.2, 0.2), st.floats(1.0, 60.0),
    st.sampled_from(Cause), st.floats(0.0, 1.0), st.booleans(), st.sampled_from(Turn),
    st.sampled_from(Intent),
)
def test_what_is_said_agrees_with_what_is_planned(
    speed: float, acceleration: float, curvature: float, x: float, cause: Cause,
    probability: float, seen: bool, turn: Turn, intent: Intent,
) -> None:
    thing = car(x) if seen else None
    scene = decoded(path(speed, acceleration, curvature), *([thing] if thing else []))
    told = explain(
        scene, speed, Navigation(turn, 25.0, 10.0), command(intent, 6.0),
        ReportedCause(cause, probability, thing, x),
    )
    said = cause_of(told)
    planned = float(scene.candidates[0].speed[29])
    assert said.planned_speed == pytest.approx(planned)
    words = {"slow to": planned < speed, "speed up to": planned > speed}
    for word, true in words.items():
        assert word not in told.sentence or true
    assert (", so " in told.sentence) <= (told.longitudinal in SLOWER)
    if said.object_class is not None:
        assert seen and said.distance == x
