"""Clips from seeds: the same bytes, resumed, failures on record, a pilot's drive corrected."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from vla_driving.simulation import metadrive

if not metadrive.installed():
    pytest.skip(
        "MetaDrive is not installed: requirements/simulation.txt", allow_module_level=True
    )

import vla_driving.learning.lesson_drive as drives
from vla_driving.contract.language import Cause, Command, Intent
from vla_driving.contract.settings import SettingsError
from vla_driving.contract.trajectory import POINTS
from vla_driving.learning.clips import (
    FRAME_S,
    Header,
    clip_path,
    read_clip,
    read_header,
    write_clip,
)
from vla_driving.learning.collect_clips import (
    collect_clips,
    collect_in_processes,
    failures,
    main,
    shares,
    summary,
)
from vla_driving.learning.driving import load_setting
from vla_driving.learning.lesson_drive import record
from vla_driving.learning.lessons import EVERYDAY, Lesson, Talk, lesson
from vla_driving.simulation.metadrive import SimulatorError
from vla_driving.simulation.scenario import PlacedObject, Scenario


@pytest.fixture(scope="module")
def setting():
    try:
        return load_setting()
    except SimulatorError as error:
        pytest.skip(str(error))


def silent(_: str) -> None:
    pass


def straight(talk=(), **values):
    usual: dict[str, Any] = {
        "name": "test", "map": "SSS", "seed": 3, "start_speed": 8.0, "speed_limit": 10.0,
    }
    return Lesson(3, EVERYDAY, Scenario(**usual | values), tuple(talk))


class Blind:
    """A pilot that goes straight on at the speed it has."""

    def __init__(self) -> None:
        self.starts = 0
        self.commands: list[Command | None] = []

    def start(self) -> None:
        self.starts += 1

    def act(self, image, truth, command, route):
        assert image.shape == (128, 256, 3) and len(route.x) > 2
        self.commands.append(command)
        return 0.0, 0.0


def test_the_same_seed_gives_the_same_bytes_and_is_collected_once(setting, tmp_path):
    seeds = [3, 8]
    for folder, order in (("a", seeds), ("b", seeds[::-1])):
        assert collect_clips(tmp_path / folder, order, setting, say=silent, longest_s=2.0) == 20
    for seed in seeds:
        first, second = (clip_path(tmp_path / f, seed) for f in "ab")
        assert first.read_bytes() == second.read_bytes()
    said: list[str] = []
    assert collect_clips(tmp_path / "a", seeds, setting, say=said.append, longest_s=2.0) == 20
    assert said == []
    assert collect_clips(tmp_path / "a", [*seeds, 9], setting, frames=20, say=said.append) == 20
    assert said == []


def test_a_clip_hangs_together(setting, tmp_path):
    said: list[str] = []
    seed = next(s for s in range(100) if lesson(s).kind == EVERYDAY and not lesson(s).talk)
    collect_clips(tmp_path, [seed], setting, say=said.append, longest_s=6.0)
    clip = read_clip(clip_path(tmp_path, seed))
    labels = clip.labels
    assert f"seed {seed} (everyday" in said[0] and "h left" in said[0]
    assert clip.image(0).std() > 10.0
    np.testing.assert_allclose(np.diff(labels["time"]), FRAME_S, atol=1e-4)
    assert labels["fresh"][0] == 1.0 and labels["fresh"].sum() <= 3
    # It moved as its speed says, but for where it was put elsewhere, which takes physics a step.
    moved = np.hypot(*np.diff(labels["pose"][:, :2], axis=0).T)
    driven = 0.5 * FRAME_S * (labels["speed"][1:] + labels["speed"][:-1])
    steady = (labels["fresh"][1:] == 0.0) & (labels["fresh"][:-1] == 0.0)
    np.testing.assert_allclose(moved[steady], driven[steady], atol=0.12)
    assert set(labels["cause"].astype(int)) <= set(Cause)
    assert not labels["intent"].any() and not labels["command_speed"].any()
    assert "everyday 1" in "\n".join(summary(tmp_path))
    assert main(["--folder", str(tmp_path), "--check"]) == 0


def test_what_is_said_is_in_the_labels(setting):
    header, moments = record(setting, straight([Talk.STOP_AND_GO]), longest_s=16.0)
    assert header.taught and header.driver == "teacher"
    intents = [int(m.labels["intent"]) for m in moments]
    assert Intent.STOP in intents and Intent.GO_ON in intents
    stopped = [m for m in moments if m.labels["intent"] == Intent.STOP]
    assert stopped[0].labels["intent_state"] == 0.0 and stopped[-1].labels["intent_state"] == 1.0
    assert all(m.labels["acceleration"][5:20].max() <= 0.0 for m in stopped)
    assert intents[-1] == Intent.NONE


def test_a_speed_wished_for_is_the_limit_that_the_network_is_told(setting):
    _, moments = record(setting, straight([Talk.SPEED]), longest_s=8.0)
    last = moments[-1].labels
    assert 2.0 <= last["command_speed"] <= 10.0
    assert last["navigation"][-1] * 30.0 == pytest.approx(last["command_speed"], abs=1e-3)


def test_objects_have_slots_and_the_cause_points_at_one(setting):
    task = straight(objects=(PlacedObject("car", 40.0), PlacedObject("car", 30.0, 3.5)))
    _, moments = record(setting, task, longest_s=3.0)
    labels = moments[10].labels
    assert labels["cause"] == Cause.STOPPED and labels["cause_object"] == 0
    assert labels["objects"][0, 1] == pytest.approx(labels["cause_distance"], abs=0.5)
    assert labels["objects"][1, 2] == pytest.approx(3.5, abs=1.0)
    assert not labels["objects"][2:].any()


def test_a_teacher_that_fails_is_recorded_and_not_taught(setting, tmp_path, monkeypatch):
    # A wall of barriers right ahead at speed: nobody can stop.
    wall = tuple(PlacedObject("barrier", 9.0, y) for y in (-3.0, -1.0, 1.0, 3.0))
    task = straight(objects=wall, start_speed=14.0)
    header, moments = record(setting, task, longest_s=4.0)
    assert (header.taught, header.frames, header.ended, moments) == (False, 0, "collision", [])
    monkeypatch.setattr("vla_driving.learning.collect_clips.lesson", lambda _: task)
    assert collect_clips(tmp_path, [3], setting, say=silent, longest_s=4.0) == 0
    assert read_header(clip_path(tmp_path, 3)) == header


def test_where_the_teacher_fails_another_driver_that_succeeds_is_taught(setting, monkeypatch):
    real = drives._drive

    def failing(setting, lesson, driver, pushed, pilot, longest_s):
        tape = real(setting, lesson, driver, pushed, pilot, longest_s)
        if driver == "teacher":
            tape.ended = "collision"
        return tape

    monkeypatch.setattr(drives, "_drive", failing)
    header, moments = record(setting, straight(), longest_s=10.0)
    assert (header.driver, header.taught) == ("idm", True)
    assert len(moments) == (100 - POINTS) // 2
    driven, ahead = moments[0].labels, moments[5].labels
    sped_up = 0.1 * float(np.sum(driven["acceleration"][:10]))
    assert ahead["speed"] - driven["speed"] == pytest.approx(sped_up, abs=0.01)


def test_a_pilot_drives_and_the_teacher_says_how(setting):
    pilot = Blind()
    task = straight(map="C", seed=5, talk=(Talk.SPEED,))
    header, moments = record(setting, task, pilot, longest_s=12.0)
    assert header.driver == "pilot" and header.ended in ("lost", "collision") and header.taught
    assert pilot.starts == sum(int(m.labels["fresh"]) for m in moments)
    assert any(c is not None and c.speed > 0.0 for c in pilot.commands)
    # It goes straight on where the road bends: the teacher steers back.
    assert abs(moments[-1].labels["curvature"][5]) > 0.01


@given(st.integers(0, 50), st.integers(1, 9))
def test_processes_share_the_seeds(count, workers):
    parts = shares(range(100, 100 + count), workers)
    assert [s for part in parts for s in part] == list(range(100, 100 + count))
    assert len(parts) == workers
    assert max(map(len, parts)) - min(map(len, parts)) <= 1


def test_a_process_that_fails_is_told_of(tmp_path):
    with pytest.raises(SettingsError, match="seed 10000: only 0 to 9999 may teach"):
        collect_in_processes(tmp_path, range(10_000, 10_002), 2)


def test_lessons_that_a_pilot_failed_are_known(tmp_path):
    ends = {1: "lost", 2: "arrived", 3: "collision"}
    for seed, ended in ends.items():
        header = Header(seed, EVERYDAY, "pilot", ended, False, 0)
        write_clip(clip_path(tmp_path, seed), header, [])
    write_clip(clip_path(tmp_path, 4), Header(4, EVERYDAY, "teacher", "lost", False, 0), [])
    assert failures(tmp_path) == [1, 3]


@pytest.mark.parametrize("seed", [10_000, 20_000, 15_000])
def test_seeds_that_select_or_score_never_teach(setting, tmp_path, seed, capsys):
    with pytest.raises(SettingsError, match=f"seed {seed}: only 0 to 9999 may teach"):
        collect_clips(tmp_path, [5, seed], setting, say=silent)
    assert not list(tmp_path.iterdir())
    last = ["--first", str(seed), "--last", str(seed)]
    assert main(["--folder", str(tmp_path), *last]) == 1
    assert f"seed {seed}" in capsys.readouterr().err


def test_a_driver_that_races_is_no_teacher(setting, monkeypatch):
    monkeypatch.setattr(drives, "_TOO_FAST", 0.5)
    tape = drives._drive(setting, straight(), "idm", False, None, 2.0)
    assert tape.ended == "discomfort"
