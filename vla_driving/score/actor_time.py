"""How long the actor takes for one frame, and how large its weights are."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from vla_driving.contract.checksum import signed
from vla_driving.contract.clock import SECOND, nanoseconds
from vla_driving.contract.frames import CameraFrame, FrameSet, FrameStatus, Image
from vla_driving.contract.navigation import Route, Turn
from vla_driving.contract.vehicle import Gear, VehicleState
from vla_driving.score.rig import Rig
from vla_driving.vla.actor import Actor, ActorInputs

FRAMES, FIRST = 300, 50
"""Frames that are answered, and those at the start that do not count."""
PERIOD_NS = nanoseconds(0.1)


def measure(folder: Path, say: Callable[[str], None]) -> dict[str, Any]:
    """`actor_ms_p50` of the whole step, frames in to plan out, and `weights_mb`.

    One thread, the shipped precision, on pictures of noise: the time does not depend on what is
    seen. Raises ModelError.
    """
    rig = Rig()
    model, chosen = rig.model(folder)
    actor = Actor(model, chosen, rig.settings.inference, rig.vehicle, lambda: 0)
    random = np.random.default_rng(0)
    pictures = [
        tuple(random.integers(0, 256, (c.height, c.width, 3), np.uint8)
              for c in model.manifest.inputs.cameras)
        for _ in range(8)
    ]
    taken = []
    for k in range(FRAMES):
        inputs = _inputs(k, pictures[k % len(pictures)], model.manifest.title,
                         [c.name for c in model.manifest.inputs.cameras])
        began = time.perf_counter_ns()
        answer = actor.step(inputs, (k + 1) * PERIOD_NS + SECOND)
        taken.append((time.perf_counter_ns() - began) / 1e6)
        if answer.plan is None:
            raise RuntimeError(f"the actor gave no plan: {answer.faults}")
    p50, p99 = (float(np.percentile(taken[FIRST:], q)) for q in (50, 99))
    precision = rig.settings.inference.runtime.precision
    size = sum(path.stat().st_size for path in _network_files(model.at(precision).network_path))
    say(f"actor: {p50:.2f} ms a frame (median), {p99:.2f} (99 %) on {chosen.name}")
    return {
        "actor_ms_p50": round(p50, 3), "actor_ms_p99": round(p99, 3), "actor_runtime": chosen.name,
        "weights_mb": round(size / 1e6, 3),
    }


def _network_files(network: Path) -> list[Path]:
    """The graph, and its weights where they lie in a file of their own."""
    beside = network.with_suffix(network.suffix + ".data")
    return [network, *([beside] if beside.is_file() else [])]


def _inputs(k: int, pictures: tuple[Image, ...], title: str, names: list[str]) -> ActorInputs:
    stamp = (k + 1) * PERIOD_NS + SECOND
    frames = tuple(
        CameraFrame(name, stamp, FrameStatus.OK, 0.0, 0.0, picture)
        for name, picture in zip(names, pictures, strict=True)
    )
    state = signed(VehicleState(
        stamp_ns=stamp, sequence=k, speed=10.0, wheel_speed=10.0, acceleration=0.0,
        lateral_acceleration=0.0, yaw_rate=0.0, steering_angle=0.0, steering_rate=0.0,
        gear=Gear.DRIVE, standstill=False, steering_override=False, brake_override=False,
        accelerator_override=False, engage_button=False, cancel_button=False,
        hazard_lights=False, faults=(),
    ))
    ahead = np.linspace(10.0, 160.0, 16, dtype=np.float32)
    route = signed(Route(stamp, ahead, np.zeros(16, np.float32), Turn.STRAIGHT, 80.0, 300.0, 12.0))
    return ActorInputs(FrameSet(stamp, k, title, frames), (state,), route)
