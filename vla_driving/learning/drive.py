"""Closed loop on roads that were never taught: how well a model drives, and that it looks.

The model runs in the scoreboard's loop (`score/loop.py`), judged as there; only the safety monitor
is left out, since it would hide what the model does wrong. Beside it drive the same model with
blackened images, which must do clearly worse, and the privileged teacher.
"""

from __future__ import annotations

import argparse
import dataclasses
import itertools
import json
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from vla_driving import paths
from vla_driving.contract.settings import SettingsError
from vla_driving.learning.scenes import scene
from vla_driving.score.drive import STUCK, Drive, Task, drive
from vla_driving.score.drivers import Models
from vla_driving.score.rig import Rig
from vla_driving.simulation.metadrive import SimulatorError
from vla_driving.vla.manifest import PRECISIONS

POLICIES = {"model": "unchecked", "blind": "unchecked_blind", "teacher": "teacher"}
"""Who drives, by the scoreboard's names."""


@dataclass(frozen=True)
class Route:
    """How one drive went."""

    seed: int
    map: str
    ended: str
    success: bool
    completion: float
    distance_m: float
    duration_s: float
    collisions: int
    off_road: int
    mean_offset_m: float


def drive_route(rig: Rig, folder: Path, policy: str, seed: int, things: bool) -> Route:
    """The scene of a seed from start to goal or failure; `things` puts obstacles in the way.

    `policy` is one of POLICIES, `folder` the model's. Raises SimulatorError, ModelError.
    """
    scenario = scene(seed)
    scenario = scenario if things else scenario.replace(objects=())
    models = Models(folder, folder)
    try:
        found = drive(Task(POLICIES[policy], "select", scenario), rig, models)
    except SimulatorError as error:
        if "beyond the end of the route" not in str(error):
            raise
        found = drive(Task(POLICIES[policy], "select", scenario.replace(objects=())), rig, models)
    return Route(
        seed=seed, map=found.map, ended=found.ended, success=_succeeded(found, things),
        completion=found.completion, distance_m=found.distance_m, duration_s=found.duration_s,
        collisions=len(found.collisions), off_road=found.off_road,
        mean_offset_m=float(np.mean(np.abs(found.track.left))),
    )


def _succeeded(found: Drive, things: bool) -> bool:
    # Where something may block the lane for good, to wait behind it is right.
    waits = things and found.ended == STUCK and not found.off_road
    return found.success or waits


def summary(routes: Sequence[Route]) -> dict[str, float]:
    """Figures over all routes; rates per km driven."""
    km = sum(r.distance_m for r in routes) / 1000.0
    moved = max(km, 1e-6)
    return {
        "routes": float(len(routes)),
        "km": km,
        "success": float(np.mean([r.success for r in routes])),
        "route_completion": float(np.mean([r.completion for r in routes])),
        "collisions_per_km": sum(r.collisions for r in routes) / moved,
        "off_road_per_km": sum(r.off_road for r in routes) / moved,
        "mean_offset_m": float(np.mean([r.mean_offset_m for r in routes])),
        "mean_speed": sum(r.distance_m for r in routes) / sum(r.duration_s for r in routes),
    }


def measure(
    rig: Rig, folder: Path, policy: str, seeds: Iterable[int], name: str, things: bool = False,
    say: Callable[[str], None] = print,
) -> tuple[dict[str, float], list[Route]]:
    """Drive all seeds; figures and the single routes. `name` is what progress calls the driver."""
    routes = []
    for seed in seeds:
        began = time.monotonic()
        routes.append(route := drive_route(rig, folder, policy, seed, things))
        say(f"{name} {seed} ({route.map}): {route.ended}, {100 * route.completion:.0f} %,"
            f" off road {route.off_road}, mean offset {route.mean_offset_m:.2f} m,"
            f" {route.duration_s:.0f} s driven in {time.monotonic() - began:.0f} s")
    return summary(routes), routes


def _seeds(first: int, things: bool) -> Iterator[int]:
    """Seeds from `first` on; with `things` those whose scene puts something in the way."""
    return (seed for seed in itertools.count(first) if not things or scene(seed).objects)


def main(arguments: list[str] | None = None) -> int:
    """Command line: drive a model folder and what it is compared with."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--model", type=Path, default=None, help="folder; models/pilot if left out")
    parser.add_argument("--first", type=int, default=10_000, help="first seed")
    parser.add_argument("--routes", type=int, default=20)
    parser.add_argument(
        "--precision", choices=PRECISIONS, default="", help="config/stack.yaml's if left out"
    )
    parser.add_argument("--policies", default=",".join(POLICIES))
    parser.add_argument("--things", action="store_true", help="scenes with obstacles and people")
    parser.add_argument("--out", type=Path, default=Path("out/learning/drive.json"))
    options = parser.parse_args(arguments)
    folder = options.model or paths.model("pilot")
    report: dict[str, Any] = {}
    try:
        rig = Rig(options.precision)
        seeds = list(itertools.islice(_seeds(options.first, options.things), options.routes))
        for name in options.policies.split(","):
            figures, routes = measure(rig, folder, name, seeds, name, options.things)
            report[name] = {**figures, "by_route": [dataclasses.asdict(r) for r in routes]}
            print(name, json.dumps({k: round(v, 3) for k, v in figures.items()}), flush=True)
            options.out.parent.mkdir(parents=True, exist_ok=True)
            options.out.write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")
    except (SettingsError, SimulatorError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
