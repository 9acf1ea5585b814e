"""The tables fit together, and what is missing between them is found."""

from __future__ import annotations

import dataclasses
import subprocess
import sys
from pathlib import Path

import pytest

from vla_driving.assurance import hazards, links, requirements
from vla_driving.assurance.case import case_page

ROOT = Path(__file__).parents[2]


def test_nothing_is_missing() -> None:
    assert links.problems(links.links(ROOT / "test")) == []


def test_hazards_are_rated_as_the_standard_does() -> None:
    worst = dataclasses.replace(hazards.HAZARDS[0], severity=3, exposure=4, controllability=3)
    assert worst.integrity == "D"
    assert dataclasses.replace(worst, exposure=3).integrity == "C"
    assert dataclasses.replace(worst, severity=1, exposure=1).integrity == "QM"
    assert dataclasses.replace(worst, controllability=0).integrity == "QM"
    for row in hazards.HAZARDS:
        assert 0 <= row.severity <= 3 and 0 <= row.exposure <= 4 and 0 <= row.controllability <= 3


MARKED = '''
import pytest
pytestmark = pytest.mark.requirement("SR-01")
@pytest.mark.requirement("SR-02", "SR-03")
def test_a(): pass
@pytest.mark.parametrize("x", [1])
@pytest.mark.requirement("SR-99")
class TestB: pass
TestC = pytest.mark.requirement("SR-04")(object)
@pytest.mark.skip("SR-05")
def test_d(): pass
'''


def test_marks_are_read_without_importing(tmp_path: Path) -> None:
    folder = tmp_path / "test"
    folder.mkdir()
    (folder / "test_marked.py").write_text(MARKED)
    found = links.links(folder)
    assert [(k.name, k.identities) for k in found] == [
        ("", ("SR-01",)), ("test_a", ("SR-02", "SR-03")), ("TestB", ("SR-99",)),
        ("TestC", ("SR-04",)),
    ]
    lines = links.problems(found)
    assert "test/test_marked.py: TestB: unknown requirement SR-99" in lines
    assert "SR-05: no test is marked with it" in lines
    assert not any(line.startswith(("SR-01", "SR-04")) for line in lines)


def test_gaps_between_the_tables_are_found(monkeypatch: pytest.MonkeyPatch) -> None:
    table = tuple(
        dataclasses.replace(row, checks=("no_such_check",), hazards=("HZ-02", "HZ-77"))
        if row.identity == "SR-09" else row
        for row in requirements.REQUIREMENTS
    )
    monkeypatch.setattr(requirements, "REQUIREMENTS", table)
    lines = links.problems(links.links(ROOT / "test"))
    assert lines == [
        "check red_light: belongs to no requirement of assurance/requirements.py",
        "SR-09: there is no check no_such_check", "SR-09: unknown hazard HZ-77",
        "HZ-12: no requirement answers it",
    ]


def test_the_page_holds_every_row() -> None:
    page = case_page(ROOT)
    for identity in (*requirements.BY_ID, *hazards.BY_ID):
        assert identity in page
    assert "**none**" not in page


def run(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """pytest with this project's marks on tests of its own."""
    (folder / "conftest.py").write_text((ROOT / "test/conftest.py").read_text())
    (folder / "pytest.ini").write_text(
        f"[pytest]\ntestpaths = test\npythonpath = {ROOT / 'test/assurance'}\n"
        "markers =\n    requirement\n    proof\n"
    )
    return subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *arguments], cwd=folder,
        capture_output=True, text=True, timeout=250, check=False,
    )


def project(folder: Path, body: str, but: str = "") -> Path:
    """A project whose tests show every requirement but one, which `body` is about."""
    (folder / "test").mkdir()
    shown = ", ".join(f'"{i}"' for i in requirements.BY_ID if i != but)
    text = f"import pytest\n@pytest.mark.requirement({shown})\ndef test_all(): pass\n{body}\n"
    (folder / "test/test_it.py").write_text(text)
    return folder


PASSING = '@pytest.mark.requirement("SR-09")\ndef test_it(): pass'
SKIPPED = '@pytest.mark.requirement("SR-09")\ndef test_it(): pytest.skip("no")'


@pytest.mark.parametrize(("body", "code"), [(PASSING, 0), (SKIPPED, 1), ("", 1)])
def test_a_run_of_everything_fails_where_a_requirement_is_not_shown(
    tmp_path: Path, body: str, code: int
) -> None:
    done = run(project(tmp_path, body, but="SR-09"))
    assert done.returncode == code, done.stdout + done.stderr
    assert ("REQUIREMENT SR-09: no test that passed shows it" in done.stdout) == bool(code)


def test_a_run_of_some_tests_does_not_ask_for_all(tmp_path: Path) -> None:
    assert run(project(tmp_path, "", but="SR-09"), "test/test_it.py").returncode == 0


def test_an_unknown_requirement_ends_the_run(tmp_path: Path) -> None:
    body = '@pytest.mark.requirement("SR-99")\ndef test_it(): pass'
    done = run(project(tmp_path, body), "test/test_it.py")
    assert done.returncode == pytest.ExitCode.USAGE_ERROR
    assert "unknown requirement SR-99" in done.stdout + done.stderr


def test_evidence_is_kept(tmp_path: Path) -> None:
    body = '@pytest.mark.proof("sums")\ndef test_sum(): assert 1 + 1 == 2\n' \
        '@pytest.mark.proof("lies")\ndef test_lie(): assert 1 + 1 == 3'
    run(project(tmp_path, body), "--evidence", "out/tests.json")
    kept = (tmp_path / "out/tests.json").read_text()
    assert '"name": "lies",\n   "result": "not proved"' in kept
    assert '"name": "sums",\n   "result": "proved"' in kept
    assert '"SR-09": {\n   "passed": 1\n  }' in kept
