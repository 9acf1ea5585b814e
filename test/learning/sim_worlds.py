"""Worlds without a picture for the tests of those who drive in them."""

from __future__ import annotations

import functools
from collections.abc import Iterator

import numpy as np

from vla_driving.contract.language import Command, Intent
from vla_driving.learning.driving import CONTROL_S, PREVIEW, Setting, load_setting, steering
from vla_driving.learning.guide import Choice, Guide
from vla_driving.simulation.scenario import Scenario
from vla_driving.simulation.world import World


@functools.cache
def blind_setting() -> Setting:
    """The car without a camera."""
    return load_setting(sees=False)


def open_world(**values: object) -> World:
    """A world; what is not given is a straight empty road of three lanes, entered at 8 m/s."""
    usual: dict[str, object] = {
        "name": "test", "map": "SSS", "seed": 3, "start_speed": 8.0, "speed_limit": 10.0,
    }
    return blind_setting().open(Scenario(**usual | values))  # type: ignore[arg-type]


def told(number: int, intent: Intent, speed: float = 0.0, time_gap: float = 0.0) -> Command:
    """A command as the reasoner gives it."""
    return Command(
        0, number, number, intent, speed, time_gap, np.zeros(0, np.float32), 10**12
    )


def drive(world: World, guide: Guide, seconds: float) -> Iterator[Choice]:
    """What the guide decides while it drives."""
    for _ in range(round(seconds / CONTROL_S)):
        choice = guide.step()
        yield choice
        bend = float(choice.decision.curvature[PREVIEW].mean())
        demand = float(choice.decision.acceleration[PREVIEW].mean())
        world.drive(steering(bend, world.vehicle), demand, CONTROL_S)
        if world.truth().arrived:
            return
