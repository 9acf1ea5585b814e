"""safety_monitor: the checker, from plans and vehicle state to the approved plan at 50 Hz."""

from __future__ import annotations

from collections import defaultdict
from functools import partial
from typing import Any, ClassVar

from vla_driving.contract.frames import CameraHealth
from vla_driving.contract.messages import stamp_of
from vla_driving.contract.navigation import EngagementRequest, Route
from vla_driving.contract.plan import Plan
from vla_driving.contract.scene import ObjectList
from vla_driving.contract.supervision import Heartbeat, SafetyState
from vla_driving.contract.vehicle import DriverState, VehicleState, load_vehicle
from vla_driving.nodes.cameras import known_cameras
from vla_driving.nodes.process import run
from vla_driving.nodes.stack_node import StackNode
from vla_driving.safety.intake import MonitorInputs
from vla_driving.safety.monitor import SafetyMonitor
from vla_driving.safety.settings import SafetyMonitorSettings

INPUTS: tuple[tuple[str, str, type], ...] = (
    ("vehicle/state", "vehicle_states", VehicleState),
    ("vla/plan", "plans", Plan),
    ("vehicle/objects", "objects", ObjectList),
    ("vla/route", "routes", Route),
    ("vla/driver_state", "driver_states", DriverState),
    ("vla/camera_health", "frames", CameraHealth),
    ("vla/engagement_request", "requests", EngagementRequest),
)
"""Topic, field of MonitorInputs, contract type."""
ONE_PUBLISHER = (
    "vehicle/state", "vla/plan", "vehicle/objects", "vla/route", "vla/driver_state",
    "vla/camera_health", "vla/approved_plan", "vla/control_command",
)
"""Topics on which one node speaks; a second one is a fault, whatever it says."""
PUBLISHERS_HZ = 10.0
MOST_WAITING = 200
"""Messages of one kind between two steps; a flood beyond it drops the oldest."""

MOST_BYTES = 65_536
"""Of one message; the longest plan takes about 22,000, words aside."""


class SafetyMonitorNode(StackNode):
    """Steps at its own rate, and at once when a plan arrives."""

    NAME: ClassVar[str] = "safety_monitor"
    SETTINGS: ClassVar[type] = SafetyMonitorSettings
    REAL_TIME: ClassVar[int] = 20

    def configure(self) -> None:
        """Make the core and its topics. Raises SettingsError for a bad vehicle file."""
        vehicle = load_vehicle(self.vehicle_file())
        known = known_cameras(self.stack)
        # An assumed camera has no file, and so no name that could be wrong.
        all_known = len(known) == len(self.stack.cameras)
        cameras = tuple(camera.name for camera in known) if all_known else ()
        self._core = SafetyMonitor(self.settings, vehicle, self.stack.rates, cameras)
        self._speakers: tuple[tuple[str, int], ...] = ()
        self._waiting: dict[str, list[Any]] = defaultdict(list)
        self._malformed_inputs: list[tuple[str, str]] = []
        self._state: SafetyState | None = None
        self.speak("vla/approved_plan", raw=True)
        self.speak("vla/safety_state", raw=True)
        for topic, field, cls in INPUTS:
            self.listen(topic, cls, partial(self._take, field), most_bytes=MOST_BYTES)
        self.listen("vla/heartbeat", None, self._take_beat)
        self.every(self.stack.rates.approved_plan, self._step)
        self.every(PUBLISHERS_HZ, self._count_publishers)

    def diagnose(self) -> dict[str, str]:
        """Level and engagement, and what stands out."""
        if self._state is None:
            return {}
        return {
            "level": self._state.level.name,
            "engagement": self._state.engagement.name,
            "alert": self._state.alert_text,
        }

    def malformed(self, topic: str, reason: str) -> None:
        """A message that cannot be read counts as bad input, not as none."""
        super().malformed(topic, reason)
        field = next(f for t, f, _ in INPUTS if t == topic)
        self._malformed_inputs = [*self._malformed_inputs, (field, reason)][-MOST_WAITING:]

    def _take_beat(self, message: Any) -> None:
        self._take("heartbeats", Heartbeat(stamp_of(message.stamp), message.frame_id))

    def _take(self, field: str, value: Any) -> None:
        waiting = self._waiting[field]
        waiting.append(value)
        del waiting[:-MOST_WAITING]
        if field == "plans":
            self._step()

    def _count_publishers(self) -> None:
        self._speakers = tuple((topic, self.count_publishers(topic)) for topic in ONE_PUBLISHER)

    def _step(self) -> None:
        fields = {field: tuple(values) for field, values in self._waiting.items()}
        inputs = MonitorInputs(
            **fields, malformed=tuple(self._malformed_inputs), publishers=self._speakers
        )
        self._waiting.clear()
        self._speakers = ()
        self._malformed_inputs.clear()
        outputs = self._core.step(inputs, self.now_ns())
        if outputs.approved is not None:
            self.send("vla/approved_plan", outputs.approved)
        if outputs.safety_state is not None:
            self._state = outputs.safety_state
            self.send("vla/safety_state", outputs.safety_state)
        for event in outputs.events:
            self.tell(event)


NODE_CLASS = SafetyMonitorNode


def main(_args: Any = None) -> None:
    """Run the node."""
    run(SafetyMonitorNode)


if __name__ == "__main__":
    main()
