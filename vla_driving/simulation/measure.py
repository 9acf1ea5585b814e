"""Measures what the simulator costs and how well its frames show the road.

`python -m vla_driving.simulation.measure` drives a scenario with MetaDrive's own driver as fast as
it goes and prints start and reset times, time per physics step and frame, and processor time for
each simulated second at 10 Hz frames; then the contrast of lane lines at 10, 20 and 30 m.
"""

from __future__ import annotations

import argparse
import functools
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

from vla_driving import paths
from vla_driving.contract.cameras import Camera, load_camera
from vla_driving.contract.frames import Image
from vla_driving.contract.scene import LaneLineKind
from vla_driving.contract.settings import SettingsError
from vla_driving.contract.vehicle import VehicleParameters, load_vehicle
from vla_driving.simulation.actuators import ActuatorMap, load_actuators
from vla_driving.simulation.metadrive import PHYSICS_STEP_S, SimulatorError
from vla_driving.simulation.renderer import Renderer
from vla_driving.simulation.scenario import Scenario, load_scenario
from vla_driving.simulation.teacher import DECISION_S, idm_driver
from vla_driving.simulation.visibility import line_contrast
from vla_driving.simulation.world import World

DISTANCES = (10.0, 20.0, 30.0)


def cost(
    scenario: Scenario, vehicle: VehicleParameters, actuators: ActuatorMap, camera: Camera,
    seconds: float,
) -> None:
    """Drive and print times."""
    begin = time.perf_counter()
    renderer = Renderer(camera)
    World(scenario, vehicle, actuators, renderer).close()
    started = time.perf_counter()
    with World(scenario, vehicle, actuators, renderer) as world:
        print(f"start {started - begin:.2f} s, reset {time.perf_counter() - started:.2f} s")
        decide = idm_driver(world)
        steps, frames = [], []
        processor = time.process_time()
        while world.time_s < seconds and not world.truth().arrived:
            action = decide()
            for _ in range(round(DECISION_S / PHYSICS_STEP_S)):
                steps.append(_timed(functools.partial(world.act, *action)))
                world.vehicle_state(0)
            frames.append(_timed(world.render))
            world.radar()
            world.route(0)
        processor = time.process_time() - processor
        print(f"{world.time_s:.0f} s of {scenario.name}, {len(world.bodies())} bodies around")
        for name, values in (("physics step", steps), ("frame", frames)):
            print(f"  {name:12s} median {np.median(values):6.2f} ms, "
                  f"p99 {np.percentile(values, 99):6.2f} ms")
        print(f"  processor    {processor / world.time_s:.3f} cores in real time")


def _timed(call: Callable[[], object]) -> float:
    """How long a call takes, ms."""
    start = time.perf_counter()
    call()
    return (time.perf_counter() - start) * 1e3


def contrast(
    scenario: Scenario, vehicle: VehicleParameters, actuators: ActuatorMap, camera: Camera,
    picture: Path | None,
) -> None:
    """Print the contrast of the ego lane's lines, and keep the frame it was measured in."""
    with World(scenario, vehicle, actuators, Renderer(camera)) as world:
        world.place(ahead=30.0)
        image = world.render()
        for line in world.truth().lane_lines:
            for distance in DISTANCES:
                try:
                    seen = line_contrast(image, camera, line, distance)
                except ValueError:
                    continue
                print(f"  {LaneLineKind(line.kind).name.lower():16s} {distance:4.0f} m: line "
                      f"{seen.line:5.1f}, asphalt {seen.asphalt:5.1f}, "
                      f"contrast {seen.michelson:.2f}")
        if picture is not None:
            _save(image, picture)


def _save(image: Image, path: Path) -> None:
    import cv2

    if not cv2.imwrite(str(path), image[..., ::-1]):
        raise SimulatorError(f"{path}: cannot be written")


def main(arguments: list[str] | None = None) -> int:
    """Command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--scenario", default="demo", help="name in config/scenarios")
    parser.add_argument("--seconds", type=float, default=30.0, help="simulated time")
    parser.add_argument("--picture", type=Path, help="where to keep the frame of the contrast")
    options = parser.parse_args(arguments)
    try:
        vehicle = load_vehicle(paths.config("vehicles/metadrive_sedan.yaml"))
        actuators = load_actuators(paths.config("vehicles/metadrive_sedan_actuators.yaml"))
        camera = load_camera(paths.config("cameras/metadrive_front.yaml"))
        scenario = load_scenario(paths.config(f"scenarios/{options.scenario}.yaml"))
        straight = load_scenario(paths.config("scenarios/straight.yaml"))
        cost(scenario, vehicle, actuators, camera, options.seconds)
        contrast(straight, vehicle, actuators, camera, options.picture)
    except (SettingsError, SimulatorError, paths.MissingFilesError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
