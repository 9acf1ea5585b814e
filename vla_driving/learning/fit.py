"""Fits the pilot to clips: on a GPU where torch sees one, else on the CPU.

Every so many steps all that training depends on is written to a checkpoint, and every random number
follows from the step it is for: a run that was killed goes on as if it had not been.
"""

from __future__ import annotations

import argparse
import copy
import dataclasses
import json
import math
import os
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from vla_driving.contract.navigation import Turn
from vla_driving.learning.augment import augment, mirror_images
from vla_driving.learning.clips import clip_paths
from vla_driving.learning.dataset import DatasetError
from vla_driving.learning.features import Features, features
from vla_driving.learning.loss import TWO_SECONDS, Weights, chosen_error, total_loss
from vla_driving.learning.network import Decoded, Pilot, PilotSettings, Told, start_from
from vla_driving.learning.tensors import NAVIGATION
from vla_driving.learning.windows import Batch, Clips, Window, batches, read_clips, shuffled
from vla_driving.learning.words import MANOEUVRES, Words, trained_words

HELD_OUT = 20
"""Clips of every so many-th seed are kept from training to measure on."""
SILENT = 0.05
"""Share of frames far from a turn that are taught without any navigation."""
WITHOUT_ROUTE = 0.1
"""Share of windows that are taught without points of the route."""
LISTENED = 128
"""Wordings a step that the listening part alone is taught."""
POSITION_NOISE, HEADING_NOISE = 0.02, 0.003
"""Of remembered poses: share of the distance, and rad for each second of age (1 standard deviation
of a window): speed and yaw rate of a car are about so exact."""


@dataclass(frozen=True)
class FitSettings:
    """How long and how to train.

    `frozen` keeps the encoder as it is, whose features are then worked out once in `views`
    variations: some hundred times faster a step. `steady` keeps its batch statistics alone, as
    befits going on from a trained one. `encoder_alone` is what is taken over of a start, else all.
    """

    steps: int = 5000
    frames: int = 240
    window: int = 20
    learning_rate: float = 1e-3
    weight_decay: float = 0.05
    average: float = 0.998
    speed_noise: float = 0.3
    mirrored: float = 0.4
    idle_words: float = 0.3
    frozen: bool = False
    views: int = 3
    steady: bool = False
    encoder_alone: bool = False
    scene: bool = True
    save_every: int = 50
    measure_every: int = 500
    measured: int = 2000
    seed: int = 1


@dataclass
class _Place:
    """Where a run stands: steps done, passes over the data, batches of this one."""

    step: int = 0
    epoch: int = 0
    position: int = 0


