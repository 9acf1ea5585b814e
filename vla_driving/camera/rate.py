"""At what rate a camera's images come, by their stamps."""

from __future__ import annotations

import math
from collections import deque

from vla_driving.contract.clock import Nanoseconds, age_s

WINDOW_S = 2.0
"""Stamps so far back count."""
LEAST_STAMPS = 6
"""Fewer tell no rate; a slow camera's window is as much longer."""


class RateMeter:
    """Mean rate of the stamps of late."""

    def __init__(self, nominal_hz: float) -> None:
        self._stamps: deque[Nanoseconds] = deque()
        self._window_s = max(WINDOW_S, (LEAST_STAMPS + 1) / nominal_hz)

    def add(self, stamp_ns: Nanoseconds) -> None:
        """Take the stamp of an image; after a gap or a step back it begins anew."""
        stamps = self._stamps
        if stamps and not 0.0 < age_s(stamps[-1], stamp_ns) < self._window_s:
            stamps.clear()
        stamps.append(stamp_ns)
        while age_s(stamps[0], stamp_ns) > self._window_s:
            stamps.popleft()

    @property
    def rate_hz(self) -> float:
        """Hz; NaN until there are enough stamps."""
        stamps = self._stamps
        if len(stamps) < LEAST_STAMPS:
            return math.nan
        return (len(stamps) - 1) / age_s(stamps[0], stamps[-1])
