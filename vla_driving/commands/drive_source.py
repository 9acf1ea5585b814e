"""What a bag does not say about its drive, from the settings that the stack was started with."""

from __future__ import annotations

import argparse
from collections.abc import Sequence

from vla_driving import paths
from vla_driving.bringup.parameters import merged
from vla_driving.commands.options import start_options
from vla_driving.contract.clock import Nanoseconds
from vla_driving.contract.settings import SettingsError, from_mapping
from vla_driving.contract.vehicle import load_vehicle
from vla_driving.nodes.cameras import known_cameras
from vla_driving.nodes.parameters import StackSettings, named_file, named_model
from vla_driving.replay.outputs import Source
from vla_driving.replay.summary import ModelInfo
from vla_driving.vla.manifest import load_model


def drive_source(
    arguments: argparse.Namespace, dead_nodes: Sequence[str] = (), end_ns: Nanoseconds | None = None
) -> Source:
    """Model, camera, vehicle and rates. Raises SettingsError, ModelError with one line."""
    options = start_options(arguments, arguments.out, {})
    stack = _shared(merged(options.params_files, "", options.overrides["camera_ingest"]))
    model = load_model(named_model(stack.model))
    cameras = known_cameras(stack)
    virtual = model.manifest.inputs.cameras[0]
    shown = [camera for camera in cameras if camera.name == virtual.name]
    if not shown:
        raise SettingsError(f"cameras: none of {stack.cameras} is named {virtual.name!r}")
    network = next(f for f in model.manifest.files if f.role == "network")
    return Source(
        model=ModelInfo(model.manifest.name, model.manifest.version, network.sha256),
        camera=shown[0],
        virtual_camera=virtual,
        vehicle=load_vehicle(named_file(stack.vehicle, "vehicles")),
        rates=stack.rates,
        dead_nodes=tuple(dead_nodes),
        end_ns=end_ns,
    )


def _shared(parameters: dict[str, object]) -> StackSettings:
    names = StackSettings.__dataclass_fields__
    shared = {name: value for name, value in parameters.items() if name in names}
    return from_mapping(StackSettings, shared, str(paths.config("stack.yaml")))
