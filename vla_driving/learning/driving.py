"""What collecting and scoring share: the simulated car, and the planner that drives it."""

from __future__ import annotations

import math
from dataclasses import dataclass

from vla_driving import paths
from vla_driving.contract.vehicle import VehicleParameters, load_vehicle
from vla_driving.learning.teacher import Reference, plan
from vla_driving.learning.tensors import VIRTUAL_CAMERA
from vla_driving.simulation.actuators import ActuatorMap, load_actuators
from vla_driving.simulation.metadrive import SimulatorError
from vla_driving.simulation.renderer import Renderer
from vla_driving.simulation.scenario import Scenario
from vla_driving.simulation.truth import AHEAD, Truth
from vla_driving.simulation.world import World

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


def steering(curvature: float, vehicle: VehicleParameters) -> float:
    """Road-wheel angle in rad of the kinematic bicycle."""
    return math.atan(vehicle.wheelbase * curvature)


def followed(truth: Truth, vehicle: VehicleParameters) -> tuple[float, float]:
    """What the privileged planner does now, the most that imitation can reach.

    Curvature in 1/m and acceleration in m/s² for the coming control step.
    """
    acceleration, curvature = plan(truth.speed, reference(truth), truth.objects, vehicle)
    return float(curvature[PREVIEW].mean()), float(acceleration[PREVIEW].mean())
