"""The machine that the figures were taken on, and how busy it was with other things."""

from __future__ import annotations

import os
import platform
from pathlib import Path

import psutil

BUSY_SHARE = 0.15
"""Of all cores: more than this beside the bench and its figures say little."""
_LOOK_S = 1.0


def busy_share() -> float:
    """Share of all cores in use now, 0 to 1, over a second in which the bench itself rests."""
    return psutil.cpu_percent(_LOOK_S) / 100.0


def describe() -> dict[str, str | float]:
    """Processor, cores, kernel and Python."""
    return {
        "processor": _processor(),
        "cores": float(len(os.sched_getaffinity(0))),
        "memory_mb": psutil.virtual_memory().total / 2**20,
        "kernel": platform.release(),
        "python": platform.python_version(),
    }


def _processor() -> str:
    for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.machine()
