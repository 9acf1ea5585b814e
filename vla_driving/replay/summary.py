"""Figures of a drive, each defined here and in docs/replay.md, and the targets they are held to.

Times: a message's stamp is the exposure (or measurement) of its input, its arrival the time at
which the recorder took it, on the same clock. All figures are of the window from
the first engagement to the end of the drive (the whole bag where the car never engaged).
"""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from vla_driving.contract.clock import SECOND, Nanoseconds
from vla_driving.contract.events import Severity
from vla_driving.contract.language import Answer
from vla_driving.contract.rates import Rates
from vla_driving.contract.supervision import Engagement, Level, Verdict
from vla_driving.contract.topics import TOPICS
from vla_driving.recording.metadata import contract_topic
from vla_driving.replay.conversation import exchanges, remarks
from vla_driving.replay.drive import Arrivals, Arrived, Drive, Times, Window

Summary = dict[str, Any]
"""What summary.json holds."""


@dataclass(frozen=True)
class ModelInfo:
    """The model that drove, as its manifest names it; sha256 of its network file."""

    name: str
    version: str
    sha256: str


@dataclass(frozen=True)
class Target:
    """A figure to reach: `path` into the summary, dots between keys."""

    path: str
    text: str
    limit: float
    at_least: bool


TARGETS = (
    Target("plan_fraction", "frames that got a plan", 0.95, True),
    Target("command_period_ms.p99", "99 % of commands come within, ms", 15.0, False),
    Target("latency_ms.frame_to_command.p99", "99 % of frames to command within, ms", 150.0, False),
)
"""Figures that the demo is to reach on two cores."""


def drive_window(drive: Drive, end_ns: Nanoseconds | None = None) -> Window | None:
    """First engagement (else first message) to `end_ns` (else the last message); None if empty."""
    span = drive.span
    if span is None:
        return None
    start = drive.engaged_at()
    end = span.end_ns if end_ns is None else min(end_ns, span.end_ns)
    start = span.start_ns if start is None or start >= end else start
    return Window(start, end)


def summarise(drive: Drive, window: Window, model: ModelInfo, rates: Rates) -> Summary:
    """All figures of a drive; None where the bag holds nothing to take one from."""
    within = {name: a.within(window) for name, a in drive.arrivals.items()}
    frames = frame_stamps(drive, window)
    summary: Summary = {
        "duration_s": round(window.duration_s, 3),
        **_simulation(drive, window),
        "engaged_fraction": _share(engagement_seconds(drive, window), "ENABLED"),
        "rates_hz": {n: r for n, a in sorted(within.items()) if (r := rate_hz(a)) is not None},
        "latency_ms": {
            "frame_to_plan": quantiles(plan_latencies_ms(drive, window)),
            "frame_to_command": quantiles(command_latencies_ms(drive, window)),
        },
        "plan_fraction": plan_fraction(drive, frames),
        "command_period_ms": quantiles(periods_ms(within.get("vla/control_command"))),
        "deadline_misses": _deadline_misses(within, window, rates),
        "dropped": {n: d for n, a in sorted(within.items()) if (d := dropped(a)) is not None},
        "safety": level_seconds(drive, window),
        "checks": check_seconds(drive, window),
        "model": {"name": model.name, "version": model.version, "sha256": model.sha256},
        "faults": faults(drive, window),
        "faults_before": faults(drive, before(drive, window)),
        "instructions": instructions(drive, window),
        "remarks": [_words(a, window) for a in remarks(drive) if _in(window, a.arrival_ns)],
    }
    summary["targets"] = [_held_to(summary, target) for target in TARGETS]
    return summary


def before(drive: Drive, window: Window) -> Window:
    """What was recorded before the window: start-up, on the way to the first engagement."""
    span = drive.span
    start = window.start_ns if span is None else span.start_ns
    return Window(start, window.start_ns - 1)


def frame_stamps(drive: Drive, window: Window) -> Times:
    """Exposures of the frames that arrived in the window: frame sets, else the busiest camera's."""
    frames = drive.arrivals.get("vla/frames")
    if frames is None or not frames.stamp_ns.size:
        cameras = [a for n, a in drive.arrivals.items() if _is_picture(n)]
        if not cameras:
            return np.empty(0, np.int64)
        frames = max(cameras, key=lambda a: a.stamp_ns.size)
    return frames.within(window).stamp_ns