class _Run:
    """One training run: what is saved and gone on with."""

    def __init__(self, settings: FitSettings, size: PilotSettings, device: torch.device) -> None:
        torch.manual_seed(settings.seed)
        self.settings, self.size, self.device = settings, size, device
        self.model = Pilot(size).to(device, memory_format=torch.channels_last)
        self.place = _Place()
        self.history: list[dict[str, Any]] = []

    def begin(self, start: Path | None) -> None:
        """Take over weights to start from, and make what follows from them."""
        s = self.settings
        if start is not None:
            weights = torch.load(start, map_location=self.device, weights_only=True)
            if s.encoder_alone:
                weights = {n: v for n, v in weights.items() if n.startswith("encoder.")}
            new = {name.split(".")[0] for name in start_from(self.model, weights)}
            print(f"{start}: taken over; new: {', '.join(sorted(new)) or 'nothing'}", flush=True)
        self.average = copy.deepcopy(self.model)
        learnt = [
            p for name, p in self.model.named_parameters()
            if not (s.frozen and name.startswith("encoder."))
        ]
        self.optimiser = torch.optim.AdamW(learnt, s.learning_rate, weight_decay=s.weight_decay)
        self.plan = torch.optim.lr_scheduler.LambdaLR(
            self.optimiser, lambda step: _rate(step, s.steps)
        )

    def save(self, folder: Path) -> None:
        """Write the checkpoint, whole or not at all."""
        state = {
            "settings": dataclasses.asdict(self.settings), "size": dataclasses.asdict(self.size),
            "model": self.model.state_dict(), "average": self.average.state_dict(),
            "optimiser": self.optimiser.state_dict(), "plan": self.plan.state_dict(),
            "place": dataclasses.asdict(self.place), "history": self.history,
        }
        temporary = folder / "checkpoint.part"
        torch.save(state, temporary)
        temporary.replace(folder / "checkpoint.pt")
        text = json.dumps(self.history, indent=1) + "\n"
        (folder / "history.json").write_text(text, encoding="utf-8")

    def resume(self, folder: Path) -> None:
        """Go on from the folder's checkpoint, where there is one of the same settings."""
        path = folder / "checkpoint.pt"
        if not path.is_file():
            return
        state = torch.load(path, map_location=self.device, weights_only=True)
        if not (
            _same(state["settings"], dataclasses.asdict(self.settings))
            and _same(state["size"], dataclasses.asdict(self.size))
        ):
            print(f"{path}: made with other settings, training starts anew", flush=True)
            return
        self.model.load_state_dict(state["model"])
        self.average.load_state_dict(state["average"])
        self.optimiser.load_state_dict(state["optimiser"])
        self.plan.load_state_dict(state["plan"])
        self.place, self.history = _Place(**state["place"]), state["history"]
        print(f"{path}: going on behind step {self.place.step}", flush=True)


def fit(
    train: Clips, held_out: Clips, words: Words, settings: FitSettings, folder: Path,
    size: PilotSettings | None = None, start: Path | None = None, kept: Path | None = None,
) -> dict[str, Any]:
    """Train into `folder`: weights.pt (averaged weights), history.json, checkpoint.pt.

    Goes on from the folder's checkpoint where it has the same settings, else from the weights in
    `start`. A frozen encoder's features are in `kept`, or beside `folder` if left out. Returns the
    last row of the history.
    """
    torch.backends.cudnn.benchmark = True
    torch.set_float32_matmul_precision("high")
    run = _Run(settings, size or PilotSettings(), train.device)
    run.begin(start)
    folder.mkdir(parents=True, exist_ok=True)
    run.resume(folder)
    ready = None
    if settings.frozen:
        ready = features(
            run.model.encoder, train, settings.views, settings.mirrored, settings.seed,
            kept or folder.parent / "features",
        )
    say = _Progress(settings.steps, run.place.step)
    for batch, view in _feed(run, train, ready):
        parts = _learn(run, batch, words, view)
        say.add(len(batch), parts)
        done = run.place.step
        if done % settings.measure_every == 0 or done == settings.steps:
            row = {"step": done, **say.means()}
            measured = evaluate(run.average, held_out, words, settings.measured)
            row |= {f"held_out_{k}": v for k, v in measured.items()}
            run.history.append(row)
            print(_line(row), flush=True)
        if done % settings.save_every == 0 or done == settings.steps:
            run.save(folder)
    calibrate_doubt(run.average, held_out, words, settings.measured)
    temporary = folder / "weights.part"
    torch.save(run.average.state_dict(), temporary)
    temporary.replace(folder / "weights.pt")
    return run.history[-1]


def _feed(run: _Run, train: Clips, ready: Features | None) -> Iterator[tuple[Batch, bool]]:
    """Batches until all steps are done; and whether they are varied already."""
    settings, place = run.settings, run.place
    while place.step < settings.steps:
        chance = torch.Generator().manual_seed(settings.seed * 7919 + place.epoch)
        order = list(batches(
            shuffled(train.windows(settings.window, chance), chance), settings.frames
        ))
        for windows in order[place.position:]:
            if place.step >= settings.steps:
                return
            place.step += 1
            place.position += 1
            yield _taken(train, windows, ready, chance=settings.seed * 31 + place.step)
        place.epoch += 1
        place.position = 0


