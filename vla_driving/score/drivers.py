"""Who may drive a route: the stack, MetaDrive's own drivers, and the teacher as the reference.

All are asked every 0.02 s. The stack is `loop.Loop`; the others see the simulator's true state and
their words go to the car's actuators without camera, monitor or controller.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np

from vla_driving.contract.frames import Image
from vla_driving.learning.driving import followed, steering
from vla_driving.score.loop import Loop
from vla_driving.score.rig import Rig
from vla_driving.simulation.metadrive import DECISION_STEPS, PHYSICS_STEP_S
from vla_driving.simulation.teacher import Decision, expert_driver, idm_driver
from vla_driving.simulation.world import World
from vla_driving.vla.manifest import REFERENCE


class Driver(Protocol):
    """Drives a world on."""

    def step(self) -> None:
        """Go on by PHYSICS_STEP_S."""


class MetaDriver:
    """One of MetaDrive's drivers: decides ten times a second."""

    def __init__(self, world: World, decide: Decision) -> None:
        self._world, self._decide = world, decide
        self._tick = 0
        self._pedals = (0.0, 0.0)

    def step(self) -> None:
        """See Driver."""
        if self._tick % DECISION_STEPS == 0:
            self._pedals = self._decide()
        self._tick += 1
        self._world.act(*self._pedals, PHYSICS_STEP_S)


class Teacher:
    """The privileged planner, ten times a second."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._tick = 0
        self._wheel = (0.0, 0.0)

    def step(self) -> None:
        """See Driver."""
        if self._tick % DECISION_STEPS == 0:
            bend, demand = followed(self._world.truth(), self._world.vehicle)
            self._wheel = (steering(bend, self._world.vehicle), demand)
        self._tick += 1
        self._world.drive(*self._wheel, PHYSICS_STEP_S)


class Blackened:
    """Nothing is seen any more."""

    def __call__(self, image: Image) -> Image:
        """A black picture of the same size."""
        return np.zeros_like(image)


class Frozen:
    """The first picture is shown for ever."""

    def __init__(self) -> None:
        self._first: Image | None = None

    def __call__(self, image: Image) -> Image:
        """The picture that came first."""
        if self._first is None:
            self._first = image.copy()
        return self._first


@dataclass(frozen=True)
class Models:
    """Folders of the models that are driven."""

    stack: Path
    baseline: Path


Maker = Callable[[Rig, World, Models], Driver]


@dataclass(frozen=True)
class Policy:
    """A driver by name: what it is, in words, and whether it drives by pictures."""

    title: str
    sees: bool
    make: Maker


def _stack(
    eye: Callable[[], Callable[[Image], Image]] | None = None, precision: str = "",
    checked: bool = True,
) -> Maker:
    def make(rig: Rig, world: World, models: Models) -> Driver:
        model = rig.model(models.stack, precision)
        return Loop(rig, world, *model, eye=eye() if eye else None, checked=checked)

    return make


def _baseline(rig: Rig, world: World, models: Models) -> Driver:
    return Loop(rig, world, *rig.model(models.baseline))


POLICIES = {
    "stack": Policy("the whole stack: camera, model, reasoner, monitor, controller", True,
                    _stack()),
    "idm": Policy("Intelligent Driver Model with MetaDrive's lane keeping; sees the true state",
                  False, lambda rig, world, models: MetaDriver(world, idm_driver(world))),
    "expert": Policy("MetaDrive's PPO expert; sees the true state", False,
                     lambda rig, world, models: MetaDriver(world, expert_driver(world))),
    "baseline": Policy("behaviour cloning of the PilotNet kind in the same stack", True, _baseline),
    "teacher": Policy("the privileged teacher: what progress is held against", False,
                      lambda rig, world, models: Teacher(world)),
    "stack_fp32": Policy("the stack with the model in single precision", True,
                         _stack(precision=REFERENCE)),
    "blacked_out": Policy("the stack, black pictures told as good ones", True, _stack(Blackened)),
    "frozen": Policy("the stack, its first picture for ever told as good ones", True,
                     _stack(Frozen)),
    "unchecked": Policy("the stack without the safety monitor", True, _stack(checked=False)),
    "unchecked_blind": Policy("the same, black pictures told as good ones", True,
                              _stack(Blackened, checked=False)),
}
