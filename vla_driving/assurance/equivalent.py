"""Mutants that do the same as the original, and why: what no test can find.

Apart from the run that makes mutants, so that a test reads the list without mutmut.
"""

from __future__ import annotations

import tomllib
from pathlib import Path

EQUIVALENT = Path("test/safety/equivalent_mutants.toml")


def reasons(root: Path) -> dict[tuple[str, str], str]:
    """Why a mutant cannot be found, by file:function and difference."""
    text = (root / EQUIVALENT).read_text(encoding="utf-8")
    return {
        (row["function"], "\n".join(line.strip() for line in row["diff"].strip().splitlines())):
            row["reason"]
        for row in tomllib.loads(text).get("mutant", ())
    }
