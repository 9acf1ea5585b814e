"""A drive in numbers, and a reasoner beside it."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from functools import cache
from typing import Any

import numpy as np

from vla_driving import paths
from vla_driving.contract.clock import SECOND
from vla_driving.contract.language import Answer, AnswerStatus, Command
from vla_driving.contract.navigation import Instruction, Route, Turn
from vla_driving.contract.plan import Plan
from vla_driving.contract.scene import LaneLine, LaneLineKind, ObjectClass, SceneObject
from vla_driving.contract.settings import from_mapping, read_yaml
from vla_driving.contract.supervision import SafetyState
from vla_driving.contract.trajectory import integrate
from vla_driving.contract.vehicle import Gear, VehicleParameters, VehicleState, load_vehicle
from vla_driving.vla.inputs import Navigation
from vla_driving.vla.language.encoder import SentenceEncoder
from vla_driving.vla.language.head import load_head
from vla_driving.vla.language.reasoner import Reasoner, ReasonerInputs, ReasonerOutputs
from vla_driving.vla.language.settings import ReasonerSettings
from vla_driving.vla.language.understanding import Listener
from vla_driving.vla.outputs import Decoded
from vla_driving.vla.reasoning import explain

X = np.array([5.0, 20.0, 60.0], np.float32)


@cache
def listener() -> Listener:
    return Listener(SentenceEncoder.load(), load_head())


def settings() -> ReasonerSettings:
    group = read_yaml(paths.config("stack.yaml"))["reasoner"]["ros__parameters"]
    return from_mapping(ReasonerSettings, group, "reasoner")


def vehicle() -> VehicleParameters:
    return load_vehicle(paths.config("vehicles/metadrive_sedan.yaml"))


def car(x: float, y: float = 0.0, speed: float = 8.0) -> SceneObject:
    return SceneObject(ObjectClass.CAR, 0.9, x, y, 0.0, speed, 0.0, 4.5, 1.8)


def lines(left: float = 1.75, width: float = 3.5, *edges: float) -> tuple[LaneLine, ...]:
    """Two lane lines, the left one `left` m beside the car, and edges left and right of the car."""
    kinds = (LaneLineKind.ROAD_EDGE_LEFT, LaneLineKind.ROAD_EDGE_RIGHT)
    flat = [(LaneLineKind.LANE_LEFT, left), (LaneLineKind.LANE_RIGHT, left - width)]
    flat += list(zip(kinds, edges, strict=False))
    return tuple(LaneLine(k, 0.9, X, np.full(3, y, np.float32)) for k, y in flat)


@dataclass
class Drive:
    """Steps a reasoner at 10 Hz; what the car does is set from outside."""

    speed: float = 8.0
    acceleration: float = 0.0
    yaw_rate: float = 0.0
    objects: tuple[SceneObject, ...] = ()
    lane_lines: tuple[LaneLine, ...] = field(default_factory=lines)
    turn: Turn = Turn.STRAIGHT
    distance_to_turn: float = 80.0
    speed_limit: float = 12.0
    safety: SafetyState | None = None
    driver: dict[str, Any] = field(default_factory=dict)
    now_ns: int = 1_000 * SECOND
    plan_acceleration: float | None = None
    planning: bool = True

    def __post_init__(self) -> None:
        self.reasoner = Reasoner(settings(), listener(), vehicle())
        self.answers: list[Answer] = []
        self.command: Command | None = None
        self.ids = 0
        self.sequence = 0

    def say(self, text: str, **changes: Any) -> int:
        """Say something; its id. Steps until it has an answer."""
        self.ids += 1
        said = Instruction(self.now_ns, self.ids, text, "test", 0)
        self.step(replace(said, **changes))
        return self.ids

    def step(self, *instructions: Instruction) -> ReasonerOutputs:
        self.now_ns += SECOND // 10
        self.sequence += 1
        state = VehicleState(
            self.now_ns, self.sequence, self.speed, self.speed, self.acceleration, 0.0,
            self.yaw_rate, 0.0, 0.0, Gear.DRIVE, self.speed == 0.0, **self.driver,
        )
        route = Route(
            self.now_ns, np.zeros(0, np.float32), np.zeros(0, np.float32), self.turn,
            self.distance_to_turn, 300.0, self.speed_limit,
        )
        out = self.reasoner.step(
            ReasonerInputs(
                instructions, self.plan() if self.planning else None, (state,), self.safety, route
            ),
            self.now_ns,
        )
        self.answers += out.answers
        self.command = out.command or self.command
        return out

    def run(self, seconds: float) -> None:
        for _ in range(round(10 * seconds)):
            self.step()

    def plan(self) -> Plan:
        wanted = self.acceleration if self.plan_acceleration is None else self.plan_acceleration
        path = integrate(self.speed, np.full(64, wanted), np.zeros(64))
        decoded = Decoded((path,), self.objects, self.lane_lines, 0.3, {})
        told = explain(
            decoded, self.speed, Navigation(self.turn, self.distance_to_turn, self.speed_limit)
        )
        return Plan(
            self.now_ns, self.sequence, self.sequence, self.now_ns + SECOND // 2,
            "test", "1", "test", (path,), self.objects, self.lane_lines, (), told.lateral,
            told.longitudinal, told.sentence, told.evidence, 0.3, 0, (),
        )

    def of(self, instruction_id: int) -> list[AnswerStatus]:
        """What was answered to an instruction, in order."""
        return [a.status for a in self.answers if a.instruction_id == instruction_id]

    def last(self, instruction_id: int) -> Answer:
        return [a for a in self.answers if a.instruction_id == instruction_id][-1]
