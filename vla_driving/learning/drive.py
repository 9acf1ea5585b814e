"""Closed loop on roads that were never taught: how well a model drives, and that it looks.

The model runs through the vehicle's own actor and controller in lock step; only the safety monitor
is left out, since it would hide what the model does wrong. Beside it drive the same model with
blackened images, which must do clearly worse, and the privileged teacher.
"""

from __future__ import annotations

import argparse
import dataclasses
import itertools
import json
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, TypeVar

import numpy as np

from vla_driving import paths
from vla_driving.contract.checksum import approved_plan_checksum
from vla_driving.contract.clock import SECOND, Nanoseconds
from vla_driving.contract.frames import CameraFrame, FrameSet, FrameStatus
from vla_driving.contract.plan import ApprovedPlan, Plan, PlanSource
from vla_driving.contract.rates import Rates
from vla_driving.contract.settings import SettingsError, from_mapping, read_yaml
from vla_driving.contract.vehicle import VehicleState
from vla_driving.control.bridge import ControllerBridge, Inputs
from vla_driving.control.settings import ControllerBridgeSettings
from vla_driving.learning.driving import (
    CONTROL_S,
    Setting,
    TeacherPolicy,
    load_setting,
    steering,
)
from vla_driving.learning.scenes import scene
from vla_driving.simulation.metadrive import SimulatorError
from vla_driving.simulation.truth import Truth
from vla_driving.simulation.world import World
from vla_driving.vla.actor import Actor, ActorInputs
from vla_driving.vla.manifest import PRECISIONS, load_model
from vla_driving.vla.runtimes.choose import open_runtime
from vla_driving.vla.settings import VlaInferenceSettings

LONGEST_S = 90.0
STUCK_S = 20.0
LOST_M = 4.0
T = TypeVar("T")


@dataclass(frozen=True)
class Route:
    """How one drive went."""

    seed: int
    map: str
    ended: str
    success: bool
    completion: float
    distance_m: float
    duration_s: float
    collisions: int
    off_road: int
    off_road_s: float
    mean_offset_m: float


class Driver(Protocol):
    """Drives a world on by one control step."""

    def start(self, world: World) -> None:
        """A new world begins."""

    def advance(self, world: World, truth: Truth) -> None:
        """Go on by CONTROL_S."""


class TeacherDriver:
    """The privileged planner."""

    def __init__(self, setting: Setting) -> None:
        self._policy = TeacherPolicy(setting.vehicle)

    def start(self, world: World) -> None:
        """See Driver."""

    def advance(self, world: World, truth: Truth) -> None:
        """See Driver."""
        bend, demand = self._policy.act(np.zeros((1, 1, 3), np.uint8), truth)
        world.drive(steering(bend, world.vehicle), demand, CONTROL_S)


class StackDriver:
    """Actor and controller of the vehicle, every plan approved as it is.

    `blind` blackens the images; `precision` is that of config/stack.yaml where none is given.
    Raises ModelError, SettingsError.
    """

    def __init__(
        self, folder: Path, setting: Setting, blind: bool = False, precision: str | None = None
    ) -> None:
        self._model = load_model(folder)
        self._settings = node_settings(VlaInferenceSettings, "vla_inference")
        self._control = node_settings(ControllerBridgeSettings, "controller_bridge")
        self._rates = node_settings(Rates, "/**", "rates")
        runtime = self._settings.runtime
        if precision is not None:
            runtime = dataclasses.replace(runtime, precision=precision)
        self._chosen = open_runtime(self._model, runtime)
        self._vehicle = setting.vehicle
        self._blind = blind

    def start(self, world: World) -> None:
        """See Driver."""
        self._actor = Actor(self._model, self._chosen, self._settings, lambda: 0)
        self._bridge = ControllerBridge(self._control, self._vehicle, self._rates)
        self._now_ns: Nanoseconds = SECOND
        self._sequence = 0
        self._approved: ApprovedPlan | None = None
        self._states: list[VehicleState] = [world.vehicle_state(self._now_ns)]

    def advance(self, world: World, truth: Truth) -> None:
        """See Driver."""
        self._sequence += 1
        if self._sequence % 5 == 1:
            self._route = world.route(self._now_ns)
        inputs = ActorInputs(self._frames(world), tuple(self._states), self._route)
        self._states = []
        answer = self._actor.step(inputs, self._now_ns)
        if answer.plan is not None:
            self._approved = self._approve(answer.plan)
        period_ns = round(SECOND / self._rates.command)
        for _ in range(round(CONTROL_S * self._rates.command)):
            state = world.vehicle_state(self._now_ns + 1)
            self._states.append(state)
            self._now_ns += period_ns
            outcome = self._bridge.step(Inputs(self._approved, state), self._now_ns)
            world.step(outcome.command, period_ns / SECOND)

    def _frames(self, world: World) -> FrameSet:
        image = world.render()
        if self._blind:
            image = np.zeros_like(image)
        name = self._model.manifest.inputs.cameras[0].name
        frame = CameraFrame(name, self._now_ns, FrameStatus.OK, 0.0, 0.0, image)
        return FrameSet(self._now_ns, self._sequence, self._model.manifest.title, (frame,))

    def _approve(self, plan: Plan) -> ApprovedPlan:
        approved = ApprovedPlan(
            stamp_ns=plan.stamp_ns, sequence=plan.sequence, plan_sequence=plan.sequence,
            frame_stamp_ns=plan.stamp_ns, valid_until_ns=plan.valid_until_ns,
            source=PlanSource.MODEL, engaged=True, hold=False, hazard_lights=False,
            speed_cap=self._vehicle.max_speed, trajectory=plan.candidates[0],
        )
        return dataclasses.replace(approved, checksum=approved_plan_checksum(approved))


