"""What the simulator's tests share: the shipped car, and worlds where MetaDrive is installed."""

from dataclasses import replace

import pytest

from vla_driving import paths
from vla_driving.contract.cameras import load_camera
from vla_driving.contract.checksum import command_checksum
from vla_driving.contract.vehicle import CommandSource, ControlCommand, load_vehicle
from vla_driving.simulation.actuators import load_actuators
from vla_driving.simulation.metadrive import SimulatorError, installed
from vla_driving.simulation.renderer import Renderer
from vla_driving.simulation.scenario import Scenario
from vla_driving.simulation.world import World

VEHICLE = load_vehicle(paths.config("vehicles/metadrive_sedan.yaml"))
ACTUATORS = load_actuators(paths.config("vehicles/metadrive_sedan_actuators.yaml"))
CAMERA = load_camera(paths.config("cameras/metadrive_front.yaml"))

needs_metadrive = pytest.mark.skipif(
    not installed(), reason="MetaDrive is not installed (requirements/simulation.txt)"
)


def world(renderer: Renderer | None = None, **scenario: object) -> World:
    """A small world; what is not given is a straight empty road of three lanes."""
    values: dict[str, object] = {"name": "test", "map": "SS", "seed": 1} | scenario
    return World(Scenario(**values), VEHICLE, ACTUATORS, renderer)  # type: ignore[arg-type]


def open_renderer() -> Renderer:
    """A renderer of the shipped camera; skips where no software renderer can be opened."""
    try:
        return Renderer(CAMERA)
    except SimulatorError as error:
        pytest.skip(str(error))


def command(sequence: int, **values: object) -> ControlCommand:
    """An engaged command with a right checksum."""
    made = ControlCommand(
        stamp_ns=0, sequence=sequence, plan_sequence=0, frame_stamp_ns=0,
        source=CommandSource.PLAN, engaged=True, steering_angle=0.0, steering_rate=0.0,
        acceleration=0.0, jerk=0.0, hazard_lights=False, hold=False,
    )
    made = replace(made, **values)  # type: ignore[arg-type]
    return replace(made, checksum=command_checksum(made))
