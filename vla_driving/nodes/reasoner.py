"""reasoner: instructions and questions in free words, and what the car says."""

from __future__ import annotations

from typing import Any, ClassVar

from vla_driving.contract.navigation import Instruction, Route
from vla_driving.contract.plan import Plan
from vla_driving.contract.supervision import SafetyState
from vla_driving.contract.vehicle import VehicleState, load_vehicle
from vla_driving.nodes.process import run
from vla_driving.nodes.stack_node import StackNode
from vla_driving.vla.language.reasoner import ReasonerCounters, ReasonerInputs, load_reasoner
from vla_driving.vla.language.settings import ReasonerSettings

STATES_KEPT = 100
INSTRUCTIONS_KEPT = 256


class Reasoner(StackNode):
    """Steps at the rate of the plans; nobody waits for it, and nothing stops when it dies."""

    NAME: ClassVar[str] = "reasoner"
    SETTINGS: ClassVar[type] = ReasonerSettings
    NICENESS: ClassVar[int] = 10

    def configure(self) -> None:
        """Load the sentence encoder and its head. Raises EncoderError, HeadError in one line."""
        self._core = load_reasoner(self.settings, load_vehicle(self.vehicle_file()))
        self._counters = ReasonerCounters()
        self._instructions: list[Instruction] = []
        self._states: list[VehicleState] = []
        self._plan: Plan | None = None
        self._safety: SafetyState | None = None
        self._route: Route | None = None
        self.speak("vla/command")
        self.speak("vla/answer")
        self.listen("vla/instruction", Instruction, self._take_instruction)
        self.listen("vla/plan", Plan, self._take_plan)
        self.listen("vehicle/state", VehicleState, self._take_state)
        self.listen("vla/safety_state", SafetyState, self._take_safety)
        self.listen("vla/route", Route, self._take_route)
        self.every(self.stack.rates.plan, self._step)

    def diagnose(self) -> dict[str, str]:
        """Counters."""
        if not self.configured:
            return {}
        counters = self._counters
        return {
            "instructions_heard": str(counters.heard),
            "instructions_accepted": str(counters.accepted),
            "instructions_refused": str(counters.refused),
            "instructions_ignored": str(counters.ignored),
            "instructions_dropped": str(counters.dropped),
            "questions_answered": str(counters.answered),
        }

    def _take_instruction(self, instruction: Instruction) -> None:
        self._instructions.append(instruction)
        del self._instructions[:-INSTRUCTIONS_KEPT]

    def _take_plan(self, plan: Plan) -> None:
        self._plan = plan

    def _take_state(self, state: VehicleState) -> None:
        self._states.append(state)
        del self._states[:-STATES_KEPT]

    def _take_safety(self, safety: SafetyState) -> None:
        self._safety = safety

    def _take_route(self, route: Route) -> None:
        self._route = route

    def _step(self) -> None:
        instructions, self._instructions = tuple(self._instructions), []
        states, self._states = tuple(self._states), []
        outputs = self._core.step(
            ReasonerInputs(instructions, self._plan, states, self._safety, self._route),
            self.now_ns(),
        )
        self._counters = outputs.counters
        if outputs.command is not None:
            self.send("vla/command", outputs.command)
        for answer in outputs.answers:
            self.send("vla/answer", answer)
        for event in outputs.events:
            self.tell(event)


NODE_CLASS = Reasoner


def main(_args: Any = None) -> None:
    """Run the node."""
    run(Reasoner)


if __name__ == "__main__":
    main()
