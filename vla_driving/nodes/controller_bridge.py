"""controller_bridge: the last gate, from approved plan to control command at 100 Hz."""

from __future__ import annotations

from typing import Any, ClassVar

from vla_driving.contract.plan import ApprovedPlan
from vla_driving.contract.vehicle import VehicleState, load_vehicle
from vla_driving.control.bridge import ControllerBridge, Inputs, Tracking
from vla_driving.control.settings import ControllerBridgeSettings
from vla_driving.nodes.process import run
from vla_driving.nodes.stack_node import StackNode

PUBLISHERS_HZ = 10.0
"""How often the publishers of approved plans are counted: one of them is right, no more."""


class ControllerBridgeNode(StackNode):
    """One command every step, whatever comes or stops coming, and one at once for newer frames.

    The steps in between keep their own rate: no two commands are further apart for it.
    """

    NAME: ClassVar[str] = "controller_bridge"
    SETTINGS: ClassVar[type] = ControllerBridgeSettings
    REAL_TIME: ClassVar[int] = 30

    def configure(self) -> None:
        """Make the core and its topics. Raises SettingsError for a bad vehicle file."""
        rates = self.stack.rates
        self._core = ControllerBridge(self.settings, load_vehicle(self.vehicle_file()), rates)
        self._plan: ApprovedPlan | None = None
        self._state: VehicleState | None = None
        self._tracking: Tracking | None = None
        self._speakers = 1
        self.speak("vla/control_command")
        self.listen("vla/approved_plan", ApprovedPlan, self._take_plan)
        self.listen("vehicle/state", VehicleState, self._take_state)
        self.every(rates.command, self._step)
        self.every(PUBLISHERS_HZ, self._count_speakers)

    def diagnose(self) -> dict[str, str]:
        """How well the plan is kept."""
        if self._tracking is None:
            return {}
        return {
            "lateral_error_m": f"{self._tracking.lateral_error:.2f}",
            "speed_error_m_s": f"{self._tracking.speed_error:.2f}",
        }

    def _take_plan(self, plan: ApprovedPlan) -> None:
        before, self._plan = self._plan, plan
        if before is None or plan.frame_stamp_ns > before.frame_stamp_ns:
            self._step()

    def _take_state(self, state: VehicleState) -> None:
        self._state = state

    def _count_speakers(self) -> None:
        self._speakers = self.count_publishers("vla/approved_plan")

    def _step(self) -> None:
        inputs = Inputs(self._plan, self._state, self._speakers)
        outcome = self._core.step(inputs, self.now_ns())
        self.send("vla/control_command", outcome.command)
        self._tracking = outcome.tracking
        for event in outcome.events:
            self.tell(event)


NODE_CLASS = ControllerBridgeNode


def main(_args: Any = None) -> None:
    """Run the node."""
    run(ControllerBridgeNode)


if __name__ == "__main__":
    main()
