"""All evidence in one file: `python -m vla_driving.assurance.evidence` writes out/safety.json.

Each part has a command of its own that leaves a JSON file in out/safety/. A file that was made from
the very same sources (`source_hash`) is taken as it is; for any other the command is run. What is
missing stays missing in the result, and says so.
"""

from __future__ import annotations

import argparse
import json
import operator
import os
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from vla_driving import paths
from vla_driving.assurance.sources import source_hash

FOLDER = Path("out/safety")
RESULT = Path("out/safety.json")

COVERED = ("vla_driving/safety/*", "vla_driving/control/envelope.py")
TESTED = ("test/safety", "test/assurance", "test/control", "test/contract")
"""Tests that count for branch coverage and proofs."""


@dataclass(frozen=True)
class Part:
    """One command, the file that it leaves in FOLDER, and the fields taken from there."""

    name: str
    command: tuple[str, ...]
    fields: tuple[str, ...]


def parts(minutes: float) -> tuple[Part, ...]:
    """All parts, quick ones first; `minutes` of good driving."""
    python = sys.executable
    return (
        Part("tests", (python, "-m", "vla_driving.assurance.evidence", "--tests-only"),
             ("branch_coverage", "proofs")),
        Part("step_time", (python, "test/safety/benchmark.py", "--json",
                           str(FOLDER / "step_time.json")), ("step_ms_p99",)),
        Part("node_share", ("make", "node-share"), ("node_core_share",)),
        Part("fuzz", ("make", "fuzz"), ("fuzz_cases", "fuzz_escapes")),
        Part("good_drives", (python, "-m", "vla_driving.assurance.good_drives", "--minutes",
                             f"{minutes:g}"),
             ("false_interventions", "good_minutes", "made_worse")),
        Part("mutation", ("make", "mutation"), ("mutation_score", "mutants", "survivors")),
    )


@dataclass(frozen=True)
class Target:
    """What a figure must be."""

    field: str
    holds: Callable[[Any, Any], bool]
    value: float
    sign: str


TARGETS = (
    Target("branch_coverage", operator.ge, 1.0, "≥"),
    Target("mutation_score", operator.ge, 0.95, "≥"),
    Target("fuzz_cases", operator.ge, 1_000_000, "≥"),
    Target("fuzz_escapes", operator.le, 0, "≤"),
    Target("step_ms_p99", operator.le, 1.0, "≤"),
    Target("node_core_share", operator.lt, 0.1, "<"),
    Target("false_interventions", operator.le, 0, "≤"),
    Target("good_minutes", operator.ge, 60.0, "≥"),
)


def collect(
    wanted: Sequence[Part], root: Path, again: bool, run: bool, say: Callable[[str], None] = print
) -> dict[str, Any]:
    """The result; `again` runs even what fits, without `run` nothing is run at all."""
    result: dict[str, Any] = {}
    told: dict[str, str] = {}
    now = source_hash(root)
    for part in wanted:
        path = root / FOLDER / f"{part.name}.json"
        kept = _read(path)
        fits = kept.get("source_hash") == now
        state = "taken" if fits else "missing"
        if run and (again or not fits):
            say(f"{part.name}: {' '.join(part.command)}")
            state = _run(part, path, root, now)
            kept = _read(path) if state == "measured" else {}
        elif not fits:
            kept = {}
        told[part.name] = state
        for name in part.fields:
            result[name] = kept.get(name)
    return {**result, "source_hash": now, "parts": told}


def _run(part: Part, path: Path, root: Path, now: str) -> str:
    """Run a part's command. Its exit code says whether targets are met: only the file counts."""
    before = path.stat().st_mtime_ns if path.exists() else None
    try:
        subprocess.run(part.command, cwd=root, check=False)
    except OSError as error:
        return f"missing: {error}"
    if not path.exists() or path.stat().st_mtime_ns == before:
        return f"missing: {' '.join(part.command)} wrote no {path.name}"
    found = _read(path)
    if not found:
        return f"missing: {path.name} is no JSON object"
    path.write_text(json.dumps({"source_hash": now} | found, indent=1) + "\n", encoding="utf-8")
    return "measured"


