"""Planning, keeping and showing."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

import pytest
from score_scenes import track

from vla_driving import paths
from vla_driving.contract.settings import SettingsError
from vla_driving.score import board, compliance
from vla_driving.score.board import Order, plan, result
from vla_driving.score.drive import ARRIVED, LOST, Drive, Task
from vla_driving.score.drivers import POLICIES, Models
from vla_driving.score.keep import Kept
from vla_driving.score.page import page
from vla_driving.score.routes import route
from vla_driving.score.targets import judged
from vla_driving.vla.language.wordings import wordings

MODELS = Models(paths.model("pilot"), paths.model("pilot"))
SEES = frozenset(name for name, policy in POLICIES.items() if policy.sees)


def order(**changes: Any) -> Order:
    given: dict[str, Any] = {
        "routes": 9, "seeds": (10_000, 10_100), "maps": (), "traffic": 0.1,
        "policies": ("stack", "idm", "expert", "stack_fp32"), "models": MODELS, "controls": 2,
        "wordings": 1, "workers": 1,
    }
    return Order(**{**given, **changes})


def row_of(task: Task, lost: bool) -> dict[str, Any]:
    drive = Drive(task.policy, task.kind, task.scenario.seed, task.scenario.map, track=track(30.0))
    drive.ended, drive.success = (LOST, False) if lost else (ARRIVED, True)
    drive.blame = "left the route after 9 s" if lost else ""
    drive.completion, drive.distance_m, drive.duration_s = 0.4 if lost else 1.0, 200.0, 30.0
    drive.spans = drive.comfortable = 7
    return drive.as_dict() | {"film": lost and task.film}


def content(asked: Order) -> dict[str, Any]:
    tasks = plan(asked)
    found = {t.name: row_of(t, t.policy in board.CONTROLS or (t.policy, t.kind) == ("idm", "curve"))
             for t in tasks}
    made = result(asked, tasks, found) | {"sources": "abc", "actor_ms_p50": 4.0, "weights_mb": 2.0}
    tries = compliance.attempts(wordings, 1, 10_900)
    told = {t.name: row_of(t, False) for t in compliance.tasks(tries)}
    made["instructions"] = compliance.judged(tries, told)
    made["controls"]["shuffled"] = made["instructions"].pop("shuffled")
    return made


@pytest.mark.parametrize(
    ("wrong", "word"),
    [
        ({"policies": ("stick",)}, "--policy stick"), ({"maps": ("moon",)}, "--maps moon"),
        ({"routes": 0}, "--routes"), ({"traffic": 2.0}, "--traffic 2"), ({"wordings": -1}, "least"),
    ],
)
def test_what_cannot_be_driven_is_said_in_one_line(wrong: dict[str, Any], word: str) -> None:
    with pytest.raises(SettingsError, match=word) as found:
        order(**wrong)
    assert "\n" not in str(found.value)


def test_a_model_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=r"manifest\.yaml"):
        board.score(order(models=Models(tmp_path, tmp_path)), tmp_path / "out", print)


def test_every_route_is_driven_by_all_and_by_the_teacher() -> None:
    tasks = plan(order())
    names = [t.name for t in tasks]
    assert len(set(names)) == len(names)
    for policy in ("stack", "idm", "expert", "stack_fp32", "teacher"):
        assert [t.scenario.seed for t in tasks if t.policy == policy] == list(range(10_000, 10_009))
    assert sum(t.policy == "blacked_out" for t in tasks) == 2
    assert not any(t.policy in board.CONTROLS for t in plan(order(policies=("idm",))))


def test_maps_and_seeds_can_be_chosen() -> None:
    scenes = order(maps=("curve", "random"), routes=4, seeds=(10_010, 10_013)).scenes()
    assert scenes == [(10_010, "curve"), (10_011, "random"), (10_012, "curve")]


def test_the_content_of_score_json() -> None:
    made = content(order())
    assert set(made["policies"]) == {"stack", "idm", "expert", "teacher"}
    stack, idm = made["policies"]["stack"], made["policies"]["idm"]
    assert stack["routes"] == 9 and stack["success"] == 1.0 and made["success_fp32"] == 1.0
    assert idm["by_map"]["curve"]["success"] == 0.0 and idm["by_map"]["random"]["success"] == 1.0
    assert made["controls"]["blacked_out"]["success"] == 0.0
    assert set(made["controls"]) == {"blacked_out", "frozen", "shuffled"}
    assert {"true", "consistent"} <= set(made["reasoning"])
    assert {"trained", "held_out", "irrelevant_ignored", "unsafe_refused"} <= set(
        made["instructions"]
    )
    failed = [f for f in made["failures"] if f["policy"] == "idm"]
    assert failed == [{"policy": "idm", "seed": 10_001, "map": "curve",
                       "reason": "left the route after 9 s",
                       "video": "videos/idm_curve_10001.mp4"}]


def test_targets() -> None:
    made = content(order())
    found = {t.words: t.reached for t in judged(made)}
    assert found["routes done by the stack at least 90 %"] is True
    assert found["ahead of MetaDrive's PPO expert"] is False
    assert found["ahead of the behaviour-cloning baseline"] is None
    assert found["no at-fault collision with the safety monitor"] is True
    assert found["instructions followed, trained wordings, at least 95 %"] is False
    assert found["int8 within 1 point of the success in single precision"] is True
    assert found["actor at most 15 ms a frame on one thread (median)"] is True
    nothing = judged({"policies": {}})
    assert {t.reached for t in nothing} == {None}


def test_the_page_shows_it_all_and_asks_no_network() -> None:
    made = content(order())
    text = page(made)
    assert "http" not in text.replace("http-equiv", "")
    for word in ("blacked_out", "expert", "left the route after 9 s", "Wilson", "pull over",
                 'src="videos/idm_curve_10001.mp4"', "t_junction"):
        assert word in text
    made["failures"][0]["reason"] = "<script>"
    assert "<script>" not in page(made)


def test_the_page_does_without_what_was_not_driven() -> None:
    asked = order(policies=("idm",), controls=0, wordings=0)
    tasks = plan(asked)
    made = result(asked, tasks, {t.name: row_of(t, False) for t in tasks}) | {"sources": "abc"}
    assert "Not driven" in page(made) or "None were driven" in page(made)
    assert "idm" in "\n".join(board.summary(made))


def test_drives_with_instructions_are_no_routes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def all_well(tasks: list[Task], *_: object) -> dict[str, Any]:
        return {t.name: row_of(t, False) for t in tasks}

    monkeypatch.setattr(board, "drive_all", all_well)
    assert board.score(order(policies=("stack",)), tmp_path, lambda line: None) == 0
    made = json.loads((tmp_path / "score.json").read_text(encoding="utf-8"))
    assert made["policies"]["stack"]["routes"] == 9
    assert made["instructions"]["tried"]["trained"] > 9
    assert not made["failures"]
    assert made["actor_ms_p50"] > 0.0 and made["weights_mb"] > 0.1


def test_what_is_not_followed_is_driven_again_for_its_film(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    filmed: list[Task] = []

    def nothing_heeded(tasks: list[Task], *_: object) -> dict[str, Any]:
        filmed.extend(t for t in tasks if t.case.endswith("_filmed"))
        return {t.name: row_of(t, t.film) for t in tasks}

    monkeypatch.setattr(board, "drive_all", nothing_heeded)
    board.score(order(policies=("stack",), controls=0), tmp_path, lambda line: None)
    told = json.loads((tmp_path / "score.json").read_text(encoding="utf-8"))["instructions"]
    missed = [r for r in told["rows"] if not r["followed"] and r["split"] != "shuffled"]
    assert missed and [r["video"] for r in missed] == [t.video for t in filmed]
    assert all(r["video"] is None for r in told["rows"] if r not in missed)
    assert f'src="{missed[0]["video"]}"' in (tmp_path / "index.html").read_text(encoding="utf-8")


def test_a_result_is_kept_until_something_changes(tmp_path: Path) -> None:
    task = Task("stack", "curve", route(10_001, "curve"))
    kept = Kept(tmp_path, MODELS, SEES)
    assert kept.read(task) is None
    kept.write(task, row_of(task, False))
    assert Kept(tmp_path, MODELS, SEES).read(task) is not None
    other = dataclasses.replace(task, scenario=route(10_001, "curve", traffic=0.2))
    assert kept.read(other) is None
    moved = Kept(tmp_path, Models(tmp_path, MODELS.baseline), SEES)
    assert moved.read(task) is None
    changed = Kept(tmp_path, MODELS, SEES)
    changed.sources = "0" * 16
    assert changed.read(task) is None


def test_who_sees_the_truth_does_not_depend_on_a_model(tmp_path: Path) -> None:
    task = Task("idm", "curve", route(10_001, "curve"))
    kept = Kept(tmp_path, MODELS, SEES)
    assert kept.key(task) == Kept(tmp_path, Models(tmp_path, tmp_path), SEES).key(task)


def test_a_failure_whose_film_is_gone_is_driven_again(tmp_path: Path) -> None:
    task = Task("idm", "curve", route(10_001, "curve"), film=True)
    kept = Kept(tmp_path, MODELS, SEES)
    kept.write(task, row_of(task, True))
    assert kept.read(task) is None
    kept.video(task).parent.mkdir()
    kept.video(task).write_bytes(b"film")
    assert kept.read(task) is not None


def test_a_broken_file_is_no_result(tmp_path: Path) -> None:
    task = Task("idm", "curve", route(10_001, "curve"))
    kept = Kept(tmp_path, MODELS, SEES)
    kept.write(task, row_of(task, False))
    kept.path(task).write_text("{", encoding="utf-8")
    assert kept.read(task) is None
