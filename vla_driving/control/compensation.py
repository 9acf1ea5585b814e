"""Where the car is in the frame of a plan made some time ago, and where it will be in a moment."""

from __future__ import annotations

import math
from collections import deque
from dataclasses import dataclass

from vla_driving.contract.clock import Nanoseconds, age_s
from vla_driving.contract.vehicle import VehicleParameters


@dataclass(frozen=True)
class Pose:
    """x and y in m, heading in rad."""

    x: float
    y: float
    heading: float

    def moved(self, speed: float, curvature: float, duration_s: float) -> Pose:
        """The pose after an arc at constant speed in m/s and curvature in 1/m."""
        distance = speed * duration_s
        turn = curvature * distance
        # Chord of the arc: midpoint heading, exact up to O(turn²).
        middle = self.heading + 0.5 * turn
        return Pose(
            self.x + distance * math.cos(middle),
            self.y + distance * math.sin(middle),
            self.heading + turn,
        )


class SteeringInFlight:
    """Angles commanded within the last `steering_delay`, which the wheels have not followed yet.

    A command given now moves the wheels only after the delay, so it is worked out for the pose the
    car will have then: the present one, moved on by the angles on their way.
    """

    def __init__(self, vehicle: VehicleParameters) -> None:
        self._delay_s = vehicle.steering_delay
        self._wheelbase = vehicle.wheelbase
        self._angles: deque[tuple[Nanoseconds, float]] = deque(maxlen=256)

    def commanded(self, angle: float, now_ns: Nanoseconds) -> None:
        """Note a road-wheel angle in rad that has just left the gate."""
        self._angles.append((now_ns, angle))
        while self._angles and age_s(self._angles[0][0], now_ns) > self._delay_s:
            self._angles.popleft()

    def predict(self, pose: Pose, speed: float, now_ns: Nanoseconds) -> Pose:
        """The pose one steering delay from `now_ns`, driven at `speed` in m/s."""
        pending = [
            (stamp, angle) for stamp, angle in self._angles
            if 0.0 <= age_s(stamp, now_ns) <= self._delay_s
        ]
        if not pending:
            return pose.moved(speed, 0.0, self._delay_s)
        ends = [*(stamp for stamp, _ in pending[1:]), now_ns]
        for (stamp, angle), end in zip(pending, ends, strict=True):
            pose = pose.moved(speed, math.tan(angle) / self._wheelbase, age_s(stamp, end))
        rest = self._delay_s - age_s(pending[0][0], now_ns)
        return pose.moved(speed, math.tan(pending[-1][1]) / self._wheelbase, rest)
