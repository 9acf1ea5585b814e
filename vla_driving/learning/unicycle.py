"""The contract's unicycle model in torch, so that a loss on positions reaches the controls."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from vla_driving.contract.trajectory import PERIOD_S


class Motion(NamedTuple):
    """x, y in m, heading in rad, speed in m/s; each (..., 64), in base_link at the plan's stamp."""

    x: Tensor
    y: Tensor
    heading: Tensor
    speed: Tensor


def integrate(speed: Tensor, acceleration: Tensor, curvature: Tensor) -> Motion:
    """Motion from speed (...), m/s, acceleration (..., 64), m/s², and curvature (..., 64), 1/m.

    The same map as `contract.trajectory.integrate`. The recursion v' = max(0, v + a dt) is solved
    in closed form by the reflection of the free speed at zero (Skorokhod map), so no loop is run.
    """
    start = speed.clamp(min=0.0).unsqueeze(-1)
    free = start + torch.cumsum(acceleration * PERIOD_S, -1)
    after = free - torch.cummin(free, -1).values.clamp(max=0.0)
    before = torch.cat([start, after[..., :-1]], -1)
    step = 0.5 * (before + after) * PERIOD_S
    turn = curvature * step
    heading = torch.cumsum(turn, -1)
    middle = heading - 0.5 * turn
    x = torch.cumsum(step * torch.cos(middle), -1)
    y = torch.cumsum(step * torch.sin(middle), -1)
    return Motion(x, y, heading, after)
