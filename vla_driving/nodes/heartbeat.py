"""A sign of life that ends with the process, its threads or its main loop."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable


class Heart:
    """Beats from a thread of its own, so that a long step does not silence it.

    It misses its beat once the main loop has not turned for `longest_turn_s`: a node that hangs is
    as dead as one that was killed.
    """

    def __init__(self, beat: Callable[[], None], period_s: float, longest_turn_s: float) -> None:
        """`beat` sends one sign of life; it is called from the thread."""
        self._beat = beat
        self._period_s = period_s
        self._longest_turn_s = longest_turn_s
        self._turned_s = time.monotonic()
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run, name="heartbeat", daemon=True)
        self._thread.start()

    def turned(self) -> None:
        """To be called by the main loop, at least as often as the heart beats."""
        self._turned_s = time.monotonic()

    def stop(self) -> None:
        """Beat no more; returns when the thread has ended."""
        self._ended.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._ended.wait(self._period_s):
            if time.monotonic() - self._turned_s < self._longest_turn_s:
                self._beat()
