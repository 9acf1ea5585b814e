"""How fast reported things are, from where they were before: the network says where they are well,
but how fast they are, far away, only roughly.

A Kalman filter of constant velocity for each thing (Bar-Shalom, Li, Kirubarajan: Estimation with
Applications to Tracking and Navigation, 2001, ch. 6), its axes apart. It takes the place and the
velocity that the network reports; only the velocity of what it finds is used.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Self

import numpy as np
import numpy.typing as npt

from vla_driving.contract.clock import Nanoseconds, age_s
from vla_driving.contract.motion import EgoMotion, PoseChange
from vla_driving.contract.scene import SceneObject
from vla_driving.vla.memory import LONGEST_GAP_S

FloatArray = npt.NDArray[np.float64]

PLACE, PLACE_SHARE = 0.3, 0.02
"""m, and m a metre away: standard deviation of a reported place."""
VELOCITY = (6.0, 2.0)
"""m/s along and across the car: that of a reported velocity. Its errors last for many frames, each
of which therefore says less."""
FIRST_VELOCITY = 1.5
"""m/s, that of the first one."""
MANOEUVRE = 2.0
"""m/s^2, by which things speed up or brake."""
NEAR, NEAR_SHARE = 2.5, 0.1
"""m, and m a metre away: what is further from where a thing was expected is another one."""


@dataclass(frozen=True, eq=False)
class _Track:
    """A thing: (2,) place and velocity along x and y, (2,) variance of each and what they share."""

    place: FloatArray
    velocity: FloatArray
    variance: FloatArray
    shared: FloatArray
    velocity_variance: FloatArray

    @classmethod
    def first(cls, seen: SceneObject) -> Self:
        """Of a thing that was not there before."""
        return cls(
            np.array([seen.x, seen.y]), np.array([seen.velocity_x, seen.velocity_y]),
            np.full(2, _place_variance(seen)), np.zeros(2), np.full(2, FIRST_VELOCITY**2),
        )

    def moved(self, motion: PoseChange, time_s: float) -> _Track:
        """As it is expected after so long, seen from where the car is then."""
        place = self.place + self.velocity * time_s
        noise = MANOEUVRE**2 * time_s**2
        return _Track(
            np.array(motion.to_second(*place)), np.array(motion.turn_to_second(*self.velocity)),
            self.variance + 2.0 * time_s * self.shared + time_s**2 * self.velocity_variance
            + 0.25 * time_s**2 * noise,
            self.shared + time_s * self.velocity_variance + 0.5 * time_s * noise,
            self.velocity_variance + noise,
        )

    def corrected(self, seen: SceneObject) -> _Track:
        """With what is reported of it now."""
        total = self.variance + _place_variance(seen)
        gain, swing = self.variance / total, self.shared / total
        off = np.array([seen.x, seen.y]) - self.place
        placed = _Track(
            self.place + gain * off, self.velocity + swing * off, self.variance * (1.0 - gain),
            self.shared * (1.0 - gain), self.velocity_variance - swing * self.shared,
        )
        return placed._at_velocity(np.array([seen.velocity_x, seen.velocity_y]))

    def _at_velocity(self, seen: FloatArray) -> _Track:
        total = self.velocity_variance + np.square(VELOCITY)
        gain, swing = self.velocity_variance / total, self.shared / total
        off = seen - self.velocity
        return _Track(
            self.place + swing * off, self.velocity + gain * off,
            self.variance - swing * self.shared, self.shared * (1.0 - gain),
            self.velocity_variance * (1.0 - gain),
        )


def _place_variance(seen: SceneObject) -> float:
    return (PLACE + PLACE_SHARE * math.hypot(seen.x, seen.y)) ** 2


class SceneTracker:
    """Keeps what was reported last: never more things than the network reports at once."""

    def __init__(self) -> None:
        self.forget()

    def forget(self) -> None:
        """Start anew."""
        self._tracks: list[_Track] = []
        self._stamp_ns: Nanoseconds = 0

    def follow(
        self, objects: Sequence[SceneObject], motion: EgoMotion, stamp_ns: Nanoseconds
    ) -> tuple[SceneObject, ...]:
        """The objects seen at `stamp_ns`, later than at the call before, with their velocities."""
        elapsed = age_s(self._stamp_ns, stamp_ns)
        moved = motion.change(self._stamp_ns, stamp_ns) if elapsed < LONGEST_GAP_S else None
        expected = [] if moved is None else [t.moved(moved, elapsed) for t in self._tracks]
        self._tracks = [_taken(seen, expected) for seen in objects]
        self._stamp_ns = stamp_ns
        return tuple(
            replace(seen, velocity_x=float(track.velocity[0]), velocity_y=float(track.velocity[1]))
            for seen, track in zip(objects, self._tracks, strict=True)
        )


def _taken(seen: SceneObject, expected: list[_Track]) -> _Track:
    """The track of a thing; it is taken out of those expected."""
    reach = NEAR + NEAR_SHARE * math.hypot(seen.x, seen.y)
    here = np.array([seen.x, seen.y])
    apart = [float(np.hypot(*(track.place - here))) for track in expected]
    if not apart or min(apart) > reach:
        return _Track.first(seen)
    return expected.pop(apart.index(min(apart))).corrected(seen)
