"""Whether reasons are true and consistent."""

from __future__ import annotations

from dataclasses import dataclass, replace
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from score_scenes import TRUTH, thing, track, vehicle

from vla_driving.contract.language import Cause
from vla_driving.contract.plan import Evidence
from vla_driving.contract.scene import ObjectClass
from vla_driving.contract.supervision import Level
from vla_driving.score.reasons import Examiner, Reason, figures, judge_motion
from vla_driving.simulation.truth import Truth


@dataclass(frozen=True)
class Wishes:
    command: object | None = None

    def limit(self, speed_limit: float) -> float:
        return speed_limit


def world(command: object | None = None) -> Any:
    path = SimpleNamespace(s=np.arange(200.0), edge_left=np.full(200, 5.0),
                           edge_right=np.full(200, 2.0))
    progress = SimpleNamespace(
        route=SimpleNamespace(crossroads=[SimpleNamespace(start=100.0, end=130.0)]), path=path,
        along=40.0,
    )
    return SimpleNamespace(vehicle=vehicle(), wishes=Wishes(command), progress=progress)


def holds(cause: Cause, *evidence: Evidence, truth: Truth = TRUTH, command: object = None) -> bool:
    plan: Any = SimpleNamespace(
        evidence=(Evidence("cause", "class", float(cause), "1"), *evidence),
        longitudinal_action=SimpleNamespace(name="CRUISE"),
        lateral_action=SimpleNamespace(name="KEEP_LANE"),
    )
    examiner = Examiner()
    safety: Any = SimpleNamespace(level=Level.NOMINAL)
    examiner.hear(world(command), truth, plan, safety)
    (reason,) = examiner.reasons
    return reason.true


def ahead(noun: str, distance: float, speed: float) -> tuple[Evidence, Evidence]:
    return (
        Evidence(f"{noun} ahead", "distance", distance, "m"),
        Evidence(f"{noun} ahead", "speed", speed, "m/s"),
    )


def with_things(*things: Any) -> Truth:
    return replace(TRUTH, objects=things, object_keys=tuple(map(str, range(len(things)))))


@pytest.mark.parametrize(
    ("cause", "told", "there", "true"),
    [
        (Cause.LEAD, ahead("car", 20.0, 6.0), thing(21.0, 0.0, 6.5), True),
        (Cause.LEAD, ahead("car", 30.0, 6.0), thing(21.0, 0.0, 6.5), False),
        (Cause.LEAD, ahead("car", 20.0, 0.0), thing(21.0, 0.0, 6.5), False),
        (Cause.LEAD, ahead("car", 20.0, 6.0), thing(21.0, 6.0, 6.5), False),
        (Cause.LEAD, ahead("car", 20.0, 6.0), thing(-21.0, 0.0, 6.5), False),
        (Cause.STOPPED, ahead("car", 20.0, 0.0), thing(20.0, 0.0, 0.0), True),
        (Cause.STOPPED, ahead("car", 20.0, 1.0), thing(20.0, 0.0, 3.0), False),
        (Cause.PEDESTRIAN, ahead("pedestrian", 20.0, 0.0),
         thing(20.0, 1.5, 0.0, ObjectClass.PEDESTRIAN), True),
        (Cause.PEDESTRIAN, ahead("pedestrian", 20.0, 0.0), thing(20.0, 1.5, 0.0), False),
        (Cause.LEAD_BRAKES, ahead("car", 20.0, 6.0), thing(20.0, 0.0, 6.0), False),
    ],
)
def test_things_must_be_there(cause: Cause, told: Any, there: Any, true: bool) -> None:
    assert holds(cause, *told, truth=with_things(there)) is true


def test_one_that_brakes_has_lost_speed() -> None:
    examiner = Examiner()
    plan: Any = SimpleNamespace(
        evidence=(Evidence("cause", "class", float(Cause.LEAD_BRAKES), "1"),
                  *ahead("car", 20.0, 5.0)),
        longitudinal_action=SimpleNamespace(name="DECELERATE"),
        lateral_action=SimpleNamespace(name="KEEP_LANE"),
    )
    safety: Any = SimpleNamespace(level=Level.NOMINAL)
    for k in range(6):
        truth = replace(with_things(thing(20.0, 0.0, 7.0 - 0.4 * k)), time_s=3.0 + 0.1 * k)
        examiner.hear(world(), truth, plan if k == 5 else None, safety)
    assert [r.true for r in examiner.reasons] == [True]


def test_a_free_way_holds_nothing_near() -> None:
    assert holds(Cause.FREE)
    assert holds(Cause.FREE, truth=with_things(thing(60.0, 0.0, 5.0)))
    assert not holds(Cause.FREE, truth=with_things(thing(15.0, 0.0, 5.0)))


