"""out/safety.json: what fits is taken, what does not is run, what is missing says so."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import pytest

from vla_driving.assurance import evidence
from vla_driving.assurance.evidence import FOLDER, Part, collect, verdicts
from vla_driving.assurance.sources import source_hash


@pytest.fixture
def root(tmp_path: Path) -> Path:
    (tmp_path / "config").mkdir()
    (tmp_path / "config/stack.yaml").write_text("a: 1\n")
    (tmp_path / FOLDER).mkdir(parents=True)
    return tmp_path


def writes(name: str, text: str, code: int = 0) -> Part:
    target = FOLDER / f"{name}.json"
    script = f"import pathlib, sys; pathlib.Path({str(target)!r}).write_text({text!r}); " \
        f"sys.exit({code})"
    return Part(name, (sys.executable, "-c", script), ("figure",))


def keep(root: Path, name: str, **values: Any) -> None:
    (root / FOLDER / f"{name}.json").write_text(json.dumps(values))


def silent(_: str) -> None:
    pass


def test_a_part_of_the_same_sources_is_taken(root: Path) -> None:
    keep(root, "fuzz", figure=7, source_hash=source_hash(root))
    result = collect([writes("fuzz", '{"figure": 8}')], root, again=False, run=True, say=silent)
    assert (result["figure"], result["parts"]) == (7, {"fuzz": "taken"})


@pytest.mark.parametrize("again", [False, True])
def test_a_part_of_other_sources_is_run_anew(root: Path, again: bool) -> None:
    keep(root, "fuzz", figure=7, source_hash=source_hash(root) if again else "another")
    part = writes("fuzz", '{"figure": 8}', code=1)
    result = collect([part], root, again=again, run=True, say=silent)
    assert (result["figure"], result["parts"]) == (8, {"fuzz": "measured"})
    # A command that knows nothing of hashes gets one.
    kept = json.loads((root / FOLDER / "fuzz.json").read_text())
    assert kept["source_hash"] == source_hash(root)


def test_what_is_old_is_not_taken_where_nothing_is_run(root: Path) -> None:
    keep(root, "fuzz", figure=7, source_hash="another")
    result = collect([writes("fuzz", "{}")], root, again=False, run=False, say=silent)
    assert (result["figure"], result["parts"]) == (None, {"fuzz": "missing"})


@pytest.mark.parametrize(
    ("command", "words"),
    [
        ((sys.executable, "-c", "pass"), "wrote no fuzz.json"),
        (("/no/such/program",), "No such file"),
    ],
)
def test_what_cannot_be_run_is_missing(root: Path, command: tuple[str, ...], words: str) -> None:
    keep(root, "fuzz", figure=7, source_hash="another")
    result = collect([Part("fuzz", command, ("figure",))], root, False, True, silent)
    assert result["figure"] is None
    assert words in result["parts"]["fuzz"]


def test_what_is_no_json_is_missing(root: Path) -> None:
    result = collect([writes("fuzz", "[1, 2")], root, again=False, run=True, say=silent)
    assert result["figure"] is None
    assert "no JSON object" in result["parts"]["fuzz"]


GOOD = {
    "branch_coverage": 1.0, "mutation_score": 0.96, "fuzz_cases": 1_000_000, "fuzz_escapes": 0,
    "step_ms_p99": 0.9, "node_core_share": 0.08, "false_interventions": 0, "good_minutes": 60.2,
    "made_worse": 0,
    "proofs": [{"name": "sums", "result": "proved"}],
    "survivors": [{"mutant": "a", "reason": "the same"}],
}


def test_all_figures_reached() -> None:
    assert all(good for good, _ in verdicts(GOOD))
    fields = {field for part in evidence.parts(60.0) for field in part.fields}
    assert fields == {*GOOD, "mutants"}


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("branch_coverage", 0.9999), ("mutation_score", 0.94), ("fuzz_cases", 999_999),
        ("fuzz_escapes", 1), ("step_ms_p99", 1.01), ("node_core_share", 0.1),
        ("false_interventions", 1), ("good_minutes", 59.9), ("proofs", []),
        ("proofs", [{"name": "sums", "result": "not proved"}]), ("survivors", ["a"]),
        ("branch_coverage", None), ("good_minutes", None),
    ],
)
def test_one_figure_short_is_told(field: str, value: Any) -> None:
    lines = verdicts({**GOOD, field: value})
    assert [line.split(":")[0] for good, line in lines if not good] == [field]


def test_shares_are_rounded_down() -> None:
    assert evidence._share(9_999_999, 10_000_000) == 0.9999
    assert evidence._share(3, 3) == 1.0
