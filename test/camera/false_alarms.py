"""How often camera health alarms on good drives, and how often it misses what is spoilt.

`python test/camera/false_alarms.py` drives the simulator's car over a few roads and takes the
highway video where it lies beside the checkout, shows every picture as it is and as it would be at
dusk, by night, in rain, fog, snow and low sun (conditions.py), holds the shipped limits against
them, prints alarms by kind and writes out/camera_health.json. Ends by itself; minutes on one core.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections import Counter
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import yaml

sys.path.insert(0, str(Path(__file__).parent))

from conditions import GOOD, SPOILT
from real import HIGHWAY, NAME

from vla_driving import paths
from vla_driving.camera.decoding import decode
from vla_driving.camera.health import CameraHealth
from vla_driving.camera.settings import CameraIngestSettings, HealthSettings
from vla_driving.camera.sources import open_source
from vla_driving.camera.warp import Warp
from vla_driving.contract.cameras import Camera, load_camera
from vla_driving.contract.frames import FrameStatus, Image
from vla_driving.contract.settings import from_mapping
from vla_driving.contract.vehicle import load_vehicle
from vla_driving.simulation.actuators import load_actuators
from vla_driving.simulation.metadrive import SimulatorError, installed
from vla_driving.simulation.renderer import Renderer
from vla_driving.simulation.scenario import Scenario
from vla_driving.simulation.teacher import DECISION_S, idm_driver
from vla_driving.simulation.world import World
from vla_driving.vla.manifest import load_manifest

ROADS = (("SCS", 3), ("SXS", 5), ("SCrS", 11), ("OSC", 7))
"""Blocks and seed."""


def main() -> None:
    """Measure and tell."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seconds", type=float, default=60.0, help="of each simulated drive")
    parser.add_argument("--json", type=Path, default=Path("out/camera_health.json"))
    options = parser.parse_args()
    drives = dict(_drives(options.seconds))
    good = {name: _alarms(drives, name, "good") for name in GOOD}
    spoilt = {name: _alarms(drives, name, "spoilt") for name in SPOILT}
    frames = sum(row.frames for row in good.values())
    alarms = sum(row.alarms for row in good.values())
    wanted = sum(row.frames for row in spoilt.values())
    told = sum(row.as_wanted for row in spoilt.values())
    print(f"good: {alarms} false alarms in {frames} frames; spoilt: {told} of {wanted} told")
    options.json.parent.mkdir(parents=True, exist_ok=True)
    result = {
        "frames": frames, "false_alarms": alarms, "spoilt_frames": wanted, "spoilt_told": told,
        "drives": {name: len(images) for name, (images, _) in drives.items()},
        "good": {name: asdict(row) for name, row in good.items()},
        "spoilt": {name: asdict(row) for name, row in spoilt.items()},
    }
    options.json.write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")
    print(options.json)


Drive = tuple[list[Image], Warp]


@dataclass(frozen=True)
class Row:
    """Frames under one condition, and how many of them were told to be bad, as what."""

    frames: int
    alarms: int
    as_wanted: int
    by_kind: dict[str, int]


def _alarms(drives: dict[str, Drive], name: str, kind: str) -> Row:
    """Statuses over all drives under one condition, and their line."""
    condition = GOOD[name] if kind == "good" else SPOILT[name][1]
    found: Counter[FrameStatus] = Counter()
    for images, warp in drives.values():
        health, rng = CameraHealth(_limits(), warp.seen), np.random.default_rng(0)
        statuses = [health.look(condition(image, rng), True).status for image in images]
        if kind == "spoilt":  # the first ones are there to be confirmed
            statuses = statuses[_limits().confirm - 1 :]
        found.update(statuses)
    frames = found.total()
    told = {status.name: n for status, n in found.items() if status != FrameStatus.OK}
    wanted = found[SPOILT[name][0]] if kind == "spoilt" else 0
    print(f"{kind:6s} {name:26s} {frames:6d} frames  {told or 'no alarm'}", flush=True)
    return Row(frames, sum(told.values()), wanted, told)


def _limits() -> HealthSettings:
    stack = yaml.safe_load(paths.config("stack.yaml").read_text(encoding="utf-8"))
    group = stack["camera_ingest"]["ros__parameters"]
    return from_mapping(CameraIngestSettings, group, "config/stack.yaml: camera_ingest").health


def _drives(seconds: float) -> Iterator[tuple[str, Drive]]:
    virtual = load_manifest(paths.model("pilot") / "manifest.yaml").inputs.cameras[0]
    if HIGHWAY is None:
        print(f"without a real drive: {NAME} is not there")
    else:
        warp = Warp(load_camera(paths.config("cameras/dashcam_960x540.yaml")), virtual)
        images = open_source(HIGHWAY, 25.0).images(loop=False)
        yield "highway video", ([warp(decode(s.image, warp.reduction)) for s in images], warp)
    if not installed():
        print("without simulated drives: MetaDrive is not installed (requirements/simulation.txt)")
        return
    camera = load_camera(paths.config("cameras/metadrive_front.yaml"))
    for blocks, seed in ROADS:
        yield f"simulated {blocks}", _simulated(camera, virtual, blocks, seed, seconds)


def _simulated(
    camera: Camera, virtual: Camera, blocks: str, seed: int, seconds: float
) -> Drive:
    warp, images = Warp(camera, virtual), list[Image]()
    scenario = Scenario(
        name=blocks, map=blocks, seed=seed, traffic_density=0.1, start_speed=5.0, duration=seconds
    )
    vehicle = load_vehicle(paths.config("vehicles/metadrive_sedan.yaml"))
    actuators = load_actuators(paths.config("vehicles/metadrive_sedan_actuators.yaml"))
    try:
        renderer = Renderer(camera)
    except SimulatorError as error:
        raise SystemExit(f"error: {error}") from None
    with World(scenario, vehicle, actuators, renderer) as world:
        decide = idm_driver(world)
        while world.time_s < seconds and not world.truth().arrived:
            world.act(*decide(), dt_s=DECISION_S)
            if world.truth().off_road or world.truth().collisions:
                break
            if abs(world.vehicle_state(0).speed) > 0.5:
                images.append(warp(decode(world.render(), warp.reduction)))
    renderer.close()
    print(f"drove {blocks}: {len(images)} frames", flush=True)
    return images, warp


if __name__ == "__main__":
    main()
