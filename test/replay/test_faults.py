"""The table of faults, what a run shows, and what its runs make of a fault."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from vla_driving.contract.checksum import checksum_of, signed
from vla_driving.contract.clock import SECOND
from vla_driving.contract.events import Severity
from vla_driving.contract.messages import MalformedMessage, from_message, to_message
from vla_driving.contract.plan import LateralAction, LongitudinalAction, Plan
from vla_driving.contract.scene import ObjectList
from vla_driving.contract.trajectory import POINTS, integrate
from vla_driving.contract.vehicle import CommandSource, ControlCommand, Gear, VehicleState
from vla_driving.replay.faults.alterations import (
    COMMANDS,
    OBJECT_LISTS,
    OVERSIZE,
    PLAN_MESSAGES,
    PLANS,
    TELEPORT_M,
    WRONG_SPEED,
    CameraAlteration,
    StateAlteration,
)
from vla_driving.replay.faults.evidence import (
    CapSeen,
    CommandSeen,
    EventSeen,
    Evidence,
    Injected,
    Run,
    StateSeen,
    measure,
)
from vla_driving.replay.faults.reference import faults_page
from vla_driving.replay.faults.table import (
    BY_NAME,
    FAULTS,
    PROCESSES,
    SAFE_COMMAND,
    Figure,
    Reaction,
    choose,
)
from vla_driving.replay.faults.verdict import figure_row, quantile, row, table

MS = SECOND // 1000
START = 1000 * SECOND
KILLED = BY_NAME["vla_inference is killed"]
BAD = BY_NAME["plan not a number"]
CAMERA_LOST = BY_NAME["camera lost"]
DEAD_BRIDGE = BY_NAME["controller_bridge is killed"]
RECORDER = BY_NAME["event_recorder is killed"]
DRIVING = CommandSeen(0, True, False, 0.5, 7, True)


def at(ms: float) -> int:
    return START + round(ms * MS)


def commands(until_ms: int, stops_ms: int | None = None, **changes: object) -> list[CommandSeen]:
    """Commands at 100 Hz from 100 ms before the fault; from `stops_ms` on those of a stop."""
    found = []
    for ms in range(-100, until_ms, 10):
        command = replace(DRIVING, at_ns=at(ms))
        if stops_ms is not None and ms >= stops_ms:
            braking = -0.02 * (ms - stops_ms + 10)
            command = replace(command, hazard_lights=True, acceleration=braking)
        if ms >= 0:
            command = replace(command, **changes)  # type: ignore[arg-type]
        found.append(command)
    return found


def alarm(ms: float, name: str, severity: Severity = Severity.ERROR) -> EventSeen:
    return EventSeen(at(ms), name, severity, name)


def braking(rest_ms: int, *faults: str) -> list[StateSeen]:
    """From 10 m/s to rest at an even deceleration, 50 Hz."""
    return [
        StateSeen(at(ms), max(0.0, 10.0 * (1.0 - ms / rest_ms)), faults if ms > 100 else ())
        for ms in range(0, rest_ms + 100, 20)
    ]


class TestTable:
    def test_names_are_unique_and_every_process_is_killed_stopped_and_delayed(self) -> None:
        assert len(BY_NAME) == len(FAULTS)
        for process in PROCESSES:
            assert {c.action for c in FAULTS if c.target == process} == {"kill", "stop", "pause"}

    def test_the_doer_is_one_process_but_where_its_own_nodes_are_hit(self) -> None:
        assert {c.target for c in FAULTS if c.apart} == {"camera_ingest", "vla_inference"}

    def test_figures_have_fifty_runs_and_the_limit_of_the_figure(self) -> None:
        for figure in Figure:
            rows = [c for c in FAULTS if c.figure == figure]
            assert sum(c.runs for c in rows) >= 50
            assert {c.limit_ms for c in rows} == {figure.limit_ms}

    def test_whoever_must_react_must_be_detected(self) -> None:
        for case in FAULTS:
            assert case.detected_as or case.reaction in (Reaction.NONE, Reaction.ENDURE)
            assert case.runs >= 3
        assert set(SAFE_COMMAND) == set(Reaction)

    def test_choice_is_by_words(self) -> None:
        assert choose(()) == FAULTS
        assert {c.name for c in choose(("killed",))} == {
            f"{process} is killed" for process in PROCESSES
        }
        with pytest.raises(ValueError, match="no fault has that in its name"):
            choose(("killed", "volcano"))

    def test_the_page_names_every_fault(self) -> None:
        page = faults_page()
        assert all(f"| {c.name} |" in page for c in FAULTS)


class TestMeasure:
    def test_a_stop_is_measured_from_the_fault_on(self) -> None:
        seen = Evidence(commands(3000, 120), [alarm(95, "vla_inference_alive")], braking(2000))
        run = measure(KILLED, seen, Injected(START), whole=True)
        assert run.problems == ()
        assert run.detected_as == "vla_inference_alive"
        assert (run.detection_ms, run.command_ms, run.stop_ms) == (95.0, 120.0, 120.0)
        assert run.standstill_m == pytest.approx(10.0, abs=0.1)

    def test_what_was_wrong_before_or_is_told_as_good_is_no_detection(self) -> None:
        events = [alarm(-50, "plan_rate"), alarm(40, "plan_rate", Severity.INFO)]
        run = measure(KILLED, Evidence(commands(500, 120), events, []), Injected(START), False)
        assert run.detection_ms is None
        assert run.problems == ("not detected as expected; seen: nothing",)

    def test_another_name_than_expected_is_told(self) -> None:
        seen = Evidence(commands(500, 120), [alarm(40, "red_light")], [])
        run = measure(KILLED, seen, Injected(START), False)
        assert run.problems == ("not detected as expected; seen: red_light",)
        assert run.first_alarm == "red_light"

    def test_no_stop_and_no_rest_are_problems(self) -> None:
        seen = Evidence(commands(500), [alarm(40, "vla_inference_alive")], braking(2000)[:10])
        run = measure(KILLED, seen, Injected(START), whole=True)
        assert run.problems == ("no safe command", "the car did not come to rest")

    def test_hazard_lights_alone_are_no_stop(self) -> None:
        seen = Evidence(
            commands(500, hazard_lights=True), [alarm(40, "vla_inference_alive")], []
        )
        assert measure(KILLED, seen, Injected(START), False).command_ms is None

    def test_a_refused_plan_needs_a_command_that_does_not_follow_it(self) -> None:
        seen = Evidence(commands(500), [alarm(5, "plan_finite")], [])
        run = measure(BAD, seen, Injected(START, frozenset({8})), False)
        assert (run.command_ms, run.stop_ms, run.problems) == (10.0, None, ())

    def test_a_bad_plan_that_is_followed_fails(self) -> None:
        seen = Evidence(commands(500, plan_sequence=8), [alarm(5, "plan_finite")], [])
        run = measure(BAD, seen, Injected(START, frozenset({8})), False)
        assert run.command_ms is None
        assert "50 commands followed a bad plan" in run.problems

    def test_commands_outside_the_actuators_range_fail(self) -> None:
        seen = Evidence(commands(100, sound=False), [alarm(5, "plan_finite")], [])
        run = measure(BAD, seen, Injected(START), False)
        assert any("outside the actuators' range" in p for p in run.problems)

    def test_the_vehicle_says_that_it_brakes_by_itself(self) -> None:
        seen = Evidence(commands(0), [], braking(2000, "command_timeout"))
        run = measure(DEAD_BRIDGE, seen, Injected(START), whole=True)
        assert (run.detection_ms, run.command_ms) == (120.0, 120.0)
        assert run.problems == ()

    def test_a_lost_camera_is_answered_by_the_first_ease_upon_a_falling_cap(self) -> None:
        eased = [
            replace(c, acceleration=0.5 - 0.001 * max(0.0, (c.at_ns - at(175)) / MS))
            for c in commands(1000, 400)
        ]
        caps = [CapSeen(at(ms), 12.0 - 0.02 * max(0, ms - 170)) for ms in range(-100, 1000, 20)]
        seen = Evidence(eased, [alarm(172, "camera_late", Severity.WARNING)], [], caps)
        run = measure(CAMERA_LOST, seen, Injected(START), whole=False)
        assert (run.detection_ms, run.command_ms, run.problems) == (172.0, 180.0, ())
        assert run.stop_ms == 400.0

    def test_a_cap_that_fell_before_the_detection_is_no_answer(self) -> None:
        caps = [CapSeen(at(ms), 12.0 if ms < 50 else 11.0) for ms in range(-100, 1000, 20)]
        seen = Evidence(commands(1000, 400), [alarm(172, "camera_late")], [], caps)
        assert measure(CAMERA_LOST, seen, Injected(START), whole=False).command_ms == 400.0

    def test_a_car_that_must_drive_on_must_not_be_stopped(self) -> None:
        fine = Evidence(commands(3000), [], [StateSeen(at(10), 9.0, ())])
        assert measure(RECORDER, fine, Injected(START), False).problems == ()
        stopped = Evidence(commands(3000, 200), [], [])
        assert measure(RECORDER, stopped, Injected(START), False).problems == (
            "the car was stopped",
        )


class TestVerdict:
    def test_a_row_has_the_fields_of_the_report_and_passes(self) -> None:
        runs = [Run(KILLED.name, "vla_inference_alive", 90.0 + k, 100.0 + k) for k in range(50)]
        entry = row(KILLED, runs, 1, 50)
        assert entry["pass"] and entry["runs"] == 50 and entry["repeated"] == 1
        assert entry["detected_as"] == "vla_inference_alive"
        assert entry["command_ms_p99"] == entry["command_ms_max"] == 149.0
        assert {"fault", "reaction", "detection_ms_p99", "standstill_m"} <= set(entry)

    def test_one_slow_run_or_one_problem_fails_it(self) -> None:
        good = Run(KILLED.name, "vla_inference_alive", 90.0, 100.0)
        assert row(KILLED, [good, good], 0, 2)["pass"]
        assert not row(KILLED, [good, replace(good, command_ms=151.0)], 0, 2)["pass"]
        assert not row(KILLED, [good, replace(good, problems=("no safe command",))], 0, 2)["pass"]

    def test_a_run_that_is_missing_fails_it(self) -> None:
        good = Run(KILLED.name, "vla_inference_alive", 90.0, 100.0)
        entry = row(KILLED, [good], 0, 2)
        assert (entry["runs"], entry["runs_wanted"], entry["pass"]) == (1, 2, False)
        assert not row(KILLED, [], 0, 1)["pass"]

    def test_a_figure_takes_all_its_faults_together(self) -> None:
        fast = [Run(BAD.name, "plan_finite", 5.0, 15.0) for _ in range(60)]
        assert figure_row(Figure.BAD_PLAN, FAULTS, fast, 60)["pass"]
        assert not figure_row(Figure.BAD_PLAN, FAULTS, fast, 61)["pass"]
        missing = [*fast, Run("plan stale")]
        assert not figure_row(Figure.BAD_PLAN, FAULTS, missing, 61)["pass"]
        assert figure_row(Figure.BAD_PLAN, FAULTS, missing, 61)["runs"] == 61

    @given(st.lists(st.floats(0.0, 1e6), min_size=1), st.floats(0.01, 1.0))
    def test_at_least_that_share_is_not_above_the_quantile(
        self, values: list[float], share: float
    ) -> None:
        found = quantile(values, share)
        assert found in values
        assert sum(v <= found for v in values) >= share * len(values) - 1e-9

    def test_the_table_has_a_line_a_row(self) -> None:
        entries = [row(KILLED, [Run(KILLED.name, problems=("no safe command",))], 0, 1)]
        lines = table(entries)
        assert len(lines) == 2
        assert "FAIL 1 x no safe command" in lines[1]


PLAN = signed(
    Plan(
        stamp_ns=START, sequence=41, frame_sequence=41, valid_until_ns=START + SECOND // 2,
        model_name="test", model_version="1", runtime="none",
        candidates=(integrate(10.0, np.zeros(POINTS), np.zeros(POINTS)),), objects=(),
        lane_lines=(), traffic_controls=(), lateral_action=LateralAction.KEEP_LANE,
        longitudinal_action=LongitudinalAction.CRUISE, reasoning="", evidence=(),
        uncertainty=0.1, instruction_id=0, stages=(),
    )
)
STATE = signed(
    VehicleState(
        stamp_ns=START, sequence=5, speed=10.0, wheel_speed=10.0, acceleration=0.0,
        lateral_acceleration=0.0, yaw_rate=0.0, steering_angle=0.0, steering_rate=0.0,
        gear=Gear.DRIVE, standstill=False,
    )
)
DRIVE = ControlCommand(
    stamp_ns=START, sequence=3, plan_sequence=41, frame_stamp_ns=START, source=CommandSource.PLAN,
    engaged=True, steering_angle=0.0, steering_rate=0.0, acceleration=0.5, jerk=0.0,
    hazard_lights=False, hold=False,
)


class TestAlterations:
    @pytest.mark.parametrize("name", sorted(PLANS))
    def test_a_spoilt_plan_is_another_and_only_a_wrong_checksum_is_wrong(self, name: str) -> None:
        spoilt = PLANS[name](replace(PLAN, sequence=42))
        assert spoilt is not PLAN
        assert (spoilt.checksum == checksum_of(spoilt)) == (name != "checksum")

    @pytest.mark.parametrize("name", sorted(PLAN_MESSAGES))
    def test_a_spoilt_message_is_no_plan_any_more(self, name: str) -> None:
        message = to_message(PLAN)
        assert from_message(Plan, message).sequence == PLAN.sequence
        PLAN_MESSAGES[name](message)
        with pytest.raises(MalformedMessage):
            from_message(Plan, message)

    def test_plans_are_spoilt_as_their_names_say(self) -> None:
        assert np.isnan(PLANS["not_finite"](PLAN).candidates[0].x).all()
        assert PLANS["stale"](PLAN).stamp_ns < START < PLANS["future"](PLAN).stamp_ns
        assert PLANS["teleport"](PLAN).candidates[0].y[0] == TELEPORT_M
        aside = PLANS["sideways"](PLAN).candidates[0].y
        assert aside[0] < 0.1 and aside[20] > 1.5
        thing = PLANS["collision"](PLAN).objects[0]
        path = PLAN.candidates[0]
        assert np.hypot(path.x - thing.x, path.y - thing.y).min() < 0.1
        assert PLANS["empty"](PLAN).candidates == ()
        assert len(PLANS["oversize"](PLAN).candidates) == OVERSIZE
        assert PLANS["numbers_back"](replace(PLAN, sequence=500)).sequence < 500
        assert PLANS["numbers_back"](replace(PLAN, sequence=501)).sequence == 501

    def test_states_are_spoilt_as_their_names_say(self) -> None:
        assert StateAlteration("lost")(STATE) is None
        wrong = StateAlteration("checksum")(STATE)
        assert wrong is not None and wrong.checksum != checksum_of(wrong)
        fast = StateAlteration("speed_wrong")(STATE)
        assert fast is not None and fast.speed - fast.wheel_speed == WRONG_SPEED
        stands = StateAlteration("stands")(STATE)
        assert stands is not None and stands.standstill and stands.speed == 0.0
        nan = StateAlteration("not_finite")(STATE)
        assert nan is not None and np.isnan(nan.speed)
        freeze = StateAlteration("frozen")
        freeze(STATE)
        later = freeze(replace(STATE, speed=8.0, stamp_ns=START + SECOND, sequence=6))
        assert later is not None
        assert (later.speed, later.stamp_ns, later.sequence) == (10.0, START + SECOND, 6)
        with pytest.raises(ValueError, match="no way to spoil"):
            StateAlteration("painted")(STATE)

    def test_lists_and_commands_get_a_wrong_checksum(self) -> None:
        listed = signed(ObjectList(START, 1, "radar", ()))
        command = signed(DRIVE)
        for spoilt in (OBJECT_LISTS["checksum"](listed), COMMANDS["checksum"](command)):
            assert spoilt.checksum != checksum_of(spoilt)

    def test_images_are_spoilt_as_their_names_say(self) -> None:
        image = np.random.default_rng(1).integers(0, 255, (36, 64, 3), np.uint8)
        last = image[::-1]
        assert CameraAlteration("missing", last)(image) is None
        for kind, check in (
            ("black", lambda i: not i.any()), ("frozen", lambda i: i is last),
            ("covered", lambda i: i.std() == 0.0), ("overexposed", lambda i: i.mean() > 200.0),
        ):
            spoilt = CameraAlteration(kind, last)(image)
            assert spoilt is not None and check(spoilt), kind
