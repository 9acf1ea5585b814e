"""From the runs of a fault to its row in out/faults.json: quantiles, limit, pass or fail."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any

from vla_driving.replay.faults.evidence import Run
from vla_driving.replay.faults.table import SAFE_COMMAND, FaultCase, Figure, Reaction

MAX_PROBLEMS = 5
"""Kept of each fault, most frequent first."""


def row(case: FaultCase, runs: Sequence[Run], repeated: int, wanted: int) -> dict[str, Any]:
    """Entry of one fault, which passes where none of the runs `wanted` is missing or failed.

    `repeated`: runs that could not be set up and were done anew.
    """
    commands = _known(r.command_ms for r in runs)
    detections = _known(r.detection_ms for r in runs)
    problems = Counter(p for r in runs for p in r.problems)
    limited = case.reaction not in (Reaction.NONE,)
    slow = limited and bool(commands) and quantile(commands, 0.99) > case.limit_ms
    return {
        "fault": case.name,
        "runs": len(runs),
        "runs_wanted": wanted,
        "repeated": repeated,
        "detected_as": _names(r.detected_as for r in runs),
        "expected_as": list(case.detected_as),
        "first_alarm": _names(r.first_alarm for r in runs),
        "reaction": case.reaction.value,
        "figure": case.figure.value if case.figure else None,
        "starts": case.start.value,
        "safe_command": SAFE_COMMAND[case.reaction],
        **_figures("detection_ms", detections),
        **_figures("command_ms", commands),
        "command_ms_limit": case.limit_ms if limited else None,
        **_figures("stop_ms", _known(r.stop_ms for r in runs)),
        "standstill_m": _rounded(max(_known(r.standstill_m for r in runs), default=None)),
        "standstill_runs": len(_known(r.standstill_m for r in runs)),
        "problems": [f"{n} x {p}" for p, n in problems.most_common(MAX_PROBLEMS)],
        "pass": len(runs) >= wanted and not problems and not slow,
    }


def figure_row(
    figure: Figure, cases: Iterable[FaultCase], runs: Sequence[Run], wanted: int
) -> dict[str, Any]:
    """Entry of one of the three figures, over all runs of its faults."""
    names = {c.name for c in cases if c.figure == figure}
    mine = [r for r in runs if r.fault in names]
    commands = _known(r.command_ms for r in mine)
    detections = _known(r.detection_ms for r in mine)
    ok = len(commands) == len(mine) >= wanted > 0 and not any(r.problems for r in mine)
    return {
        "fault": f"figure: {figure.value}",
        "runs": len(mine),
        "runs_wanted": wanted,
        "detected_as": _names(r.detected_as for r in mine),
        "reaction": "all of the figure's faults together",
        "figure": figure.value,
        **_figures("detection_ms", detections),
        **_figures("command_ms", commands),
        "command_ms_limit": figure.limit_ms,
        "standstill_m": _rounded(max(_known(r.standstill_m for r in mine), default=None)),
        "pass": ok and quantile(commands, 0.99) <= figure.limit_ms,
    }


def quantile(values: Sequence[float], share: float) -> float:
    """The smallest value that at least this share of the values does not exceed."""
    ordered = sorted(values)
    return ordered[max(math.ceil(share * len(ordered)), 1) - 1]


def table(rows: Iterable[dict[str, Any]]) -> list[str]:
    """The rows as lines for a terminal."""
    heads = ("fault", "runs", "detected as", "detect p99", "command p99", "limit", "stands", "")
    cells = [heads, *(_cells(r) for r in rows)]
    widths = [max(len(line[k]) for line in cells) for k in range(len(heads))]
    return [
        "  ".join(c.ljust(w) for c, w in zip(line, widths, strict=True)).rstrip() for line in cells
    ]


def _cells(entry: dict[str, Any]) -> tuple[str, ...]:
    return (
        entry["fault"], f"{entry['runs']}/{entry['runs_wanted']}", entry["detected_as"][:44],
        _unit(entry["detection_ms_p99"], "ms"), _unit(entry["command_ms_p99"], "ms"),
        _unit(entry["command_ms_limit"], "ms"), _unit(entry["standstill_m"], "m"),
        "pass" if entry["pass"] else "FAIL " + "; ".join(entry.get("problems", ()))[:90],
    )


def _unit(value: float | None, unit: str) -> str:
    return "-" if value is None else f"{value:.0f} {unit}"


def _figures(name: str, values: Sequence[float]) -> dict[str, float | None]:
    if not values:
        return {f"{name}_{key}": None for key in ("p50", "p99", "max")}
    return {
        f"{name}_p50": _rounded(quantile(values, 0.5)),
        f"{name}_p99": _rounded(quantile(values, 0.99)),
        f"{name}_max": _rounded(max(values)),
    }


def _known(values: Iterable[float | None]) -> list[float]:
    return [v for v in values if v is not None]


def _names(names: Iterable[str]) -> str:
    return ", ".join(name for name, _ in Counter(filter(None, names)).most_common())


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 1)
