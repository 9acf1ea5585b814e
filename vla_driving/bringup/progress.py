"""One line every few seconds of how the drive goes, and when it has lasted long enough."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from rclpy.node import Node
from vla_driving_msgs.msg import Plan, SafetyState, SimulationState, VehicleState

from vla_driving.contract.supervision import Engagement, Level
from vla_driving.contract.topics import BY_NAME
from vla_driving.nodes.qos import profile

LINE_EVERY_S = 5.0


class DriveProgress:
    """Listens and counts the time since the car was first engaged.

    `outcome` says, once `done` is true, why the drive ended; `ended_ns` when, on the node's clock.
    """

    def __init__(
        self, node: Node, duration_s: float, engage_within_s: float, show: Callable[[str], None]
    ) -> None:
        self._node = node
        self._duration_s = duration_s
        self._engage_within_s = engage_within_s
        self._show = show
        self._newest: dict[type, Any] = {}
        self._plans = 0
        self._begin = time.monotonic()
        self._engaged_at: float | None = None
        self._next_line = 0.0
        self.outcome = ""
        self.ended_ns = 0
        for kind, name in (
            (SafetyState, "vla/safety_state"), (VehicleState, "vehicle/state"),
            (SimulationState, "simulation/state"), (Plan, "vla/plan"),
        ):
            node.create_subscription(kind, name, self._take, profile(BY_NAME[name].delivery))

    def done(self) -> bool:
        """Whether the drive is over; shows a line now and then."""
        now = time.monotonic()
        safety = self._newest.get(SafetyState)
        engaged = safety is not None and safety.engagement == Engagement.ENABLED
        if engaged and self._engaged_at is None:
            self._engaged_at = now
            self._show("engaged")
        driven = now - self._engaged_at if self._engaged_at is not None else None
        if driven is None and now - self._begin > self._engage_within_s:
            return self._end(f"the car was not engaged within {self._engage_within_s:.0f} s")
        if driven is not None and driven >= self._duration_s:
            return self._end("driven as long as asked for")
        if now >= self._next_line:
            self._next_line = now + LINE_EVERY_S
            self._show(self._line(driven))
        return False

    def _end(self, outcome: str) -> bool:
        self.outcome = outcome
        self.ended_ns = int(self._node.get_clock().now().nanoseconds)
        return True

    def _take(self, message: Any) -> None:
        self._newest[type(message)] = message
        self._plans += isinstance(message, Plan)

    def _line(self, driven: float | None) -> str:
        begin = "waiting" if driven is None else f"{driven:3.0f} of {self._duration_s:.0f} s"
        words = [begin]
        if (state := self._newest.get(VehicleState)) is not None:
            words.append(f"{state.speed:4.1f} m/s")
        if (truth := self._newest.get(SimulationState)) is not None:
            words.append(f"{truth.distance:4.0f} m")
            words.append(f"real time x{truth.real_time_factor:.2f}")
        words.append(f"{self._plans} plans")
        if (safety := self._newest.get(SafetyState)) is not None:
            words.append(f"{Engagement(safety.engagement).name}, {Level(safety.level).name}")
            if safety.alert_text:
                words.append(safety.alert_text)
        return "  ".join(words)
