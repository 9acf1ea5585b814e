"""Array loops as machine code: one source, compiled by numba while its module is imported.

Nothing is compiled later, so no step ever waits for it: a call with arguments of other types raises
TypeError, which is a check that failed. What was compiled is kept in a folder named after a hash of
the sources, so that changed ones never run as old code; where no folder can be written, each start
compiles anew. With NUMBA_DISABLE_JIT=1 the same source runs as plain Python.
"""

from __future__ import annotations

import hashlib
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar, cast

import numba

from vla_driving.contract import trajectory

F = TypeVar("F", bound=Callable[..., Any])


def _cache_folder() -> str:
    """The folder for what the present sources become; empty where none can be written.

    All sources are one: a function holds the code and the constants of those it calls.
    """
    sources = [*Path(__file__).parent.rglob("*.py"), Path(trajectory.__file__)]
    found = (source.read_bytes() for source in sorted(sources))
    digest = hashlib.sha256(b"".join(text for text in found if _compiles(text))).hexdigest()
    home = Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache")
    try:
        folder = home.expanduser() / "vla_driving" / "compiled" / digest[:16]
        folder.mkdir(parents=True, exist_ok=True)
    except (OSError, RuntimeError):
        return ""
    return str(folder) if os.access(folder, os.W_OK) else ""


def _compiles(source: bytes) -> bool:
    return b"safety.compiled import" in source or b"PERIOD_S = " in source


def _notice(folder: str) -> str:
    """What to say before the first compilation; empty where there is none to do."""
    if numba.config.DISABLE_JIT or (folder and any(Path(folder).rglob("*.nbi"))):
        return ""
    when = "once on this machine" if folder else "at every start: no folder for it can be written"
    return f"safety monitor: compiling its checks, {when}, about 20 s"


numba.config.CACHE_DIR = _cache_folder()
if notice := _notice(numba.config.CACHE_DIR):
    print(notice, file=sys.stderr, flush=True)


def part(function: F) -> F:
    """A function that compiled ones call: it becomes a part of them."""
    return cast(F, numba.njit(error_model="numpy")(function))


@part
def most(value: float, other: float) -> float:
    """The larger; not a number where one of them is none, which fails."""
    return value if value > other or value != value else other


@part
def least(value: float, other: float) -> float:
    """The smaller; not a number where one of them is none, which fails."""
    return value if value < other or value != value else other


def compiled(*examples: Any) -> Callable[[F], F]:
    """Compile for arguments of the types of `examples`, and for no others."""

    def decorate(function: F) -> F:
        if numba.config.DISABLE_JIT:
            return function
        made = numba.njit(error_model="numpy", cache=bool(numba.config.CACHE_DIR))(function)
        made.compile(tuple(map(numba.typeof, examples)))
        made.disable_compile()
        return cast(F, made)

    return decorate
