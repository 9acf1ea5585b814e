"""Makes a trained pilot a model folder: graph, manifest with hashes, model card."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch

from vla_driving.contract.cameras import Camera
from vla_driving.contract.trajectory import HORIZON_S
from vla_driving.learning.export import export
from vla_driving.learning.network import Pilot
from vla_driving.learning.tensors import SHAPES, STATIONS_M
from vla_driving.vla.manifest import (
    CONTRACT_VERSION,
    NAVIGATION_FIELDS,
    Inputs,
    Manifest,
    ModelFile,
    Outputs,
    Score,
    Training,
    load_model,
    save_manifest,
)

GRAPH = "pilot.onnx"
CARD = "README.md"
ONE = "1"
"""Unit of shares."""
LICENCE = "Apache-2.0"


@dataclass(frozen=True)
class Provenance:
    """Where the weights come from and how well they did."""

    version: str
    data: str
    samples: int
    method: str
    scores: tuple[Score, ...]


def release(weights: Path, folder: Path, camera: Camera, provenance: Provenance) -> Manifest:
    """Write `folder` from weights.pt; it is read back, so that it is known to fit the contract.

    Raises ModelError.
    """
    pilot = Pilot()
    pilot.load_state_dict(torch.load(weights, map_location="cpu", weights_only=True))
    folder.mkdir(parents=True, exist_ok=True)
    export(pilot, folder / GRAPH)
    (folder / CARD).write_text(card(provenance, _parameters(pilot)), encoding="utf-8")
    save_manifest(_manifest(camera, provenance), folder)
    return load_model(folder).manifest


def _parameters(pilot: Pilot) -> int:
    return sum(p.numel() for p in pilot.parameters())


def _manifest(camera: Camera, provenance: Provenance) -> Manifest:
    shape = {name: (1, *size) for name, size in SHAPES.items()}
    return Manifest(
        contract_version=CONTRACT_VERSION,
        name="pilot",
        version=provenance.version,
        licence=LICENCE,
        description="Small residual network that drives simulated roads from one front camera",
        rate_hz=10.0,
        horizon_s=HORIZON_S,
        inputs=Inputs(
            cameras=(camera,), history=1, ego=("speed",), navigation=NAVIGATION_FIELDS
        ),
        outputs=Outputs(
            acceleration=shape["acceleration"],
            curvature=shape["curvature"],
            probability=shape["probability"],
            uncertainty=shape["uncertainty"],
            lane_stations_m=STATIONS_M,
            lane_lines=shape["lane_lines"],
            objects=shape["objects"],
        ),
        files=(
            ModelFile(path=GRAPH, sha256="", role="network"),
            ModelFile(path=CARD, sha256="", role="document"),
        ),
        training=Training(
            data=provenance.data,
            samples=provenance.samples,
            method=provenance.method,
            licence_of_data=LICENCE,
        ),
        scores=provenance.scores,
    )


def card(provenance: Provenance, parameters: int) -> str:
    """The model card in Markdown."""
    rows = [
        f"| {s.name} | {s.value:g} {'' if s.unit == ONE else s.unit} | {s.data} |"
        for s in provenance.scores
    ]
    return _CARD.format(
        version=provenance.version, data=provenance.data, samples=provenance.samples,
        method=provenance.method, parameters=parameters / 1e6, rows="\n".join(rows),
    )


def closed_loop_scores(policy: str, figures: Mapping[str, float]) -> tuple[Score, ...]:
    """Scores of the manifest from what `drive` measured for one policy on select seeds."""
    units = {
        "success": ONE, "route_completion": ONE, "off_road_per_km": "1/km",
        "collisions_per_km": "1/km", "mean_offset_m": "m",
    }
    data = f"{policy}, {figures['routes']:.0f} routes from seed 10000 on, closed loop"
    return tuple(
        Score(f"{policy}_{name.removesuffix('_m')}", round(figures[name], 3), unit, data)
        for name, unit in units.items()
    )


def open_loop_scores(history: Path) -> tuple[Score, ...]:
    """Scores of the manifest from the last row of a fit's history.json."""
    rows: Sequence[Mapping[str, float]] = json.loads(history.read_text(encoding="utf-8"))
    last = rows[-1]
    data = "held-out training episodes, open loop"
    return (
        Score("ade_6.4s", round(last["held_out_ade"], 3), "m", data),
        Score("position_error_2s", round(last["held_out_position_2s"], 3), "m", data),
    )


_CARD = """# pilot {version}

A residual network of {parameters:.1f} M parameters that drives the roads of the simulator. One
front camera of 256x128 pixels, the car's speed and the next turn go in; three candidate
trajectories of 6.4 s as acceleration and curvature, their probabilities, an uncertainty, lane lines
and the two nearest road users come out. It has no memory: each frame is judged by itself.

**Not for public roads.** It has seen nothing but rendered roads.

## Data
{data} ({samples} frames).

## Training
{method}.

The network is given neither the steering angle nor its own past commands, so it cannot
copy what it did before; the speed it is given is noisy. Of the route it knows the next turn, its
distance and the speed limit, nothing of the lane's shape.

## Scores
| figure | value | measured on |
|---|---|---|
{rows}

## Precisions
`pilot.onnx` computes in float32. `pilot.int8.onnx` has the convolutions in int8 (explicit Q/DQ,
symmetric, weights per channel, ranges from frames of training seeds) and everything else in
float16. Which one runs is chosen in `config/stack.yaml`.

## Again
`make train` collects the data from its seeds, trains, exports and writes this folder.
"""
