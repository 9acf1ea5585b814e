"""A million attacks on monitor and bridge together: `make fuzz` writes out/safety/fuzz.json.

A case is one plan or one vehicle state, made or altered by the adversary, that came to the safety
monitor on a drive under way; the bridge gets the states as well, and what the monitor approved. The
oracle judges every approved plan and every command. What it finds wrong is an escape: it is reduced
to the attacks that it takes, kept in out/safety/escapes/, and repeated with --repeat FILE.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import sys
import time
import warnings
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from typing import Any

import numpy as np

from vla_driving import paths
from vla_driving.assurance.fuzzing.drive import STEP_S, Attack, Drive, Result, attacked, beginnings
from vla_driving.assurance.sources import source_hash

RESULT = Path("out/safety/fuzz.json")
ESCAPES = Path("out/safety/escapes")
_DRIVES = 24
"""Drives of one task: two of each beginning."""
_MOST_ESCAPES = 20
"""More are not looked at: mend these first."""

_begun: list[Drive] = []


@dataclass
class Tally:
    """What came of some drives."""

    cases: Counter[str] = field(default_factory=Counter)
    commands: int = 0
    engaged: int = 0
    drives: int = 0
    escapes: list[dict[str, Any]] = field(default_factory=list)

    def add(self, other: Tally) -> None:
        """Count another one in."""
        self.cases += other.cases
        self.commands += other.commands
        self.engaged += other.engaged
        self.drives += other.drives
        self.escapes += other.escapes


def _start() -> None:
    # Odd numbers overflow in the adversary; what that leads to is what is looked for.
    np.seterr(all="ignore")
    warnings.simplefilter("ignore")
    _begun[:] = beginnings()


def drives(seed: int, numbers: Sequence[int]) -> Tally:
    """Some drives by their numbers; an exception that leaves a core is an escape as well."""
    if not _begun:
        _start()
    tally = Tally()
    for number in numbers:
        result = once(seed, number)
        tally.cases.update(result.cases)
        tally.commands += result.commands
        tally.engaged += result.engaged
        tally.drives += 1
        if result.escape:
            tally.escapes.append(reduced(seed, number, result))
    return tally


def once(seed: int, number: int, only: frozenset[Attack] | None = None) -> Result:
    """One drive; `only` these attacks, or all."""
    result = Result()
    try:
        attacked(_begun[number % len(_begun)], seed, number, result, only)
    except Exception as error:  # nothing may leave a step
        result.escape = f"raised {type(error).__name__}: {error}"[:300]
    return result


def reduced(seed: int, number: int, found: Result) -> dict[str, Any]:
    """The fewest attacks found that still lead to an escape, as a case to keep."""
    needed = [attack for attack, _ in found.attacks]
    size = max(len(needed) // 2, 1)
    while size:
        for first in range(0, len(needed), size):
            fewer = needed[:first] + needed[first + size :]
            if fewer and once(seed, number, frozenset(fewer)).escape:
                needed = fewer
                break
        else:
            size //= 2
    kinds = dict(found.attacks)
    last = once(seed, number, frozenset(needed))
    return {
        "seed": seed, "drive": number, "wrong": last.escape or found.escape,
        "attacks": [[*attack, kinds[attack]] for attack in needed],
    }


def _tasks() -> Iterator[range]:
    for first in count(0, _DRIVES):
        yield range(first, first + _DRIVES)


def run(cases: int, seed: int, minutes: float, jobs: int) -> Tally:
    """Drive until there are so many cases, or the time is over."""
    began = told = time.monotonic()
    whole, tasks = Tally(), _tasks()
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(jobs, mp_context=context, initializer=_start) as pool:
        pending: set[Future[Tally]] = set()
        while whole.cases.total() < cases and len(whole.escapes) < _MOST_ESCAPES:
            if time.monotonic() - began > 60.0 * minutes:
                break
            while len(pending) < 2 * jobs:
                pending.add(pool.submit(drives, seed, next(tasks)))
            done, pending = wait(pending, return_when=FIRST_COMPLETED)
            for future in done:
                whole.add(future.result())
            if time.monotonic() - told > 10.0:
                told = time.monotonic()
                print(
                    f"{told - began:.0f} s: {whole.cases.total()} cases in {whole.drives} drives, "
                    f"{len(whole.escapes)} escapes", flush=True,
                )
        pool.shutdown(cancel_futures=True)
    return whole


def _repeat(path: Path) -> int:
    kept = json.loads(path.read_text(encoding="utf-8"))
    _start()
    attacks = frozenset((step, topic, place) for step, topic, place, _ in kept["attacks"])
    found = once(kept["seed"], kept["drive"], attacks)
    print(found.escape or "nothing is wrong any more")
    return 1 if found.escape else 0


def main(arguments: list[str] | None = None) -> int:
    """Command line; 0 where all cases were tried and none escaped."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--cases", type=int, default=1_000_000)
    parser.add_argument("--seed", type=int, default=1, help="the same seed tries the same cases")
    parser.add_argument("--minutes", type=float, default=60.0, help="no longer than this")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--repeat", type=Path, help="an escape that was kept")
    options = parser.parse_args(arguments)
    if options.repeat:
        return _repeat(options.repeat)
    root = paths.share()
    sources, began = source_hash(root), time.monotonic()
    tally = run(options.cases, options.seed, options.minutes, options.jobs)
    result = {
        "source_hash": sources, "fuzz_cases": tally.cases.total(),
        "fuzz_escapes": len(tally.escapes), "seed": options.seed, "drives": tally.drives,
        "commands": tally.commands, "simulated_s": round(tally.commands * STEP_S / 2),
        "engaged_share": round(2 * tally.engaged / max(tally.commands, 1), 3),
        "by_kind": dict(sorted(tally.cases.items())), "escapes": tally.escapes,
        "seconds": round(time.monotonic() - began, 1),
    }
    for escape in tally.escapes:
        kept = root / ESCAPES / f"{escape['seed']}-{escape['drive']}.json"
        kept.parent.mkdir(parents=True, exist_ok=True)
        kept.write_text(json.dumps(escape, indent=1) + "\n", encoding="utf-8")
        print(f"escape, {len(escape['attacks'])} attacks: {escape['wrong']}\n  kept as {kept}")
    (root / RESULT).parent.mkdir(parents=True, exist_ok=True)
    (root / RESULT).write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
    print(
        f"{result['fuzz_cases']} cases, {result['commands']} commands, "
        f"{result['fuzz_escapes']} escapes, {result['seconds']:.0f} s; wrote {RESULT}"
    )
    return 0 if tally.cases.total() >= options.cases and not tally.escapes else 1


if __name__ == "__main__":
    sys.exit(main())
