"""Scenario files: those shipped, and those that are wrong."""

from pathlib import Path

import pytest
import yaml

from vla_driving import paths
from vla_driving.contract.settings import SettingsError
from vla_driving.simulation.scenario import Scenario, load_scenario

SHIPPED = sorted(paths.config("scenarios").glob("*.yaml"))
GOOD = {"name": "x", "map": "SC", "seed": 1}


def written(folder: Path, **changes: object) -> Path:
    file = folder / "scenario.yaml"
    file.write_text(yaml.safe_dump(GOOD | changes), encoding="utf-8")
    return file


def test_the_promised_scenarios_are_there() -> None:
    assert {f.stem for f in SHIPPED} >= {
        "demo", "straight", "stopped_car", "pedestrian_crossing", "obstacle", "curve",
    }


@pytest.mark.parametrize("file", SHIPPED, ids=lambda f: f.stem)
def test_shipped_scenarios_can_be_read(file: Path) -> None:
    assert load_scenario(file).name == file.stem


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"weather": "rain"}, ["'weather'", "allowed"]),
        ({"traffic_density": 3.0}, ["traffic_density", "3.0", "0.0 to 0.4"]),
        ({"map": "SQ"}, ["map", "'SQ'", "SCXTOrRyYfF"]),
        ({"map": "0"}, ["map", "'0'", "1 to 99"]),
        ({"map": 5}, ["map", "5", "str"]),
        ({"lanes": 2, "start_lane": 2}, ["start_lane", "2", "0 to 1"]),
        ({"seed": "one"}, ["seed", "'one'", "whole number"]),
        ({"objects": [{"kind": "cow", "distance": 20.0}]}, ["objects[0]", "'cow'", "pedestrian"]),
        ({"objects": [{"kind": "cone"}]}, ["objects[0]", "'distance'", "missing"]),
        ({"driver": {"engage": 1.0}}, ["driver", "'engage'", "engage_delay"]),
    ],
)
def test_what_is_wrong_is_named_in_one_line(
    tmp_path: Path, changes: dict[str, object], words: list[str]
) -> None:
    file = written(tmp_path, **changes)
    with pytest.raises(SettingsError) as raised:
        load_scenario(file)
    text = str(raised.value)
    assert "\n" not in text
    assert all(word in text for word in words), text


def test_only_name_map_and_seed_are_needed(tmp_path: Path) -> None:
    assert load_scenario(written(tmp_path)) == Scenario(name="x", map="SC", seed=1)
