"""Fits the pilot to collected episodes: on a GPU where torch sees one, else on the CPU."""

from __future__ import annotations

import argparse
import copy
import dataclasses
import json
import math
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from vla_driving.contract.navigation import Turn
from vla_driving.learning.augment import augment, mirror
from vla_driving.learning.dataset import DatasetError, Frames, read_all
from vla_driving.learning.loss import TWO_SECONDS, Labels, chosen_error, total_loss
from vla_driving.learning.network import Pilot, PilotSettings
from vla_driving.learning.tensors import NAVIGATION

HELD_OUT = 20
"""Episodes of every so many-th seed are kept from training to measure on."""


SILENT = 0.05
"""Share of frames far from a turn that are taught without any navigation."""


@dataclass(frozen=True)
class FitSettings:
    """How long and how to train."""

    epochs: int = 30
    batch: int = 256
    learning_rate: float = 2e-3
    weight_decay: float = 0.05
    average: float = 0.998
    speed_noise: float = 0.3
    mirrored: float = 0.4
    seed: int = 1


@dataclass(frozen=True, eq=False)
class Batch:
    """One batch on the device: images 0 to 1, and labels."""

    images: Tensor
    labels: dict[str, Tensor]

    def truth(self) -> Labels:
        """Labels as the loss wants them."""
        keys = [f.name for f in dataclasses.fields(Labels)]
        return Labels(**{k: self.labels[k] for k in keys})


class Data:
    """Frames held on the device as bytes; on a GPU nothing is copied while training."""

    def __init__(self, frames: Frames, device: torch.device) -> None:
        self.device = device
        self.images = torch.from_numpy(frames.images).to(device)
        self.labels = {n: torch.from_numpy(v).to(device) for n, v in frames.labels.items()}

    def __len__(self) -> int:
        return len(self.images)

    def take(self, index: Tensor) -> Batch:
        """Batch of the given frames."""
        index = index.to(self.device)
        images = self.images[index].permute(0, 3, 1, 2).float().div_(255.0)
        return Batch(images, {n: v[index] for n, v in self.labels.items()})


