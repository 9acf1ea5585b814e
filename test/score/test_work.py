"""Drives in processes of their own, and going on where it was cut off."""

from __future__ import annotations

from pathlib import Path

import pytest

from vla_driving.simulation.metadrive import installed

if not installed():
    pytest.skip("MetaDrive is not installed: requirements/simulation.txt", allow_module_level=True)

from vla_driving import paths
from vla_driving.score.drive import Task
from vla_driving.score.drivers import POLICIES, Models
from vla_driving.score.keep import Kept
from vla_driving.score.work import drive_all
from vla_driving.simulation.scenario import PlacedObject, Scenario

ROAD = Scenario(
    name="road", map="S", seed=10_000, lanes=2, start_lane=1, start_speed=7.0, speed_limit=9.0
)


def test_done_once_and_told(tmp_path: Path) -> None:
    models = Models(paths.model("pilot"), paths.model("pilot"))
    kept = Kept(tmp_path, models, frozenset(n for n, p in POLICIES.items() if p.sees))
    bad = ROAD.replace(name="bad", objects=(PlacedObject("car", 15_000.0),))
    tasks = [
        Task("idm", "straight", ROAD, for_s=1.0), Task("teacher", "straight", ROAD, for_s=1.0),
        Task("idm", "straight", bad, for_s=1.0),
    ]
    said: list[str] = []
    found = drive_all(tasks, kept, models, 1, said.append)
    assert set(found) == {"idm/road", "teacher/road"}
    assert any(line.startswith("idm/bad: failed") for line in said)
    assert any("[2/3" in line for line in said)
    again: list[str] = []
    assert drive_all(tasks[:2], kept, models, 1, again.append) == found
    assert again == ["2 of 2 drives are there already"]
