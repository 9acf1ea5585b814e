"""A plain behaviour-cloning network, to hold the pilot against: one frame, speed and turn in, one
trajectory out.

The layers of PilotNet (Bojarski et al. 2016) on the pilot's own camera at half size, taught the
same clips by the distance to the teacher's trajectory. No memory, no words, no route, no scene, no
candidates, no variation of the images. A model folder like any other.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from vla_driving.contract.trajectory import HORIZON_S, POINTS
from vla_driving.learning.clips import clip_paths
from vla_driving.learning.dataset import DatasetError
from vla_driving.learning.export import write_graph
from vla_driving.learning.fit import device, split
from vla_driving.learning.loss import TWO_SECONDS
from vla_driving.learning.network import KNOTS_S, interpolation
from vla_driving.learning.tensors import NAVIGATION, VIRTUAL_CAMERA
from vla_driving.learning.unicycle import Motion, integrate
from vla_driving.learning.windows import Clips, batches, read_clips, shuffled
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

INPUTS = ("images", "ego", "navigation")
OUTPUTS = ("acceleration", "curvature", "probability", "uncertainty")
VERSION = "0.1.0"
GRAPH = "baseline.onnx"
TOP_SPEED, MAX_CURVATURE, MAX_ACCELERATION = 30.0, 0.2, 7.0
LEARNING_RATE, BATCH, WINDOW = 1e-3, 256, 4
SAVE_EVERY = 100
MEASURED = 2000


class PilotNet(nn.Module):
    """Image (B, 3, 128, 256), 0 to 1, speed (B, 1) in m/s and navigation (B, 8) to controls."""

    def __init__(self) -> None:
        super().__init__()
        layers: list[nn.Module] = [nn.AvgPool2d(2)]
        inputs = 3
        for outputs, size, stride in ((24, 5, 2), (36, 5, 2), (48, 5, 2), (64, 3, 1), (64, 3, 1)):
            layers += [nn.Conv2d(inputs, outputs, size, stride), nn.ReLU()]
            inputs = outputs
        self.eye = nn.Sequential(*layers, nn.Flatten())
        self.state = nn.Sequential(nn.Linear(1 + NAVIGATION, 32), nn.ReLU())
        self.head = nn.Sequential(
            nn.Linear(64 * 9 + 32, 100), nn.ReLU(), nn.Linear(100, 50), nn.ReLU(),
            nn.Linear(50, 2 * len(KNOTS_S)),
        )
        self.register_buffer("interpolation", torch.from_numpy(interpolation()), persistent=False)
        self.doubt: Tensor
        self.register_buffer("doubt", torch.ones(1))

    def forward(self, image: Tensor, speed: Tensor, navigation: Tensor) -> tuple[Tensor, Tensor]:
        """(B, 64) acceleration in m/s² and curvature in 1/m."""
        told = self.state(torch.cat([speed / TOP_SPEED, navigation], 1))
        knots = self.head(torch.cat([self.eye(image - 0.5), told], 1))
        knots = knots.unflatten(1, (2, len(KNOTS_S)))
        acceleration = MAX_ACCELERATION * torch.tanh(knots[:, 0] * 0.2)
        curvature = MAX_CURVATURE * torch.tanh(knots[:, 1] * 0.25)
        return acceleration @ self.interpolation, curvature @ self.interpolation


class Deployed(nn.Module):
    """The network with the tensors of the model contract, one item a batch."""

    def __init__(self, network: PilotNet) -> None:
        super().__init__()
        self.network = network

    def forward(self, images: Tensor, ego: Tensor, navigation: Tensor) -> tuple[Tensor, ...]:
        """Tensors named OUTPUTS from tensors named INPUTS."""
        image = images[:, 0].permute(0, 3, 1, 2).float() / 255.0
        acceleration, curvature = self.network(image, ego, navigation)
        # Depends on an input, so that no runtime takes it for a constant that is no output.
        certain = 1.0 + 0.0 * ego
        return acceleration[:, None], curvature[:, None], certain, self.network.doubt * certain[0]


def train(
    train_clips: Clips, held_out: Clips, steps: int, run: Path, folder: Path
) -> Manifest:
    """Train for so many steps in `run`, going on where it was, and write the model's folder."""
    network, figures = fit(train_clips, held_out, steps, run)
    frames = sum(len(c) for c in train_clips.clips)
    return release(network, folder, frames, figures)


def fit(
    train_clips: Clips, held_out: Clips, steps: int, run: Path
) -> tuple[PilotNet, dict[str, float]]:
    """The trained network and its errors on held-out clips; checkpoint.pt in `run`."""
    torch.manual_seed(1)
    network = PilotNet().to(train_clips.device)
    optimiser = torch.optim.AdamW(network.parameters(), LEARNING_RATE, weight_decay=0.01)
    plan = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, max(1, steps))
    run.mkdir(parents=True, exist_ok=True)
    path = run / "checkpoint.pt"
    done = 0
    if path.is_file():
        state: dict[str, Any] = torch.load(
            path, map_location=train_clips.device, weights_only=True
        )
        if state["steps"] == steps:
            network.load_state_dict(state["network"])
            optimiser.load_state_dict(state["optimiser"])
            plan.load_state_dict(state["plan"])
            done = state["done"]
    for step, (image, label) in enumerate(_feed(train_clips, steps, done), done + 1):
        loss = _distance(network, image, label)[0].mean()
        optimiser.zero_grad(set_to_none=True)
        loss.backward()
        optimiser.step()
        plan.step()
        if step % SAVE_EVERY == 0 or step == steps:
            print(f"baseline: step {step}/{steps}: {loss.item():.2f} m", flush=True)
            temporary = path.with_suffix(".part")
            torch.save({
                "steps": steps, "done": step, "network": network.state_dict(),
                "optimiser": optimiser.state_dict(), "plan": plan.state_dict(),
            }, temporary)
            temporary.replace(path)
    return network, _measure(network, held_out)


