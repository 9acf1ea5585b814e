"""Runs checks and keeps their outcomes; an exception in a check is that check failed."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import NamedTuple, TypeAlias, cast

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
from vla_driving.safety.compiled import compiled

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]
_Indices: TypeAlias = slice | npt.NDArray[np.intp]

_PASSING = (Verdict.PASS, Verdict.WARN)
_NOTHING = object()


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


_Fields: TypeAlias = tuple[
    StateCheck | CandidateCheck, Verdict, float, float, str | None, bool
]


class StateJudge:
    """Runs the checks of the state, each with its own time to be confirmed."""

    def __init__(self, checks: tuple[StateCheck, ...], limits: Limits) -> None:
        self._rows = tuple(
            (check, check.limit(limits), check.confirm(limits) if check.confirm else 0.0)
            for check in checks
        )
        self._since: dict[str, Nanoseconds] = {}
        # The fields of an `Outcome` each: most are good, and of those few are ever asked for.
        self._found: list[_Fields] = [
            (c, Verdict.FAIL, math.nan, 0.0, None, False) for c in checks
        ]
        self._passed = [False] * len(checks)
        self._noticed: set[int] = set()
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
        self.look(situation)
        return self.all()

    def all(self) -> tuple[Outcome, ...]:
        """The outcomes of the last look in the order of the table; one that stays is the same."""
        found = self._found
        for k, fields in enumerate(found):
            if not isinstance(fields, Outcome):
                found[k] = Outcome._make(fields)
        return tuple(cast("list[Outcome]", found))

    def look(self, situation: Situation) -> list[Outcome]:
        """Make the checks; outcomes other than PASS in the order of the table."""
        now_ns, since, found = situation.now_ns, self._since, self._found
        passed, noticed = self._passed, self._noticed
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
                found[k], passed[k] = (check, verdict, value, limit, says, False), True
                if verdict is Verdict.PASS:
                    noticed.discard(k)
                else:
                    noticed.add(k)
                continue
            passed[k] = False
            noticed.add(k)
            since_ns = since.setdefault(check.name, now_ns)
            confirmed = age_s(since_ns, now_ns) >= confirm_s
            if not confirmed and verdict == Verdict.FAIL:
                verdict = Verdict.WARN
            found[k] = (check, verdict, value, limit, says, confirmed)
        return [Outcome._make(found[k]) for k in sorted(noticed)]

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


@compiled(
    np.zeros((1, 1)), np.zeros(1), np.zeros(1), np.zeros(1, np.int64), np.zeros(1, np.bool_)
)
def _judged(
    values: FloatArray, signs: FloatArray, limits: FloatArray, reactions: IntArray,
    once: npt.NDArray[np.bool_],
) -> tuple[npt.NDArray[np.bool_], IntArray]:
    """Which of the (K, C) values fail, and the highest reactions (2, C) that this asks for.

    Values times their signs fail above the limits, and where they are no number. The reactions:
    of all checks, and of those made `once`.
    """
    failed, asked = np.empty(values.shape, np.bool_), np.zeros((2, values.shape[1]), np.int64)
    for k in range(values.shape[0]):
        for c in range(values.shape[1]):
            failed[k, c] = not values[k, c] * signs[k] <= limits[k]
            if failed[k, c]:
                asked[0, c] = max(asked[0, c], reactions[k])
                if once[k]:
                    asked[1, c] = max(asked[1, c], reactions[k])
    return failed, asked


@dataclass(frozen=True, eq=False)
class Judgement:
    """Values and failures of K checks on C candidates: (K, C) each.

    `asked` is (2, C): the highest reaction that a candidate's failures ask for, of all checks and
    of those that are not made again in every step.
    """

    checks: tuple[CandidateCheck, ...]
    limits: tuple[float, ...]
    values: FloatArray
    failed: npt.NDArray[np.bool_]
    asked: IntArray
    broken: dict[str, str]

    def reaction(self, candidate: int) -> Level:
        """Highest reaction that a candidate's failures ask for."""
        return Level(self.asked[0, candidate])

    def reaction_at_approval(self, candidate: int) -> Level:
        """The same, of the checks that are not made again in every step."""
        return Level(self.asked[1, candidate])

    def best(self) -> int:
        """The candidate whose failures ask for least; the first of equals."""
        return int(self.asked[0].argmin())

    def outcomes(self, candidate: int) -> tuple[Outcome, ...]:
        """Outcomes of one candidate in the order of the table."""
        return self._made(candidate, self.failed[:, candidate].tolist(), range(len(self.checks)))

    def failures(self, candidate: int) -> tuple[Outcome, ...]:
        """Those of them that fail."""
        failed = self.failed[:, candidate].tolist()
        if True not in failed:
            return ()
        return self._made(candidate, failed, [k for k, bad in enumerate(failed) if bad])

    def _made(
        self, candidate: int, failed: list[bool], rows: Iterable[int]
    ) -> tuple[Outcome, ...]:
        values = self.values[:, candidate].tolist()
        return tuple(
            Outcome(
                self.checks[k], Verdict.FAIL if failed[k] else Verdict.PASS, values[k],
                self.limits[k], self.broken.get(self.checks[k].name), failed[k],
            )
            for k in rows
        )


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
    return [
        (block, _run([k for k, _ in rows]), _run([row for _, row in rows]))
        for block, rows in of_block.items()
    ], single


def _run(indices: list[int]) -> _Indices:
    """A slice where the indices follow on, which is several times as fast."""
    if indices == list(range(indices[0], indices[-1] + 1)):
        return slice(indices[0], indices[-1] + 1)
    return np.array(indices)


class CandidateJudge:
    """Runs checks of candidates, all candidates at once."""

    def __init__(self, checks: tuple[CandidateCheck, ...], limits: Limits) -> None:
        self._checks = checks
        self._limits = tuple(check.limit(limits) for check in checks)
        # Signed so that more is always worse.
        self._signs = np.array([-1.0 if check.at_least else 1.0 for check in checks])
        self._highest = np.array(self._limits) * self._signs
        self._blocks, self._single = _by_block(checks)
        self._reactions = np.array([int(check.reaction) for check in checks])
        self._once = np.array([not check.always for check in checks])

    def judge(self, candidates: Candidates) -> Judgement:
        """Values of every check for every candidate; NaN where a check is broken."""
        values = np.empty((len(self._checks), len(candidates.batch)))
        values.fill(math.nan)
        broken: dict[str, str] = {}
        for measure, rows, rows_of_block in self._blocks:
            try:
                values[rows] = measure(candidates)[rows_of_block]
            except Exception as error:  # see StateJudge
                names = [self._checks[k].name for k in np.arange(len(values))[rows]]
                broken.update({name: _broken(name, error) for name in names})
        for k, measure in self._single:
            try:
                values[k] = measure(candidates)
            except Exception as error:
                name = self._checks[k].name
                broken[name] = _broken(name, error)
        failed, asked = _judged(values, self._signs, self._highest, self._reactions, self._once)
        return Judgement(self._checks, self._limits, values, failed, asked, broken)
