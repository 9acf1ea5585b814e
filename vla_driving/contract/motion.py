"""Dead reckoning: how the car has moved between two instants, from its own speed and yaw rate."""

from __future__ import annotations

import math
from bisect import bisect_right
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from vla_driving.contract.clock import SECOND, Nanoseconds
from vla_driving.contract.vehicle import VehicleState

FloatArray = npt.NDArray[np.float64]

HISTORY = 512
"""Vehicle states kept: 10 s at 50 Hz, 5 s at 100 Hz."""
MAX_GAP_S = 0.5
"""Longest time between two states that is bridged, and that a pose is carried beyond the newest."""


@dataclass(frozen=True)
class PoseChange:
    """Pose of base_link at a second instant, seen from base_link at the first: m, m, rad."""

    dx: float
    dy: float
    dyaw: float

    def to_second(self, x: npt.ArrayLike, y: npt.ArrayLike) -> tuple[FloatArray, FloatArray]:
        """Points given in the first base_link, in the second; any shape, m."""
        cos, sin = math.cos(self.dyaw), math.sin(self.dyaw)
        x_off = np.asarray(x, np.float64) - self.dx
        y_off = np.asarray(y, np.float64) - self.dy
        return cos * x_off + sin * y_off, cos * y_off - sin * x_off

    def turn_to_second(self, x: npt.ArrayLike, y: npt.ArrayLike) -> tuple[FloatArray, FloatArray]:
        """Directions or velocities over ground along the axes of the first, along the second's."""
        cos, sin = math.cos(self.dyaw), math.sin(self.dyaw)
        x_in, y_in = np.asarray(x, np.float64), np.asarray(y, np.float64)
        return cos * x_in + sin * y_in, cos * y_in - sin * x_in

    def inverse(self) -> PoseChange:
        """Pose of the first base_link seen from the second."""
        cos, sin = math.cos(self.dyaw), math.sin(self.dyaw)
        return PoseChange(
            -cos * self.dx - sin * self.dy, sin * self.dx - cos * self.dy, -self.dyaw
        )


class _Sample(NamedTuple):
    stamp_ns: Nanoseconds
    x: float
    y: float
    yaw: float
    speed: float
    yaw_rate: float
    acceleration: float


class EgoMotion:
    """Poses of the last `HISTORY` vehicle states, integrated over mean speed and yaw rate.

    Midpoint rule as in the unicycle model of `contract.trajectory`; between two states the pose is
    linear in time. A gap longer than `MAX_GAP_S` starts anew, for the way across it is not known.
    """

    def __init__(self) -> None:
        self._stamps: list[Nanoseconds] = []
        self._samples: list[_Sample] = []

    def add(self, state: VehicleState) -> bool:
        """Take a state in; False, and nothing changed, if it is not newer or not finite."""
        if not all(map(math.isfinite, (state.speed, state.yaw_rate, state.acceleration))):
            return False
        last = self._samples[-1] if self._samples else None
        if last is not None and state.stamp_ns <= last.stamp_ns:
            return False
        if last is None or state.stamp_ns - last.stamp_ns > MAX_GAP_S * SECOND:
            self.clear()
            x = y = yaw = 0.0
        else:
            duration = (state.stamp_ns - last.stamp_ns) / SECOND
            x, y, yaw = _advance(
                last, 0.5 * (last.speed + state.speed),
                0.5 * (last.yaw_rate + state.yaw_rate), duration,
            )
        self._stamps.append(state.stamp_ns)
        self._samples.append(
            _Sample(
                state.stamp_ns, x, y, yaw, state.speed, state.yaw_rate, state.acceleration
            )
        )
        if len(self._stamps) > HISTORY:
            del self._stamps[0], self._samples[0]
        return True

    def clear(self) -> None:
        """Forget everything, for instance after a jump of the clock."""
        self._stamps.clear()
        self._samples.clear()

    @property
    def newest_ns(self) -> Nanoseconds | None:
        """Stamp of the newest state, or None."""
        return self._stamps[-1] if self._stamps else None

    def change(self, first_ns: Nanoseconds, second_ns: Nanoseconds) -> PoseChange | None:
        """How base_link moved from `first_ns` to `second_ns`; either order in time.

        None where one of them lies before the history or over `MAX_GAP_S` beyond its newest state;
        up to there speed and yaw rate are taken as constant.
        """
        first, second = self._pose(first_ns), self._pose(second_ns)
        if first is None or second is None:
            return None
        x, y, yaw = first
        cos, sin = math.cos(yaw), math.sin(yaw)
        dx, dy = second[0] - x, second[1] - y
        return PoseChange(cos * dx + sin * dy, cos * dy - sin * dx, second[2] - yaw)

    def speed(self, stamp_ns: Nanoseconds) -> float | None:
        """Speed at an instant, m/s; None where `change` is None.

        Linear between states; beyond the newest it follows the acceleration measured last.
        """
        at = self._index(stamp_ns)
        if at is None:
            return None
        sample = self._samples[at]
        elapsed = (stamp_ns - sample.stamp_ns) / SECOND
        if at + 1 == len(self._samples):
            return sample.speed + sample.acceleration * elapsed
        after = self._samples[at + 1]
        share = elapsed * SECOND / (after.stamp_ns - sample.stamp_ns)
        return sample.speed + share * (after.speed - sample.speed)

    def _index(self, stamp_ns: Nanoseconds) -> int | None:
        """Newest state that is not later than the instant."""
        if not self._stamps or stamp_ns < self._stamps[0]:
            return None
        if stamp_ns - self._stamps[-1] > MAX_GAP_S * SECOND:
            return None
        return bisect_right(self._stamps, stamp_ns) - 1

    def _pose(self, stamp_ns: Nanoseconds) -> tuple[float, float, float] | None:
        at = self._index(stamp_ns)
        if at is None:
            return None
        sample = self._samples[at]
        elapsed_ns = stamp_ns - sample.stamp_ns
        if at + 1 == len(self._samples):
            return _advance(sample, sample.speed, sample.yaw_rate, elapsed_ns / SECOND)
        after = self._samples[at + 1]
        share = elapsed_ns / (after.stamp_ns - sample.stamp_ns)
        return (
            sample.x + share * (after.x - sample.x),
            sample.y + share * (after.y - sample.y),
            sample.yaw + share * (after.yaw - sample.yaw),
        )


def _advance(
    start: _Sample, speed: float, yaw_rate: float, duration: float
) -> tuple[float, float, float]:
    middle = start.yaw + 0.5 * yaw_rate * duration
    distance = speed * duration
    return (
        start.x + distance * math.cos(middle),
        start.y + distance * math.sin(middle),
        start.yaw + yaw_rate * duration,
    )
