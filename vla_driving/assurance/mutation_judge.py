"""Which mutants the tests find: pytest collects once, each mutant is tried in a process of its own.

First every new test runs on the sources as they are and its calls are followed, so that a mutant is
tried by the tests that call its function alone: the one that found it last time first, then those
that found others of the function, those of the module's own test file, then the quickest, drives,
and all others by turns. A process is forked with everything loaded, takes the mutant's code and
stops at the first test that fails. A function that no test calls has done its work while its module
was imported, as those that make rows of a table do: there the process imports everything anew. What
a test finds counts once the same test is seen to pass without the mutant.
"""

from __future__ import annotations

import gc
import os
import resource
import signal
import sys
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import chain
from pathlib import Path
from types import CodeType, FrameType
from typing import Any

import hypothesis
import numpy as np
import pytest
from _pytest.runner import runtestprotocol

from vla_driving.assurance.mutants import Mutant, import_with, install, original

_EXAMPLES = 20
"""Examples of a hypothesis test, always the same ones."""
_SPARE_CPU_S = 2.0
_TIMES_SLOWER = 10.0
"""A mutant that takes this many times a test's own time, and a little, never ends: found."""
_SPARE_MEMORY = 4 << 30
_START_S = 2e-3
"""What a test costs however short it is."""
_ANEW = ("vla_driving.safety", "vla_driving.control", "vla_driving.reference", "test")
"""Modules that are imported anew with a mutant of what is done at import, and tests' helpers."""
_OF_TABLES = "test/safety/test_reference.py"
"""Tests that hold against the tables all that they say."""

_OF_ITSELF = ("test/safety/test_compiled.py::test_compiled_and_plain_say_the_same",)
"""Tests that hold the source against itself in another process, where nothing is changed: they
would find any mutant, and say nothing of what is right."""

_DRIVES = "test/safety/test_drive_logs.py"
"""Drives whose every line is known: they see most, but not as quickly as tests of one function."""
_QUICK_S = 1.0

QUICKLY = (
    "-qq", "-s", "--tb=no", "--assert=plain", "-p", "no:cacheprovider", "-o", "timeout=0",
    "-W", "ignore",
)
"""Options of pytest: only whether a test fails is of interest, not why."""

FOUND, SURVIVED = "killed", "survived"
PROFILE = hypothesis.settings(
    derandomize=True, database=None, deadline=None, max_examples=_EXAMPLES,
    phases=[hypothesis.Phase.explicit, hypothesis.Phase.generate],
    suppress_health_check=list(hypothesis.HealthCheck),
)


@dataclass(frozen=True)
class Verdict:
    """What became of a mutant, and by which test; `by` may also say that it never ended."""

    mutant: Mutant
    result: str
    by: str = ""


Calls = dict[str, tuple[float, list[str]]]
"""By test: seconds on a core, and the functions it calls as `path:function`."""


@dataclass(frozen=True)
class _Test:
    item: pytest.Item
    seconds: float
    calls: frozenset[str]


