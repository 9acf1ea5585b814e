"""What collecting and scoring share: the simulated car, and policies that drive it."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np

from vla_driving import paths
from vla_driving.contract.frames import Image
from vla_driving.contract.vehicle import VehicleParameters, load_vehicle
from vla_driving.learning.teacher import Reference, plan
from vla_driving.learning.tensors import VIRTUAL_CAMERA, FloatArray
from vla_driving.simulation.actuators import ActuatorMap, load_actuators
from vla_driving.simulation.metadrive import SimulatorError
from vla_driving.simulation.renderer import Renderer
from vla_driving.simulation.scenario import Scenario
from vla_driving.simulation.truth import AHEAD, Truth
from vla_driving.simulation.world import World
from vla_driving.vla.inputs import Navigation, navigation_vector
from vla_driving.vla.manifest import load_model
from vla_driving.vla.runtimes.openvino import OpenVinoRuntime

VEHICLE = "metadrive_sedan"
CONTROL_S = 0.1
PREVIEW = slice(1, 4)
"""Points of a plan that are carried out: what actuators and tyres take to answer."""


@dataclass(frozen=True, eq=False)
class Setting:
    """The car and the eye that all scenes share; without a renderer nothing is drawn."""

    vehicle: VehicleParameters
    actuators: ActuatorMap
    renderer: Renderer | None

    def open(self, scenario: Scenario) -> World:
        """The world of a scenario; what is placed beyond the end of its route is left out.

        Raises SimulatorError.
        """
        try:
            return World(scenario, self.vehicle, self.actuators, self.renderer)
        except SimulatorError as error:
            if "beyond the end of the route" not in str(error):
                raise
        return World(scenario.replace(objects=()), self.vehicle, self.actuators, self.renderer)


def load_setting(sees: bool = True) -> Setting:
    """The simulated car, with the pilot's virtual camera where it `sees`.

    Raises SettingsError, SimulatorError.
    """
    folder = paths.config("vehicles")
    return Setting(
        load_vehicle(folder / f"{VEHICLE}.yaml"),
        load_actuators(folder / f"{VEHICLE}_actuators.yaml"),
        Renderer(VIRTUAL_CAMERA) if sees else None,
    )


def reference(truth: Truth) -> Reference:
    """The lane to follow, as the teacher wants it."""
    return Reference(
        s=truth.path_s, x=truth.path_x, y=truth.path_y, heading=truth.path_heading,
        curvature=truth.path_curvature, goal=bool(truth.path_s[-1] < AHEAD - 2.0),
        speed_limit=truth.speed_limit,
    )


def navigation_of(truth: Truth) -> FloatArray:
    """(8,) what the network is told of the route, encoded as on the vehicle."""
    return navigation_vector(
        Navigation(truth.next_turn, truth.distance_to_turn, truth.speed_limit)
    )


def steering(curvature: float, vehicle: VehicleParameters) -> float:
    """Road-wheel angle in rad of the kinematic bicycle."""
    return math.atan(vehicle.wheelbase * curvature)


class Policy(Protocol):
    """Anything that drives."""

    def act(self, image: Image, truth: Truth) -> tuple[float, float]:
        """Curvature in 1/m and acceleration in m/s² for the coming control step."""


class TeacherPolicy:
    """The privileged planner itself: the most that imitation can reach."""

    def __init__(self, vehicle: VehicleParameters) -> None:
        self._vehicle = vehicle

    def act(self, image: Image, truth: Truth) -> tuple[float, float]:
        """See Policy; the image is not looked at."""
        acceleration, curvature = plan(
            truth.speed, reference(truth), truth.objects, self._vehicle
        )
        return float(curvature[PREVIEW].mean()), float(acceleration[PREVIEW].mean())


class ModelPolicy:
    """A model folder through the vehicle's own runtime; of the truth it takes what a car knows.

    `blind` blackens its images: what is left is what it does by habit. Raises ModelError.
    """

    def __init__(self, folder: Path, blind: bool = False) -> None:
        self._runtime = OpenVinoRuntime("CPU", 1)
        self._runtime.load(load_model(folder))
        self._blind = blind

    def act(self, image: Image, truth: Truth) -> tuple[float, float]:
        """See Policy."""
        navigation = navigation_of(truth)
        outputs = self._runtime.infer({
            "images": (np.zeros_like(image) if self._blind else image)[None, None],
            "ego": np.array([[truth.speed]], np.float32),
            "navigation": navigation[None],
        })
        best = int(outputs["probability"][0].argmax())
        curvature = outputs["curvature"][0, best, PREVIEW].mean()
        return float(curvature), float(outputs["acceleration"][0, best, PREVIEW].mean())
