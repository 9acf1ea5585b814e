"""The pilot's memory: tokens of past frames, each with its pose as seen from the car now.

One frame each MEMORY_INTERVAL_S is kept, the newest first; poses are moved on by the car's own
motion, so that a place seen seconds ago stays where it is. Cost and size are constant. On the
vehicle it is carried from frame to frame (`step`); in training, where the poses of a whole clip are
known, what it would hold at each frame is gathered at once (`gather`). Both hold the same.
"""

from __future__ import annotations

import torch
from torch import Tensor

from vla_driving.learning.tensors import MEMORY, MEMORY_INTERVAL_S

_ON_TIME_S = 0.03
"""s by which a frame may come early and still be kept: clocks jitter and half precision rounds."""


def moved(poses: Tensor, motion: Tensor) -> Tensor:
    """Poses (B, N, 5) as seen after the car's own `motion` (B, 4): dx, dy in m, dyaw, dt in s."""
    dx, dy, turn, passed = (motion[:, k:k + 1] for k in range(4))
    cos, sin = torch.cos(turn), torch.sin(turn)
    x, y = poses[..., 0] - dx, poses[..., 1] - dy
    there = poses[..., 4]
    new = (cos * x + sin * y, cos * y - sin * x, poses[..., 2] - turn, poses[..., 3] + passed)
    return torch.stack([*(value * there for value in new), there], -1)


def step(tokens: Tensor, poses: Tensor, token: Tensor) -> tuple[Tensor, Tensor]:
    """Memory (B, N, D), (B, N, 5) behind a frame of `token` (B, D), seen from where it was taken.

    The frame is kept where the newest one kept is old enough, or there is none.
    """
    young = poses[:, 0, 4] * (poses[:, 0, 3] < MEMORY_INTERVAL_S - _ON_TIME_S).to(poses.dtype)
    due = (1.0 - young)[:, None, None]
    here = torch.zeros_like(poses[:, :1]) + poses.new_tensor([0.0, 0.0, 0.0, 0.0, 1.0])
    shifted = torch.cat([token[:, None], tokens[:, :-1]], 1)
    shifted_poses = torch.cat([here, poses[:, :-1]], 1)
    return due * shifted + (1.0 - due) * tokens, due * shifted_poses + (1.0 - due) * poses


def kept(time: Tensor, fresh: Tensor) -> Tensor:
    """(T, N) index of the frames in memory when each of T frames is looked at, -1 for none.

    `time` (T,) in s, increasing; `fresh` (T,) True where the memory starts anew.
    """
    table = torch.full((len(time), MEMORY), -1, dtype=torch.long)
    held: list[int] = []
    for k in range(len(time)):
        if bool(fresh[k]):
            held = []
        table[k, :len(held)] = torch.tensor(held, dtype=torch.long)
        if not held or float(time[k] - time[held[0]]) >= MEMORY_INTERVAL_S - _ON_TIME_S:
            held = [k, *held][:MEMORY]
    return table


def gather(tokens: Tensor, pose: Tensor, time: Tensor, table: Tensor) -> tuple[Tensor, Tensor]:
    """Memory (T, N, D), (T, N, 5) at each of T frames of a clip, as `table` of `kept` says.

    `tokens` (T, D); `pose` (T, 3): x, y, heading in the map, m, rad; `time` (T,) in s.
    """
    there = (table >= 0).to(tokens.dtype)
    index = table.clamp(min=0)
    then, now = pose[index], pose[:, None]
    cos, sin = torch.cos(now[..., 2]), torch.sin(now[..., 2])
    dx, dy = then[..., 0] - now[..., 0], then[..., 1] - now[..., 1]
    turned = then[..., 2] - now[..., 2]
    turned = torch.atan2(torch.sin(turned), torch.cos(turned))
    values = (cos * dx + sin * dy, cos * dy - sin * dx, turned, time[:, None] - time[index])
    poses = torch.stack([*(v.to(tokens.dtype) * there for v in values), there], -1)
    return tokens[index] * there[..., None], poses
