"""Mutation testing of safety/ and the envelope: `make mutation` writes out/safety/mutation.json.

A mutant is one function with one small change (a sign, a limit, a name, a condition, an argument).
The tests of safety/ and control/ find it if one of them fails. The score is the share found; each
survivor is listed with its change, and with the reason where it is known to do the same as the
original (test/safety/equivalent_mutants.toml).

What is known of each mutant is kept in out/mutation/, and a run goes on where the one before ended.
One that was found counts as found while sources, that test and its helpers are unchanged; any other
is tried again, by the test that found it last time first. Files take turns by their share of all
mutants and mutants of a file come in random order, so a run that ends early has judged a sample.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import math
import os
import random
import re
import sys
import time
from collections import Counter
from collections.abc import Iterable, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass
from fnmatch import fnmatch
from itertools import takewhile
from pathlib import Path
from typing import Any

import pytest

from vla_driving import paths
from vla_driving.assurance.equivalent import reasons
from vla_driving.assurance.mutants import Mutant, mutants_of
from vla_driving.assurance.mutation_judge import FOUND, QUICKLY, Calls, Judge, Verdict
from vla_driving.assurance.sources import source_hash

RESULT = Path("out/safety/mutation.json")
KEPT = Path("out/mutation")
TESTS = ("test/safety", "test/control")
LEFT_OUT = ("vla_driving/safety/reference.py", "vla_driving/safety/compiled.py")
"""One writes the documentation, the other compiles: they decide nothing. Mutants run uncompiled;
that compiled loops say the same is tested (test/safety/test_compiled.py)."""
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


@dataclass(frozen=True)
class Prints:
    """What verdicts depend on: the sources, and each file of tests with the helpers it imports."""

    sources: str
    files: dict[str, str]

    @classmethod
    def of(cls, root: Path) -> Prints:
        """Of the tree as it is. A file that names a folder beside it depends on what is there."""
        found = [path for folder in TESTS for path in (root / folder).rglob("*.py")]
        helpers = {path.stem: path for path in found if not path.name.startswith("test_")}
        files = {}
        for path in sorted(found):
            needed, digest = _needed(path, helpers), hashlib.sha256()
            for part in sorted(needed):
                digest.update(part.relative_to(root).as_posix().encode() + part.read_bytes())
            files[path.relative_to(root).as_posix()] = digest.hexdigest()
        return cls(source_hash(root), files)

    def text_of(self, test: str) -> str:
        """Of a test by its id, whatever the sources; of all of them for anything else."""
        text = self.files.get(test.split("::")[0]) or json.dumps(self.files)
        return hashlib.sha256(text.encode()).hexdigest()[:16]

    def print_of(self, test: str) -> str:
        """Of a test, or of all of them, and the sources."""
        return hashlib.sha256(f"{self.sources}{self.text_of(test)}".encode()).hexdigest()[:16]


def _needed(path: Path, helpers: dict[str, Path]) -> set[Path]:
    needed, left = set(), [path]
    while left:
        part = left.pop()
        if part in needed:
            continue
        needed.add(part)
        text = part.read_text(encoding="utf-8")
        imported = re.findall(r"^(?:from|import) (\w+)", text, re.MULTILINE)
        left += [helpers[name] for name in imported if name in helpers]
        for folder in part.parent.iterdir():
            if folder.is_dir() and f'"{folder.name}"' in text:
                needed |= set(folder.glob("*.*"))
    return needed


@dataclass
class Memory:
    """Verdicts of this and of earlier runs, by the mutant's key: print, result, by.

    `calls` are the functions that each test called when it last ran on sources without a mutant;
    `passing` are those that passed on these very sources.
    """

    path: Path
    prints: Prints
    rows: dict[str, list[str]]
    calls: Calls
    passing: set[str]

    @classmethod
    def read(cls, path: Path, prints: Prints) -> Memory:
        """What is kept, or nothing."""
        kept = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
        tests = kept.get("tests", {})
        same = {test: row for test, row in tests.items() if row[1] == prints.text_of(test)}
        calls = {test: (seconds, called) for test, (_, _, seconds, called) in same.items()}
        passing = {test for test, row in same.items() if row[0] == prints.print_of(test)}
        return cls(path, prints, kept.get("rows", {}), calls, passing)

    def verdict(self, mutant: Mutant) -> Verdict | None:
        """Of these very sources and tests."""
        mark, result, by = self.rows.get(mutant.key, ("", "", ""))
        fits = mark == self.prints.print_of(by if result == FOUND else "")
        return Verdict(mutant, result, by) if fits else None

    def killer(self, mutant: Mutant) -> str:
        """The test that found it last time, whatever has changed since."""
        return self.rows.get(mutant.key, ["", "", ""])[2]

    def keep(self, verdict: Verdict) -> None:
        """Note a verdict."""
        mark = self.prints.print_of(verdict.by if verdict.result == FOUND else "")
        self.rows[verdict.mutant.key] = [mark, verdict.result, verdict.by]

    def write(self) -> None:
        """To the disk, whole or not at all."""
        self.path.parent.mkdir(parents=True, exist_ok=True)
        part = self.path.with_suffix(".part")
        tests = {
            test: (
                self.prints.print_of(test) if test in self.passing else "",
                self.prints.text_of(test), seconds, called,
            )
            for test, (seconds, called) in self.calls.items()
        }
        part.write_text(json.dumps({"tests": tests, "rows": self.rows}), encoding="utf-8")
        part.replace(self.path)


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


def in_turn(by_file: Sequence[Sequence[Mutant]], seed: int) -> list[Mutant]:
    """Each file's mutants in random order, files by turns: any beginning is a stratified sample."""
    rng = random.Random(seed)
    placed = []
    for made in by_file:
        shuffled = rng.sample(made, len(made))
        placed += [((k + rng.random()) / len(made), m.key, m) for k, m in enumerate(shuffled)]
    return [mutant for _, _, mutant in sorted(placed, key=lambda row: row[:2])]