def plan_fraction(drive: Drive, frames: Times) -> float | None:
    """Share of the frames with a Plan of that very stamp, whenever it arrived."""
    if not frames.size:
        return None
    planned = [p.value.stamp_ns for p in drive.plans]
    return round(float(np.isin(frames, planned).mean()), 4)


def plan_latencies_ms(drive: Drive, window: Window) -> list[float]:
    """Arrival of each Plan in the window less its stamp, the exposure of its frames."""
    return [
        (p.arrival_ns - p.value.stamp_ns) / 1e6 for p in drive.plans if _in(window, p.arrival_ns)
    ]


def command_latencies_ms(drive: Drive, window: Window) -> list[float]:
    """For each frame behind a command, the first such command's arrival less the exposure."""
    first: dict[Nanoseconds, Nanoseconds] = {}
    for command in drive.commands:
        stamp = command.value.frame_stamp_ns
        if stamp > 0 and _in(window, command.arrival_ns):
            first.setdefault(stamp, command.arrival_ns)
    # A frame from before the window whose first command came before it would count as slow.
    return [(a - stamp) / 1e6 for stamp, a in first.items() if stamp >= window.start_ns]


def periods_ms(arrivals: Arrivals | None) -> list[float]:
    """Times between consecutive arrivals."""
    if arrivals is None:
        return []
    return [float(d) for d in np.diff(np.sort(arrivals.arrival_ns)) / 1e6]


def quantiles(values: Sequence[float]) -> dict[str, float] | None:
    """Median, 99 % quantile and maximum, to a hundredth; None for no values."""
    if not values:
        return None
    p50, p99, most = (round(float(q), 2) for q in np.quantile(values, [0.5, 0.99, 1.0]))
    return {"p50": p50, "p99": p99, "max": most}


def rate_hz(arrivals: Arrivals) -> float | None:
    """Intervals over the time from first to last arrival; None below two messages."""
    times = arrivals.arrival_ns
    if times.size < 2 or times.max() == times.min():
        return None
    return round(float((times.size - 1) * SECOND / (times.max() - times.min())), 2)


def dropped(arrivals: Arrivals) -> int | None:
    """Messages missing in the sequence, which counts up by one; None where there is none.

    A sequence that falls back is a node that started anew and drops nothing.
    """
    numbers = arrivals.sequence[arrivals.sequence >= 0]
    if not numbers.size:
        return None
    gaps = np.diff(numbers) - 1
    return int(gaps[gaps > 0].sum())


def level_seconds(drive: Drive, window: Window) -> dict[str, float]:
    """Seconds at each level: a SafetyState holds until the next arrives."""
    return _seconds(drive, window, Level, lambda s: s.level)


def engagement_seconds(drive: Drive, window: Window) -> dict[str, float]:
    """Seconds in each engagement state: a SafetyState holds until the next arrives."""
    return _seconds(drive, window, Engagement, lambda s: s.engagement)


def check_seconds(drive: Drive, window: Window) -> dict[str, dict[str, float]]:
    """Seconds that each check did not pass, by verdict; checks that always passed are left out."""
    total: dict[str, Counter[str]] = {}
    for state, seconds in _held(drive, window):
        for check in state.checks:
            if check.verdict is not Verdict.PASS:
                total.setdefault(check.name, Counter())[check.verdict.name] += seconds
    return {
        name: {verdict: round(s, 3) for verdict, s in sorted(found.items())}
        for name, found in sorted(total.items())
    }


def faults(drive: Drive, window: Window) -> list[dict[str, Any]]:
    """Events of the window from WARNING up, by name and subject, in the order of first coming.

    `first_s` counts from the start of the window, in s.
    """
    found: dict[tuple[str, str], dict[str, Any]] = {}
    for arrived in drive.events:
        event = arrived.value
        if event.severity < Severity.WARNING or not _in(window, arrived.arrival_ns):
            continue
        row = found.setdefault(
            (event.name, event.subject),
            {
                "name": event.name,
                "subject": event.subject,
                "source": event.source,
                "severity": event.severity.name,
                "count": 0,
                "first_s": _since(window, event.stamp_ns),
                "text": event.text,
            },
        )
        row["count"] += 1
    return list(found.values())


