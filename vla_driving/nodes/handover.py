"""From one node to another of the same process: the object itself, no DDS and no copy."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable
from typing import Any

from vla_driving.nodes.statistics import Durations


class Handover:
    """One topic in memory: the newest object waits for its reader, an older one gives way.

    `put` may be called from any thread and never waits; the reader takes on its own executor. What
    is handed over is shared, so neither side may change it afterwards.
    """

    def __init__(self) -> None:
        self.waited = Durations()
        self._newest: deque[tuple[float, Any]] = deque(maxlen=1)
        self._wake: Callable[[Callable[[], None]], Any] | None = None
        self._read: Callable[[Any], None] | None = None

    def attach(
        self, read: Callable[[Any], None], wake: Callable[[Callable[[], None]], Any]
    ) -> None:
        """Have `read` called with each newest object; `wake` runs a function on its thread."""
        self._newest.clear()
        self._read, self._wake = read, wake

    def detach(self) -> None:
        """Hand over nothing more."""
        self._read = self._wake = None
        self._newest.clear()

    def put(self, value: Any) -> None:
        """Leave the newest object and wake the reader; without a reader it is forgotten."""
        wake = self._wake
        if wake is not None:
            self._newest.append((time.perf_counter(), value))
            wake(self._take)

    def _take(self) -> None:
        read = self._read
        try:
            begin, value = self._newest.popleft()
        except IndexError:  # taken already: the one woken for was replaced by a newer one
            return
        self.waited.add(time.perf_counter() - begin)
        if read is not None:
            read(value)