def _taken(
    train: Clips, windows: Sequence[Window], ready: Features | None, chance: int
) -> tuple[Batch, bool]:
    if ready is None:
        return train.take(windows), False
    return ready.take(train, windows, torch.Generator().manual_seed(chance)), True


def _learn(run: _Run, batch: Batch, words: Words, varied: bool) -> dict[str, Tensor]:
    """One step; returns the parts of the loss."""
    s, model = run.settings, run.model
    model.train()
    if s.frozen or s.steady:
        model.encoder.eval()
    torch.manual_seed(s.seed * 10_007 + run.place.step)
    chance = torch.Generator(run.device).manual_seed(s.seed * 100_003 + run.place.step)
    with torch.autocast(run.device.type, torch.bfloat16, enabled=run.device.type == "cuda"):
        seen = batch.seen
        if not varied:
            luck = torch.rand(int(batch.clip.max()) + 1, generator=chance, device=run.device)
            batch, turned = batch.mirrored(luck, s.mirrored)
            assert batch.images is not None
            images = augment(mirror_images(batch.images, turned), chance, batch.clip)
            seen = model.encoder(images.contiguous(memory_format=torch.channels_last))
        assert seen is not None
        told = _blurred(batch.told(
            model.token(seen), batch.words(words, s.idle_words, chance),
            batch.labels["speed"], batch.labels["navigation"],
        ), batch.clip, s, chance)
        decoded = _full(model.decide(seen, told))
        tokens, meant = words.sample(LISTENED, chance)
        heard = functional.cross_entropy(model.listening(tokens).float(), meant)
    weights = Weights() if s.scene else Weights().without_scene()
    loss, parts = total_loss(decoded, batch.truth(), weights)
    run.optimiser.zero_grad(set_to_none=True)
    (loss + 0.3 * heard).backward()
    torch.nn.utils.clip_grad_norm_(model.parameters(), 2.0)
    run.optimiser.step()
    run.plan.step()
    _follow(run.average, model, s.average, run.place.step)
    return {**parts, "heard": heard.detach()}


def _full(decoded: Decoded) -> Decoded:
    return Decoded(**{k: v.float() for k, v in vars(decoded).items()})


