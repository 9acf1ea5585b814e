"""What was said last wins, for the node it was said of, in any namespace."""

from pathlib import Path

import pytest
import yaml

from vla_driving.bringup.parameters import merged, write
from vla_driving.contract.settings import SettingsError


@pytest.fixture
def stack(tmp_path: Path) -> Path:
    path = tmp_path / "stack.yaml"
    path.write_text(
        "/**: {ros__parameters: {model: pilot, rates: {plan: 10.0, frames: 10.0}}}\n"
        "monitor: {ros__parameters: {plan: {max_age: 0.6, max_shift: 0.5}}}\n"
        "other: {ros__parameters: {threads: 1}}\n"
    )
    return path


def test_a_node_gets_the_shared_group_and_its_own(stack: Path) -> None:
    assert merged([stack], "monitor", {}) == {
        "model": "pilot", "rates": {"plan": 10.0, "frames": 10.0},
        "plan": {"max_age": 0.6, "max_shift": 0.5},
    }


def test_overrides_win_over_every_group(stack: Path) -> None:
    parameters = merged([stack], "monitor", {"plan.max_age": 0.4, "model": "other", "new": [1]})
    assert parameters["plan"] == {"max_age": 0.4, "max_shift": 0.5}
    assert parameters["model"] == "other" and parameters["new"] == [1]


@pytest.mark.parametrize("group", ["/**", "/**/monitor", "/monitor", "monitor"])
def test_a_later_file_wins_however_it_names_the_node(
    stack: Path, tmp_path: Path, group: str
) -> None:
    later = tmp_path / "later.yaml"
    later.write_text(yaml.safe_dump({group: {"ros__parameters": {"plan": {"max_age": 0.3}}}}))
    assert merged([stack, later], "monitor", {})["plan"] == {"max_age": 0.3, "max_shift": 0.5}


def test_the_files_stay_as_they_are(stack: Path) -> None:
    merged([stack], "monitor", {"rates.plan": 20.0})
    assert merged([stack], "monitor", {})["rates"]["plan"] == 10.0


def test_what_is_written_fits_any_name(stack: Path, tmp_path: Path) -> None:
    path = tmp_path / "monitor.yaml"
    write({"monitor": merged([stack], "monitor", {})}, path)
    assert list(yaml.safe_load(path.read_text())) == ["/**"]
    assert merged([path], "whatever", {}) == merged([stack], "monitor", {})


def test_a_file_of_another_kind_is_named(tmp_path: Path) -> None:
    path = tmp_path / "bad.yaml"
    path.write_text("monitor: {plan: 1}\n")
    with pytest.raises(SettingsError, match="group 'monitor' has no ros__parameters"):
        merged([path], "monitor", {})


def test_values_that_nodes_share_are_written_out_since_rcl_reads_no_aliases(tmp_path: Path) -> None:
    shared = {"cameras": ["front"]}
    write({"camera_ingest": shared, "vla_inference": shared}, tmp_path / "all.yaml")
    text = (tmp_path / "all.yaml").read_text()
    assert text.count("- front") == 2
    assert "&" not in text
    assert "*id" not in text
