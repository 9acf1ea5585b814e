"""When an image was exposed, from the time that its source gives and the time that it came."""

from __future__ import annotations

from vla_driving.contract.clock import SECOND, Nanoseconds, nanoseconds

DRIFT = 2e-4
"""Clocks of cameras run up to 100 ppm fast or slow, as do those of computers."""
JUMP_NS = SECOND // 2
"""An image that comes so much later than it should has a source that began anew."""
FRESH_NS = SECOND
"""An image that waits longer than this in a driver is not to be believed."""


class SourceClock:
    """Stamps on this machine's monotonic clock.

    A source with a clock of its own is followed by the images that came soonest: the others waited
    on the way. What all of them waited, `latency_s`, cannot be seen from here and is taken off.
    """

    def __init__(self, latency_s: float) -> None:
        self._latency_ns = nanoseconds(latency_s)
        self._offset_ns: Nanoseconds | None = None
        self._arrived_ns: Nanoseconds = 0

    def stamp(self, time_ns: Nanoseconds | None, arrived_ns: Nanoseconds) -> Nanoseconds:
        """Exposure of an image that came at `arrived_ns`; `time_ns` is its source's word for it.

        Drivers of devices on this machine (V4L2) stamp by its own clock: such a time is taken as
        it is.
        """
        if time_ns is None:
            return arrived_ns - self._latency_ns
        offset_ns = arrived_ns - time_ns
        if 0 <= offset_ns < FRESH_NS:
            return time_ns
        before = self._offset_ns
        if before is None or offset_ns < before or offset_ns - before > JUMP_NS:
            self._offset_ns = offset_ns
        else:
            creep = int(DRIFT * (arrived_ns - self._arrived_ns))
            self._offset_ns = min(offset_ns, before + creep)
        self._arrived_ns = arrived_ns
        return time_ns + self._offset_ns - self._latency_ns
