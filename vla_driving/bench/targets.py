"""What the bench's figures are held against, and the table that shows it."""

from __future__ import annotations

import operator
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from vla_driving.bench.figures import Figures


@dataclass(frozen=True)
class Target:
    """One figure by its (dotted) key, its limit, and the key of the plain way beside it."""

    key: str
    meaning: str
    unit: str
    sense: str = ""
    limit: float = 0.0
    plain: str = ""

    def reached(self, value: float) -> bool | None:
        """Whether the value keeps the limit; None where there is none."""
        return _SENSES[self.sense](value, self.limit) if self.sense else None


_SENSES: dict[str, Callable[[float, float], bool]] = {"<=": operator.le, ">=": operator.ge}

TARGETS: tuple[Target, ...] = (
    Target("jpeg_1080p_ms", "1080p JPEG to model-ready frame, one core, p50", "ms", "<=", 6.0,
           "jpeg_1080p_plain_ms"),
    Target("jpeg_1080p_gain", "times faster than the plain way", "", ">=", 4.0),
    Target("raw_1080p_ms", "raw 1080p to model-ready frame, p50", "ms", "<=", 2.5),
    Target("four_cameras_core_share", "four 1080p JPEG cameras at 10 Hz, of one core", "", "<=",
           1.0),
    Target("handover_composed_ms_p99", "frame to model in one process, p99", "ms", "<=", 1.0,
           "handover_plain_ms_p99"),
    Target("handover_dds_ms_p99", "frame to model between processes, p99", "ms", "<=", 5.0,
           "handover_plain_ms_p99"),
    Target("frame_to_command_ms.p50", "frame to command, p50", "ms"),
    Target("frame_to_command_ms.p99", "frame to command, p99", "ms", "<=", 35.0),
    Target("frame_to_command_ms.max", "frame to command, the longest", "ms"),
    Target("overhead_ms_p99", "of it all but the forward pass, p99", "ms", "<=", 8.0),
    Target("missed_deadlines", "missed deadlines", "", "<=", 0.0),
    Target("rss_growth_mb", "growth of all processes' memory", "MB", "<=", 5.0),
    Target("forward_ms_p50", "forward pass, p50", "ms"),
    Target("forward_peak_ratio", "of the processor's measured int8 peak", ""),
)


def value_of(figures: Mapping[str, Any], key: str) -> float | None:
    """Figure by its dotted key; None where it was not measured."""
    found: Any = figures
    for part in key.split("."):
        found = found.get(part) if isinstance(found, Mapping) else None
    return float(found) if isinstance(found, int | float) else None


def with_gain(figures: Figures) -> Figures:
    """The figures and how much faster than the plain way a JPEG is."""
    ours, plain = (value_of(figures, k) for k in ("jpeg_1080p_ms", "jpeg_1080p_plain_ms"))
    gain: Figures = {"jpeg_1080p_gain": plain / ours} if ours and plain else {}
    return {**figures, **gain}


def judged(figures: Figures) -> list[dict[str, Any]]:
    """One entry for each target that was measured and has a limit."""
    return [
        {
            "key": target.key, "meaning": target.meaning, "value": value, "sense": target.sense,
            "limit": target.limit, "reached": target.reached(value),
        }
        for target in TARGETS
        if target.sense and (value := value_of(figures, target.key)) is not None
    ]


def table(figures: Figures) -> Iterator[str]:
    """Lines of the table: verdict, figure, target, the plain way."""
    for target in TARGETS:
        value = value_of(figures, target.key)
        if value is None:
            continue
        mark = {True: "reached", False: "MISSED", None: ""}[target.reached(value)]
        goal = f"{target.sense} {target.limit:g}" if target.sense else ""
        plain = value_of(figures, target.plain) if target.plain else None
        beside = f"  the plain way: {plain:.2f} {target.unit}" if plain is not None else ""
        shown = f"{value:.3g}" if abs(value) < 1 else f"{value:.2f}"
        yield f"{mark:8}{shown:>9} {target.unit:3}{goal:>8}  {target.meaning}{beside}"
