"""What a campaign keeps, which runs are missing, and how long they may take."""

import time
from dataclasses import replace
from pathlib import Path

import pytest

from vla_driving.bringup.faults.campaign import TimeLeft, in_turns
from vla_driving.bringup.faults.kept import Kept, campaign_key
from vla_driving.replay.faults.evidence import Run
from vla_driving.replay.faults.table import BY_NAME, FAULTS

CAMERA = BY_NAME["camera frozen"]
RECORDER = BY_NAME["event_recorder is killed"]
APART = BY_NAME["vla_inference is killed"]
RUN = Run(CAMERA.name, "camera_frozen", 480.0, 500.0, 500.0, 30.5, ("no safe command",))


def test_what_was_kept_is_there_again(tmp_path: Path) -> None:
    kept = Kept(tmp_path / "faults" / "runs.jsonl", "key")
    kept.add(RUN, 0)
    kept.add(replace(RUN, problems=()), 2)
    again = Kept(tmp_path / "faults" / "runs.jsonl", "key")
    assert again.runs == {CAMERA.name: [RUN, replace(RUN, problems=())]}
    assert again.repeated == {CAMERA.name: 2}


def test_runs_of_other_sources_are_forgotten(tmp_path: Path) -> None:
    file = tmp_path / "runs.jsonl"
    Kept(file, "key").add(RUN, 0)
    assert not Kept(file, "another").runs
    assert not Kept(file, "key").runs


def test_a_line_that_was_cut_off_is_left_out(tmp_path: Path) -> None:
    file = tmp_path / "runs.jsonl"
    kept = Kept(file, "key")
    kept.add(RUN, 0)
    whole = file.read_text()
    kept.add(RUN, 0)
    file.write_text(file.read_text()[: len(whole) + 40])
    assert Kept(file, "key").runs == {CAMERA.name: [RUN]}
    file.write_text("")
    assert not Kept(file, "key").runs


def test_the_key_holds_sources_and_conditions() -> None:
    assert campaign_key({"min_speed": 8.0}) == campaign_key({"min_speed": 8.0})
    assert campaign_key({"min_speed": 8.0}) != campaign_key({"min_speed": 7.0})


def test_missing_runs_come_in_turns_and_the_split_doer_last(tmp_path: Path) -> None:
    kept = Kept(tmp_path / "runs.jsonl", "key")
    plan = [(APART, 2), (CAMERA, 3), (RECORDER, 1)]
    assert in_turns(plan, kept) == [CAMERA, RECORDER, CAMERA, CAMERA, APART, APART]
    for run in (RUN, RUN, Run(RECORDER.name)):
        kept.add(run, 0)
    assert in_turns(plan, kept) == [CAMERA, APART, APART]
    assert not in_turns([(CAMERA, 1)], kept)


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    now = [100.0]
    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    return now


def test_time_left_is_that_of_each_faults_last_run(clock: list[float]) -> None:
    left = TimeLeft([CAMERA, RECORDER, CAMERA, APART])
    left.took(CAMERA, 10.0)
    left.took(RECORDER, 6.0)
    clock[0] += 16.0
    assert left.passed_s == 16.0
    assert left.seconds(2) == 10.0 + 8.0
    assert left.seconds(4) == 0.0


def test_a_whole_campaign_lasts_no_longer_than_is_said() -> None:
    assert sum(case.runs for case in FAULTS) <= 290
