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
from vla_driving.learning.network import Encoder
from vla_driving.learning.windows import Batch, Clips, Window

FEW = 64
"""Frames that are encoded at a time."""
KEPT_TOGETHER = 150
"""Clips after which what is done is written, so that a run that was killed loses little."""


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
    """Features of every frame in so many views, the first as it is; each kept in `folder`."""
    encoder.eval()
    folder.mkdir(parents=True, exist_ok=True)
    found: list[list[Tensor]] = []
    sides: list[list[bool]] = []
    for view in range(views):
        lucks = torch.rand(
            len(clips.clips), generator=torch.Generator().manual_seed(seed * 977 + view)
        )
        sides.append([view > 0 and float(x) < mirrored for x in lucks])
        found.append(_view(encoder, clips, view, sides[-1], seed, folder))
    return Features(found, sides)


def _view(
    encoder: Encoder, clips: Clips, view: int, turned: list[bool], seed: int, folder: Path
) -> list[Tensor]:
    path = folder / f"view_{view}.npz"
    key = _key(encoder, clips, turned, seed)
    parts = _kept(path, key, [len(c) for c in clips.clips])
    began, done = time.monotonic(), 0
    for k in range(len(parts), len(clips.clips)):
        parts.append(_clip(encoder, clips, k, view, turned[k], seed))
        done += len(parts[-1])
        if len(parts) % KEPT_TOGETHER == 0 or len(parts) == len(clips.clips):
            _keep(path, key, parts)
            rate = done / (time.monotonic() - began)
            seen = sum(map(len, parts))
            print(f"view {view}: {seen} of {clips.frames} frames, {rate:.0f} a second", flush=True)
    return parts


def _kept(path: Path, key: str, lengths: list[int]) -> list[Tensor]:
    """Features of the first clips, as far as they were worked out before."""
    if not path.is_file():
        return []
    with np.load(path) as data:
        if str(data["key"]) != key:
            return []
        seen = torch.from_numpy(data["seen"])
    whole = np.searchsorted(np.cumsum(lengths), len(seen), side="right")
    return list(seen.split(lengths[:whole]))


def _keep(path: Path, key: str, parts: list[Tensor]) -> None:
    """Write features, whole or not at all."""
    temporary = path.with_suffix(".part")
    with temporary.open("wb") as file:
        np.savez(file, key=key, seen=torch.cat(parts).numpy())
    temporary.replace(path)


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
            chance = torch.Generator(clips.device).manual_seed((seed * 977 + view) * 100_003 + k)
            images = mirror_images(images, (one + int(turned)).bool())
            images = augment(images, chance, one)
        rows.append(encoder(images.contiguous(memory_format=torch.channels_last)).half().cpu())
    return torch.cat(rows)


def _key(encoder: Encoder, clips: Clips, turned: list[bool], seed: int) -> str:
    """Hash of all that the features of a view depend on."""
    digest = hashlib.sha256(repr((seed, turned)).encode())
    for value in encoder.state_dict().values():
        digest.update(value.cpu().numpy().tobytes())
    for clip in clips.clips:
        digest.update(clip.pictures.tobytes())
    return digest.hexdigest()