def _feed(clips: Clips, steps: int, done: int) -> Iterator[tuple[Tensor, dict[str, Tensor]]]:
    """Images and labels of the steps that are left; which ones follows from the step alone."""
    step, epoch = 0, 0
    while step < steps:
        chance = torch.Generator().manual_seed(epoch)
        for windows in batches(shuffled(clips.windows(WINDOW, chance), chance), BATCH):
            if step >= steps:
                return
            step += 1
            if step > done:
                batch = clips.take(windows)
                assert batch.images is not None
                yield batch.images, batch.labels
        epoch += 1


def _distance(
    network: PilotNet, image: Tensor, label: dict[str, Tensor]
) -> tuple[Tensor, Motion, Motion]:
    """(B,) mean distance in m to the teacher's trajectory, with a share for the controls."""
    speed = label["speed"]
    acceleration, curvature = network(image, speed[:, None], label["navigation"])
    mine = integrate(speed, acceleration, curvature)
    truth = integrate(speed, label["acceleration"], label["curvature"])
    away = ((mine.x - truth.x).abs() + (mine.y - truth.y).abs()).mean(1)
    soon = slice(0, 10)
    bend = (curvature - label["curvature"])[:, soon].abs().mean(1)
    push = functional.l1_loss(
        acceleration[:, soon], label["acceleration"][:, soon], reduction="none"
    ).mean(1)
    return away + 10.0 * bend + 0.25 * push, mine, truth


@torch.no_grad()
def _measure(network: PilotNet, clips: Clips) -> dict[str, float]:
    network.eval()
    errors: list[Tensor] = []
    for windows in batches(clips.windows(100), 100):
        batch = clips.take(windows)
        assert batch.images is not None
        _, mine, truth = _distance(network, batch.images, batch.labels)
        errors.append(torch.hypot(mine.x - truth.x, mine.y - truth.y))
        if sum(map(len, errors)) >= MEASURED:
            break
    error = torch.cat(errors)
    at_two = error[:, TWO_SECONDS]
    network.doubt.fill_(float((0.5 * at_two.clamp(max=10.0) ** 2).mean().sqrt()))
    return {
        "frames": float(len(error)), "ade": float(error.mean()), "position_2s": float(at_two.mean())
    }


def release(network: PilotNet, folder: Path, frames: int, figures: dict[str, float]) -> Manifest:
    """Write the model's folder and read it back. Raises ModelError."""
    folder.mkdir(parents=True, exist_ok=True)
    write_graph(Deployed(network.cpu().float()).eval(), INPUTS, OUTPUTS, folder / GRAPH)
    measured = f"{figures['frames']:.0f} frames of held-out clips, open loop"
    save_manifest(Manifest(
        contract_version=CONTRACT_VERSION, name="baseline", version=VERSION, licence="Apache-2.0",
        description="PilotNet: one frame, speed and turn to one trajectory",
        rate_hz=10.0, horizon_s=HORIZON_S,
        inputs=Inputs(
            cameras=(VIRTUAL_CAMERA,), history=1, ego=("speed",), navigation=NAVIGATION_FIELDS
        ),
        outputs=Outputs(
            acceleration=(1, 1, POINTS), curvature=(1, 1, POINTS), probability=(1, 1),
            uncertainty=(1,),
        ),
        files=(ModelFile(path=GRAPH, sha256="", role="network"),),
        training=Training(
            data="the clips that the pilot is taught", samples=frames,
            method="behaviour cloning: distance to the teacher's trajectory",
            licence_of_data="Apache-2.0",
        ),
        scores=(
            Score("ade_6.4s", round(figures["ade"], 3), "m", measured),
            Score("position_error_2s", round(figures["position_2s"], 3), "m", measured),
        ),
    ), folder)
    return load_model(folder).manifest


def main(arguments: list[str] | None = None) -> int:
    """Command line: train the baseline on the clips below --data and write --folder."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--data", type=Path, default=Path("out/learning/clips"))
    parser.add_argument("--run", type=Path, default=Path("out/learning/baseline"))
    parser.add_argument("--folder", type=Path, default=Path("models/baseline"))
    parser.add_argument("--steps", type=int, default=3000)
    parser.add_argument("--threads", type=int, default=os.cpu_count())
    options = parser.parse_args(arguments)
    torch.set_num_threads(options.threads)
    try:
        taught, held = (read_clips(p, device()) for p in split(clip_paths(options.data)))
    except DatasetError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    manifest = train(taught, held, options.steps, options.run, options.folder)
    print(json.dumps({s.name: s.value for s in manifest.scores}))
    return 0


if __name__ == "__main__":
    sys.exit(main())
