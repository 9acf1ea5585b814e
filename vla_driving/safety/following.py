"""Does the car do as approved? Path and speed of the last second, approved against measured."""

from __future__ import annotations

import math
from collections import deque
from typing import NamedTuple

from vla_driving.contract.clock import SECOND, Nanoseconds, age_s
from vla_driving.contract.motion import MAX_GAP_S, EgoMotion
from vla_driving.contract.plan import ApprovedPlan
from vla_driving.contract.trajectory import PERIOD_S, POINTS
from vla_driving.contract.vehicle import VehicleParameters, VehicleState
from vla_driving.safety.settings import FollowingSettings

_MAX_ENTRIES = 1024


class _Entry(NamedTuple):
    """Approved pose and speed summed up to an instant, and the measured speed then.

    `acceleration` is what could be reached by then of the approved one.
    """

    stamp_ns: Nanoseconds
    x: float
    y: float
    yaw: float
    approved_speed: float
    acceleration: float
    measured_speed: float


class Following:
    """Sums up what was approved while the stack drives.

    The approved curvature is driven over the measured distance, so that a car that is slower than
    approved (capped, behind traffic) is not taken for one that leaves the path. A plan may ask for
    another acceleration from one point to the next; the car is held against what the bridge's
    envelope lets it have by then: it changes by `max_jerk` of the car.
    """

    def __init__(self, settings: FollowingSettings, vehicle: VehicleParameters) -> None:
        self._settings = settings
        self._vehicle = vehicle
        self._entries: deque[_Entry] = deque(maxlen=_MAX_ENTRIES)

    def clear(self) -> None:
        """The driver has the car: nothing to compare."""
        self._entries.clear()

    def add(self, state: VehicleState, sent: ApprovedPlan) -> None:
        """One more vehicle state, driven after the plan sent before it."""
        last = self._entries[-1] if self._entries else None
        if last is None or not 0.0 < age_s(last.stamp_ns, state.stamp_ns) <= MAX_GAP_S:
            self._entries.clear()
            self._entries.append(
                _Entry(state.stamp_ns, 0.0, 0.0, 0.0, 0.0, self._own(state), state.speed)
            )
            return
        seconds = age_s(last.stamp_ns, state.stamp_ns)
        curvature, wanted = _approved(sent, last.stamp_ns)
        most = self._vehicle.max_jerk * seconds
        acceleration = last.acceleration + min(max(wanted - last.acceleration, -most), most)
        distance = 0.5 * (last.measured_speed + state.speed) * seconds
        turn = curvature * distance
        middle = last.yaw + 0.5 * turn
        self._entries.append(
            _Entry(
                state.stamp_ns,
                last.x + distance * math.cos(middle),
                last.y + distance * math.sin(middle),
                last.yaw + turn,
                last.approved_speed + acceleration * seconds,
                acceleration,
                state.speed,
            )
        )
        oldest_ns = state.stamp_ns - self._settings.window * SECOND
        while len(self._entries) > 2 and self._entries[1].stamp_ns <= oldest_ns:
            self._entries.popleft()

    def _own(self, state: VehicleState) -> float:
        """Measured acceleration, as far as the car may have it."""
        car = self._vehicle
        return min(max(state.acceleration, -car.emergency_deceleration), car.max_acceleration)

    def deviation(self, motion: EgoMotion) -> tuple[float, float]:
        """Sideways distance from the approved path in m, and speed above the approved in m/s.

        Both are 0 until the window is full.
        """
        if len(self._entries) < 2:
            return 0.0, 0.0
        first, last = self._entries[0], self._entries[-1]
        if age_s(first.stamp_ns, last.stamp_ns) < 0.9 * self._settings.window:
            return 0.0, 0.0
        change = motion.change(first.stamp_ns, last.stamp_ns)
        if change is None:
            return 0.0, 0.0
        cos, sin = math.cos(first.yaw), math.sin(first.yaw)
        dx, dy = last.x - first.x, last.y - first.y
        off_x, off_y = change.dx - (cos * dx + sin * dy), change.dy - (cos * dy - sin * dx)
        heading = last.yaw - first.yaw
        sideways = abs(off_y * math.cos(heading) - off_x * math.sin(heading))
        gained = last.measured_speed - first.measured_speed
        excess = gained - (last.approved_speed - first.approved_speed)
        # No speed is approved below standstill, so the car is too fast by its speed at most.
        return sideways, min(excess, abs(last.measured_speed))


def _approved(sent: ApprovedPlan, stamp_ns: Nanoseconds) -> tuple[float, float]:
    """Curvature in 1/m and acceleration in m/s² that the plan asks for at an instant."""
    at = min(max(int(age_s(sent.stamp_ns, stamp_ns) / PERIOD_S), 0), POINTS - 1)
    return float(sent.trajectory.curvature[at]), float(sent.trajectory.acceleration[at])
