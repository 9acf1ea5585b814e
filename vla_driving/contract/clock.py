"""Time as the stack counts it: integer nanoseconds, handed in, never read."""

from __future__ import annotations

from typing import TypeAlias

Nanoseconds: TypeAlias = int
"""An instant on the stack's clock or a difference of two, in ns."""

SECOND: Nanoseconds = 1_000_000_000


def nanoseconds(seconds: float) -> Nanoseconds:
    """Duration in ns, rounded to the nearest."""
    return round(seconds * SECOND)


def seconds(duration_ns: Nanoseconds) -> float:
    """Duration in s."""
    return duration_ns / SECOND


def age_s(stamp_ns: Nanoseconds, now_ns: Nanoseconds) -> float:
    """Age in s of what was stamped at `stamp_ns`; negative where the stamp lies in the future."""
    return (now_ns - stamp_ns) / SECOND
