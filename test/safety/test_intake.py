"""Intake: what is refused, counted and kept, and why."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from drive import (
    RATES,
    SETTINGS,
    START,
    STATE,
    STEP,
    car,
    constant,
    plan_of,
    signed_plan,
    signed_state,
)

from vla_driving.contract.checksum import signed
from vla_driving.contract.clock import Nanoseconds, nanoseconds
from vla_driving.contract.frames import CameraHealth, CameraReport, FrameStatus
from vla_driving.contract.navigation import Route, Turn
from vla_driving.contract.scene import ObjectList
from vla_driving.contract.vehicle import DriverState, VehicleState
from vla_driving.safety.intake import MAX_LISTED, MAX_MESSAGES_PER_STEP, WINDOW, Intake

pytestmark = pytest.mark.requirement("SR-10")


@pytest.fixture
def intake() -> Intake:
    return Intake(SETTINGS.inputs, RATES, driver_required=True)


def at(k: int, **changes: object) -> VehicleState:
    return signed_state(STATE, stamp_ns=START + k * STEP, sequence=k, **changes)


def now(k: int) -> Nanoseconds:
    return START + k * STEP


def test_good_messages_are_taken_in_order(intake: Intake) -> None:
    taken = intake.vehicle_state.take((at(1), at(2)), now(2))
    assert [state.sequence for state in taken] == [1, 2]
    assert intake.vehicle_state.fresh(now(2)) is taken[1]
    assert intake.vehicle_state.age_s(now(7)) == pytest.approx(0.1)
    assert intake.vehicle_state.fresh(now(13)) is None


def test_before_anything_came(intake: Intake) -> None:
    watch = intake.vehicle_state
    assert watch.age_s(START) == math.inf
    assert watch.rate is None
    assert (watch.malformed, watch.disordered, watch.missing) == (0, 0, 0)
    assert not watch.last_malformed


@pytest.mark.parametrize(
    ("broken", "reason"),
    [
        (replace(at(2), checksum=7), "checksum 7 does not fit"),
        (signed_state(at(2), speed=math.nan), "a number is not finite"),
        (signed_state(at(2), speed=150.0), "speed 150 is absurd"),
        (signed_state(at(2), speed=-100.1), "speed -100.1 is absurd"),
        (signed_state(at(2), wheel_speed=101.0), "wheel speed 101 is absurd"),
        (signed_state(at(2), acceleration=-200.0), "acceleration -200 is absurd"),
        (signed_state(at(2), lateral_acceleration=1e9), "lateral acceleration 1e+09 is absurd"),
        (signed_state(at(2), yaw_rate=1e300), "yaw rate 1e+300 is absurd"),
        (signed_state(at(2), steering_angle=-1e30), "steering angle -1e+30 is absurd"),
        (signed_state(at(2), steering_rate=100.5), "steering rate 100.5 is absurd"),
        (signed_state(at(2), stamp_ns=now(2) + nanoseconds(0.2)), "0.20 s in the future"),
        ("not a state at all", "unreadable: KeyError"),
    ],
)
def test_a_malformed_state_leaves_the_one_before(
    intake: Intake, broken: VehicleState, reason: str
) -> None:
    intake.vehicle_state.take((at(1),), now(1))
    assert intake.vehicle_state.take((broken,), now(2)) == []
    assert intake.vehicle_state.newest == at(1)
    assert intake.vehicle_state.malformed == 1
    assert intake.vehicle_state.last_malformed
    assert reason in intake.vehicle_state.reason
    intake.vehicle_state.take((at(3),), now(3))
    assert not intake.vehicle_state.last_malformed


def test_old_and_repeated_messages_are_refused_and_counted(intake: Intake) -> None:
    watch = intake.vehicle_state
    watch.take((at(5),), now(5))
    assert watch.take((at(5), at(4)), now(6)) == []
    assert watch.disordered == 2
    assert watch.reason == "an older stamp"


def test_a_restarted_publisher_is_believed_but_counted(intake: Intake) -> None:
    watch = intake.vehicle_state
    watch.take((at(500),), now(500))
    restarted = signed_state(STATE, stamp_ns=now(501), sequence=1)
    assert watch.take((restarted,), now(501)) == [restarted]
    assert watch.disordered == 1
    assert watch.reason == "its number runs back"


def test_two_publishers_show_as_disorder(intake: Intake) -> None:
    watch = intake.vehicle_state
    for k in range(1, 13):
        watch.take((signed_state(STATE, stamp_ns=now(k), sequence=k + 900 * (k % 2)),), now(k))
    assert watch.disordered > SETTINGS.inputs.max_wrong


def test_missing_numbers_are_counted(intake: Intake) -> None:
    intake.vehicle_state.take((at(1), at(2), at(6)), now(6))
    assert intake.vehicle_state.missing == 3


def test_counts_forget_after_a_window(intake: Intake) -> None:
    watch = intake.vehicle_state
    watch.take((at(1), replace(at(2), checksum=1), at(5)), now(5))
    for k in range(6, 6 + WINDOW):
        watch.take((at(k),), now(k))
    assert (watch.malformed, watch.missing) == (0, 0)


def test_rate_is_measured_by_stamps_and_starts_anew_after_an_outage(intake: Intake) -> None:
    watch = intake.vehicle_state
    for k in range(1, WINDOW + 1):
        watch.take((at(k),), now(k))
    assert watch.rate == pytest.approx(50.0)
    watch.take((at(100),), now(100))
    assert watch.rate is None


def test_a_flood_is_cut(intake: Intake) -> None:
    flood = tuple(at(k) for k in range(1, 1000))
    taken = intake.vehicle_state.take(flood, now(1000))
    assert [state.sequence for state in taken] == list(range(1000 - MAX_MESSAGES_PER_STEP, 1000))


def test_forget(intake: Intake) -> None:
    intake.vehicle_state.take((at(1), replace(at(2), checksum=1)), now(2))
    intake.vehicle_state.forget()
    assert intake.vehicle_state.newest is None
    assert intake.vehicle_state.malformed == 0
    assert intake.vehicle_state.take((at(0),), now(0)) == [at(0)]


def test_plans(intake: Intake) -> None:
    plan = plan_of((constant(5.0),))
    assert intake.plan.take((plan,), START) == [plan]
    wrong = (
        (signed_plan(plan, candidates=()), "it holds no candidate"),
        (signed_plan(plan, objects=(car(9.0),) * (MAX_LISTED + 1)), "objects are more than"),
        (replace(plan, checksum=0), "checksum 0 does not fit"),
        (signed_plan(plan, lateral_action=200), "its action 200, 0 is unknown"),
        (signed_plan(plan, longitudinal_action=9), "its action 0, 9 is unknown"),
    )
    for broken, reason in wrong:
        assert intake.plan.take((broken,), START) == []
        assert reason in intake.plan.reason


def test_other_topics(intake: Intake) -> None:
    points = np.zeros(2, np.float32)
    route = signed(Route(START, points, points, Turn.NONE, 10.0, 100.0, 13.9))
    driver = signed(DriverState(START, True, True, True, 0.0, 0.0))
    objects = signed(ObjectList(START, 1, "radar", (car(9.0),)))
    assert intake.route.take((route,), START)
    assert intake.driver_state.take((driver,), START)
    assert intake.objects.take((objects,), START)
    later = START + STEP
    backwards = signed(replace(route, stamp_ns=later, speed_limit=-1.0))
    assert not intake.route.take((backwards,), later)
    assert intake.route.reason == "speed limit -1.0 m/s is negative"
    lost = signed(replace(route, stamp_ns=later, distance_to_goal=math.nan))
    assert not intake.route.take((lost,), later)
    assert intake.route.reason == "a number is not finite"
    for seconds, reason in ((math.inf, "a number is not finite"), (-1.0, "a duration is negative")):
        for name in ("eyes_off_duration_s", "hands_off_duration_s"):
            changes: dict[str, Any] = {name: seconds}
            wrong = signed(replace(driver, stamp_ns=later, **changes))
            assert not intake.driver_state.take((wrong,), later)
            assert intake.driver_state.reason == reason
    many = (car(9.0),) * (MAX_LISTED + 1)
    flood = signed(replace(objects, stamp_ns=later, sequence=2, objects=many))
    assert not intake.objects.take((flood,), later)
    assert intake.objects.reason == f"{MAX_LISTED + 1} objects are more than {MAX_LISTED}"


@pytest.mark.parametrize("field", ["route", "driver_state", "objects", "frames"])
@pytest.mark.requirement("SR-13")
def test_what_does_not_carry_its_checksum_is_refused(intake: Intake, field: str) -> None:
    points = np.zeros(2, np.float32)
    frame = CameraReport("front", START, FrameStatus.OK, 0.0, 0.0, 10.0, 90.0, 0.0, 40.0, 9.0)
    message = {
        "route": Route(START, points, points, Turn.NONE, 10.0, 100.0, 13.9),
        "driver_state": DriverState(START, True, True, True, 0.0, 0.0),
        "objects": ObjectList(START, 1, "radar", (car(9.0),)),
        "frames": CameraHealth(START, 1, "m/1", (frame,)),
    }[field]
    watch = getattr(intake, field)
    assert watch.take((message,), START) == []
    assert watch.reason == "checksum 0 does not fit"
    assert watch.take((signed(message),), START) == [signed(message)] or watch.newest is not None


def test_a_refusal_is_news_once(intake: Intake) -> None:
    watch = intake.vehicle_state
    assert watch.news() is None
    watch.take((replace(at(1), checksum=1), replace(at(2), checksum=2)), now(2))
    assert watch.news() == "vehicle state refused: checksum 1 does not fit"
    assert watch.news() is None
    watch.take((at(3), at(2)), now(3))
    assert watch.news() == "vehicle state out of order: an older stamp"


def test_what_could_not_be_converted_counts_for_its_topic(intake: Intake) -> None:
    intake.refuse((("plans", "gear 9 is unknown"), ("nothing known", "x")))
    assert intake.plan.malformed == 1
    assert intake.plan.reason == "gear 9 is unknown"
    assert intake.vehicle_state.malformed == 0
