"""For how many sets in a row each camera has had no picture that belongs to the set."""

from __future__ import annotations

from vla_driving.contract.frames import CameraHealth, FrameStatus

LATE = (FrameStatus.STALE, FrameStatus.MISSING)
LOST_AFTER = 2
"""Sets. One picture that is lost on the way makes the car slow down, the second one stop."""


class Lateness:
    """Counted from set to set: so a camera's own rate decides how long it may be silent."""

    def __init__(self) -> None:
        self._sets: dict[str, int] = {}
        self._lost: frozenset[str] = frozenset()

    def take(self, health: CameraHealth) -> None:
        """One more set, newer than those before."""
        self._sets = {
            camera.name: self._sets.get(camera.name, 0) + 1
            for camera in health.cameras if camera.status in LATE
        }
        self._lost = frozenset(name for name, sets in self._sets.items() if sets >= LOST_AFTER)

    def forget(self) -> None:
        """Start anew, after a jump of the clock."""
        self._sets, self._lost = {}, frozenset()

    def lost(self) -> frozenset[str]:
        """Names of the cameras that have been late for too many sets."""
        return self._lost
