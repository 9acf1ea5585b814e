"""slow_model: a large model in a process of its own, one thought at a time."""

from __future__ import annotations

import threading
from typing import Any, ClassVar

from vla_driving.contract.frames import FrameSet
from vla_driving.contract.navigation import Route
from vla_driving.contract.settings import SettingsError
from vla_driving.contract.vehicle import VehicleState
from vla_driving.nodes.parameters import NO_MODEL, named_model
from vla_driving.nodes.process import run
from vla_driving.nodes.stack_node import StackNode
from vla_driving.vla.large.adapter import LargeModelAdapter, warm_up
from vla_driving.vla.large.manifest import load_large_model
from vla_driving.vla.large.settings import SlowModelSettings
from vla_driving.vla.large.thinking import Thinking, ThinkingCounters, ThinkingInputs
from vla_driving.vla.large.thought import Answer, Request, ThoughtError

STATES_KEPT = 512
WATCH_HZ = 5.0


class SlowModel(StackNode):
    """Takes frames while the model thinks in a thread; thoughts go out as plans of their frames.

    Nobody waits for it and nothing stops when it dies: vla_inference drives on by itself.
    """

    NAME: ClassVar[str] = "slow_model"
    SETTINGS: ClassVar[type] = SlowModelSettings
    NICENESS: ClassVar[int] = 10

    def configure(self) -> None:
        """Load the model and think once. Raises ModelError, SettingsError with one line."""
        self._adapter: LargeModelAdapter | None = None
        self._counters = ThinkingCounters()
        self._states: list[VehicleState] = []
        self._route: Route | None = None
        if self.stack.large_model == NO_MODEL:
            raise SettingsError(f"large_model: {NO_MODEL}: name the folder of one to run this node")
        model = load_large_model(named_model(self.stack.large_model))
        self._adapter = LargeModelAdapter(model, self.settings.generation)
        try:
            warm_up(self._adapter.think, len(model.manifest.inputs.cameras))
        except ThoughtError as error:
            raise SettingsError(f"{model.manifest.title}: {error}") from None
        self._core = Thinking(model.manifest, self._adapter.name, self.settings)
        self.speak("vla/thought")
        self.listen("vehicle/state", VehicleState, self._take_state)
        self.listen("vla/route", Route, self._take_route)
        self.listen("vla/large_frames", FrameSet, self._take_frames)
        self.every(WATCH_HZ, self._step, counted=False)
        millions = self._adapter.parameters / 1e6
        self.get_logger().info(
            f"model {model.manifest.title}, {millions:.4g} million weights, on {self._adapter.name}"
        )

    def release(self) -> None:
        """Let go of the model; a thought under way keeps its memory until it ends."""
        self._adapter = None

    def diagnose(self) -> dict[str, str]:
        """Runtime and counters."""
        if self._adapter is None:
            return {}
        counters = self._counters
        return {
            "runtime": self._adapter.name,
            "requests": str(counters.requests),
            "thoughts": str(counters.thoughts),
            "frames_dropped": str(counters.dropped),
            "thoughts_failed": str(counters.failed),
            "thoughts_late": str(counters.late),
        }

    def _take_state(self, state: VehicleState) -> None:
        self._states.append(state)
        del self._states[:-STATES_KEPT]

    def _take_route(self, route: Route) -> None:
        self._route = route

    def _take_frames(self, frames: FrameSet) -> None:
        self._step(frames)

    def _step(
        self, frames: FrameSet | None = None, answer: Answer | ThoughtError | None = None
    ) -> None:
        states, self._states = tuple(self._states), []
        sets = () if frames is None else (frames,)
        inputs = ThinkingInputs(sets, states, self._route, answer)
        outputs = self._core.step(inputs, self.now_ns())
        self._counters = outputs.counters
        if outputs.plan is not None:
            self.send("vla/thought", outputs.plan)
        for event in outputs.events:
            self.tell(event)
        if outputs.request is not None:
            # A daemon: a model that never comes back does not keep the process from ending.
            threading.Thread(
                target=self._think, args=(outputs.request, self._adapter, self._core), daemon=True,
                name="thought",
            ).start()

    def _think(self, request: Request, adapter: LargeModelAdapter, core: Thinking) -> None:
        answer: Answer | ThoughtError
        try:
            answer = adapter.think(request)
        except ThoughtError as error:
            answer = error
        if self.executor is not None:
            self.executor.create_task(self._answered, answer, core)

    def _answered(self, answer: Answer | ThoughtError, core: Thinking) -> None:
        # An answer to a question from before a new start is none to the one in flight now.
        if self._adapter is not None and core is self._core:
            self._step(answer=answer)


NODE_CLASS = SlowModel


def main(_args: Any = None) -> None:
    """Run the node."""
    run(SlowModel)


if __name__ == "__main__":
    main()
