"""Features of all frames, worked out once: with the encoder as it is, the rest learns from them."""

from __future__ import annotations

import dataclasses
import hashlib
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from vla_driving.learning.augment import augment, mirror_images
from vla_driving.learning.clips import Clip
from vla_driving.learning.network import Encoder
from vla_driving.learning.windows import Batch, Clips, Window

FEW = 64
"""Frames that are encoded at a time."""


@dataclass(frozen=True, eq=False)
class Features:
    """`views` of every clip, each (N, E) in half precision; `mirrored[v][k]`: clip k in view v."""

    views: list[list[Tensor]]
    mirrored: list[list[bool]]

    def take(self, clips: Clips, windows: Sequence[Window], chance: torch.Generator) -> Batch:
        """The frames of some windows, each in a view drawn for it; labels mirrored to fit."""
        batch = clips.take(windows, see=False)
        drawn = torch.randint(len(self.views), (len(windows),), generator=chance).tolist()
        seen = torch.cat([
            self.views[v][w.clip][w.first:w.last] for v, w in zip(drawn, windows, strict=True)
        ])
        turned = torch.tensor(
            [float(not self.mirrored[v][w.clip]) for v, w in zip(drawn, windows, strict=True)]
        )
        batch, _ = batch.mirrored(turned.to(clips.device), 0.5)
        return dataclasses.replace(batch, seen=seen.float().to(clips.device))


def features(
    encoder: Encoder, clips: Clips, views: int, mirrored: float, seed: int, folder: Path
) -> Features:
    """Features of every frame in so many views, the first as it is.

    Each clip's are a file in `folder`, named after all that they follow from: encoder, pictures,
    view and seed. So a run that was killed, or one with more clips, makes only those not there.
    """
    encoder.eval()
    folder.mkdir(parents=True, exist_ok=True)
    eye = hashlib.sha256()
    for value in encoder.state_dict().values():
        eye.update(value.cpu().numpy().tobytes())
    found: list[list[Tensor]] = []
    sides: list[list[bool]] = []
    for view in range(views):
        names = [_name(eye.digest(), clip, seed, view) for clip in clips.clips]
        sides.append([view > 0 and _luck(name) < mirrored for name in names])
        found.append(_view(encoder, clips, view, names, sides[-1], folder))
    return Features(found, sides)


def _name(eye: bytes, clip: Clip, seed: int, view: int) -> str:
    named = hashlib.sha256(eye + repr((seed, view)).encode())
    named.update(clip.pictures.tobytes())
    return named.hexdigest()


def _luck(name: str) -> float:
    """0 to 1, from another part of the name than the augmentation's seed."""
    return int(name[-8:], 16) / 16**8


def _view(
    encoder: Encoder, clips: Clips, view: int, names: list[str], turned: list[bool], folder: Path
) -> list[Tensor]:
    parts: list[Tensor] = []
    began, made, seen = time.monotonic(), 0, 0
    for k, name in enumerate(names):
        path = folder / f"{name[:24]}.npy"
        if path.is_file():
            parts.append(torch.from_numpy(np.load(path)))
        else:
            parts.append(_clip(encoder, clips, k, view, turned[k], int(name[:15], 16)))
            temporary = path.with_suffix(".part")
            with temporary.open("wb") as file:
                np.save(file, parts[-1].numpy())
            temporary.replace(path)
            made += len(parts[-1])
        seen += len(parts[-1])
        if made and (k % 20 == 19 or k == len(names) - 1):
            rate = made / (time.monotonic() - began)
            print(f"view {view}: {seen} of {clips.frames} frames, {rate:.0f} a second", flush=True)
    return parts


@torch.no_grad()
def _clip(
    encoder: Encoder, clips: Clips, k: int, view: int, turned: bool, seed: int
) -> Tensor:
    """(N, E) features of one clip, varied alike in all its frames."""
    clip = clips.clips[k]
    rows = []
    for first in range(0, len(clip), FEW):
        last = min(len(clip), first + FEW)
        images = clips.take([Window(k, first, last)]).images
        assert images is not None
        if view:
            one = torch.zeros(len(images), dtype=torch.long, device=clips.device)
            chance = torch.Generator(clips.device).manual_seed(seed)
            images = mirror_images(images, (one + int(turned)).bool())
            images = augment(images, chance, one)
        rows.append(encoder(images.contiguous(memory_format=torch.channels_last)).half().cpu())
    return torch.cat(rows)