@dataclass
class Judge:
    """A plugin of pytest that takes the place of its loop.

    `calls` is what is known of the tests already and is added to, so are `passing`, those that are
    known to pass; `killer` names the test that
    found a mutant last time, `tell` takes each verdict as it comes. A mutant that the quickest
    tests, `budget_s` on a core all together, do not find has survived, whatever others might find.
    """

    mutants: Sequence[Mutant]
    watched: frozenset[str]
    calls: Calls
    passing: set[str]
    killer: Callable[[Mutant], str]
    tell: Callable[[Verdict], None]
    show: Callable[[str], None]
    jobs: int
    ends_at: float
    budget_s: float
    broken: list[str] = field(default_factory=list)
    _tests: dict[str, _Test] = field(default_factory=dict)
    _finds: dict[str, Counter[str]] = field(default_factory=lambda: defaultdict(Counter))

    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        """Let hypothesis try few examples, the same for every mutant."""
        items[:] = [item for item in items if item.nodeid not in _OF_ITSELF]
        _calm(items)

    def pytest_runtestloop(self, session: pytest.Session) -> bool:
        """Instead of running the tests."""
        if session.testsfailed:
            self.broken.append("a file of tests cannot be collected")
            return True
        tests = self._followed(session.items)
        if not self.broken:
            gc.collect()
            gc.freeze()
            self._judge(tests)
        return True

    def _followed(self, items: Sequence[pytest.Item]) -> list[_Test]:
        told = time.monotonic()
        for k, item in enumerate(items):
            if item.nodeid in self.calls:
                continue
            calls: set[str] = set()
            begun = time.process_time()
            with _following(self.watched, calls):
                failed = _fails(item)
            if failed:
                self.broken.append(item.nodeid)
            else:
                self.passing.add(item.nodeid)
            self.calls[item.nodeid] = (time.process_time() - begun, sorted(calls))
            if time.monotonic() - told > 10.0:
                told = time.monotonic()
                self.show(f"tests as they are: {k + 1} of {len(items)}")
        return [
            _Test(item, seconds, frozenset(called))
            for item in items for seconds, called in [self.calls[item.nodeid]]
        ]

    def _judge(self, tests: list[_Test]) -> None:
        tests = _by_turns(tests)
        self._tests = {test.item.nodeid: test for test in tests}
        by_call: dict[str, list[_Test]] = {}
        for test in tests:
            for call in test.calls:
                by_call.setdefault(call, []).append(test)
        running: dict[int, tuple[Mutant, int]] = {}
        sure: set[bool] = set()
        for mutant in self.mutants:
            fitting = by_call.get(f"{mutant.path}:{mutant.function}", [])
            at_import = not fitting
            if at_import:
                fitting = self._of_what_it_made(mutant, tests)
            order = self._order(mutant, fitting)
            if at_import not in sure:
                sure.add(at_import)
                self._make_sure(original(mutant, Path.cwd()), order, at_import)
            while len(running) >= self.jobs:
                self._wait(running)
            if self.broken or time.monotonic() > self.ends_at:
                break
            pid, pipe = _try(mutant, order, at_import)
            running[pid] = (mutant, pipe)
        while running:
            self._wait(running)

    def _make_sure(self, unchanged: Mutant, tests: list[_Test], at_import: bool) -> None:
        """What would be found without any change says nothing of a mutant."""
        pid, pipe = _try(unchanged, tests, at_import)
        status = os.waitpid(pid, 0)[1]
        with os.fdopen(pipe, encoding="utf-8") as reader:
            by = reader.read()
        if status:
            self.broken.append(f"{unchanged.function} unchanged: {by or status}")

    def _of_what_it_made(self, mutant: Mutant, tests: list[_Test]) -> list[_Test]:
        """Tests of the tables, then those that call what the function made, or its file at all."""
        made = f"{mutant.path}:{mutant.function}.<locals>"
        file = f"{mutant.path}:"
        return sorted(
            (
                test for test in tests
                if test.item.nodeid.startswith(_OF_TABLES)
                or any(call.startswith(file) for call in test.calls)
            ),
            key=lambda test: (
                not test.item.nodeid.startswith(_OF_TABLES),
                not any(call.startswith(made) for call in test.calls), test.seconds,
            ),
        )

    def _order(self, mutant: Mutant, fitting: list[_Test]) -> list[_Test]:
        last, finds = self.killer(mutant), self._finds[f"{mutant.path}:{mutant.function}"]
        first = sorted(
            (test for test in fitting if test.item.nodeid in finds or test.item.nodeid == last),
            key=lambda test: (
                test.item.nodeid != last, -finds[test.item.nodeid] / (test.seconds + _START_S)
            ),
        )
        known = {test.item.nodeid for test in first}
        left = [test for test in fitting if test.item.nodeid not in known]
        # Thousands of tests step the whole monitor: on those alone the budget would be spent.
        own = f"/test_{Path(mutant.path).stem}.py::"
        first += [test for test in left if own in test.item.nodeid]
        left = [test for test in left if own not in test.item.nodeid]
        order: list[_Test] = []
        spent = 0.0
        quick = int(np.searchsorted(np.cumsum([test.seconds for test in left]), _QUICK_S))
        drives = [t for t in left[quick:] if t.item.nodeid.startswith(_DRIVES)]
        others = (t for t in left[quick:] if not t.item.nodeid.startswith(_DRIVES))
        for test in chain(first, left[:quick], drives, others):
            spent += test.seconds
            if spent > self.budget_s and order:
                break
            order.append(test)
        return order

    def _wait(self, running: dict[int, tuple[Mutant, int]]) -> None:
        pid, status = os.waitpid(-1, 0)
        if pid not in running:
            return
        mutant, pipe = running.pop(pid)
        with os.fdopen(pipe, encoding="utf-8") as reader:
            by = reader.read()
        if os.WIFSIGNALED(status):
            self.tell(Verdict(mutant, FOUND, f"never ends (signal {os.WTERMSIG(status)})"))
        else:
            code = os.WEXITSTATUS(status)
            if code and by in self._tests and by not in self.passing:
                self._make_sure(original(mutant, Path.cwd()), [self._tests[by]], False)
                if self.broken:
                    return
                self.passing.add(by)
            if code and "::" in by:
                self._finds[f"{mutant.path}:{mutant.function}"][by] += 1
            self.tell(Verdict(mutant, SURVIVED if code == 0 else FOUND, by))


