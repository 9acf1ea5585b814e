"""What all drives of one process share: the simulated car, its eye, the stack's settings, a model.

Everything is as shipped: config/stack.yaml, the vehicle's and the camera's file.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, TypeVar

import yaml

from vla_driving import paths
from vla_driving.camera.settings import CameraIngestSettings
from vla_driving.contract.cameras import Camera, load_camera
from vla_driving.contract.rates import Rates
from vla_driving.contract.settings import SettingsError, from_mapping, read_yaml
from vla_driving.contract.vehicle import VehicleParameters, load_vehicle
from vla_driving.control.settings import ControllerBridgeSettings
from vla_driving.safety.settings import SafetyMonitorSettings
from vla_driving.simulation.actuators import ActuatorMap, load_actuators
from vla_driving.simulation.renderer import Renderer
from vla_driving.simulation.scenario import Scenario
from vla_driving.simulation.world import World
from vla_driving.vla.language.encoder import SentenceEncoder
from vla_driving.vla.language.head import load_head
from vla_driving.vla.language.reasoner import Reasoner
from vla_driving.vla.language.settings import ReasonerSettings
from vla_driving.vla.language.understanding import Listener
from vla_driving.vla.manifest import Model, load_model
from vla_driving.vla.runtimes.choose import Chosen, open_runtime
from vla_driving.vla.settings import VlaInferenceSettings

VEHICLE = "metadrive_sedan"
CAMERA = "metadrive_front"
T = TypeVar("T")


@dataclass(frozen=True)
class StackSettings:
    """Of the nodes that take part."""

    camera: CameraIngestSettings
    inference: VlaInferenceSettings
    monitor: SafetyMonitorSettings
    bridge: ControllerBridgeSettings
    reasoner: ReasonerSettings
    rates: Rates


def node_settings(cls: type[T], node: str, group: str = "") -> T:
    """A node's settings as config/stack.yaml holds them. Raises SettingsError."""
    path = paths.config("stack.yaml")
    try:
        values: Any = read_yaml(path)[node]["ros__parameters"]
        values = values[group] if group else values
    except (KeyError, TypeError, yaml.YAMLError) as error:
        raise SettingsError(f"{path}: {node}: no parameters: {error}") from None
    return from_mapping(cls, values, f"{path}: {node}")


def shipped_settings() -> StackSettings:
    """From config/stack.yaml. Raises SettingsError."""
    return StackSettings(
        node_settings(CameraIngestSettings, "camera_ingest"),
        node_settings(VlaInferenceSettings, "vla_inference"),
        node_settings(SafetyMonitorSettings, "safety_monitor"),
        node_settings(ControllerBridgeSettings, "controller_bridge"),
        node_settings(ReasonerSettings, "reasoner"),
        node_settings(Rates, "/**", "rates"),
    )


class Rig:
    """Opens worlds, with or without the camera, and models; each is loaded once and kept."""

    def __init__(self, precision: str = "") -> None:
        """`precision` of models that none is said for, config/stack.yaml's if left out.

        Raises SettingsError.
        """
        folder = paths.config("vehicles")
        self.settings = shipped_settings()
        self._precision = precision or self.settings.inference.runtime.precision
        self.vehicle: VehicleParameters = load_vehicle(folder / f"{VEHICLE}.yaml")
        self.camera: Camera = load_camera(paths.config(f"cameras/{CAMERA}.yaml"))
        self._actuators: ActuatorMap = load_actuators(folder / f"{VEHICLE}_actuators.yaml")
        self._models: dict[tuple[Path, str], tuple[Model, Chosen]] = {}

    @cached_property
    def _renderer(self) -> Renderer:
        return Renderer(self.camera)

    def open(self, scenario: Scenario, sees: bool) -> World:
        """The world of a scenario; without sight nothing is drawn. Raises SimulatorError."""
        renderer = self._renderer if sees else None
        return World(scenario, self.vehicle, self._actuators, renderer)

    def reasoner(self) -> Reasoner:
        """One that has heard nothing yet."""
        return Reasoner(self.settings.reasoner, self._listener, self.vehicle)

    @cached_property
    def _listener(self) -> Listener:
        return Listener(SentenceEncoder.load(), load_head())

    def model(self, folder: Path, precision: str = "") -> tuple[Model, Chosen]:
        """A model and what runs it. Raises ModelError."""
        key = (folder, precision or self._precision)
        if key not in self._models:
            runtime = dataclasses.replace(self.settings.inference.runtime, precision=key[1])
            model = load_model(folder)
            self._models[key] = (model, open_runtime(model, runtime))
        return self._models[key]