def _try(
    mutants: Iterable[Mutant], memory: Memory, options: argparse.Namespace
) -> tuple[dict[str, Verdict], list[str]]:
    """Verdicts by the mutant's key, and the tests that fail without any mutant."""
    verdicts, left = {}, []
    for mutant in mutants:
        known = memory.verdict(mutant)
        if known is None or (options.survivors and known.result != FOUND):
            left.append(mutant)
        else:
            verdicts[mutant.key] = known
    print(f"{len(verdicts)} verdicts hold still, {len(left)} mutants to try", flush=True)
    began = told = time.monotonic()

    def tell(verdict: Verdict) -> None:
        nonlocal told
        verdicts[verdict.mutant.key] = verdict
        memory.keep(verdict)
        if verdict.result != FOUND:
            print(f"{verdict.result}: {verdict.mutant.name}\n{verdict.mutant.diff}", flush=True)
        if time.monotonic() - told > 10.0:
            told = time.monotonic()
            memory.write()
            found = sum(v.result == FOUND for v in verdicts.values())
            print(
                f"{told - began:.0f} s: {len(verdicts)} judged, {found} found "
                f"({found / len(verdicts):.1%})", flush=True,
            )

    def show(line: str) -> None:
        print(line, flush=True)
        memory.write()

    judge = Judge(
        left, frozenset(files(Path.cwd())), memory.calls, memory.passing, memory.killer, tell, show,
        options.jobs, began + 60.0 * options.minutes, options.budget,
    )
    if left:
        _pytest(judge)
        memory.write()
    return verdicts, judge.broken


def _pytest(judge: Judge) -> None:
    pytest.main([*QUICKLY, *TESTS], plugins=[judge])


def main(arguments: list[str] | None = None) -> int:
    """Command line; 0 where the score reaches 95 % and every survivor has its reason."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--sample", type=int, default=0, help="so many; 0 for all")
    parser.add_argument("--seed", type=int, default=1, help="of the order")
    parser.add_argument("--only", default="", help="parts of paths, as a,b; writes no result")
    parser.add_argument("--survivors", action="store_true", help="try what survived again")
    parser.add_argument("--minutes", type=float, default=180.0, help="no new mutant after them")
    parser.add_argument(
        "--budget", type=float, default=20.0, help="seconds of tests a mutant; quickest tests first"
    )
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1)
    options = parser.parse_args(arguments)
    root = paths.share()
    os.chdir(root)
    # Compiled kernels could not be changed: their Python is judged.
    os.environ["NUMBA_DISABLE_JIT"] = "1"
    prints = Prints.of(root)
    with ProcessPoolExecutor(options.jobs) as pool:
        names = files(root)
        everything = in_turn([m for m in pool.map(generated, [root] * len(names), names) if m],
                             options.seed)
    only = [f"*{name}*" for name in options.only.split(",")]
    wanted = [m for m in everything if any(fnmatch(m.path, name) for name in only)]
    wanted = wanted[: options.sample or None]
    print(f"{len(everything)} mutants of {len(names)} files, {len(wanted)} wanted", flush=True)
    memory = Memory.read(root / KEPT / "verdicts.json", prints)
    known, broken = _try(wanted, memory, options)
    if broken:
        print(f"these fail without any mutant, make them pass first: {', '.join(broken)}")
        return 2
    # What was judged beyond the first gap belongs to no sample.
    judged = takewhile(lambda mutant: mutant.key in known, wanted)
    verdicts = [known[mutant.key] for mutant in judged]
    result = {"source_hash": prints.sources, **report(verdicts, len(everything), reasons(root))}
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
