"""Makes a trained pilot a model folder: graph, manifest with hashes, model card."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch

from vla_driving.contract.cameras import Camera
from vla_driving.contract.trajectory import HORIZON_S
from vla_driving.learning.export import export, inputs_of
from vla_driving.learning.network import Pilot, PilotSettings
from vla_driving.learning.tensors import (
    CAUSES,
    ROUTE_M,
    SHAPES,
    SLOTS,
    STATIONS_M,
    TEXT,
    TEXT_ENCODER,
)
from vla_driving.vla.manifest import (
    COMMAND_FIELDS,
    CONTRACT_VERSION,
    MOTION_FIELDS,
    NAVIGATION_FIELDS,
    OBJECT_COLUMNS,
    Inputs,
    Manifest,
    ModelFile,
    Outputs,
    Score,
    StateTensor,
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
    ablations: str = ""


def release(
    weights: Path, folder: Path, camera: Camera, provenance: Provenance,
    size: PilotSettings | None = None,
) -> Manifest:
    """Write `folder` from weights.pt; it is read back, so that it is known to fit the contract.

    Raises ModelError.
    """
    pilot = Pilot(size)
    pilot.load_state_dict(torch.load(weights, map_location="cpu", weights_only=True))
    folder.mkdir(parents=True, exist_ok=True)
    export(pilot, folder / GRAPH)
    (folder / CARD).write_text(card(provenance, _parameters(pilot)), encoding="utf-8")
    save_manifest(manifest_of(camera, provenance, pilot.settings), folder)
    return load_model(folder).manifest


def _parameters(pilot: Pilot) -> int:
    return sum(p.numel() for p in pilot.parameters())


def manifest_of(
    camera: Camera, provenance: Provenance, size: PilotSettings | None = None
) -> Manifest:
    """The manifest of a pilot of these parts, without hashes."""
    shape = {name: (1, *numbers) for name, numbers in SHAPES.items()}
    given = inputs_of(size or PilotSettings())
    states = [n.removeprefix("state_") for n in given if n.startswith("state_")]
    return Manifest(
        contract_version=CONTRACT_VERSION,
        name="pilot",
        version=provenance.version,
        licence=LICENCE,
        description="Residual network with a memory that drives simulated roads from one front"
        " camera, listens to instructions and says why",
        rate_hz=10.0,
        horizon_s=HORIZON_S,
        inputs=Inputs(
            cameras=(camera,), history=1, ego=("speed",), navigation=NAVIGATION_FIELDS,
            states=tuple(StateTensor(n, shape[f"state_{n}"]) for n in states),
            text_encoder=TEXT_ENCODER if "text" in given else None,
            text=TEXT if "text" in given else 0,
            command=COMMAND_FIELDS,
            route_m=ROUTE_M if "route" in given else (),
            motion=MOTION_FIELDS if "motion" in given else (),
        ),
        outputs=Outputs(
            acceleration=shape["acceleration"],
            curvature=shape["curvature"],
            probability=shape["probability"],
            uncertainty=shape["uncertainty"],
            lane_stations_m=STATIONS_M,
            lane_lines=shape["lane_lines"],
            objects=(1, SLOTS, OBJECT_COLUMNS),
            cause=(1, CAUSES),
            cause_object=(1, 1 + SLOTS),
            cause_distance=(1,),
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
        ablations=provenance.ablations or "Not measured for these weights.\n",
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
    data = f"{last['held_out_frames']:.0f} frames of held-out clips, open loop"
    return (
        Score("ade_6.4s", round(last["held_out_ade"], 3), "m", data),
        Score("position_error_2s", round(last["held_out_position_2s"], 3), "m", data),
        Score("position_error_2s_wished", round(last["held_out_wished_2s"], 3), "m", data),
        Score("velocity_error", round(last["held_out_velocity"], 3), "m/s", data),
        Score("cause_right", round(last["held_out_cause_right"], 3), ONE, data),
    )


_CARD = """# pilot {version}

A residual network of {parameters:.1f} M parameters that drives the roads of the simulator, listens
and says why. In go one front camera of 256x128 pixels, the car's speed and its motion since the
frame before, the next turn, four points of the way at navigation accuracy, the token of an
instruction (all-MiniLM-L6-v2, 384 numbers) and the time gap that was asked for. Out come three
candidate trajectories of 6.4 s as acceleration and curvature, their probabilities, an uncertainty,
lane lines, the four road users nearest to the way with their velocities, the cause of what it does,
which of the objects that is and how far away. Each frame is encoded once; what was seen in the last
4 s is remembered in ten tokens of 96 numbers with their poses, at constant cost.

**Not for public roads.** It has seen nothing but rendered roads.

## Data
{data} ({samples} frames).

## Training
{method}.

The network is given neither the steering angle nor its own past commands, so it cannot
copy what it did before; the speed it is given is noisy. Of the route it knows the next turn, its
distance, the speed limit and points that are metres off, nothing of the lane's shape.

Instructions reach the driving as a probability of each intent, which a part of the network works
out of the token; it was taught on the trained wordings, never on the held-out ones. A wish for a
speed reaches it as the speed limit. Traffic lights it does not know: the simulator's roads have
none.

## Scores
| figure | value | measured on |
|---|---|---|
{rows}

## What each part is worth
{ablations}
## Precisions
`pilot.onnx` computes in float32. `pilot.int8.onnx` has the convolutions in int8 (explicit Q/DQ,
symmetric, weights per channel, ranges from frames of training clips) and everything else in
float16. Which one runs is chosen in `config/stack.yaml`.

## Again
`make train` collects the data from its seeds, trains, exports and writes this folder.
"""