def node_settings(cls: type[T], node: str, group: str = "") -> T:
    """A node's settings as config/stack.yaml holds them. Raises SettingsError."""
    path = paths.config("stack.yaml")
    values: Any = read_yaml(path)[node]["ros__parameters"]
    return from_mapping(cls, values[group] if group else values, f"{path}: {node}")


def drive(setting: Setting, driver: Driver, seed: int, things: bool) -> Route:
    """One scene from start to goal, failure or LONGEST_S; `things` puts obstacles in the way."""
    scenario = scene(seed)
    if not things:
        scenario = scenario.replace(objects=())
    offsets: list[float] = []
    off, was_off, off_steps, still_s = 0, False, 0, 0.0
    ended = "time"
    with setting.open(scenario) as world:
        driver.start(world)
        truth = world.truth()
        while world.time_s < LONGEST_S:
            driver.advance(world, truth)
            truth = world.truth()
            offsets.append(abs(truth.lane_offset))
            off += truth.off_road and not was_off
            off_steps += truth.off_road
            was_off = truth.off_road
            still_s = still_s + CONTROL_S if truth.speed < 0.1 else 0.0
            if ended_now := _ended(truth, still_s):
                ended = ended_now
                break
        return Route(
            seed=seed, map=scenario.map, ended=ended,
            success=_succeeded(ended, things) and not truth.collisions and not off,
            completion=truth.route_completion, distance_m=truth.distance,
            duration_s=world.time_s, collisions=truth.collisions, off_road=off,
            off_road_s=off_steps * CONTROL_S, mean_offset_m=float(np.mean(offsets)),
        )


def _succeeded(ended: str, things: bool) -> bool:
    # Where something may block the lane for good, to wait behind it is right.
    return ended == "arrived" or (things and ended == "stuck")


def _ended(truth: Truth, still_s: float) -> str:
    if truth.arrived:
        return "arrived"
    if truth.collisions:
        return "collision"
    if abs(truth.lane_offset) > LOST_M:
        return "lost"
    return "stuck" if still_s > STUCK_S else ""


def summary(routes: Sequence[Route]) -> dict[str, float]:
    """Figures over all routes; rates per km driven."""
    km = sum(r.distance_m for r in routes) / 1000.0
    moved = max(km, 1e-6)
    return {
        "routes": float(len(routes)),
        "km": km,
        "success": float(np.mean([r.success for r in routes])),
        "route_completion": float(np.mean([r.completion for r in routes])),
        "collisions_per_km": sum(r.collisions for r in routes) / moved,
        "off_road_per_km": sum(r.off_road for r in routes) / moved,
        "mean_offset_m": float(np.mean([r.mean_offset_m for r in routes])),
        "mean_speed": sum(r.distance_m for r in routes) / sum(r.duration_s for r in routes),
    }


def measure(
    setting: Setting, driver: Driver, seeds: Iterable[int], name: str, things: bool = False,
    say: Callable[[str], None] = print,
) -> tuple[dict[str, float], list[Route]]:
    """Drive all seeds; figures and the single routes."""
    routes = []
    for seed in seeds:
        began = time.monotonic()
        routes.append(route := drive(setting, driver, seed, things))
        say(f"{name} {seed} ({route.map}): {route.ended}, {100 * route.completion:.0f} %,"
            f" off road {route.off_road}, mean offset {route.mean_offset_m:.2f} m,"
            f" {route.duration_s:.0f} s driven in {time.monotonic() - began:.0f} s")
    return summary(routes), routes


def _seeds(first: int, things: bool) -> Iterator[int]:
    """Seeds from `first` on; with `things` those whose scene puts something in the way."""
    return (seed for seed in itertools.count(first) if not things or scene(seed).objects)


def main(arguments: list[str] | None = None) -> int:
    """Command line: drive a model folder and what it is compared with."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--model", type=Path, default=None, help="folder; models/pilot if left out")
    parser.add_argument("--first", type=int, default=10_000, help="first seed")
    parser.add_argument("--routes", type=int, default=20)
    parser.add_argument("--precision", choices=PRECISIONS, help="config/stack.yaml's if left out")
    parser.add_argument("--policies", default="model,blind,teacher")
    parser.add_argument("--things", action="store_true", help="scenes with obstacles and people")
    parser.add_argument("--out", type=Path, default=Path("out/learning/drive.json"))
    options = parser.parse_args(arguments)
    folder = options.model or paths.model("pilot")
    report: dict[str, Any] = {}
    try:
        setting = load_setting()
        makers: dict[str, Callable[[], Driver]] = {
            "model": lambda: StackDriver(folder, setting, precision=options.precision),
            "blind": lambda: StackDriver(folder, setting, blind=True, precision=options.precision),
            "teacher": lambda: TeacherDriver(setting),
        }
        seeds = list(itertools.islice(_seeds(options.first, options.things), options.routes))
        for name in options.policies.split(","):
            figures, routes = measure(setting, makers[name](), seeds, name, options.things)
            report[name] = {**figures, "by_route": [dataclasses.asdict(r) for r in routes]}
            print(name, json.dumps({k: round(v, 3) for k, v in figures.items()}), flush=True)
            options.out.parent.mkdir(parents=True, exist_ok=True)
            options.out.write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")
    except (SettingsError, SimulatorError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
