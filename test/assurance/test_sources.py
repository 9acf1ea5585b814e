"""The hash of the sources: the same for the same, another for any change that matters."""

from pathlib import Path

import pytest

from vla_driving.assurance.sources import ROOMS, source_hash


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    for room in ROOMS:
        (tmp_path / "vla_driving" / room).mkdir(parents=True)
        (tmp_path / "vla_driving" / room / "core.py").write_text("limit = 1\n")
    (tmp_path / "config/vehicles").mkdir(parents=True)
    (tmp_path / "config/vehicles/car.yaml").write_text("width: 2.0\n")
    (tmp_path / "config/stack.yaml").write_text("a: 1\n")
    return tmp_path


def test_the_same_tree_has_the_same_hash(tree: Path) -> None:
    assert source_hash(tree) == source_hash(tree)
    assert source_hash(tree) != source_hash()
    assert len(source_hash()) == 16


@pytest.mark.parametrize(
    "name",
    [*(f"vla_driving/{room}/core.py" for room in ROOMS), "config/stack.yaml",
     "config/vehicles/car.yaml", "vla_driving/safety/new.py"],
)
def test_any_change_shows(tree: Path, name: str) -> None:
    before = source_hash(tree)
    (tree / name).write_text("limit = 2\n")
    assert source_hash(tree) != before


def test_what_decides_nothing_does_not_count(tree: Path) -> None:
    before = source_hash(tree)
    (tree / "vla_driving" / "safety" / "notes.txt").write_text("x")
    assert source_hash(tree) == before


def test_what_is_named_counts_as_well(tree: Path) -> None:
    for name in ("score/rules.py", "score/other.py", "simulation/world.py"):
        path = tree / "vla_driving" / name
        path.parent.mkdir(exist_ok=True)
        path.write_text("limit = 1\n")
    before, more = source_hash(tree), ("score/rules.py", "simulation")
    named = source_hash(tree, more)
    (tree / "vla_driving/score/other.py").write_text("limit = 2\n")
    assert source_hash(tree, more) == named != before
    for name in ("score/rules.py", "simulation/world.py"):
        (tree / "vla_driving" / name).write_text("limit = 2\n")
        assert source_hash(tree, more) != named
        named = source_hash(tree, more)
    assert source_hash(tree) == before
