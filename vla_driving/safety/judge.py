"""Runs checks and keeps their outcomes; an exception in a check is that check failed."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from itertools import repeat
from typing import NamedTuple, TypeAlias

import numpy as np
import numpy.typing as npt

from vla_driving.contract.clock import Nanoseconds, age_s
from vla_driving.contract.supervision import CheckResult, Level, Verdict
from vla_driving.safety.checks.table import (
    CandidateCheck,
    Candidates,
    Limits,
    Measure,
    Row,
    Situation,
    StateCheck,
    fails,
    line,
)

_PASSING = (Verdict.PASS, Verdict.WARN)
_NOTHING = object()
_VERDICT = (Verdict.PASS, Verdict.FAIL)
_SILENT = repeat(None)


class Outcome(NamedTuple):
    """One check of this step. `says` replaces the row's words; `since_ns` is when it began to fail.

    `counts`: the verdict asks for its reaction; False where it passes or is not yet confirmed.
    """

    check: StateCheck | CandidateCheck
    verdict: Verdict
    value: float
    limit: float
    says: str | None = None
    counts: bool = False

    @property
    def reaction(self) -> Level:
        """What this outcome asks for."""
        return self.check.reaction if self.counts else Level.NOMINAL

    def text(self) -> str:
        """What, value and limit, in one line."""
        return line(self.check, self.value, self.limit, self.says)

    def result(self) -> CheckResult:
        """The outcome as it is reported; a check that passes has nothing to add to its numbers."""
        check, verdict = self.check, self.verdict
        return CheckResult(
            check.name, verdict, self.value, self.limit, check.unit,
            Level.NOMINAL if verdict in _PASSING else check.reaction,
            "" if verdict is Verdict.PASS else self.text(),
        )


class StateJudge:
    """Runs the checks of the state, each with its own time to be confirmed."""

    def __init__(self, checks: tuple[StateCheck, ...], limits: Limits) -> None:
        self._rows = tuple(
            (check, check.limit(limits), check.confirm(limits) if check.confirm else 0.0)
            for check in checks
        )
        self._since: dict[str, Nanoseconds] = {}
        self._found: list[Outcome] = [Outcome(c, Verdict.FAIL, math.nan, 0.0) for c in checks]
        self._passed = [False] * len(checks)
        by_reader: dict[Callable[[Situation], object] | None, list[int]] = {}
        for k, check in enumerate(checks):
            by_reader.setdefault(check.reads, []).append(k)
        self._always = by_reader.pop(None, [])
        self._readers = [(reads, rows) for reads, rows in by_reader.items() if reads is not None]
        self._read: list[object] = [_NOTHING] * len(self._readers)

    def forget(self) -> None:
        """Let every confirmation start anew, after a jump of the clock."""
        self._since.clear()

    def outcomes(self, situation: Situation) -> tuple[Outcome, ...]:
        """Outcomes in the order of the table."""
        now_ns, since, found = situation.now_ns, self._since, self._found
        for k in self._due(situation):
            check, limit, confirm_s = self._rows[k]
            try:
                value, verdict, own_limit, says = check.measure(situation)
                if own_limit is not None:
                    limit = own_limit
                if verdict is None:
                    bad = fails(value, limit, check.at_least)
                    verdict = Verdict.FAIL if bad else Verdict.PASS
            except Exception as error:  # the check is wrong, so nothing vouches for what it checks
                value, verdict, says = math.nan, Verdict.FAIL, _broken(check.name, error)
            if verdict in _PASSING:
                since.pop(check.name, None)
                found[k], self._passed[k] = Outcome(check, verdict, value, limit, says), True
                continue
            self._passed[k] = False
            since_ns = since.setdefault(check.name, now_ns)
            confirmed = age_s(since_ns, now_ns) >= confirm_s
            if not confirmed and verdict == Verdict.FAIL:
                verdict = Verdict.WARN
            found[k] = Outcome(check, verdict, value, limit, says, confirmed)
        return tuple(found)

    def _due(self, situation: Situation) -> list[int]:
        """Rows whose outcome may differ from that of the step before."""
        due = self._always.copy()
        for n, (reads, rows) in enumerate(self._readers):
            try:
                seen = reads(situation)
            except Exception:  # `measure` will tell what is wrong
                seen = _NOTHING
            if seen is _NOTHING or seen != self._read[n]:
                self._read[n] = seen
                due += rows
            else:
                due += [k for k in rows if not self._passed[k]]
        return due


def _broken(name: str, error: Exception) -> str:
    return f"check {name} is broken: {type(error).__name__}: {str(error)[:80]}"


@dataclass(frozen=True, eq=False)
class Judgement:
    """Values and failures of K checks on C candidates: (K, C) each.

    `reactions` is (K, C): what each check asks for, 0 where it passes.
    """

    checks: tuple[CandidateCheck, ...]
    limits: tuple[float, ...]
    values: npt.NDArray[np.float64]
    reactions: npt.NDArray[np.int64]
    failed: npt.NDArray[np.bool_]
    broken: dict[str, str]

    def reaction(self, candidate: int) -> Level:
        """Highest reaction that a candidate's failures ask for."""
        return Level(max(self.reactions[:, candidate].tolist()))

    def reaction_at_approval(self, candidate: int) -> Level:
        """The same, of the checks that are not made again in every step."""
        asked = zip(self.checks, self.reactions[:, candidate].tolist(), strict=True)
        return Level(max((level for check, level in asked if not check.always), default=0))

    def best(self) -> int:
        """The candidate whose failures ask for least; the first of equals."""
        return int(np.maximum.reduce(self.reactions, axis=0).argmin())

    def outcomes(self, candidate: int) -> tuple[Outcome, ...]:
        """Outcomes of one candidate in the order of the table."""
        values, failed = self.values[:, candidate].tolist(), self.failed[:, candidate].tolist()
        verdicts = [_VERDICT[bad] for bad in failed]
        says = [self.broken.get(check.name) for check in self.checks] if self.broken else _SILENT
        rows = zip(self.checks, verdicts, values, self.limits, says, failed, strict=False)
        return tuple(map(Outcome._make, rows))


