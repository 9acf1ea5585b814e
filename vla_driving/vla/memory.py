"""What the network remembers from frame to frame, and how the car has moved since."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt

from vla_driving.contract.clock import Nanoseconds, age_s
from vla_driving.contract.faults import Fault
from vla_driving.contract.motion import EgoMotion, PoseChange
from vla_driving.vla.inputs import STANDS_STILL
from vla_driving.vla.manifest import Inputs

LONGEST_GAP_S = 1.0
"""s between two answered frames, beyond which what is remembered is of another scene."""


class Memory:
    """Recurrent state of one model; zeros at the start, after a gap and after a failed pass."""

    def __init__(self, inputs: Inputs) -> None:
        self._shapes = {s.name: s.shape for s in inputs.states}
        self._needs_motion = bool(inputs.motion)
        self.forget()

    def forget(self) -> None:
        """Start anew."""
        self.states: Mapping[str, npt.NDArray[np.float32]] = {
            name: np.zeros(shape, np.float32) for name, shape in self._shapes.items()
        }
        self._stamp_ns: Nanoseconds | None = None

    def keep(self, states: Mapping[str, npt.NDArray[np.float32]], stamp_ns: Nanoseconds) -> None:
        """Remember what the network answered to the frames of `stamp_ns`."""
        self.states = states
        self._stamp_ns = stamp_ns

    def advance(
        self, motion: EgoMotion, stamp_ns: Nanoseconds
    ) -> tuple[PoseChange, float, Fault | None]:
        """How the car has moved since the frames answered before, s since, and what was lost.

        No motion and 0 s where nothing is remembered.
        """
        if self._stamp_ns is None or not (self._shapes or self._needs_motion):
            return STANDS_STILL, 0.0, None
        before_ns, elapsed = self._stamp_ns, age_s(self._stamp_ns, stamp_ns)
        if elapsed > LONGEST_GAP_S:
            self.forget()
            detail = "since the frames answered before"
            fault = Fault("memory_lost", "vla/frames", detail, elapsed, LONGEST_GAP_S, "s")
            return STANDS_STILL, 0.0, fault
        if not self._needs_motion:
            return STANDS_STILL, elapsed, None
        moved = motion.change(before_ns, stamp_ns)
        if moved is None:
            self.forget()
            detail = "how the car has moved since the frames before is not known"
            return STANDS_STILL, 0.0, Fault("memory_lost", "vehicle/state", detail)
        return moved, elapsed, None
