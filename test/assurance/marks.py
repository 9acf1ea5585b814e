"""pytest's part of the safety case: which requirements a run has shown, and which proofs it made.

`@pytest.mark.requirement("SR-01")` says what a test shows; an identity that is not in
`assurance/requirements.py` ends the run. A run of everything fails where a requirement has no test
that passed. `@pytest.mark.proof("what")` names a proof. `--evidence FILE` keeps both as JSON.
"""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from pathlib import Path
from typing import Any

import pytest

from vla_driving.assurance.requirements import BY_ID
from vla_driving.assurance.sources import source_hash


def add_option(parser: pytest.Parser) -> None:
    """--evidence."""
    parser.addoption(
        "--evidence", type=Path, metavar="FILE", help="keep what was shown and proved as JSON"
    )


class Marks:
    """Collects marks and outcomes of one run."""

    def __init__(self, config: pytest.Config) -> None:
        self._config = config
        self._shown: defaultdict[str, Counter[str]] = defaultdict(Counter)
        self._proofs: dict[str, str] = {}
        self._missing: list[str] = []

    @pytest.hookimpl(trylast=True)
    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        """Note on each test what it is marked with."""
        for item in items:
            named = [n for mark in item.iter_markers("requirement") for n in mark.args]
            unknown = [name for name in named if name not in BY_ID]
            if unknown:
                raise pytest.UsageError(f"{item.nodeid}: unknown requirement {unknown[0]}")
            item.user_properties.append(("requirements", named))
            item.user_properties += [
                ("proof", mark.args[0]) for mark in item.iter_markers("proof")
            ]

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Count a test that ended: its call, or a set-up or end that failed or was skipped."""
        if report.when != "call" and report.passed:
            return
        for name, value in report.user_properties:
            if name == "requirements" and isinstance(value, list):
                for identity in value:
                    self._shown[identity][report.outcome] += 1
            elif name == "proof":
                proof = str(value)
                fine = report.passed and self._proofs.get(proof, "proved") == "proved"
                self._proofs[proof] = "proved" if fine else "not proved"

    @pytest.hookimpl(tryfirst=True)
    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        """Fail a run of everything that leaves a requirement unshown."""
        if self._is_complete(session):
            self._missing = [i for i in BY_ID if not self._shown[i]["passed"]]
            if self._missing and session.exitstatus == pytest.ExitCode.OK:
                session.exitstatus = pytest.ExitCode.TESTS_FAILED
        path = self._config.getoption("--evidence")
        if path is not None:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(json.dumps(self._evidence(), indent=1) + "\n", encoding="utf-8")

    def pytest_terminal_summary(self, terminalreporter: Any) -> None:
        """Name what is missing."""
        for identity in self._missing:
            counts = dict(self._shown[identity])
            text = f"{identity}: no test that passed shows it {counts or ''}"
            terminalreporter.write_line(f"REQUIREMENT {text}", red=True)

    def _is_complete(self, session: pytest.Session) -> bool:
        option = self._config.option
        chosen = option.keyword or option.markexpr or option.collectonly
        everything = self._config.args_source == pytest.Config.ArgsSource.TESTPATHS
        return everything and not chosen and not session.shouldstop and not session.shouldfail

    def _evidence(self) -> dict[str, Any]:
        return {
            "source_hash": source_hash(),
            "requirements": {i: dict(self._shown[i]) for i in BY_ID},
            "proofs": [{"name": n, "result": r} for n, r in sorted(self._proofs.items())],
        }