def fit(
    train: Frames, held_out: Frames, settings: FitSettings, folder: Path,
    size: PilotSettings | None = None, start: Path | None = None,
) -> dict[str, Any]:
    """Train into `folder`: weights.pt (averaged weights), history.json, checkpoint.pt.

    Goes on from folder/checkpoint.pt where there is one with the same settings, else from the
    weights in `start`. Returns the last row of the history.
    """
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    torch.manual_seed(settings.seed)
    torch.backends.cudnn.benchmark = True
    torch.set_float32_matmul_precision("high")
    size = size or PilotSettings()
    model = Pilot(size).to(device, memory_format=torch.channels_last)
    if start is not None:
        model.load_state_dict(torch.load(start, map_location=device, weights_only=True))
    average = copy.deepcopy(model)
    optimiser = torch.optim.AdamW(
        model.parameters(), settings.learning_rate, weight_decay=settings.weight_decay
    )
    data, measure = Data(train, device), Data(held_out, device)
    steps = max(1, len(data) // settings.batch) * settings.epochs
    plan = torch.optim.lr_scheduler.LambdaLR(optimiser, lambda s: _rate(s, steps))
    folder.mkdir(parents=True, exist_ok=True)
    history = _resume(folder, settings, model, average, optimiser, plan, device)
    for epoch in range(len(history), settings.epochs):
        began = time.monotonic()
        row = _epoch(model, average, data, optimiser, plan, settings, epoch)
        row = {"epoch": epoch, **{f"train_{k}": v for k, v in row.items()}}
        row |= {f"held_out_{k}": v for k, v in evaluate(average, measure, settings.batch).items()}
        row["seconds"] = time.monotonic() - began
        history.append(row)
        _save(folder, settings, model, average, optimiser, plan, history)
        print(_line(row, settings.epochs), flush=True)
    calibrate_doubt(average, measure, settings.batch)
    torch.save(average.state_dict(), folder / "weights.pt")
    return history[-1]


def _rate(step: int, steps: int) -> float:
    """Share of the learning rate: warm-up over 5 %, then cosine to 1 %."""
    warm = max(1, steps // 20)
    if step < warm:
        return (step + 1) / warm
    done = min(1.0, (step - warm) / max(1, steps - warm))
    return 0.01 + 0.99 * 0.5 * (1.0 + math.cos(math.pi * done))


def _epoch(
    model: Pilot, average: Pilot, data: Data, optimiser: torch.optim.Optimizer,
    plan: torch.optim.lr_scheduler.LambdaLR, settings: FitSettings, epoch: int,
) -> dict[str, float]:
    model.train()
    # Random numbers follow from the epoch, so a resumed run goes on as an uninterrupted one would.
    chance = torch.Generator(data.device).manual_seed(settings.seed * 100_003 + epoch)
    torch.manual_seed(settings.seed * 10_007 + epoch)
    order = torch.randperm(
        len(data), generator=torch.Generator().manual_seed(settings.seed * 7919 + epoch)
    )
    sums: dict[str, Tensor] = {}
    count = 0
    for index in _batches(order, settings.batch):
        batch = data.take(index)
        batch = Batch(*mirror(batch.images, batch.labels, chance, settings.mirrored))
        truth = batch.truth()
        noise = torch.randn(truth.speed.shape, generator=chance, device=data.device)
        speed = (truth.speed + settings.speed_noise * noise).clamp(min=0.0)
        navigation = blur_navigation(batch.labels["navigation"], chance)
        images = augment(batch.images, chance).contiguous(memory_format=torch.channels_last)
        with torch.autocast(data.device.type, torch.bfloat16, enabled=data.device.type == "cuda"):
            decoded = model(images, speed[:, None], navigation)
        decoded = type(decoded)(**{k: v.float() for k, v in vars(decoded).items()})
        loss, parts = total_loss(decoded, truth)
        optimiser.zero_grad(set_to_none=True)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 2.0)
        optimiser.step()
        plan.step()
        _follow(average, model, settings.average, plan.last_epoch)
        for name, value in parts.items():
            sums[name] = sums.get(name, torch.zeros((), device=data.device)) + value
        count += 1
    return {name: float(value) / count for name, value in sums.items()}


def _batches(order: Tensor, batch: int) -> Iterator[Tensor]:
    if len(order) < batch:
        yield order
        return
    for first in range(0, len(order) - batch + 1, batch):
        yield order[first:first + batch]


def blur_navigation(navigation: Tensor, chance: torch.Generator) -> Tensor:
    """Navigation as a car has it: off by some metres, and now and then, far from turns, silent."""
    noise = torch.randn(navigation.shape[:1], generator=chance, device=navigation.device)
    distance = navigation[:, NAVIGATION - 2]
    # 1 means "no turn within range" and stays what it is.
    moved = torch.where(distance < 1.0, (distance + 0.03 * noise).clamp(0.0, 0.99), distance)
    blurred = navigation.clone()
    blurred[:, NAVIGATION - 2] = moved
    silent = torch.zeros_like(navigation)
    silent[:, Turn.NONE] = 1.0
    silent[:, NAVIGATION - 2:] = torch.tensor([1.0, 0.0], device=navigation.device)
    luck = torch.rand(navigation.shape[:1], generator=chance, device=navigation.device)
    return torch.where(((luck < SILENT) & (distance > 0.5))[:, None], silent, blurred)


@torch.no_grad()
def _follow(average: Pilot, model: Pilot, share: float, step: int) -> None:
    """Exponential moving average of the weights; short at first."""
    share = min(share, (1 + step) / (10 + step))
    theirs = model.state_dict()
    mine = average.state_dict()
    moving = [name for name, value in mine.items() if value.dtype.is_floating_point]
    torch._foreach_lerp_([mine[n] for n in moving], [theirs[n] for n in moving], 1.0 - share)
    for name in mine.keys() - set(moving):
        mine[name].copy_(theirs[name])


@torch.no_grad()
def evaluate(model: Pilot, data: Data, batch: int = 128) -> dict[str, float]:
    """Mean loss and its parts over all frames, unaugmented. Empty where there are no frames."""
    model.eval()
    sums: dict[str, float] = {}
    for first in range(0, len(data), batch):
        part = data.take(torch.arange(first, min(first + batch, len(data))))
        truth = part.truth()
        images = part.images.contiguous(memory_format=torch.channels_last)
        decoded = model(images, truth.speed[:, None], part.labels["navigation"])
        for name, value in total_loss(decoded, truth)[1].items():
            sums[name] = sums.get(name, 0.0) + float(value) * len(part.images)
    return {name: value / len(data) for name, value in sums.items()}


@torch.no_grad()
def calibrate_doubt(model: Pilot, held_out: Data, batch: int = 128) -> None:
    """Scale the network's uncertainty so that it fits its errors on frames it was not taught."""
    if not len(held_out):
        return
    model.eval()
    ratios = []
    for first in range(0, len(held_out), batch):
        part = held_out.take(torch.arange(first, min(first + batch, len(held_out))))
        truth = part.truth()
        decoded = model(part.images, truth.speed[:, None], part.labels["navigation"])
        error = chosen_error(decoded, truth)[:, TWO_SECONDS].clamp(max=10.0)
        # Variance per axis is half the mean squared distance.
        ratios.append(0.5 * error**2 / decoded.uncertainty**2)
    model.doubt_scale.mul_(torch.cat(ratios).mean().sqrt())


def _save(
    folder: Path, settings: FitSettings, model: Pilot, average: Pilot,
    optimiser: torch.optim.Optimizer, plan: torch.optim.lr_scheduler.LambdaLR,
    history: list[dict[str, Any]],
) -> None:
    state = {
        "settings": dataclasses.asdict(settings), "model": model.state_dict(),
        "average": average.state_dict(), "optimiser": optimiser.state_dict(),
        "plan": plan.state_dict(), "history": history,
    }
    temporary = folder / "checkpoint.part"
    torch.save(state, temporary)
    temporary.replace(folder / "checkpoint.pt")
    (folder / "history.json").write_text(json.dumps(history, indent=1) + "\n", encoding="utf-8")


def _resume(
    folder: Path, settings: FitSettings, model: Pilot, average: Pilot,
    optimiser: torch.optim.Optimizer, plan: torch.optim.lr_scheduler.LambdaLR, device: torch.device,
) -> list[dict[str, Any]]:
    path = folder / "checkpoint.pt"
    if not path.is_file():
        return []
    state = torch.load(path, map_location=device, weights_only=True)
    if state["settings"] != dataclasses.asdict(settings):
        print(f"{path}: made with other settings, training starts anew", flush=True)
        return []
    model.load_state_dict(state["model"])
    average.load_state_dict(state["average"])
    optimiser.load_state_dict(state["optimiser"])
    plan.load_state_dict(state["plan"])
    history: list[dict[str, Any]] = state["history"]
    print(f"{path}: going on after epoch {len(history)}", flush=True)
    return history


def _line(row: dict[str, Any], epochs: int) -> str:
    text = f"epoch {row['epoch'] + 1}/{epochs}: loss {row['train_loss']:.3f}"
    if "held_out_loss" in row:
        text += (
            f", held out: loss {row['held_out_loss']:.3f}, drive {row['held_out_drive']:.3f},"
            f" ADE {row['held_out_ade']:.2f} m, at 2 s {row['held_out_position_2s']:.2f} m,"
            f" lines {row['held_out_lines']:.3f}"
        )
    return text + f" ({row['seconds']:.1f} s)"


def split(paths: Sequence[Path]) -> tuple[list[Path], list[Path]]:
    """Episodes to train on and episodes held out: every HELD_OUT-th seed, of few the last one.

    By seed, so that what is held out stays so while episodes are added and training goes on.
    """
    ordered = sorted(paths)
    held = [p for p in ordered if int(p.stem) % HELD_OUT == HELD_OUT - 1] or ordered[1:][-1:]
    return [p for p in ordered if p not in set(held)], held


def main(arguments: list[str] | None = None) -> int:
    """Command line: fit to the episodes below --data into --folder."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--folder", type=Path, required=True)
    parser.add_argument("--start", type=Path, help="weights.pt to start from")
    parser.add_argument("--epochs", type=int, default=FitSettings.epochs)
    parser.add_argument("--batch", type=int, default=FitSettings.batch)
    parser.add_argument("--learning-rate", type=float, default=FitSettings.learning_rate)
    options = parser.parse_args(arguments)
    settings = FitSettings(
        epochs=options.epochs, batch=options.batch, learning_rate=options.learning_rate
    )
    began = time.monotonic()
    try:
        train, held_out = (read_all(part) for part in split(list(options.data.rglob("*.npz"))))
    except DatasetError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    print(f"{len(train)} frames to train on, {len(held_out)} held out, "
          f"read in {time.monotonic() - began:.1f} s", flush=True)
    last = fit(train, held_out, settings, options.folder, start=options.start)
    print(json.dumps({k: round(v, 4) for k, v in last.items()}))
    print(f"{time.monotonic() - began:.1f} s in all")
    return 0


if __name__ == "__main__":
    sys.exit(main())
