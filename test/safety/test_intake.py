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
from vla_driving.contract.supervision import Heartbeat
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
    watch.take((at(1), replace(at(2), checksum=1), at(5), at(4)), now(5))
    assert (watch.malformed, watch.missing, watch.disordered) == (1, 3, 1)
    for k in range(6, 6 + WINDOW):
        watch.take((at(k),), now(k))
    assert (watch.malformed, watch.missing, watch.disordered) == (0, 0, 0)


def test_the_rate_is_that_of_the_last_window(intake: Intake) -> None:
    watch = intake.vehicle_state
    for k in (*range(0, 40, 4), *range(40, 40 + WINDOW)):
        watch.take((at(k),), now(k))
    assert watch.rate == pytest.approx(50.0)


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


# -- to the number -----------------------------------------------------------------------------


@pytest.mark.parametrize("driver_required", [True, False])
def test_every_topic_is_watched_with_its_own_limits(driver_required: bool) -> None:
    settings, intake = SETTINGS.inputs, Intake(SETTINGS.inputs, RATES, driver_required)
    rows = {
        name: (watch.title, watch.max_age_s, watch.rate_hz, watch.required)
        for name, watch in intake.by_field().items()
    }
    assert rows == {
        "vehicle_states": (
            "vehicle state", settings.vehicle_state_max_age, RATES.vehicle_state, True
        ),
        "plans": ("plan", settings.plan_max_age, RATES.plan, True),
        "objects": (
            "object list", settings.objects_max_age, RATES.objects, settings.objects_required
        ),
        "routes": ("route", settings.route_max_age, RATES.route, settings.route_required),
        "driver_states": (
            "driver state", settings.driver_state_max_age, RATES.driver_state, driver_required
        ),
        "frames": (
            "camera health", settings.frames_max_age, RATES.frames, settings.frames_required
        ),
    }
    assert all(watch.reason == "" for watch in intake.by_field().values())


@pytest.mark.parametrize("name", ["vehicle_states", "plans", "objects", "routes", "frames"])
def test_every_topic_may_be_as_far_ahead_as_is_tolerated(intake: Intake, name: str) -> None:
    points = np.zeros(2, np.float32)
    messages: dict[str, Any] = {
        "vehicle_states": at(0), "plans": plan_of((constant(5.0),)),
        "objects": signed(ObjectList(START, 1, "radar", ())),
        "routes": signed(Route(START, points, points, Turn.NONE, 10.0, 100.0, 13.9)),
        "frames": signed(CameraHealth(START, 1, "m/1", ())),
    }
    tolerance = nanoseconds(SETTINGS.inputs.future_tolerance)
    watch = intake.by_field()[name]
    assert watch.take((messages[name],), START - tolerance - nanoseconds(0.001)) == []
    ahead = SETTINGS.inputs.future_tolerance + 0.001
    assert watch.reason == f"stamp lies {ahead:.2f} s in the future"
    assert watch.take((messages[name],), START - tolerance) == [messages[name]]


def test_heartbeats_are_watched_with_the_same_tolerance(intake: Intake) -> None:
    tolerance = nanoseconds(SETTINGS.inputs.future_tolerance)
    early = Heartbeat(START + tolerance + 1000, "vla_inference")
    intake.heartbeats.take([early], START)
    assert intake.heartbeats.age_s("vla_inference", START) is None
    intake.heartbeats.take([replace(early, stamp_ns=START + tolerance)], START)
    assert intake.heartbeats.age_s("vla_inference", START) == pytest.approx(-0.05)


@pytest.mark.parametrize("field", ["speed", "steering_rate", "yaw_rate"])
@pytest.mark.parametrize("value", [100.0, -100.0])
def test_the_largest_value_is_believed(intake: Intake, field: str, value: float) -> None:
    changes: dict[str, Any] = {field: value}
    assert intake.vehicle_state.take((at(1, **changes),), now(1))


def test_the_most_absurd_number_is_named(intake: Intake) -> None:
    intake.vehicle_state.take((at(1, speed=101.0, yaw_rate=-300.0),), now(1))
    assert intake.vehicle_state.reason == "yaw rate -300 is absurd"


@pytest.mark.parametrize("held", [MAX_LISTED, MAX_LISTED + 1])
def test_a_list_of_the_longest_length_is_taken(intake: Intake, held: int) -> None:
    many = (car(9.0),) * held
    taken = intake.objects.take((signed(ObjectList(START, 1, "radar", many)),), START)
    assert bool(taken) == (held == MAX_LISTED)
    plan = signed_plan(plan_of((constant(5.0),)), objects=many)
    assert bool(intake.plan.take((plan,), START)) == (held == MAX_LISTED)
    if not taken:
        assert intake.plan.reason == f"{held} objects are more than {MAX_LISTED}"


def test_a_standstill_is_no_fault(intake: Intake) -> None:
    points = np.zeros(2, np.float32)
    route = signed(Route(START, points, points, Turn.NONE, 0.0, 0.0, 0.0))
    assert intake.route.take((route,), START) == [route]


