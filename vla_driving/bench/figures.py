"""What every part of the bench hands back, and the ways to take a time that they share."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Mapping

Show = Callable[[str], None]
"""Takes one line of progress."""

Value = float | Mapping[str, float] | str
Figures = dict[str, Value]
"""Figures by their key in out/bench.json."""


def milliseconds(work: Callable[[], object], passes: int) -> list[float]:
    """Wall-clock durations of `passes` calls, ms, in order."""
    times = []
    for _ in range(passes):
        begin = time.perf_counter()
        work()
        times.append((time.perf_counter() - begin) * 1e3)
    return times


def quantile(values: list[float], share: float) -> float:
    """Quantile by the nearest rank. Raises ValueError where there are no values."""
    if not values:
        raise ValueError("no measurement to take a quantile of")
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))]


def median_of_rounds(measure: Callable[[], float], rounds: int) -> float:
    """Median over rounds of one figure."""
    return statistics.median(measure() for _ in range(rounds))
