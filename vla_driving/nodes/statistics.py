"""What a node counts about itself and its inputs, for diagnostics."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass, field

from vla_driving.contract.clock import Nanoseconds, age_s


@dataclass
class Durations:
    """The last 512 durations of one thing, in ms."""

    kept_ms: deque[float] = field(default_factory=lambda: deque(maxlen=512))

    def add(self, duration_s: float) -> None:
        """Keep one more, given in s."""
        self.kept_ms.append(duration_s * 1e3)

    def figures(self, name: str) -> dict[str, str]:
        """Median and 99 % quantile for diagnostics; none where nothing was kept."""
        if not self.kept_ms:
            return {}
        return {
            f"{name}_ms_p{round(share * 100)}": f"{quantile(self.kept_ms, share):.2f}"
            for share in (0.5, 0.99)
        }


@dataclass
class InputStatistics:
    """Arrivals on one topic: drops by sequence gap, missed deadlines, malformed messages.

    `took` is how long this node worked on each, reading it included.
    """

    deadline_s: float | None
    received: int = 0
    dropped: int = 0
    malformed: int = 0
    missed_deadlines: int = 0
    took: Durations = field(default_factory=Durations)
    _last_arrival_ns: Nanoseconds | None = None
    _last_sequence: int | None = None
    _received_before: int = 0

    def arrived(self, arrival_ns: Nanoseconds, sequence: int | None) -> None:
        """Count one message; `sequence` is None where the message has none."""
        self.received += 1
        silent_s = self.silent_s(arrival_ns)
        if silent_s is not None and self.deadline_s is not None and silent_s > self.deadline_s:
            self.missed_deadlines += 1
        if sequence is not None and self._last_sequence is not None:
            self.dropped += max(0, sequence - self._last_sequence - 1)
        self._last_arrival_ns = arrival_ns
        self._last_sequence = sequence

    def rate_hz(self, period_s: float) -> float:
        """Mean rate since the last call, which was `period_s` ago."""
        rate = (self.received - self._received_before) / period_s
        self._received_before = self.received
        return rate

    def silent_s(self, now_ns: Nanoseconds) -> float | None:
        """Time since the last arrival in s; None where nothing has come."""
        return None if self._last_arrival_ns is None else age_s(self._last_arrival_ns, now_ns)


@dataclass
class StepStatistics:
    """Durations of the last 512 steps and the times from one to the next, in ms."""

    duration: Durations = field(default_factory=Durations)
    period: Durations = field(default_factory=Durations)
    _last_begin_s: float | None = None

    def took(self, begin_s: float, end_s: float) -> None:
        """Count one step by its begin and end on any steady clock."""
        self.duration.add(end_s - begin_s)
        if self._last_begin_s is not None:
            self.period.add(begin_s - self._last_begin_s)
        self._last_begin_s = begin_s

    def figures(self) -> dict[str, str]:
        """Median and 99 % quantile of both, for diagnostics."""
        return self.duration.figures("step_duration") | self.period.figures("step_period")


def quantile(values: Iterable[float], share: float) -> float:
    """Quantile of the values by the nearest rank; 0 where there are none."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))] if ordered else 0.0