@pytest.mark.parametrize(
    ("side", "radius", "true"),
    [("left", 50.0, True), ("left", 70.0, True), ("left", 20.0, False), ("right", 50.0, False)],
)
def test_a_bend_bends_that_way_as_sharply(side: str, radius: float, true: bool) -> None:
    curvature = np.where(TRUTH.path_s > 20.0, 0.02, 0.0)
    told = Evidence(f"{side} bend", "radius", radius, "m")
    assert holds(Cause.BEND, told, truth=replace(TRUTH, path_curvature=curvature)) is true
    assert not holds(Cause.BEND, told)


def test_other_causes() -> None:
    assert holds(Cause.ROUTE_END, truth=replace(TRUTH, distance_to_goal=30.0))
    assert not holds(Cause.ROUTE_END)
    assert holds(Cause.INSTRUCTION, command=object())
    assert not holds(Cause.INSTRUCTION)
    assert not holds(Cause.SIGNAL)
    assert not holds(Cause.JUNCTION)
    assert holds(Cause.JUNCTION, truth=replace(TRUTH, station=60.0))
    at_limit = Evidence("plan", "speed in 3 s", 11.5, "m/s")
    assert holds(Cause.SPEED_LIMIT, at_limit)
    assert not holds(Cause.SPEED_LIMIT, replace(at_limit, value=6.0))


def test_what_the_monitor_changes_is_not_the_models_reason() -> None:
    examiner = Examiner()
    plan: Any = SimpleNamespace(evidence=(Evidence("cause", "class", 0.0, "1"),))
    safety: Any = SimpleNamespace(level=Level.DEGRADED)
    examiner.hear(world(), TRUTH, plan, safety)
    assert not examiner.reasons


@pytest.mark.parametrize(
    ("longitudinal", "lateral", "speed", "aside", "consistent"),
    [
        ("CRUISE", "KEEP_LANE", 0.0, 0.0, True), ("CRUISE", "KEEP_LANE", 1.0, 0.0, False),
        ("ACCELERATE", "KEEP_LANE", 0.5, 0.0, True), ("ACCELERATE", "KEEP_LANE", 0.0, 0.0, False),
        ("DECELERATE", "KEEP_LANE", -0.5, 0.0, True), ("STOP", "KEEP_LANE", -0.5, 0.0, True),
        ("STOP", "KEEP_LANE", 0.0, 0.0, False), ("WAIT", "KEEP_LANE", 0.0, 0.0, False),
        ("CRUISE", "CHANGE_LEFT", 0.0, 0.4, True), ("CRUISE", "CHANGE_RIGHT", 0.0, 0.4, False),
        ("CRUISE", "CHANGE_RIGHT", 0.0, -0.4, True), ("CRUISE", "KEEP_LANE", 0.0, 0.8, False),
        ("CRUISE", "TURN_LEFT", 0.0, 0.0, False),
    ],
)
def test_the_motion_that_follows(
    longitudinal: str, lateral: str, speed: float, aside: float, consistent: bool
) -> None:
    driven = track(9.0, 10.0)
    driven.speed = [10.0 + speed * t for t in driven.time]
    driven.left = [aside * t for t in driven.time]
    reason = Reason(2.0, "free", True, longitudinal, lateral)
    judge_motion([reason], driven)
    assert reason.consistent is consistent


@pytest.mark.parametrize(
    ("begins_s", "consistent"), [(0.0, True), (5.0, True), (7.0, False)],
    ids=["at once", "at the end of the plan", "behind it"],
)
def test_a_turn_may_come_where_the_plan_ends(begins_s: float, consistent: bool) -> None:
    driven = track(12.0, 10.0)
    driven.heading = [max(0.0, t - 2.0 - begins_s) * 0.1 for t in driven.time]
    reason = Reason(2.0, "junction", True, "CRUISE", "TURN_LEFT")
    judge_motion([reason], driven)
    assert reason.consistent is consistent


def test_a_turn_that_the_end_of_the_drive_hides_tells_nothing() -> None:
    reason = Reason(4.0, "junction", True, "CRUISE", "TURN_LEFT")
    judge_motion([reason], track(8.0, 10.0))
    assert reason.consistent is None


def test_the_end_of_a_drive_tells_nothing() -> None:
    reason = Reason(6.0, "free", True, "CRUISE", "KEEP_LANE")
    judge_motion([reason], track(8.0))
    assert reason.consistent is None


def test_figures_count_what_could_be_told() -> None:
    rows = [{"reasons": [
        {"cause": "free", "true": True, "consistent": True},
        {"cause": "free", "true": True, "consistent": None},
        {"cause": "bend", "true": False, "consistent": False},
    ]}]
    found = figures(rows)
    assert found["true"] == pytest.approx(2 / 3, abs=1e-4) and found["consistent"] == 0.5
    assert found["by_cause"]["bend"] == {"reasons": 1, "true": 0.0, "consistent": 0.0}
    assert figures([])["true"] is None
