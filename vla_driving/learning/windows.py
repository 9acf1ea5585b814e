"""Clips in memory and the batches drawn from them: windows of frames that follow one another."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from vla_driving.learning.augment import mirror_labels
from vla_driving.learning.clips import LABELS, Clip, read_clip
from vla_driving.learning.dataset import DatasetError
from vla_driving.learning.loss import Labels
from vla_driving.learning.memory import gather, kept
from vla_driving.learning.network import Told
from vla_driving.learning.tensors import ROUTE_M
from vla_driving.learning.words import Words
from vla_driving.vla.inputs import route_vector


@dataclass(frozen=True)
class Window:
    """Frames `first` up to before `last` of the clip at `clip`."""

    clip: int
    first: int
    last: int

    def __len__(self) -> int:
        return self.last - self.first


@dataclass(frozen=True, eq=False)
class Batch:
    """F frames of several windows: labels by name (F, ...), `clip` (F,) the window of each.

    `memory` (F, N) indexes the frames that are remembered at each, -1 for none. Of `images`
    (F, 3, H, W), 0 to 1, and their features `seen` (F, E) there is one or the other.
    """

    labels: dict[str, Tensor]
    clip: Tensor
    memory: Tensor
    images: Tensor | None = None
    seen: Tensor | None = None

    def __len__(self) -> int:
        return len(self.clip)

    def mirrored(self, luck: Tensor, share: float) -> tuple[Batch, Tensor]:
        """The batch with the labels of whole windows mirrored where `luck` (windows,) < share.

        And (F,) which frames are; the images are the caller's.
        """
        turned = (luck < share)[self.clip]
        return dataclasses.replace(self, labels=mirror_labels(self.labels, turned)), turned

    def truth(self) -> Labels:
        """Labels as the loss wants them."""
        return Labels(**{f.name: self.labels[f.name] for f in dataclasses.fields(Labels)})

    def told(self, tokens: Tensor, text: Tensor, speed: Tensor, navigation: Tensor) -> Told:
        """What the network is told: memory of `tokens` (F, D), and what is given here for it."""
        label = self.labels
        held, poses = gather(tokens, label["pose"], label["time"], self.memory)
        return Told(
            speed=speed[:, None], navigation=navigation, route=label["route"], text=text,
            command=label["time_gap"][:, None], tokens=held, poses=poses,
        )

    def words(self, words: Words, idle: float, generator: torch.Generator) -> Tensor:
        """(F, 384) tokens that fit the intents, drawn for each window."""
        intents = self.labels["intent"]
        text = torch.zeros(0)
        for k in range(int(self.clip[-1]) + 1):
            part = words.draw(intents[self.clip == k], idle, generator)
            text = torch.cat([text.to(part.device), part]) if k else part
        return text


class Clips:
    """Clips with their labels as tensors; pictures stay coded until they are asked for."""

    def __init__(self, clips: Sequence[Clip], device: torch.device) -> None:
        self.clips = [c for c in clips if len(c)]
        self.device = device
        self.labels = [
            {n: torch.from_numpy(v).to(device) for n, v in _labels(c).items()} for c in self.clips
        ]

    @property
    def frames(self) -> int:
        """Number of frames in all clips."""
        return sum(len(c) for c in self.clips)

    def windows(self, length: int, generator: torch.Generator | None = None) -> list[Window]:
        """Every clip cut into windows of `length`; where the cuts fall, the generator decides.

        Without a generator the first window begins with the clip.
        """
        found = []
        for k, clip in enumerate(self.clips):
            first = 0
            if generator is not None:
                shift = int(torch.randint(length, (), generator=generator))
                first = 0 if len(clip) <= length else shift - length
            for start in range(first, len(clip), length):
                window = Window(k, max(0, start), min(len(clip), start + length))
                if len(window) >= min(SHORTEST, len(clip)):
                    found.append(window)
        return found

    def take(self, windows: Sequence[Window], see: bool = True) -> Batch:
        """The frames of some windows, as images where `see`."""
        parts, tables, numbers, offset = [], [], [], 0
        for k, window in enumerate(windows):
            frames = slice(window.first, window.last)
            labels = {n: v[frames] for n, v in self.labels[window.clip].items()}
            table = kept(labels["time"].cpu(), labels["fresh"].cpu() > 0.5)
            tables.append(torch.where(table >= 0, table + offset, table))
            numbers.append(torch.full((len(window),), k))
            parts.append(labels)
            offset += len(window)
        labels = {n: torch.cat([p[n] for p in parts]) for n in parts[0]}
        images = None
        if see:
            raw = np.concatenate([
                self.clips[w.clip].decode(w.first, w.last) for w in windows
            ])
            images = torch.from_numpy(raw).to(self.device).permute(0, 3, 1, 2).float().div_(255.0)
        return Batch(
            labels, torch.cat(numbers).to(self.device), torch.cat(tables).to(self.device), images
        )


SHORTEST = 4
"""Frames; what is shorter is left out of an epoch, unless the whole clip is."""


def batches(windows: Sequence[Window], frames: int) -> Iterator[list[Window]]:
    """Windows in their order, some `frames` of them at a time."""
    batch: list[Window] = []
    for window in windows:
        batch.append(window)
        if sum(map(len, batch)) >= frames:
            yield batch
            batch = []
    if batch:
        yield batch


def shuffled(windows: list[Window], generator: torch.Generator) -> list[Window]:
    """The same windows in a random order."""
    return [windows[k] for k in torch.randperm(len(windows), generator=generator).tolist()]


def read_clips(
    paths: Sequence[Path], device: torch.device, more: Sequence[Clip] = ()
) -> Clips:
    """Clips to train or measure on, and `more`. Raises DatasetError where there is no frame."""
    clips = Clips([*(read_clip(p) for p in paths), *more], device)
    if not clips.clips:
        raise DatasetError("no frames to train on: collect clips first (make train)")
    return clips


def _labels(clip: Clip) -> dict[str, np.ndarray]:
    """Labels as tensors want them: positions from the clip's first, the way as a few points."""
    labels = {n: clip.labels[n] for n in LABELS if n != "route_points"}
    pose = clip.labels["pose"].astype(np.float64)
    pose[:, :2] -= pose[0, :2]
    labels["pose"] = pose.astype(np.float32)
    labels["route"] = np.stack([
        route_vector(points[:, 0], points[:, 1], ROUTE_M) for points in clip.labels["route_points"]
    ])
    return labels
