"""vla_inference: the doer, from frames to a plan."""

from __future__ import annotations

import time
from typing import Any, ClassVar

from vla_driving.contract.clock import Nanoseconds, nanoseconds
from vla_driving.contract.frames import FrameSet
from vla_driving.contract.language import Command
from vla_driving.contract.navigation import Route
from vla_driving.contract.plan import Plan
from vla_driving.contract.vehicle import VehicleState, load_vehicle
from vla_driving.nodes.process import run
from vla_driving.nodes.stack_node import StackNode
from vla_driving.vla.actor import Actor, ActorCounters, ActorInputs
from vla_driving.vla.manifest import load_model
from vla_driving.vla.runtimes.choose import Chosen, open_runtime
from vla_driving.vla.settings import VlaInferenceSettings


class VlaInference(StackNode):
    """Answers each FrameSet as it comes; while it thinks, the newest waits and older ones drop."""

    NAME: ClassVar[str] = "vla_inference"
    SETTINGS: ClassVar[type] = VlaInferenceSettings
    NICENESS: ClassVar[int] = -5
    BEATS: ClassVar[bool] = True

    def configure(self) -> None:
        """Load and warm up the model. Raises ModelError or SettingsError with one line."""
        self._chosen: Chosen | None = None
        model = load_model(self.model_folder())
        self._chosen = open_runtime(model, self.settings.runtime)
        self._core = Actor(
            model, self._chosen, self.settings, load_vehicle(self.vehicle_file()),
            time.perf_counter_ns,
        )
        self._counters = ActorCounters()
        self._states: list[VehicleState] = []
        self._route: Route | None = None
        self._thought: Plan | None = None
        self._command: Command | None = None
        self.speak("vla/plan")
        self.listen("vehicle/state", VehicleState, self._take_state)
        self.listen("vla/route", Route, self._take_route)
        self.listen("vla/thought", Plan, self._take_thought)
        self.listen("vla/command", Command, self._take_command)
        self.listen("vla/frames", FrameSet, self.timed(self._answer))
        self._frames_due_ns: Nanoseconds | None = None
        self.every(self.stack.rates.frames, self._watch, counted=False)
        for line in self._chosen.absent:
            self.get_logger().info(f"not here: {line}")
        for line in (*self._chosen.notes, *(why for _, why in self._chosen.passed_over)):
            self.get_logger().warning(line)
        self.get_logger().info(f"model {model.manifest.title} on {self._chosen.name}")

    def release(self) -> None:
        """Give back the runtime's memory and device."""
        if self._chosen is not None:
            self._chosen.runtime.close()
            self._chosen = None

    def diagnose(self) -> dict[str, str]:
        """Runtime and counters."""
        if self._chosen is None:
            return {}
        return {
            "runtime": self._chosen.name,
            "runtime_passed_over": "; ".join(why for _, why in self._chosen.passed_over),
            "plans": str(self._counters.plans),
            "frames_refused": str(self._counters.refused),
            "frames_dropped": str(self._counters.dropped),
        }

    def _take_state(self, state: VehicleState) -> None:
        self._states.append(state)
        del self._states[:-STATES_BETWEEN_FRAMES]

    def _take_route(self, route: Route) -> None:
        self._route = route

    def _take_thought(self, thought: Plan) -> None:
        self._thought = thought

    def _take_command(self, command: Command) -> None:
        self._command = command

    def _answer(self, frames: FrameSet) -> None:
        self._frames_due_ns = self._steady_ns() + nanoseconds(self.settings.max_frame_age)
        self._step(frames)

    def _watch(self) -> None:
        """Have the core say that frames do not come: nothing else would step it then."""
        now_ns = self._steady_ns()
        if self._frames_due_ns is None:
            self._frames_due_ns = now_ns + nanoseconds(FIRST_FRAMES_S)
        if now_ns > self._frames_due_ns:
            self._step(None)

    def _step(self, frames: FrameSet | None) -> None:
        states, self._states = tuple(self._states), []
        inputs = ActorInputs(frames, states, self._route, self._thought, self._command)
        outputs = self._core.step(inputs, self.now_ns())
        self._counters = outputs.counters
        if outputs.plan is not None:
            self.send("vla/plan", outputs.plan)
        for event in outputs.events:
            self.tell(event)


STATES_BETWEEN_FRAMES = 100
FIRST_FRAMES_S = 3.0
"""From activation: camera_ingest is activated later and cameras need a moment."""
NODE_CLASS = VlaInference


def main(_args: Any = None) -> None:
    """Run the node."""
    run(VlaInference)


if __name__ == "__main__":
    main()