def _rate(step: int, steps: int) -> float:
    """Share of the learning rate: warm-up over 5 %, then cosine to 1 %."""
    warm = max(1, steps // 20)
    if step < warm:
        return (step + 1) / warm
    done = min(1.0, (step - warm) / max(1, steps - warm))
    return 0.01 + 0.99 * 0.5 * (1.0 + math.cos(math.pi * done))


def _blurred(told: Told, clip: Tensor, settings: FitSettings, chance: torch.Generator) -> Told:
    """What is told as a car knows it: noisy speed, navigation and odometry, a route now and then
    without points."""
    def normal(*shape: int) -> Tensor:
        return torch.randn(shape, generator=chance, device=clip.device)

    clips = int(clip.max()) + 1
    speed = (told.speed + settings.speed_noise * normal(len(clip), 1)).clamp(min=0.0)
    navigation, silent = blur_navigation(told.navigation, chance)
    luck = torch.rand(clips, generator=chance, device=clip.device)[clip]
    route = told.route * ((luck >= WITHOUT_ROUTE) & ~silent)[:, None]
    poses = told.poses.clone()
    stretch = 1.0 + POSITION_NOISE * normal(clips)[clip]
    drift = HEADING_NOISE * normal(clips)[clip]
    poses[..., :2] *= stretch[:, None, None]
    poses[..., 2] += drift[:, None] * poses[..., 3]
    return dataclasses.replace(
        told, speed=speed, navigation=navigation, route=route, poses=poses
    )


def blur_navigation(navigation: Tensor, chance: torch.Generator) -> tuple[Tensor, Tensor]:
    """Navigation as a car has it: off by some metres, and now and then, far from turns, silent.

    And (B,) where it is silent.
    """
    noise = torch.randn(navigation.shape[:1], generator=chance, device=navigation.device)
    distance = navigation[:, NAVIGATION - 2]
    # 1 means "no turn within range" and stays what it is.
    moved = torch.where(distance < 1.0, (distance + 0.03 * noise).clamp(0.0, 0.99), distance)
    blurred = navigation.clone()
    blurred[:, NAVIGATION - 2] = moved
    nothing = torch.zeros_like(navigation)
    nothing[:, Turn.NONE] = 1.0
    nothing[:, NAVIGATION - 2:] = torch.tensor([1.0, 0.0], device=navigation.device)
    luck = torch.rand(navigation.shape[:1], generator=chance, device=navigation.device)
    silent = (luck < SILENT) & (distance > 0.5)
    return torch.where(silent[:, None], nothing, blurred), silent


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
def answers(
    model: Pilot, clips: Clips, words: Words, most: int
) -> Iterator[tuple[Batch, Decoded]]:
    """What the model says to up to `most` frames of whole clips, as they are."""
    model.eval()
    left = most
    chance = torch.Generator(clips.device).manual_seed(0)
    for windows in batches(clips.windows(MEASURED_WINDOW), MEASURED_WINDOW):
        if left <= 0:
            return
        batch = clips.take(windows)
        assert batch.images is not None
        seen = model.encoder(batch.images.contiguous(memory_format=torch.channels_last))
        text = batch.words(words, 0.0, chance)
        told = batch.told(
            model.token(seen), text, batch.labels["speed"], batch.labels["navigation"]
        )
        left -= len(batch)
        yield batch, model.decide(seen, told)


MEASURED_WINDOW = 100
"""Frames, 20 s: whole clips nearly always, with all that the memory holds."""


@torch.no_grad()
def evaluate(model: Pilot, clips: Clips, words: Words, most: int) -> dict[str, float]:
    """Mean loss and its parts over up to `most` frames; empty where there are none.

    `wished_2s` is position_2s over frames under a manoeuvre that was asked for.
    """
    sums: dict[str, float] = {}
    count, wished, wished_error = 0, 0, 0.0
    for batch, decoded in answers(model, clips, words, most):
        truth = batch.truth()
        for name, value in total_loss(decoded, truth)[1].items():
            sums[name] = sums.get(name, 0.0) + float(value) * len(batch)
        count += len(batch)
        asked = torch.isin(truth.intent, torch.tensor(MANOEUVRES, device=clips.device))
        wished += int(asked.sum())
        wished_error += float(chosen_error(decoded, truth)[asked, TWO_SECONDS].sum())
    if not count:
        return {}
    return {
        **{name: value / count for name, value in sums.items()},
        "frames": float(count), "wished_2s": wished_error / max(1, wished),
    }


@torch.no_grad()
def calibrate_doubt(model: Pilot, held_out: Clips, words: Words, most: int) -> None:
    """Scale the network's uncertainty so that it fits its errors on frames it was not taught."""
    ratios = []
    for batch, decoded in answers(model, held_out, words, most):
        error = chosen_error(decoded, batch.truth())[:, TWO_SECONDS].clamp(max=10.0)
        # Variance per axis is half the mean squared distance.
        ratios.append(0.5 * error**2 / decoded.uncertainty**2)
    if ratios:
        model.doubt_scale.mul_(torch.cat(ratios).mean().sqrt())


class _Progress:
    """Means since the last row, and a line a minute with frames a second and the time left."""

    def __init__(self, steps: int, done: int) -> None:
        self._steps, self._first = steps, done
        self._done = done
        self._began = self._said = time.monotonic()
        self._frames = 0
        self._sums: dict[str, Tensor] = {}
        self._count = 0

    def add(self, frames: int, parts: dict[str, Tensor]) -> None:
        for name, value in parts.items():
            self._sums[name] = self._sums.get(name, torch.zeros_like(value)) + value
        self._count += 1
        self._done += 1
        self._frames += frames
        now = time.monotonic()
        if now - self._said >= 60.0:
            self._said = now
            passed = now - self._began
            left = passed / (self._done - self._first) * (self._steps - self._done)
            loss = float(self._sums["loss"]) / self._count
            print(
                f"step {self._done}/{self._steps}: loss {loss:.3f},"
                f" {self._frames / passed:.0f} frames/s, {left / 60:.0f} min left", flush=True,
            )

    def means(self) -> dict[str, float]:
        result = {f"train_{n}": float(v) / max(1, self._count) for n, v in self._sums.items()}
        self._sums, self._count = {}, 0
        return result


def _same(saved: dict[str, Any], mine: dict[str, Any]) -> bool:
    """Whether settings are those of a checkpoint, which keeps tuples as they are."""
    return {k: _listed(v) for k, v in saved.items()} == {k: _listed(v) for k, v in mine.items()}


def _listed(value: object) -> object:
    return list(value) if isinstance(value, tuple) else value


def _line(row: dict[str, Any]) -> str:
    text = f"step {row['step']}: loss {row['train_loss']:.3f}"
    if "held_out_loss" in row:
        text += (
            f", held out: loss {row['held_out_loss']:.3f}, ADE {row['held_out_ade']:.2f} m,"
            f" at 2 s {row['held_out_position_2s']:.2f} m (wished"
            f" {row['held_out_wished_2s']:.2f}), velocity {row['held_out_velocity']:.2f} m/s,"
            f" cause {100 * row['held_out_cause_right']:.0f} %"
        )
    return text


def split(paths: Sequence[Path]) -> tuple[list[Path], list[Path]]:
    """Clips to train on and clips held out: every HELD_OUT-th seed, of few the last one.

    By seed, so that what is held out stays so while clips are added and training goes on.
    """
    ordered = sorted(paths)
    held = [p for p in ordered if int(p.stem) % HELD_OUT == HELD_OUT - 1] or ordered[1:][-1:]
    return [p for p in ordered if p not in set(held)], held


def device() -> torch.device:
    """The GPU where torch sees one, else the CPU."""
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


def main(arguments: list[str] | None = None) -> int:
    """Command line: fit to the clips below --data into --folder."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--folder", type=Path, required=True)
    parser.add_argument("--start", type=Path, help="weights.pt to start from")
    parser.add_argument("--threads", type=int, default=os.cpu_count())
    parser.add_argument("--without", default="", help="parts to leave out: memory,text,route,scene")
    for field in dataclasses.fields(FitSettings):
        option = "--" + field.name.replace("_", "-")
        if isinstance(field.default, bool):
            if not field.default:
                parser.add_argument(option, action="store_true")
        else:
            kind = type(field.default)
            parser.add_argument(option, type=kind, default=field.default)
    options = parser.parse_args(arguments)
    torch.set_num_threads(options.threads)
    left_out = set(filter(None, options.without.split(",")))
    if unknown := left_out - {"memory", "text", "route", "scene"}:
        parser.error(f"--without: {', '.join(sorted(unknown))} is not a part of the network")
    chosen = {
        f.name: getattr(options, f.name)
        for f in dataclasses.fields(FitSettings) if f.name != "scene"
    }
    settings = FitSettings(**chosen, scene="scene" not in left_out)
    size = PilotSettings(
        memory="memory" not in left_out, text="text" not in left_out,
        route="route" not in left_out,
    )
    try:
        train, held = (read_clips(p, device()) for p in split(clip_paths(options.data)))
        words = trained_words(options.folder.parent / "words.npz")
        print(f"{train.frames} frames to train on, {held.frames} held out", flush=True)
        last = fit(train, held, words, settings, options.folder, size, options.start)
    except (DatasetError, ValueError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    print(json.dumps({k: round(v, 4) for k, v in last.items()}))
    return 0


if __name__ == "__main__":
    sys.exit(main())