def _read(path: Path) -> dict[str, Any]:
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def verdicts(result: dict[str, Any]) -> list[tuple[bool, str]]:
    """Each target and each proof: whether it holds, and one line."""
    lines = []
    for target in TARGETS:
        value = result.get(target.field)
        good = value is not None and target.holds(value, target.value)
        shown = "missing" if value is None else f"{value:g}"
        lines.append((good, f"{target.field}: {shown} ({target.sign} {target.value:g})"))
    proofs = result.get("proofs") or []
    failed = [proof["name"] for proof in proofs if proof["result"] != "proved"]
    lines.append((bool(proofs) and not failed, f"proofs: {len(proofs)}, not proved: {failed}"))
    survivors = result.get("survivors") or []
    unexplained = [s for s in survivors if not (isinstance(s, dict) and s.get("reason"))]
    lines.append((not unexplained, f"survivors: {len(survivors)}, without a reason: "
                                   f"{len(unexplained)}"))
    return lines


def run_tests(root: Path) -> int:
    """The tests of the room under branch coverage: out/safety/tests.json. Returns pytest's code."""
    folder = root / FOLDER
    folder.mkdir(parents=True, exist_ok=True)
    data, shown, raw = folder / ".coverage", folder / "marks.json", folder / "coverage.json"
    coverage = [sys.executable, "-m", "coverage"]
    code = subprocess.run(
        [*coverage, "run", "--branch", f"--include={','.join(COVERED)}", f"--data-file={data}",
         "-m", "pytest", "-q", "--evidence", str(shown), *TESTED],
        # Branches of compiled loops could not be seen: their Python is run.
        cwd=root, env={**os.environ, "COVERAGE_CORE": "ctrace", "NUMBA_DISABLE_JIT": "1"},
        check=False,
    ).returncode
    subprocess.run(
        [*coverage, "json", "-q", f"--data-file={data}", "-o", str(raw)], cwd=root, check=True
    )
    marks, measured = _read(shown), _read(raw)
    totals = measured["totals"]
    result = {
        "source_hash": source_hash(root),
        "branch_coverage": _share(totals["covered_branches"], totals["num_branches"]),
        "line_coverage": _share(totals["covered_lines"], totals["num_statements"]),
        "missing": {
            name: {"lines": item["missing_lines"], "branches": item["missing_branches"]}
            for name, item in measured["files"].items()
            if item["missing_lines"] or item["missing_branches"]
        },
        "proofs": marks.get("proofs", []), "requirements": marks.get("requirements", {}),
        "pytest_exit_code": code,
    }
    path = folder / "tests.json"
    path.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
    return code


def _share(covered: int, whole: int) -> float:
    # Rounded down: 100 % is said of nothing less.
    return int(1e4 * covered / whole) / 1e4 if whole else 1.0


def main(arguments: list[str] | None = None) -> int:
    """Command line; 0 where every figure is there and reaches its target."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--minutes", type=float, default=60.0, help="of good driving")
    parser.add_argument("--again", action="store_true", help="run parts that fit as well")
    parser.add_argument("--take", action="store_true", help="run nothing, take what fits")
    parser.add_argument("--tests-only", action="store_true", help="only out/safety/tests.json")
    options = parser.parse_args(arguments)
    root = paths.share()
    if options.tests_only:
        return run_tests(root)
    began = time.monotonic()
    result = collect(parts(options.minutes), root, options.again, not options.take)
    path = root / RESULT
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
    for name, state in result["parts"].items():
        print(f"{name}: {state}")
    lines = verdicts(result)
    for good, line in lines:
        print(f"{'reached' if good else 'NOT REACHED'}: {line}")
    print(f"wrote {RESULT} after {time.monotonic() - began:.0f} s")
    return 0 if all(good for good, _ in lines) else 1


if __name__ == "__main__":
    sys.exit(main())
