"""Collects episodes: somebody drives, the privileged teacher says at every frame what to do.

In a first round the teacher itself drives and is pushed off course on purpose; in later ones the
pilot drives and the teacher corrects it (DAgger, Ross, Gordon and Bagnell 2011). What is taught is
always the teacher's plan from where the car is, never the push. Each episode follows from its seed
and is one file; what is there already is left alone.
"""

from __future__ import annotations

import argparse
import math
import sys
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from vla_driving.contract.frames import Image
from vla_driving.contract.settings import SettingsError
from vla_driving.learning.dataset import Sample, read_size, write_episode
from vla_driving.learning.driving import (
    CONTROL_S,
    ModelPolicy,
    Policy,
    Setting,
    load_setting,
    navigation_of,
    reference,
    steering,
)
from vla_driving.learning.labels import lane_line_tensor, object_tensor
from vla_driving.learning.scenes import TRAIN_SEEDS, scene
from vla_driving.learning.teacher import Reference, plan
from vla_driving.simulation.metadrive import SimulatorError
from vla_driving.simulation.truth import Truth
from vla_driving.simulation.world import World

FRAME_EVERY = 3
"""Control steps from one recorded frame to the next: neighbours in time teach little."""
PILOT_FRAME_EVERY = 2
"""The same where the pilot drives, which has to see every frame anyway."""
LONGEST_S = 25.0
LONGEST_STAND_S = 6.0
FARTHEST_OFF = 2.2
"""m off the lane's centre beyond which a drive has failed."""


@dataclass(frozen=True)
class Episode:
    """What was recorded, and why it ended: arrived, time, stood, collision or lost."""

    samples: list[Sample]
    ended: str
    duration_s: float


def run_episode(world: World, seed: int, pilot: Policy | None) -> Episode:
    """Drive one scene: the `pilot` does, or without one the teacher; both are pushed off course."""
    chance = np.random.default_rng([seed, 2 if pilot is None else 3])
    push = _Push(chance, pulls=pilot is None)
    every = FRAME_EVERY if pilot is None else PILOT_FRAME_EVERY
    samples: list[Sample] = []
    stood_s = 0.0
    for step in range(round(LONGEST_S / CONTROL_S)):
        truth = world.truth()
        ended = _ended(truth)
        if ended:
            return Episode(samples, ended, world.time_s)
        if push.teleports(step, truth):
            push.teleport(world, truth)
            truth = world.truth()
        path = reference(truth)
        acceleration, curvature = plan(truth.speed, path, truth.objects, world.vehicle)
        stood_s = stood_s + CONTROL_S if truth.speed < 0.1 else 0.0
        if stood_s > LONGEST_STAND_S:
            return Episode(samples, "stood", world.time_s)
        image = None
        if pilot is not None or step % every == 0:
            image = world.render()
        if step % every == 0 and image is not None and (stood_s < 2.0 or step % 5 == 0):
            samples.append(_sample(image, truth, path, acceleration, curvature))
        bend, demand = float(curvature[1]), float(acceleration[1])
        if pilot is not None and image is not None:
            bend, demand = pilot.act(image, truth)
        bend, demand = push.disturb(step, bend, demand)
        world.drive(steering(bend, world.vehicle), demand, CONTROL_S)
    return Episode(samples, "time", world.time_s)


def _sample(
    image: Image, truth: Truth, path: Reference, acceleration: np.ndarray, curvature: np.ndarray
) -> Sample:
    return Sample(
        image=image,
        speed=truth.speed,
        navigation=navigation_of(truth),
        acceleration=acceleration.astype(np.float32),
        curvature=curvature.astype(np.float32),
        lane_lines=lane_line_tensor(truth.lane_lines),
        objects=object_tensor(truth.objects, path),
    )


def _ended(truth: Truth) -> str:
    if truth.collisions:
        return "collision"
    if abs(truth.lane_offset) > FARTHEST_OFF:
        return "lost"
    return "arrived" if truth.arrived else ""


