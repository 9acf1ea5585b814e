"""bench_vehicle: the car on a desk, while a video or a replayed camera feeds the stack."""

from __future__ import annotations

from typing import Any, ClassVar

from vla_driving.contract.vehicle import ControlCommand, load_vehicle
from vla_driving.nodes.process import run
from vla_driving.nodes.stack_node import StackNode
from vla_driving.simulation.bench_vehicle import BenchVehicle, BenchVehicleSettings


class BenchVehicleNode(StackNode):
    """Reports an assumed speed and a driver who watches; nobody ever presses engage."""

    NAME: ClassVar[str] = "bench_vehicle"
    SETTINGS: ClassVar[type] = BenchVehicleSettings

    def configure(self) -> None:
        """Make the vehicle. Raises SettingsError for a bad vehicle file."""
        self._core = BenchVehicle(self.settings, load_vehicle(self.vehicle_file()))
        self.speak("vehicle/state")
        self.speak("vla/driver_state")
        self.listen("vla/control_command", ControlCommand, self._take_command)
        self.every(self.stack.rates.vehicle_state, self._report)
        self.every(self.stack.rates.driver_state, self._report_driver)

    def _take_command(self, command: ControlCommand) -> None:
        self._core.obey(command, self.now_ns())

    def _report(self) -> None:
        self.send("vehicle/state", self._core.step(self.now_ns()))

    def _report_driver(self) -> None:
        self.send("vla/driver_state", self._core.driver(self.now_ns()))


NODE_CLASS = BenchVehicleNode


def main(_args: Any = None) -> None:
    """Run the node."""
    run(BenchVehicleNode)


if __name__ == "__main__":
    main()