_Indices: TypeAlias = npt.NDArray[np.intp]


def _by_block(
    checks: tuple[CandidateCheck, ...]
) -> tuple[list[tuple[Measure, _Indices, _Indices]], list[tuple[int, Measure]]]:
    """Each block with the indices of its checks and their rows in it; and the other measures."""
    of_block: dict[Measure, list[tuple[int, int]]] = {}
    single = []
    for k, check in enumerate(checks):
        if isinstance(check.measure, Row):
            of_block.setdefault(check.measure.block, []).append((k, check.measure.row))
        else:
            single.append((k, check.measure))
    return [(block, *np.array(rows).T) for block, rows in of_block.items()], single


class CandidateJudge:
    """Runs checks of candidates, all candidates at once."""

    def __init__(self, checks: tuple[CandidateCheck, ...], limits: Limits) -> None:
        self._checks = checks
        self._limits = tuple(check.limit(limits) for check in checks)
        # Signed so that more is always worse.
        self._sign = np.array([-1.0 if check.at_least else 1.0 for check in checks])[:, None]
        self._column = np.array(self._limits)[:, None] * self._sign
        self._blocks, self._single = _by_block(checks)
        self._reaction = np.array([int(check.reaction) for check in checks])[:, None]

    def judge(self, candidates: Candidates) -> Judgement:
        """Values of every check for every candidate; NaN where a check is broken."""
        count = len(candidates.batch)
        values = np.full((len(self._checks), count), np.nan)
        broken: dict[str, str] = {}
        with np.errstate(all="ignore"):
            for measure, rows, rows_of_block in self._blocks:
                try:
                    values[rows] = measure(candidates)[rows_of_block]
                except Exception as error:  # see StateJudge
                    names = [self._checks[k].name for k in rows]
                    broken.update({name: _broken(name, error) for name in names})
            for k, measure in self._single:
                try:
                    values[k] = measure(candidates)
                except Exception as error:
                    name = self._checks[k].name
                    broken[name] = _broken(name, error)
            failed = ~(values * self._sign <= self._column)
        return Judgement(
            self._checks, self._limits, values, failed * self._reaction, failed, broken
        )