@pytest.mark.parametrize("name", ["speed_limit", "distance_to_turn", "distance_to_goal"])
def test_each_number_of_a_route_is_finite(intake: Intake, name: str) -> None:
    points = np.zeros(2, np.float32)
    changes: dict[str, Any] = {name: math.inf}
    route = replace(Route(START, points, points, Turn.NONE, 9.0, 9.0, 9.0), **changes)
    assert intake.route.take((signed(route),), START) == []
    assert intake.route.reason == "a number is not finite"


def test_what_cannot_be_read_says_what_happened(intake: Intake) -> None:
    nothing: Any = None
    intake.plan.take((nothing,), START)
    assert intake.plan.reason.startswith("unreadable: KeyError: ")
    hollow: Any = replace(at(1), stamp_ns=nothing)
    intake.vehicle_state.take((hollow,), START)
    assert intake.vehicle_state.reason.startswith("unreadable: error: ")
    assert intake.vehicle_state.news() == (
        f"vehicle state refused: {intake.vehicle_state.reason}"
    )


def test_rate_needs_half_a_window_and_forgets_with_the_clock(intake: Intake) -> None:
    watch = intake.vehicle_state
    for k in range(WINDOW // 2 - 1):
        watch.take((at(2 * k),), now(2 * k))
    assert watch.rate is None
    watch.take((at(WINDOW - 2),), now(WINDOW - 2))
    assert watch.rate == pytest.approx(25.0)
    watch.forget()
    assert watch.rate is None
    assert (watch.disordered, watch.missing) == (0, 0)


def test_the_rate_starts_anew_after_more_than_the_longest_age(intake: Intake) -> None:
    watch = intake.vehicle_state
    longest = round(SETTINGS.inputs.vehicle_state_max_age / 0.02)
    stamps = [*range(10), 9 + longest]
    for k in stamps:
        watch.take((at(k),), now(k))
    assert watch.rate == pytest.approx(10.0 / (0.02 * (9 + longest)))
    last = 9 + 2 * longest + 1
    watch.take((at(last),), now(last))
    assert watch.rate is None
    for k in range(1, 10):
        watch.take((at(last + k),), now(last + k))
    assert watch.rate == pytest.approx(50.0)


def test_a_number_less_message_has_no_gaps() -> None:
    """A number is counted from the one before it, whatever came between."""
    intake = Intake(SETTINGS.inputs, RATES, True)
    watch = intake.vehicle_state
    watch.take((at(3), at(4)), now(4))
    assert (watch.missing, watch.disordered) == (0, 0)
    watch.take((signed_state(STATE, stamp_ns=now(5), sequence=4),), now(5))
    assert (watch.missing, watch.disordered) == (0, 1)
    watch.take((signed_state(STATE, stamp_ns=now(6), sequence=6),), now(6))
    assert (watch.missing, watch.disordered) == (1, 1)
    # An old one changes neither the number nor the state that hold.
    watch.take((signed_state(STATE, stamp_ns=now(1), sequence=90),), now(6))
    assert (watch.missing, watch.disordered) == (1, 2)
    watch.take((signed_state(STATE, stamp_ns=now(7), sequence=7),), now(7))
    assert (watch.missing, watch.disordered) == (1, 2)


def test_the_version_changes_with_all_that_comes(intake: Intake) -> None:
    watch, seen = intake.vehicle_state, [intake.vehicle_state.version]
    for come in (
        lambda: watch.take((at(1),), now(1)),
        lambda: watch.refuse("broken"),
        lambda: watch.take((at(1),), now(1)),
        lambda: watch.take((replace(at(2), checksum=1),), now(2)),
        watch.forget,
    ):
        come()
        seen.append(watch.version)
    assert seen == sorted(set(seen))
    watch.take((), now(3))
    assert watch.version == seen[-1]


def test_reasons_and_lists_of_what_was_malformed_are_cut(intake: Intake) -> None:
    many = (("plans", "old"), *((("routes", "y" * 500),) * MAX_MESSAGES_PER_STEP))
    intake.refuse(many)
    assert intake.plan.malformed == 0
    assert intake.route.malformed == MAX_MESSAGES_PER_STEP
    assert intake.route.reason == "y" * 160
    assert intake.route.news() == "route refused: " + "y" * 160
    number: Any = 7
    intake.refuse((("frames", number),))
    assert intake.frames.reason == "7"


def test_the_first_piece_of_news_is_told(intake: Intake) -> None:
    watch = intake.vehicle_state
    watch.take((at(5), at(5), replace(at(6), checksum=1)), now(6))
    assert watch.news() == "vehicle state out of order: an older stamp"
    watch.take((replace(at(6), checksum=1), at(5)), now(6))
    assert watch.news() == "vehicle state refused: checksum 1 does not fit"
    restarted = signed_state(STATE, stamp_ns=now(7), sequence=1)
    watch.take((restarted,), now(7))
    assert watch.news() == "vehicle state out of order: its number runs back"


def test_freshness_holds_to_the_longest_age(intake: Intake) -> None:
    watch = intake.vehicle_state
    watch.take((at(0),), now(0))
    longest = nanoseconds(SETTINGS.inputs.vehicle_state_max_age)
    assert watch.fresh(START + longest) is not None
    assert watch.fresh(START + longest + 1000) is None