def _by_turns(tests: Sequence[_Test]) -> list[_Test]:
    """Quick ones first, and of each test its first parameters before the others of any test."""
    spent: dict[str, float] = defaultdict(float)
    placed = []
    for test in sorted(tests, key=lambda test: test.seconds):
        name = test.item.nodeid.split("[")[0]
        spent[name] += test.seconds + _START_S
        placed.append((spent[name], test))
    return [test for _, test in sorted(placed, key=lambda row: row[0])]


def _calm(items: Sequence[pytest.Item]) -> None:
    for item in items:
        test: Any = getattr(item, "obj", None)
        if hasattr(test, "hypothesis"):
            own = getattr(test, "_hypothesis_internal_use_settings", PROFILE)
            test._hypothesis_internal_use_settings = hypothesis.settings(
                PROFILE, max_examples=min(own.max_examples, _EXAMPLES)
            )


def _fails(item: pytest.Item) -> bool:
    return any(report.failed for report in runtestprotocol(item, log=False, nextitem=None))


@contextmanager
def _following(paths: frozenset[str], calls: set[str]) -> Iterator[None]:
    """Note the functions of these files that are called."""
    known: dict[CodeType, str | None] = {}

    def note(frame: FrameType, event: str, _: Any) -> None:
        code = frame.f_code
        if code not in known:
            at = code.co_filename.rfind("vla_driving/")
            path = code.co_filename[at:]
            known[code] = f"{path}:{code.co_qualname}" if at >= 0 and path in paths else None
        call = known[code]
        if call is not None:
            calls.add(call)

    sys.settrace(note)
    try:
        yield
    finally:
        sys.settrace(None)


def _try(mutant: Mutant, tests: Sequence[_Test], at_import: bool) -> tuple[int, int]:
    """Start a process that tries a mutant; its id and the pipe that names the test which fails."""
    reader, writer = os.pipe()
    pid = os.fork()
    if pid:
        os.close(writer)
        return pid, reader
    code = 1
    try:
        os.close(reader)
        _bound()
        found = _anew(mutant, tests) if at_import else _here(mutant, tests)
        os.write(writer, found.encode())
        code = 1 if found else 0
    except BaseException as error:  # whatever a mutant does to the runner itself, it shows
        code = 1
        os.write(writer, f"{type(error).__name__} outside of any test".encode())
    finally:
        os._exit(code)


def _here(mutant: Mutant, tests: Sequence[_Test]) -> str:
    install(mutant)
    for test in tests:
        _end_after(test.seconds)
        if _fails(test.item):
            return test.item.nodeid
    return ""


def _anew(mutant: Mutant, tests: Sequence[_Test]) -> str:
    _end_after(sum(test.seconds for test in tests) + _SPARE_CPU_S)
    import_with(mutant, Path.cwd())
    helpers = {path.stem for path in Path("test").rglob("*.py")}
    for name in list(sys.modules):
        if name in helpers or any(name == a or name.startswith(f"{a}.") for a in _ANEW):
            del sys.modules[name]
    noted = _First()
    chosen = [test.item.nodeid for test in tests]
    code = pytest.main(["-x", *QUICKLY, *chosen], plugins=[noted])
    return noted.failed or ("" if code == pytest.ExitCode.OK else f"pytest ended with {code}")


class _First:
    """Notes the first test that fails; its hypothesis tests are those of the judge."""

    def __init__(self) -> None:
        self.failed = ""

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """A part of a test has ended."""
        if report.failed and not self.failed:
            self.failed = report.nodeid

    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        """As for every mutant."""
        _calm(items)


def _end_after(seconds: float) -> None:
    """End this process by a signal where it takes far longer on a core from now on."""
    signal.setitimer(signal.ITIMER_PROF, _TIMES_SLOWER * seconds + _SPARE_CPU_S)


def _bound() -> None:
    """No endless memory and no output; a signal ends what never ends."""
    signal.signal(signal.SIGPROF, signal.SIG_DFL)
    pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[0])
    used = pages * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (used + _SPARE_MEMORY, resource.RLIM_INFINITY))
    sink = os.open(os.devnull, os.O_WRONLY)
    os.dup2(sink, 1)
    os.dup2(sink, 2)