def instructions(drive: Drive, window: Window) -> list[dict[str, Any]]:
    """Each instruction up to the window's end, what became of it, and every answer in between.

    Times are s from the start of the window, so those of words before it are negative. `status` is
    the newest answer's, None where there was none.
    """
    rows = []
    for exchange in exchanges(drive):
        known = exchange.until(window.end_ns)
        if known.said.arrival_ns <= window.end_ns:
            rows.append({
                "at_s": _since(window, known.said.arrival_ns),
                "source": known.said.value.source, "text": known.said.value.text,
                "status": known.latest.status.name if known.latest else None,
                "answers": [_words(answer, window) for answer in known.answers],
            })
    return rows


def _words(answer: Arrived[Answer], window: Window) -> dict[str, Any]:
    said = answer.value
    return {
        "at_s": _since(window, answer.arrival_ns), "status": said.status.name, "text": said.text,
    }


def _since(window: Window, time_ns: Nanoseconds) -> float:
    return round((time_ns - window.start_ns) / SECOND, 3)


def _simulation(drive: Drive, window: Window) -> Summary:
    states = [s.value for s in drive.simulation if _in(window, s.arrival_ns)]
    if not states:
        return {
            "real_time_factor": None, "distance_m": _distance_by_speed(drive, window),
            "route_completion": None, "collisions": None, "off_road": None,
        }
    off_road = [False] + [s.off_road for s in states]
    return {
        "real_time_factor": round(float(np.mean([s.real_time_factor for s in states])), 4),
        "distance_m": round(states[-1].distance - states[0].distance, 2),
        "route_completion": round(states[-1].route_completion, 4),
        "collisions": states[-1].collisions - states[0].collisions,
        "off_road": sum(b and not a for a, b in itertools.pairwise(off_road)),
    }


def _distance_by_speed(drive: Drive, window: Window) -> float | None:
    states = [s.value for s in drive.vehicle if _in(window, s.arrival_ns)]
    if len(states) < 2:
        return None
    times = np.array([s.stamp_ns for s in states]) / SECOND
    return round(float(np.trapezoid([abs(s.speed) for s in states], times)), 2)


def _held(drive: Drive, window: Window) -> Any:
    """Each SafetyState with the seconds within the window that it held."""
    ends = [s.arrival_ns for s in drive.safety[1:]] + [window.end_ns]
    for state, end in zip(drive.safety, ends, strict=False):
        held = min(end, window.end_ns) - max(state.arrival_ns, window.start_ns)
        if held > 0:
            yield state.value, held / SECOND


def _seconds(drive: Drive, window: Window, names: Any, of: Any) -> dict[str, float]:
    total = {name.name: 0.0 for name in names}
    for state, seconds in _held(drive, window):
        total[of(state).name] += seconds
    return {name: round(seconds, 3) for name, seconds in total.items()}


def _share(seconds: Mapping[str, float], name: str) -> float | None:
    whole = sum(seconds.values())
    return round(seconds[name] / whole, 4) if whole else None


def _deadline_misses(
    within: Mapping[str, Arrivals], window: Window, rates: Rates
) -> dict[str, int]:
    """Gaps longer than the deadline by topic, the silence up to the window's end included."""
    table = rates.as_dict()
    misses = {}
    for name, arrivals in sorted(within.items()):
        row = contract_topic(name)
        deadline = row.deadline_s(table) if row else None
        if deadline is not None:
            times = np.append(np.sort(arrivals.arrival_ns), window.end_ns)
            misses[name] = int((np.diff(times) > deadline * SECOND).sum())
    return misses


def _held_to(summary: Summary, target: Target) -> dict[str, Any]:
    value: Any = summary
    for key in target.path.split("."):
        value = value.get(key) if isinstance(value, dict) else None
    reached = value is not None and (
        value >= target.limit if target.at_least else value <= target.limit
    )
    return {
        "figure": target.path, "meaning": target.text, "value": value, "limit": target.limit,
        "sense": "at least" if target.at_least else "at most", "reached": bool(reached),
    }


def _in(window: Window, time_ns: Nanoseconds) -> bool:
    return window.start_ns <= time_ns <= window.end_ns


def _is_picture(name: str) -> bool:
    row = contract_topic(name)
    return row is not None and row in TOPICS[:2]