class _Push:
    """Pushes the driver off course: jumps to the side, and pulls at wheel and pedals."""

    def __init__(self, chance: np.random.Generator, pulls: bool) -> None:
        self._chance = chance
        self._pulls = pulls
        self._next = int(chance.integers(10, 50))
        self._until = 0
        self._bend = self._demand = 0.0

    def teleports(self, step: int, truth: Truth) -> bool:
        """Whether the car is put somewhere else now; else a pull may begin."""
        if step != self._next:
            return False
        self._next = step + int(self._chance.integers(30, 70))
        if self._chance.random() < 0.6:
            return True
        if not self._pulls:
            return False
        self._until = step + int(self._chance.integers(4, 11))
        self._bend = float(self._chance.normal(0.0, 0.16)) / max(truth.speed, 4.0)
        self._demand = float(self._chance.normal(0.0, 1.5))
        return False

    def teleport(self, world: World, truth: Truth) -> None:
        """Beside the lane's centre, askew, at another speed; not into or close behind others."""
        room = 0.5 * truth.lane_width
        left = float(np.clip(self._chance.normal(0.0, 0.45 * room), -0.8 * room, 0.8 * room))
        askew = float(np.clip(self._chance.normal(0.0, 0.1), -0.25, 0.25))
        speed = float(self._chance.uniform(0.0, 1.15 * truth.speed_limit))
        bend = np.abs(truth.path_curvature[:40]).max(initial=0.0)
        speed = min(speed, math.sqrt(3.5 / max(bend, 0.01)))
        ahead = [o.x for o in truth.objects if 0.0 < o.x < 60.0 and abs(o.y) < 6.0]
        if ahead:
            speed = min(speed, math.sqrt(max(0.0, 2.0 * 2.5 * (min(ahead) - 10.0))))
        if any(abs(o.x) < 8.0 and abs(o.y) < 6.0 for o in truth.objects):
            left = 0.3 * left
        world.place(left=left, heading=askew, speed=speed)

    def disturb(self, step: int, bend: float, demand: float) -> tuple[float, float]:
        """Curvature and acceleration with the pull, while there is one."""
        if step >= self._until:
            return bend, demand
        return bend + self._bend, demand + self._demand


def collect(
    folder: Path, seeds: Iterable[int], setting: Setting, pilot: Policy | None = None,
    frames: int | None = None, say: Callable[[str], None] = print,
) -> int:
    """Episodes of `seeds` into `folder` until there are `frames`; returns how many there are.

    A teacher's episode that fails is kept as an empty file, so that it is not driven again; of a
    pilot's drive everything up to its failure is kept. Raises SimulatorError.
    """
    total, began, made = 0, time.monotonic(), 0
    for seed in seeds:
        if seed not in TRAIN_SEEDS:
            raise SettingsError(f"seed {seed}: only 0 to {TRAIN_SEEDS[-1]} may teach")
        path = folder / f"{seed // 100:02d}" / f"{seed:05d}.npz"
        if path.is_file():
            total += read_size(path)
        else:
            with setting.open(scene(seed)) as world:
                episode = run_episode(world, seed, pilot)
            failed = episode.ended in ("collision", "lost")
            kept = [] if failed and pilot is None else episode.samples
            count = write_episode(path, kept)
            total, made = total + count, made + count
            rate = made / (time.monotonic() - began)
            say(f"seed {seed} ({scene(seed).map}): {episode.ended} after"
                f" {episode.duration_s:.0f} s, {count} frames; {total} in all, {rate:.1f} frames/s")
        if frames is not None and total >= frames:
            break
    return total


def main(arguments: list[str] | None = None) -> int:
    """Command line: collect episodes below --folder."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--folder", type=Path, required=True)
    parser.add_argument("--first", type=int, default=0, help="first seed")
    parser.add_argument("--last", type=int, default=TRAIN_SEEDS[-1], help="last seed")
    parser.add_argument("--frames", type=int, help="stop at so many frames")
    parser.add_argument("--pilot", type=Path, help="model folder that drives, not the teacher")
    options = parser.parse_args(arguments)
    try:
        setting = load_setting()
        pilot = None
        if options.pilot is not None:
            pilot = ModelPolicy(options.pilot)
        seeds = range(options.first, options.last + 1)
        collect(options.folder, seeds, setting, pilot, options.frames)
    except (SettingsError, SimulatorError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
