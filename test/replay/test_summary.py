"""Figures of a drive whose every latency, loss and fault was put in by hand."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from synthetic_drive import MS, ROOT, SECOND, START, Script, write_drive

from vla_driving.contract.rates import Rates
from vla_driving.contract.settings import from_mapping, read_yaml
from vla_driving.replay.drive import Arrivals, Drive, Window, load_drive
from vla_driving.replay.failures import failures
from vla_driving.replay.summary import (
    ModelInfo,
    Summary,
    drive_window,
    dropped,
    quantiles,
    rate_hz,
    summarise,
)

MODEL = ModelInfo("synthetic", "1.0.0", "ab" * 32)
Write = Callable[[Script], Path]


def rates() -> Rates:
    shared = read_yaml(ROOT / "config/stack.yaml")["/**"]["ros__parameters"]
    return from_mapping(Rates, shared["rates"], "rates")


@pytest.fixture
def write(tmp_path: Path) -> Write:
    return lambda script: write_drive(tmp_path / "bag", script)


def figures(bag: Path, end_s: float | None = None) -> tuple[Drive, Window, Summary]:
    drive = load_drive(bag)
    end = None if end_s is None else START + round(end_s * SECOND)
    window = drive_window(drive, end)
    assert window is not None
    return drive, window, summarise(drive, window, MODEL, rates())


def test_figures_of_a_good_drive(write: Write) -> None:
    drive, window, summary = figures(write(Script(duration=5.0)))
    assert drive.problems == []
    assert (window.start_ns, window.duration_s) == (START + SECOND, 3.99)
    assert summary["duration_s"] == 3.99
    assert summary["engaged_fraction"] == 1.0
    assert summary["plan_fraction"] == 1.0
    assert (summary["collisions"], summary["off_road"], summary["real_time_factor"]) == (0, 0, 1.0)
    assert summary["distance_m"] == pytest.approx(12 * 3.9, rel=0.2)
    assert summary["latency_ms"]["frame_to_plan"] == {"p50": 40.0, "p99": 40.0, "max": 40.0}
    assert summary["latency_ms"]["frame_to_command"] == {"p50": 70.0, "p99": 70.0, "max": 70.0}
    assert summary["command_period_ms"] == {"p50": 10.0, "p99": 10.0, "max": 10.0}
    assert summary["rates_hz"]["vla/control_command"] == 100.0
    assert summary["rates_hz"]["vla/plan"] == 10.0
    assert set(summary["deadline_misses"].values()) == {0}
    assert set(summary["dropped"].values()) == {0}
    assert summary["safety"]["NOMINAL"] == 3.99
    assert summary["faults"] == []
    assert summary["model"] == {"name": "synthetic", "version": "1.0.0", "sha256": "ab" * 32}
    assert all(target["reached"] for target in summary["targets"])
    assert failures(drive, window) == []
    assert json.loads(json.dumps(summary)) == summary


def test_lost_plans_show_in_fraction_and_deadlines(write: Write) -> None:
    _, _, summary = figures(write(Script(duration=5.0, lost_plans=(20, 21, 30))))
    assert summary["plan_fraction"] == round(37 / 40, 4)
    assert summary["deadline_misses"]["vla/plan"] == 1
    assert summary["dropped"]["vla/plan"] == 3
    reached = {t["figure"]: t["reached"] for t in summary["targets"]}
    assert not reached["plan_fraction"]
    # The command after a lost plan comes from a later frame; only frames behind commands count.
    assert summary["latency_ms"]["frame_to_command"]["max"] == 70.0


def test_slow_commands_miss_their_target(write: Write) -> None:
    _, _, summary = figures(write(Script(duration=4.0, command_ms=200)))
    assert summary["latency_ms"]["frame_to_command"]["p99"] == 200.0
    assert [t["reached"] for t in summary["targets"]] == [True, True, False]


def test_levels_checks_and_faults_have_their_seconds(write: Write) -> None:
    _, _, summary = figures(write(Script(duration=5.0, degraded=(2.0, 3.5))))
    assert summary["safety"]["DEGRADED"] == 1.5
    assert summary["checks"] == {"lane_position": {"WARN": 1.5}}
    (fault,) = summary["faults"]
    assert (fault["name"], fault["count"], fault["first_s"]) == ("lane_lost", 2, 1.0)
    assert summary["faults_before"] == []


def test_faults_before_the_engagement_stand_apart(write: Write) -> None:
    _, _, summary = figures(write(Script(duration=3.0, degraded=(0.4, 2.0))))
    assert [f["first_s"] for f in summary["faults_before"]] == [0.4]
    assert [(f["count"], f["first_s"]) for f in summary["faults"]] == [(1, 1.0)]


def test_without_a_simulator_the_distance_comes_from_the_speed(write: Write) -> None:
    _, _, summary = figures(write(Script(duration=4.0, simulation=False)))
    assert [summary[k] for k in ("collisions", "off_road", "route_completion")] == [None] * 3
    assert summary["distance_m"] == pytest.approx(12.0 * 3 + 6 * (np.cos(1 / 3) - np.cos(4 / 3)),
                                                  rel=0.02)


def test_frames_are_counted_by_the_camera_where_frame_sets_are_missing(write: Write) -> None:
    _, _, summary = figures(write(Script(duration=4.0, frame_sets=False, lost_plans=(20,))))
    assert summary["plan_fraction"] == round(29 / 30, 4)


def test_the_end_given_leaves_out_what_comes_after(write: Write) -> None:
    bag = write(Script(duration=5.0, command_stop=4.0))
    assert figures(bag)[2]["deadline_misses"]["vla/control_command"] == 1
    drive, window, summary = figures(bag, 3.9)
    assert summary["duration_s"] == 2.9
    assert summary["deadline_misses"]["vla/control_command"] == 0
    assert failures(drive, window) == []


def test_commands_that_stop_are_named_with_time_and_count(write: Write) -> None:
    drive, window, _ = figures(write(Script(duration=6.0, command_stop=3.0)))
    (line,) = failures(drive, window)
    assert line == (
        "vla/control_command: no command followed 20 of 40 frames within 1 s, "
        "the first 2.0 s into the drive"
    )


def test_plans_that_stop_leave_frames_without_a_command(write: Write) -> None:
    lost = tuple(range(25, 60))
    drive, window, _ = figures(write(Script(duration=6.0, lost_plans=lost)))
    assert any("no command followed" in line for line in failures(drive, window))


def test_a_car_that_never_engages_says_why(write: Write) -> None:
    drive, window, summary = figures(
        write(Script(duration=3.0, engage=99.0, degraded=(1.0, 9.0)))
    )
    assert window == drive.span
    assert summary["engaged_fraction"] == 0.0
    lines = failures(drive, window)
    assert any("never engaged: lane_position: 0.5 m" in line for line in lines)


def test_dead_nodes_and_silent_topics_are_named(write: Write) -> None:
    drive, window, _ = figures(write(Script(duration=3.0)))
    assert failures(drive, window, ("vla_inference",)) == ["vla_inference: the node died"]
    del drive.arrivals["vla/plan"]
    assert failures(drive, window) == [
        "vla/plan: no message in the drive: vla_inference was silent"
    ]
    assert failures(Drive(), None) == ["the bag holds no message: nothing was recorded"]


def arrivals(sequence: list[int], times_ms: list[int] | None = None) -> Arrivals:
    times = np.array(times_ms if times_ms is not None else range(len(sequence)), np.int64) * MS
    return Arrivals(times, times, np.array(sequence, np.int64))


@given(st.sets(st.integers(1, 98)))
def test_each_message_missing_between_two_others_is_counted(lost: set[int]) -> None:
    assert dropped(arrivals([k for k in range(100) if k not in lost])) == len(lost)


def test_a_node_that_starts_anew_drops_nothing() -> None:
    assert dropped(arrivals([5, 6, 8, 0, 1, 3])) == 2
    assert dropped(arrivals([-1, -1])) is None


@given(st.integers(2, 200), st.integers(1, 500))
def test_the_rate_of_a_steady_topic_is_its_rate(count: int, period_ms: int) -> None:
    steady = arrivals([0] * count, [k * period_ms for k in range(count)])
    assert rate_hz(steady) == pytest.approx(1000 / period_ms, abs=0.006)


@given(st.lists(st.floats(0, 1e4), min_size=1))
def test_quantiles_are_in_order_and_end_at_the_maximum(values: list[float]) -> None:
    found = quantiles(values)
    assert found is not None
    assert found["p50"] <= found["p99"] <= found["max"] == round(max(values), 2)


def test_no_values_give_no_quantiles() -> None:
    assert quantiles([]) is None
    assert rate_hz(arrivals([1], [0])) is None
