"""Mutation testing of safety/ and the envelope: `make mutation` writes out/safety/mutation.json.

A mutant is one function with one small change (a sign, a limit, a name, a condition, an argument).
The tests of safety/ and control/ find it if one of them fails. The score is the share found; each
survivor is listed with its change, and with the reason where it is known to do the same as the
original (test/safety/equivalent_mutants.toml).

What is known of each mutant is kept in out/mutation/: with sources and tests unchanged a run goes
on where the one before ended; after a change every mutant is tried again, by the test that found it
first.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import math
import os
import random
import sys
import time
import tomllib
from collections import Counter
from collections.abc import Iterable, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass
from fnmatch import fnmatch
from pathlib import Path
from typing import Any

import pytest

from vla_driving import paths
from vla_driving.assurance.mutants import Mutant, mutants_of
from vla_driving.assurance.mutation_judge import FOUND, Calls, Judge, Verdict
from vla_driving.assurance.sources import source_hash

RESULT = Path("out/safety/mutation.json")
KEPT = Path("out/mutation")
EQUIVALENT = Path("test/safety/equivalent_mutants.toml")
TESTS = ("test/safety", "test/control")
LEFT_OUT = ("vla_driving/safety/reference.py",)
"""Writes the documentation; decides nothing."""
_NORMAL_95 = 1.96


def files(root: Path) -> list[str]:
    """What is mutated, relative to the root."""
    found = [*(root / "vla_driving/safety").rglob("*.py"), root / "vla_driving/control/envelope.py"]
    names = sorted(path.relative_to(root).as_posix() for path in found)
    return [name for name in names if name not in LEFT_OUT]


def generated(root: Path, path: str) -> list[Mutant]:
    """The mutants of a file, made once for each text of it."""
    text = (root / path).read_bytes() + Path(__file__).with_name("mutants.py").read_bytes()
    kept = root / KEPT / "made" / f"{hashlib.sha256(path.encode() + text).hexdigest()[:16]}.json"
    if kept.exists():
        return [Mutant(**row) for row in json.loads(kept.read_text(encoding="utf-8"))]
    made = mutants_of(root, path)
    kept.parent.mkdir(parents=True, exist_ok=True)
    kept.write_text(json.dumps([asdict(mutant) for mutant in made]), encoding="utf-8")
    return made


def fingerprint(root: Path) -> str:
    """Changes with whatever a verdict depends on: the sources and the tests."""
    digest = hashlib.sha256(source_hash(root).encode())
    for folder in TESTS:
        for path in sorted((root / folder).rglob("*.py")):
            name = path.relative_to(root).as_posix()
            digest.update(name.encode() + b"\0" + path.read_bytes() + b"\0")
    return digest.hexdigest()[:16]


@dataclass
class Memory:
    """Verdicts of this and of earlier runs, by the mutant's key: fingerprint, result, by.

    `calls` are the functions that each test calls, of these very sources and tests.
    """

    path: Path
    now: str
    rows: dict[str, list[str]]
    calls: Calls

    @classmethod
    def read(cls, path: Path, now: str) -> Memory:
        """What is kept, or nothing."""
        kept = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
        calls = kept.get("calls", {}) if kept.get("now") == now else {}
        return cls(path, now, kept.get("rows", {}), calls)

    def verdict(self, mutant: Mutant) -> Verdict | None:
        """Of these very sources and tests."""
        row = self.rows.get(mutant.key)
        return Verdict(mutant, row[1], row[2]) if row and row[0] == self.now else None

    def killer(self, mutant: Mutant) -> str:
        """The test that found it last time, whatever has changed since."""
        return self.rows.get(mutant.key, ["", "", ""])[2]

    def keep(self, verdict: Verdict) -> None:
        """Note a verdict."""
        self.rows[verdict.mutant.key] = [self.now, verdict.result, verdict.by]

    def write(self) -> None:
        """To the disk, whole or not at all."""
        self.path.parent.mkdir(parents=True, exist_ok=True)
        part = self.path.with_suffix(".part")
        kept = {"now": self.now, "calls": self.calls, "rows": self.rows}
        part.write_text(json.dumps(kept), encoding="utf-8")
        part.replace(self.path)


def reasons(root: Path) -> dict[tuple[str, str], str]:
    """Why a mutant cannot be found, by file:function and difference."""
    text = (root / EQUIVALENT).read_text(encoding="utf-8")
    return {
        (row["function"], "\n".join(line.strip() for line in row["diff"].strip().splitlines())):
            row["reason"]
        for row in tomllib.loads(text).get("mutant", ())
    }


def interval(found: int, tried: int) -> tuple[float, float]:
    """95 % interval of a share (Wilson)."""
    if not tried:
        return 0.0, 1.0
    z2, share = _NORMAL_95**2, found / tried
    middle = (share + z2 / (2 * tried)) / (1 + z2 / tried)
    half = _NORMAL_95 / (1 + z2 / tried) * math.sqrt(
        share * (1 - share) / tried + z2 / (4 * tried**2)
    )
    return middle - half, middle + half


def report(
    verdicts: Sequence[Verdict], whole: int, why: dict[tuple[str, str], str]
) -> dict[str, Any]:
    """The result: `mutants` were tried of `whole`."""
    found = sum(v.result == FOUND for v in verdicts)
    tried: Counter[str] = Counter(v.mutant.path for v in verdicts)
    killed: Counter[str] = Counter(v.mutant.path for v in verdicts if v.result == FOUND)
    survivors = [
        {
            "mutant": v.mutant.name, "diff": v.mutant.diff,
            "reason": why.get((v.mutant.name.split("#")[0], v.mutant.diff), ""),
            "result": v.result,
        }
        for v in verdicts if v.result != FOUND
    ]
    equivalent = sum(bool(row["reason"]) for row in survivors)
    low, high = interval(found, len(verdicts))
    return {
        "mutants": len(verdicts), "killed": found,
        "mutation_score": _share(found, len(verdicts)),
        "equivalent": equivalent,
        "score_without_equivalent": _share(found, len(verdicts) - equivalent),
        "sampled": len(verdicts) < whole, "of": whole,
        "ci95": [round(low, 4), round(high, 4)] if len(verdicts) < whole else None,
        "modules": {
            path: {"mutants": n, "killed": killed[path], "score": _share(killed[path], n)}
            for path, n in sorted(tried.items())
        },
        "survivors": survivors,
    }


def _share(part: int, whole: int) -> float:
    # Rounded down: a target is reached by nothing less.
    return int(1e4 * part / whole) / 1e4 if whole else 0.0


def _chosen(everything: list[Mutant], options: argparse.Namespace) -> list[Mutant]:
    chosen = [m for m in everything if fnmatch(m.path, f"*{options.only}*")]
    if options.sample and options.sample < len(chosen):
        chosen = random.Random(options.seed).sample(chosen, options.sample)
    return chosen


def _try(
    mutants: Iterable[Mutant], memory: Memory, options: argparse.Namespace
) -> tuple[list[Verdict], list[str]]:
    """Verdicts, and the tests that fail without any mutant."""
    verdicts, left = [], []
    for mutant in mutants:
        known = memory.verdict(mutant)
        if known is None or (options.survivors and known.result != FOUND):
            left.append(mutant)
        else:
            verdicts.append(known)
    print(f"{len(verdicts)} verdicts hold still, {len(left)} mutants to try", flush=True)
    began = told = time.monotonic()

    def tell(verdict: Verdict) -> None:
        nonlocal told
        verdicts.append(verdict)
        memory.keep(verdict)
        if verdict.result != FOUND:
            print(f"{verdict.result}: {verdict.mutant.name}\n{verdict.mutant.diff}", flush=True)
        if time.monotonic() - told > 10.0:
            told = time.monotonic()
            memory.write()
            found = sum(v.result == FOUND for v in verdicts)
            print(
                f"{told - began:.0f} s: {len(verdicts)} judged, {found} found "
                f"({found / len(verdicts):.1%})", flush=True,
            )

    judge = Judge(
        left, frozenset(files(Path.cwd())), memory.calls, memory.killer, tell,
        lambda line: print(line, flush=True), options.jobs, began + 60.0 * options.minutes,
        options.budget,
    )
    if left:
        _pytest(judge)
        memory.write()
    return verdicts, judge.broken


def _pytest(judge: Judge) -> None:
    arguments = ["-qq", "-s", "-p", "no:cacheprovider", "-o", "timeout=0", "-W", "ignore"]
    pytest.main([*arguments, *TESTS], plugins=[judge])


def main(arguments: list[str] | None = None) -> int:
    """Command line; 0 where the score reaches 95 % and every survivor has its reason."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--sample", type=int, default=0, help="so many at random; 0 for all")
    parser.add_argument("--seed", type=int, default=1, help="of the sample")
    parser.add_argument("--only", default="", help="files whose path holds this; writes no result")
    parser.add_argument("--survivors", action="store_true", help="try what survived again")
    parser.add_argument("--minutes", type=float, default=180.0, help="no new mutant after them")
    parser.add_argument(
        "--budget", type=float, default=15.0, help="seconds of tests a mutant; quickest tests first"
    )
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1)
    options = parser.parse_args(arguments)
    root = paths.share()
    os.chdir(root)
    now, sources = fingerprint(root), source_hash(root)
    with ProcessPoolExecutor(options.jobs) as pool:
        names = files(root)
        by_file = sorted(pool.map(generated, [root] * len(names), names), key=len)
    everything = [mutant for made in by_file for mutant in made]
    wanted = _chosen(everything, options)
    print(f"{len(everything)} mutants of {len(names)} files, {len(wanted)} wanted", flush=True)
    memory = Memory.read(root / KEPT / "verdicts.json", now)
    verdicts, broken = _try(wanted, memory, options)
    if broken:
        print(f"these fail without any mutant, make them pass first: {', '.join(broken)}")
        return 2
    result = {"source_hash": sources, **report(verdicts, len(everything), reasons(root))}
    for path, row in result["modules"].items():
        print(f"{row['score']:7.1%}  {row['killed']:4d} of {row['mutants']:4d}  {path}")
    unexplained = [row["mutant"] for row in result["survivors"] if not row["reason"]]
    print(
        f"{result['killed']} of {result['mutants']} found: {result['mutation_score']:.2%}; "
        f"{result['equivalent']} survivors do the same as the original, {len(unexplained)} do not"
    )
    if len(verdicts) < len(wanted):
        print(f"{len(wanted) - len(verdicts)} were not tried in time: run it again")
    if not options.only:
        (root / RESULT).parent.mkdir(parents=True, exist_ok=True)
        (root / RESULT).write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
        print(f"wrote {RESULT}")
    return 0 if result["mutation_score"] >= 0.95 and not unexplained else 1


if __name__ == "__main__":
    sys.exit(main())
