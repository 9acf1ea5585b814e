"""Each check of the state at its limit, just beyond it, and in words."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from drive import RATES, SETTINGS, START, STATE, VEHICLE, constant, plan_of, signed_plan

from vla_driving.contract.checksum import signed
from vla_driving.contract.clock import nanoseconds
from vla_driving.contract.frames import CameraHealth, CameraReport, FrameStatus
from vla_driving.contract.navigation import Route, Turn
from vla_driving.contract.supervision import Heartbeat, Level, Verdict
from vla_driving.contract.vehicle import DriverState, Gear
from vla_driving.safety.checks import STATE_CHECKS
from vla_driving.safety.checks.table import Limits, Measured, Situation, fails, line
from vla_driving.safety.intake import Intake
from vla_driving.safety.judge import Outcome, StateJudge

LIMITS = Limits(SETTINGS, VEHICLE)
ROWS = {check.name: check for check in STATE_CHECKS}
FOLLOWING, INPUTS, WORLD = SETTINGS.following, SETTINGS.inputs, SETTINGS.world
PASS, WARN, FAIL = Verdict.PASS, Verdict.WARN, Verdict.FAIL
NEVER, STALE, INVALID = Verdict.NOT_INITIALISED, Verdict.STALE, Verdict.INVALID
CAR = replace(STATE, speed=10.0, wheel_speed=10.0, standstill=False)


def near(value: float, **how: Any) -> Any:
    """`pytest.approx`, which compares with anything."""
    return pytest.approx(value, **how)


def situation(**changes: Any) -> Situation:
    intake = changes.pop("intake", None) or Intake(INPUTS, RATES, True)
    return Situation(**{
        "now_ns": START, "limits": LIMITS, "intake": intake, "state": CAR, "speed_limit": 25.0,
    } | changes)


def outcome(name: str, lasting: bool = True, **changes: Any) -> Outcome:
    """What a check says; `lasting`: after it has been so for a minute."""
    judge = StateJudge((ROWS[name],), LIMITS)
    at = situation(**changes)
    if lasting:
        judge.outcomes(replace(at, now_ns=at.now_ns - nanoseconds(60.0)))
    (found,) = judge.outcomes(at)
    return found


def state(**changes: Any) -> dict[str, Any]:
    return {"state": replace(CAR, **changes)}


FASTEST = VEHICLE.max_speed + WORLD.speed_tolerance
LATERAL = FOLLOWING.excess_factor * VEHICLE.max_lateral_acceleration
PULL = FOLLOWING.excess_factor * VEHICLE.max_acceleration
BRAKE = FOLLOWING.excess_factor * VEHICLE.max_deceleration


@pytest.mark.parametrize(
    ("name", "changes", "value", "verdict"),
    [
        ("operating_speed", state(speed=FASTEST), FASTEST, PASS),
        ("operating_speed", state(speed=FASTEST + 0.01), FASTEST + 0.01, FAIL),
        ("operating_speed", state(speed=-FASTEST - 0.01), FASTEST + 0.01, FAIL),
        ("gear", {}, 4.0, PASS),
        ("gear", state(gear=Gear.REVERSE), 2.0, FAIL),
        ("gear", state(gear=77), 77.0, FAIL),
        ("vehicle_faults", {}, 0.0, PASS),
        ("vehicle_faults", state(faults=("a", "b")), 2.0, FAIL),
        ("path_deviation", {"path_deviation": FOLLOWING.max_path_deviation},
         FOLLOWING.max_path_deviation, PASS),
        ("path_deviation", {"path_deviation": 1.01}, 1.01, FAIL),
        ("speed_excess", {"speed_excess": FOLLOWING.max_speed_excess},
         FOLLOWING.max_speed_excess, PASS),
        ("speed_excess", {"speed_excess": 2.01}, 2.01, FAIL),
        ("speed_cap", {"above_cap": 2.0}, 2.0, PASS),
        ("speed_cap", {"above_cap": 2.01}, 2.01, FAIL),
        ("lateral_motion", state(lateral_acceleration=LATERAL + 1, yaw_rate=LATERAL / 10.0),
         LATERAL, PASS),
        ("lateral_motion", state(lateral_acceleration=-LATERAL - 0.1, yaw_rate=9.0),
         LATERAL + 0.1, FAIL),
        ("lateral_motion", state(lateral_acceleration=50.0, yaw_rate=-0.7), 7.0, FAIL),
        ("longitudinal_motion", state(acceleration=PULL), PULL, PASS),
        ("longitudinal_motion", state(acceleration=PULL + 0.01), PULL + 0.01, FAIL),
        ("longitudinal_motion", state(acceleration=-BRAKE), BRAKE, PASS),
        ("longitudinal_motion", state(acceleration=-BRAKE - 0.01), BRAKE + 0.01, FAIL),
        ("driver_lock_out", {"hand_overs": 2}, 2.0, PASS),
        ("driver_lock_out", {"hand_overs": 3}, 3.0, FAIL),
        ("clock", {"clock_error_s": 0.5}, 0.5, PASS),
        ("clock", {"clock_error_s": 0.51}, 0.51, FAIL),
        ("clock", {"clock_error_s": -0.01}, -0.01, FAIL),
        ("monitor", {}, 0.0, PASS),
        ("monitor", {"monitor_error": "broken"}, 1.0, FAIL),
        ("speed_limit", {"speed_limit": 10.0 - WORLD.speed_tolerance}, 10.0, PASS),
        ("speed_limit", {"speed_limit": 9.99 - WORLD.speed_tolerance}, 10.0, FAIL),
        ("publishers", {"publishers": ("vla/plan", 1)}, 1.0, PASS),
        ("publishers", {"publishers": ("vla/plan", 2)}, 2.0, FAIL),
        ("scene_agreement", {"unseen_m": None}, math.inf, PASS),
        ("scene_agreement", {"unseen_m": 30.0}, 30.0, PASS),
        ("scene_agreement", {"unseen_m": 29.9}, 29.9, FAIL),
        ("sensor_agreement", {"unlisted_m": None}, math.inf, PASS),
        ("sensor_agreement", {"unlisted_m": 29.9}, 29.9, FAIL),
        ("scene_finite", {"malformed_scene": 0}, 0.0, PASS),
        ("scene_finite", {"malformed_scene": 1}, 1.0, FAIL),
        ("objects_finite", {"malformed_objects": 0}, 0.0, PASS),
        ("objects_finite", {"malformed_objects": 1}, 1.0, FAIL),
        ("plan_validity", {"approved_until_ns": START + nanoseconds(0.06)}, 0.06, PASS),
        ("plan_validity", {"approved_until_ns": START + nanoseconds(0.05)}, 0.05, FAIL),
        ("plan_validity", {}, 0.0, NEVER),
        ("plan_uncertainty", {}, 0.0, NEVER),
        ("plan_uncertainty", {"plan": signed_plan(plan_of((constant(1.0),)), uncertainty=2.0)},
         2.0, PASS),
        ("plan_uncertainty", {"plan": signed_plan(plan_of((constant(1.0),)), uncertainty=2.1)},
         2.1, FAIL),
    ],
)
def test_at_the_limit_it_passes_and_beyond_it_fails(
    name: str, changes: dict[str, Any], value: float, verdict: Verdict
) -> None:
    found = outcome(name, **changes)
    assert found.value == near(value)
    assert found.verdict == verdict
    assert found.counts == (verdict not in (PASS, WARN))
    assert found.reaction == (ROWS[name].reaction if found.counts else Level.NOMINAL)


@pytest.mark.parametrize(
    "name",
    ["operating_speed", "gear", "vehicle_faults", "lateral_motion", "longitudinal_motion",
     "speed_limit", "speed_sources"],
)
def test_before_the_vehicle_spoke_nothing_is_known(name: str) -> None:
    found = outcome(name, state=None)
    assert (found.value, found.verdict) == (0.0, NEVER)
    assert found.text() == "vehicle state has never come"


@pytest.mark.parametrize(
    ("apart", "verdict"), [(2.0, PASS), (-2.0, PASS), (2.01, FAIL), (-2.01, FAIL)]
)
def test_two_speeds_agree(apart: float, verdict: Verdict) -> None:
    found = outcome("speed_sources", **state(wheel_speed=10.0 + apart))
    assert found.verdict == verdict
    assert found.value == near(abs(apart))


@pytest.mark.parametrize(
    ("name", "changes", "text"),
    [
        ("gear", state(gear=Gear.PARK), "gear is PARK"),
        ("gear", state(gear=77), "gear is 77"),
        ("vehicle_faults", state(faults=("a", "b", "c", "d")), "the vehicle reports a, b, c"),
        ("vehicle_faults", state(faults=("x" * 500,)), f"the vehicle reports {'x' * 120}"),
        ("monitor", {"monitor_error": "it broke"}, "it broke"),
        ("publishers", {"publishers": ("vla/plan", 2)}, "vla/plan has 2 publishers (limit 1)"),
        ("clock", {"clock_error_s": -2.0}, "the clock ran back: -2.00 s (limit 0.5 s)"),
        ("plan_validity", {}, "no plan has been approved yet"),
        ("plan_uncertainty", {}, "plan has never come"),
    ],
)
def test_words(name: str, changes: dict[str, Any], text: str) -> None:
    assert outcome(name, **changes).text() == text


@pytest.mark.parametrize("speed", [0.0, 4.0, 10.0])
def test_disagreement_matters_within_a_comfortable_stop(speed: float) -> None:
    stop = min(WORLD.max_unseen, speed + speed**2 / (2.0 * VEHICLE.comfort_deceleration))
    for name, field in (("scene_agreement", "unseen_m"), ("sensor_agreement", "unlisted_m")):
        close: dict[str, Any] = {field: stop - 0.01}
        found = outcome(name, **state(speed=speed), **close)
        assert found.limit == near(stop)
        assert found.verdict == FAIL
        far: dict[str, Any] = {field: stop + 0.01}
        assert outcome(name, **state(speed=speed), **far).verdict == PASS
        assert outcome(name, state=None, **far).verdict == PASS
        assert outcome(name, state=None, **{**far, field: 0.0}).verdict == PASS


# -- the driver --------------------------------------------------------------------------------


def watched(driver: DriverState | None, requirement: str = "L2") -> dict[str, Any]:
    intake = Intake(INPUTS, RATES, True)
    if driver is not None:
        assert intake.driver_state.take((signed(driver),), START)
    asked = replace(SETTINGS.driver, requirement=requirement)
    return {"intake": intake, "limits": Limits(replace(SETTINGS, driver=asked), VEHICLE)}


def away(eyes: float = 0.0, hands: float = 0.0, present: bool = True) -> DriverState:
    return DriverState(START, present, eyes == 0.0, hands == 0.0, eyes, hands, 1)


@pytest.mark.parametrize(
    ("name", "driver", "value", "verdict"),
    [
        ("driver_present", away(), 1.0, PASS),
        ("driver_present", away(present=False), 0.0, FAIL),
        ("driver_eyes", away(), 0.0, PASS),
        ("driver_eyes", away(eyes=3.0), 3.0, PASS),
        ("driver_eyes", away(eyes=3.1), 3.1, WARN),
        ("driver_eyes", away(eyes=11.0), 11.0, WARN),
        ("driver_eyes", away(eyes=11.1), 11.1, FAIL),
        ("driver_hands", away(), 0.0, PASS),
        ("driver_hands", away(hands=15.0), 15.0, PASS),
        ("driver_hands", away(hands=15.1), 15.1, WARN),
        ("driver_hands", away(hands=30.0), 30.0, WARN),
        ("driver_hands", away(hands=30.1), 30.1, FAIL),
        ("driver_eyes", replace(away(), eyes_off_duration_s=99.0), 0.0, PASS),
        ("driver_hands", replace(away(), hands_off_duration_s=99.0), 0.0, PASS),
    ],
)
def test_the_driver_is_watched(
    name: str, driver: DriverState, value: float, verdict: Verdict
) -> None:
    found = outcome(name, **watched(driver))
    assert (found.value, found.verdict) == (near(value, rel=1e-6), verdict)


@pytest.mark.parametrize("name", ["driver_present", "driver_eyes", "driver_hands"])
def test_a_driver_who_never_spoke_and_one_who_is_not_needed(name: str) -> None:
    never = outcome(name, **watched(None))
    assert (never.value, never.verdict, never.text()) == (
        0.0, NEVER, "driver state has never come"
    )
    for driver in (None, away(99.0, 99.0, False)):
        spared = outcome(name, **watched(driver, "L4"))
        assert (spared.value, spared.verdict, spared.says) == (0.0, PASS, "no driver is needed")


# -- the route ---------------------------------------------------------------------------------


def on_route(turn: Turn, goal: float, age_s: float = 0.0) -> dict[str, Any]:
    intake = Intake(INPUTS, RATES, True)
    none = np.zeros(0, np.float32)
    route = Route(START - nanoseconds(age_s), none, none, turn, 0.0, goal, 0.0, 1)
    assert intake.route.take((signed(route),), START)
    return {"intake": intake}


def test_the_end_of_the_route() -> None:
    assert outcome("route_end", **on_route(Turn.ARRIVE, 2.0)).verdict == PASS
    assert outcome("route_end", **on_route(Turn.ARRIVE, 1.9)).verdict == FAIL
    for spared in (on_route(Turn.LEFT, 0.0), on_route(Turn.ARRIVE, 0.0, 3.1), {}):
        found = outcome("route_end", lasting=False, **spared)
        assert (found.value, found.verdict, found.says) == (math.inf, PASS, "the route goes on")


def test_off_the_route() -> None:
    route = on_route(Turn.NONE, 100.0)
    assert outcome("route_deviation", **route, route_deviation=20.0).verdict == PASS
    assert outcome("route_deviation", **route, route_deviation=20.1).verdict == FAIL
    for spared in (on_route(Turn.NONE, 100.0, 3.1), {}):
        found = outcome("route_deviation", lasting=False, **spared, route_deviation=99.0)
        assert (found.value, found.verdict, found.says) == (0.0, PASS, "no route to be off")


# -- cameras and signs of life -----------------------------------------------------------------


def seen(*reports: CameraReport) -> dict[str, Any]:
    intake = Intake(INPUTS, RATES, True)
    assert intake.frames.take((signed(CameraHealth(START, 1, "m/1", reports)),), START)
    return {"intake": intake, "cameras": ("front", "left")}


def camera(status: Any, name: str = "front") -> CameraReport:
    return CameraReport(name, START, status, 0.31, 0.2)


@pytest.mark.parametrize(
    ("status", "check", "words"),
    [
        (FrameStatus.STALE, "camera_late", "stale for 0.31 s"),
        (FrameStatus.MISSING, "camera_late", "missing for 0.31 s"),
        (FrameStatus.FROZEN, "camera_health", "frozen for 0.31 s"),
        (FrameStatus.COVERED, "camera_health", "covered, contrast 0.31"),
        (FrameStatus.DARK, "light", "dark, brightness 0.31"),
        (FrameStatus.OVEREXPOSED, "light", "overexposed, brightness 0.31"),
        (FrameStatus.BLURRED, "visibility", "blurred, sharpness 0.31"),
        (99, "camera_health", "in the unknown state 99"),
    ],
)
def test_what_is_wrong_with_a_camera_is_said_by_one_check(
    status: Any, check: str, words: str
) -> None:
    both = seen(camera(FrameStatus.OK, "left"), camera(status))
    for name in ("camera_health", "camera_late", "light", "visibility"):
        found = outcome(name, **both)
        if name != check:
            assert (found.verdict, found.value) == (PASS, 0.0)
            continue
        assert (found.verdict, found.value, found.limit) == (
            FAIL, near(0.31), near(0.2)
        )
        assert found.text().startswith(f"front camera {words}")


@pytest.mark.parametrize("status", [FrameStatus.STALE, FrameStatus.MISSING])
@pytest.mark.parametrize(
    ("lost", "check"),
    [((), "camera_late"), (("left",), "camera_late"), (("front",), "camera_health")],
)
def test_a_camera_is_late_until_it_is_lost(
    status: FrameStatus, lost: tuple[str, ...], check: str
) -> None:
    both = seen(camera(FrameStatus.OK, "left"), camera(status)) | {"lost": frozenset(lost)}
    assert outcome(check, **both).counts
    other = {"camera_late": "camera_health", "camera_health": "camera_late"}[check]
    assert outcome(other, **both).verdict == PASS


@pytest.mark.parametrize(
    "name", ["camera_health", "camera_late", "light", "visibility", "camera_set"]
)
def test_without_camera_health_no_camera_is_judged(name: str) -> None:
    found = outcome(name)
    assert (found.value, found.verdict) == (0.0, PASS)
    assert found.says == "camera health does not reach the monitor"


@pytest.mark.parametrize(
    ("names", "own", "value", "verdict"),
    [
        (("front", "left"), ("front", "left"), 0.0, PASS),
        (("front",), ("front", "left"), 0.0, PASS),
        (("front", "rear"), ("front", "left"), 1.0, FAIL),
        (("front", "front"), ("front", "left"), 1.0, FAIL),
        (("a", "b", "c"), ("front", "left"), 3.0, FAIL),
        ((), ("front", "left"), 1.0, FAIL),
        (("rear",), (), 0.0, PASS),
    ],
)
def test_the_set_of_cameras_is_this_cars(
    names: tuple[str, ...], own: tuple[str, ...], value: float, verdict: Verdict
) -> None:
    health = seen(*(camera(FrameStatus.OK, name) for name in names))
    found = outcome("camera_set", **health | {"cameras": own})
    assert (found.value, found.verdict) == (value, verdict)
    if verdict == FAIL:
        listed = ", ".join(names) or "empty"
        assert found.text() == f"the camera set is {listed}, this car has front, left"


def test_the_line_of_a_long_set_is_cut() -> None:
    health = seen(*(camera(FrameStatus.OK, "x" * 90 + str(k)) for k in range(4)))
    assert len(outcome("camera_set", **health).text()) == 160


@pytest.mark.parametrize("node", ["camera_ingest", "vla_inference"])
def test_signs_of_life(node: str) -> None:
    silent = outcome(f"{node}_alive")
    assert (silent.value, silent.verdict) == (0.0, PASS)
    assert silent.says == f"{node} gives no sign of life"
    assert type(silent.value) is float
    for age, verdict in ((0.1, PASS), (0.101, STALE)):
        intake = Intake(INPUTS, RATES, True)
        intake.heartbeats.take([Heartbeat(START - nanoseconds(age), node)], START)
        found = outcome(f"{node}_alive", intake=intake)
        assert (found.value, found.verdict) == (near(age), verdict)
        assert found.limit == 0.1


# -- lines and limits --------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("value", "limit", "at_least", "bad"),
    [
        (1.0, 1.0, False, False), (1.1, 1.0, False, True), (1.0, 1.0, True, False),
        (0.9, 1.0, True, True), (math.nan, 1.0, False, True), (math.nan, 1.0, True, True),
    ],
)
def test_which_side_fails(value: float, limit: float, at_least: bool, bad: bool) -> None:
    assert fails(value, limit, at_least) == bad


@pytest.mark.parametrize(
    ("name", "value", "limit", "says", "text"),
    [
        ("operating_speed", 26.7, 26.5, None, "driving at 26.70 m/s (limit 26.5 m/s)"),
        ("plan_rate", 0.5, 0.6, None, "plans come at 0.50 of their rate (limit 0.6)"),
        ("plan_order", 6.0, 5.0, None,
         "6 of the last plans came out of order: two publishers? (limit 5)"),
        ("gear", 3.0, 4.0, "plain words", "plain words"),
    ],
)
def test_lines(name: str, value: float, limit: float, says: str | None, text: str) -> None:
    assert line(ROWS[name], value, limit, says) == text


# -- confirmation ------------------------------------------------------------------------------


def test_a_failure_counts_once_it_has_lasted() -> None:
    judge = StateJudge((ROWS["gear"],), LIMITS)
    bad = situation(**state(gear=Gear.PARK))
    confirm = nanoseconds(FOLLOWING.confirm)
    (first,) = judge.outcomes(bad)
    assert (first.verdict, first.counts, first.reaction) == (WARN, False, Level.NOMINAL)
    (almost,) = judge.outcomes(replace(bad, now_ns=START + confirm - 1))
    assert (almost.verdict, almost.counts) == (WARN, False)
    (lasting,) = judge.outcomes(replace(bad, now_ns=START + confirm))
    assert (lasting.verdict, lasting.counts) == (FAIL, True)
    judge.outcomes(replace(situation(), now_ns=START + confirm + 1))
    (again,) = judge.outcomes(replace(bad, now_ns=START + confirm + 2))
    assert again.verdict == WARN
    judge.outcomes(replace(bad, now_ns=START + 3 * confirm))
    judge.forget()
    (anew,) = judge.outcomes(replace(bad, now_ns=START + 4 * confirm))
    assert anew.verdict == WARN


def test_what_never_came_is_told_at_once_and_counts_once_it_has_lasted() -> None:
    judge = StateJudge((ROWS["gear"],), LIMITS)
    (first,) = judge.outcomes(situation(state=None))
    assert (first.verdict, first.counts) == (NEVER, False)


def test_a_broken_check_has_failed_and_says_so() -> None:
    def breaks(_: Situation) -> Any:
        raise RuntimeError("x" * 200)

    judge = StateJudge((replace(ROWS["clock"], measure=breaks),), LIMITS)
    (found,) = judge.outcomes(situation())
    assert (found.verdict, found.counts) == (FAIL, True)
    assert math.isnan(found.value)
    assert found.says == f"check clock is broken: RuntimeError: {'x' * 80}"


def test_results_say_nothing_of_what_passes() -> None:
    good, bad = outcome("clock").result(), outcome("clock", clock_error_s=0.7).result()
    assert (good.name, good.verdict, good.reaction) == ("clock", PASS, Level.NOMINAL)
    assert good.detail == ""
    assert (bad.value, bad.limit, bad.unit) == (0.7, 0.5, "s")
    assert (bad.reaction, bad.detail) == (
        Level.MINIMAL_RISK,
        "the clock jumped, or the monitor stood, for 0.70 s (limit 0.5 s)",
    )
    warned = outcome("gear", lasting=False, **state(gear=Gear.PARK)).result()
    assert (warned.reaction, warned.detail) == (Level.NOMINAL, "gear is PARK")


# -- topics: fresh, often enough, well formed, in order, complete ---------------------------------

PERIOD = nanoseconds(1.0 / RATES.vehicle_state)


def states(numbers: list[int], last_ago_s: float = 0.0, broken: int = 0) -> Intake:
    """Vehicle states with these numbers, a period apart, and some that do not fit after them."""
    intake = Intake(INPUTS, RATES, True)
    end = START - nanoseconds(last_ago_s)
    for k, number in enumerate(numbers):
        stamp = end - (len(numbers) - 1 - k) * PERIOD
        intake.vehicle_state.take((signed(replace(CAR, stamp_ns=stamp, sequence=number)),), START)
    for _ in range(broken):
        intake.vehicle_state.take((replace(CAR, stamp_ns=START, checksum=7),), START)
    return intake


def of(name: str, intake: Intake) -> Outcome:
    return outcome(f"vehicle_state_{name}", lasting=False, intake=intake)


@pytest.mark.parametrize(
    ("intake", "value", "verdict", "text"),
    [
        (states([]), 0.0, NEVER, "vehicle state has never come"),
        (states([], broken=2), 2.0, INVALID, "vehicle state is invalid: checksum 7 does not fit"),
        (states([1], 0.2), 0.2, PASS, "vehicle state is 0.20 s old (limit 0.2 s)"),
        (states([1], 0.21), 0.21, STALE, "vehicle state is 0.21 s old (limit 0.2 s)"),
        (states([1], 0.21, broken=1), 0.21, INVALID,
         "vehicle state is 0.21 s old, newer ones are invalid: checksum 7 does not fit "
         "(limit 0.2 s)"),
        (states([1], 0.1, broken=1), 0.1, PASS, "vehicle state is 0.10 s old (limit 0.2 s)"),
    ],
)
def test_freshness(intake: Intake, value: float, verdict: Verdict, text: str) -> None:
    found = of("freshness", intake)
    assert (found.value, found.verdict) == (near(value), verdict)
    assert found.text() == text


def test_what_need_not_come_is_not_missed() -> None:
    found = outcome("route_freshness", lasting=False)
    assert (found.value, found.verdict) == (0.0, PASS)
    assert found.says == "route has never come"


def test_the_rate_is_that_of_the_stamps() -> None:
    few = of("rate", states(list(range(9))))
    assert (few.value, few.verdict, few.says) == (
        1.0, PASS, "too few vehicle states yet for a rate"
    )
    full = of("rate", states(list(range(20))))
    assert (full.value, full.verdict) == (near(1.0), PASS)
    slow = Intake(INPUTS, RATES, True)
    for k in range(20):
        late = replace(CAR, stamp_ns=START + 2 * k * PERIOD, sequence=k)
        slow.vehicle_state.take((signed(late),), late.stamp_ns)
    found = of("rate", slow)
    assert (found.value, found.verdict) == (near(0.5), FAIL)
    assert found.text() == "vehicle states come at 0.50 of their rate (limit 0.6)"


@pytest.mark.parametrize(
    ("broken", "verdict"), [(0, PASS), (1, WARN), (5, WARN), (6, INVALID)]
)
def test_malformed_ones_are_counted(broken: int, verdict: Verdict) -> None:
    found = of("malformed", states([1, 2], broken=broken))
    assert (found.value, found.verdict) == (float(broken), verdict)
    assert found.limit == 5.0
    words = "are invalid: checksum 7 does not fit" if broken > 5 else "are invalid"
    assert found.text() == f"{broken} of the last vehicle states {words} (limit 5)"


def test_order_and_gaps_are_counted() -> None:
    steady = states([1, 2, 3])
    assert (of("order", steady).value, of("sequence", steady).value) == (0.0, 0.0)
    gaps = states([1, 3, 7])
    assert (of("order", gaps).value, of("sequence", gaps).value) == (0.0, 4.0)
    back = states([9, 1, 2, 2])
    assert (of("order", back).value, of("sequence", back).value) == (2.0, 0.0)
    assert of("order", states([9, 8, 7, 6, 5, 4, 3])).verdict == FAIL
    assert of("sequence", states([1, 30])).verdict == FAIL


def test_a_row_that_passed_is_made_again_only_when_what_it_reads_changes() -> None:
    made = []

    def counted(situation: Situation) -> Measured:
        made.append(situation.hand_overs)
        return Measured(float(situation.hand_overs))

    row = replace(
        ROWS["clock"], measure=counted, limit=lambda _: 1.0, reads=lambda s: s.hand_overs
    )
    judge, now = StateJudge((row,), LIMITS), situation()
    for hand_overs in (0, 0, 1, 1, 2, 2, 0, 0):
        now.hand_overs = hand_overs
        (found,) = judge.outcomes(now)
        assert found.value == hand_overs
        assert found.counts == (hand_overs > 1)
    # A row that fails is made in every step, since it is time that confirms it.
    assert made == [0, 1, 2, 2, 0]


@pytest.mark.parametrize("part", ["rate", "malformed", "order", "sequence"])
@pytest.mark.parametrize(
    "topic", ["vehicle_state", "plan", "objects", "route", "driver_state", "frames"]
)
def test_what_is_counted_of_a_topic_is_counted_anew_when_something_comes(
    topic: str, part: str
) -> None:
    reads, at = ROWS[f"{topic}_{part}"].reads, situation()
    assert reads is not None
    before = reads(at)
    assert reads(replace(at, now_ns=START + PERIOD, speed_limit=9.0)) == before
    getattr(at.intake, topic).refuse("junk")
    assert reads(at) != before


def test_a_row_whose_reading_breaks_is_made() -> None:
    def breaks(situation: Situation) -> object:
        raise RuntimeError("no")

    judge = StateJudge((replace(ROWS["clock"], reads=breaks),), LIMITS)
    for _ in range(2):
        assert judge.outcomes(situation())[0].verdict == Verdict.PASS
