"""The last frames and poses, bounded, and the request that is made of them."""

from __future__ import annotations

from collections import deque

import numpy as np

from vla_driving.contract.clock import Nanoseconds, nanoseconds
from vla_driving.contract.frames import FrameSet, FrameStatus
from vla_driving.contract.motion import EgoMotion
from vla_driving.contract.vehicle import VehicleState
from vla_driving.vla.large.thought import FloatArray, Request, ThoughtError

PERIOD_S = 0.1
TOLERANCE_S = 0.04
"""How far a frame's exposure may be from where the model expects it."""


class History:
    """What a large model looks back on: a few frame sets and the car's own motion."""

    def __init__(self, frames: int, poses: int) -> None:
        self._frames, self._poses = frames, poses
        # Twice as many as at 10 Hz are kept, so that cameras at 20 Hz fill it as well.
        self._sets: deque[FrameSet] = deque(maxlen=2 * frames)
        self._motion = EgoMotion()

    def clear(self) -> None:
        """Forget everything, for instance after a jump of the clock."""
        self._sets.clear()
        self._motion.clear()

    def take_state(self, state: VehicleState) -> bool:
        """False, and nothing changed, for a state that is not newer or not finite."""
        return self._motion.add(state)

    def take_frames(self, frames: FrameSet) -> str:
        """Keep a set whose cameras are all well; otherwise say what is wrong."""
        if self._sets and frames.stamp_ns <= self._sets[-1].stamp_ns:
            self._sets.clear()
            return "frames are not newer than the set before: the history starts anew"
        for frame in frames.frames:
            if frame.status != FrameStatus.OK or frame.image is None:
                return f"camera {frame.name} is {frame.status.name}"
        shapes = {frame.image.shape for frame in frames.frames if frame.image is not None}
        if len(shapes) != 1:
            return f"images of {len(shapes)} sizes in one set"
        self._sets.append(frames)
        return ""

    def request(self, navigation: str) -> Request:
        """Of the newest frames. Raises ThoughtError where the past is not long enough yet."""
        if not self._sets:
            raise ThoughtError("no frames yet")
        newest = self._sets[-1]
        sets = [self._set_near(newest.stamp_ns - back) for back in _backwards(self._frames)]
        speed = self._motion.speed(newest.stamp_ns)
        if speed is None:
            raise ThoughtError("no vehicle state near the newest frames")
        images = np.stack([[f.image for f in s.frames if f.image is not None] for s in sets], 1)
        return Request(
            newest.stamp_ns, newest.sequence, images, self._poses_at(newest.stamp_ns), speed,
            navigation,
        )

    def _set_near(self, stamp_ns: Nanoseconds) -> FrameSet:
        nearest = min(self._sets, key=lambda s: abs(s.stamp_ns - stamp_ns))
        if abs(nearest.stamp_ns - stamp_ns) > nanoseconds(TOLERANCE_S):
            back_s = (self._sets[-1].stamp_ns - stamp_ns) / 1e9
            raise ThoughtError(f"no frames from {back_s:.1f} s before the newest")
        return nearest

    def _poses_at(self, stamp_ns: Nanoseconds) -> FloatArray:
        poses = []
        for back in _backwards(self._poses):
            change = self._motion.change(stamp_ns, stamp_ns - back)
            if change is None:
                raise ThoughtError(f"no vehicle states from {back / 1e9:.1f} s before the frames")
            poses.append((change.dx, change.dy, change.dyaw))
        return np.array(poses)


def _backwards(count: int) -> list[Nanoseconds]:
    """Steps back in time, the longest first, the last one 0."""
    return [nanoseconds(PERIOD_S * back) for back in reversed(range(count))]
