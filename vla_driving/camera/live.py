"""Cameras that this process opens itself: a thread each reads, the newest image waits."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

from vla_driving.camera.feeds import Connect, Shot
from vla_driving.camera.images import CameraImage
from vla_driving.camera.settings import LiveSettings
from vla_driving.camera.source_clock import SourceClock
from vla_driving.camera.sources import SourceError
from vla_driving.contract.clock import Nanoseconds

CLOSE_WITHIN_S = 2.0
"""A driver that hangs in the kernel is left behind; its thread ends with the process."""


class LiveCamera:
    """Reads until it is closed: whatever breaks off is opened again, later and later."""

    def __init__(
        self, camera: str, connect: Connect, settings: LiveSettings,
        arrived: Callable[[], None], clock: Callable[[], Nanoseconds] = time.monotonic_ns,
    ) -> None:
        """`arrived` is called in the thread that reads, at each image and each change of state."""
        self.camera = camera
        self._connect = connect
        self._settings = settings
        self._arrived = arrived
        self._clock = clock
        self._lock = threading.Lock()
        self._newest: tuple[Nanoseconds, Shot] | None = None
        self._news: list[tuple[bool, str]] = []
        self._broken: str | None = None
        self._stop = threading.Event()
        self.dropped = 0
        """Images that nobody took before the next came."""
        self._thread = threading.Thread(target=self._run, name=f"camera {camera}", daemon=True)
        self._thread.start()

    def take(self, now_ns: Nanoseconds) -> CameraImage | None:
        """The newest image since the last call, stamped on the clock that reads `now_ns`."""
        with self._lock:
            newest, self._newest = self._newest, None
        if newest is None:
            return None
        stamp_ns, shot = newest
        age_ns = self._clock() - stamp_ns
        return CameraImage(self.camera, now_ns - age_ns, shot.picture)

    def take_news(self) -> list[tuple[bool, str]]:
        """Whether it is well and what has happened, for each change since the last call."""
        with self._lock:
            news, self._news = self._news, []
        return news

    def close(self) -> None:
        """Stop reading."""
        self._stop.set()
        self._thread.join(CLOSE_WITHIN_S)

    def _run(self) -> None:
        wait_s = self._settings.first_retry
        while not self._stop.is_set():
            try:
                with self._connect() as shots:
                    clock = SourceClock(self._settings.latency)
                    for shot in shots:
                        if self._stop.is_set():
                            return
                        self._put(clock, shot)
                        wait_s = self._settings.first_retry
                why = "it ended"
            except SourceError as error:
                why = str(error)
            except Exception as error:  # a thread that dies would be a camera that is never back
                why = f"{type(error).__name__}: {error}"
            self._tell(False, f"{why}; tried again until it is back")
            self._stop.wait(wait_s)
            wait_s = min(2.0 * wait_s, self._settings.longest_retry)

    def _put(self, clock: SourceClock, shot: Shot) -> None:
        stamp_ns = clock.stamp(shot.time_ns, self._clock())
        with self._lock:
            self.dropped += self._newest is not None
            self._newest = stamp_ns, shot
        if self._broken is not None:
            self._tell(True, "images come again")
        else:
            self._arrived()

    def _tell(self, well: bool, what: str) -> None:
        broken = None if well else what
        if broken == self._broken:
            return
        self._broken = broken
        with self._lock:
            self._news.append((well, what))
        self._arrived()
