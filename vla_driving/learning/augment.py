"""Light, weather, lens and mounting, which do not change the way to drive; and mirrored roads."""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn import functional

from vla_driving.contract.navigation import Turn
from vla_driving.contract.scene import LaneLineKind


def augment(images: Tensor, generator: torch.Generator) -> Tensor:
    """Vary images (B, 3, H, W), 0 to 1; each one differently, the same for the same generator."""
    images = _mounting(images, generator)
    images = _colour(images, generator)
    images = _fog(images, generator)
    images = _blur(images, generator)
    noise = 0.04 * _uniform(images, generator, 0.0, 1.0, chance=0.5)
    grain = torch.randn(images.shape, generator=generator, device=images.device)
    images = images + noise * grain
    return _patch(images, generator).clamp(0.0, 1.0)


def mirror(
    images: Tensor, labels: dict[str, Tensor], generator: torch.Generator, share: float
) -> tuple[Tensor, dict[str, Tensor]]:
    """Some frames as seen in a mirror, labels included: a road that bends the other way.

    Needs a camera on the car's centre line that looks straight ahead.
    """
    luck = torch.rand(len(images), generator=generator, device=images.device)
    turned = luck < share

    def pick(flipped: Tensor, plain: Tensor) -> Tensor:
        return torch.where(turned.view(-1, *[1] * (plain.dim() - 1)), flipped, plain)

    new = dict(labels)
    new["curvature"] = pick(-labels["curvature"], labels["curvature"])
    lines = labels["lane_lines"][:, _OTHER_SIDE_LINE].clone()
    lines[..., 1:] *= -1.0
    new["lane_lines"] = pick(lines, labels["lane_lines"])
    objects = labels["objects"].clone()
    objects[..., [2, 4]] *= -1.0
    new["objects"] = pick(objects, labels["objects"])
    navigation = labels["navigation"].clone()
    navigation[:, [Turn.LEFT, Turn.RIGHT]] = navigation[:, [Turn.RIGHT, Turn.LEFT]]
    new["navigation"] = pick(navigation, labels["navigation"])
    return pick(images.flip(3), images), new


_OTHER_SIDE_LINE = [
    LaneLineKind.LANE_RIGHT, LaneLineKind.LANE_LEFT,
    LaneLineKind.ROAD_EDGE_RIGHT, LaneLineKind.ROAD_EDGE_LEFT,
]


def _uniform(
    images: Tensor, generator: torch.Generator, low: float, high: float, channels: int = 1,
    chance: float = 1.0,
) -> Tensor:
    """(B, channels, 1, 1) in [low, high]; 0 where the chance misses."""
    shape = (len(images), channels, 1, 1)
    value = torch.rand(shape, generator=generator, device=images.device) * (high - low) + low
    if chance < 1.0:
        hit = torch.rand((len(images), 1, 1, 1), generator=generator, device=images.device)
        value = value * (hit < chance)
    return value


def _mounting(images: Tensor, generator: torch.Generator) -> Tensor:
    """A camera that sits off by up to 1° in roll and a few pixels in yaw and pitch."""
    roll = _uniform(images, generator, -1.0, 1.0).flatten() * math.radians(1.0)
    right = _uniform(images, generator, -1.0, 1.0).flatten() * 2.0 / 128.0
    down = _uniform(images, generator, -1.0, 1.0).flatten() * 2.0 / 64.0
    aspect = images.shape[3] / images.shape[2]
    cos, sin = torch.cos(roll), torch.sin(roll)
    theta = torch.stack(
        [torch.stack([cos, -sin / aspect, right], 1), torch.stack([sin * aspect, cos, down], 1)], 1
    )
    grid = functional.affine_grid(theta, list(images.shape), align_corners=False)
    return functional.grid_sample(images, grid, padding_mode="border", align_corners=False)


def _colour(images: Tensor, generator: torch.Generator) -> Tensor:
    gamma = torch.exp(_uniform(images, generator, -0.5, 0.5))
    images = images.clamp(1e-4, 1.0) ** gamma
    grey = images.mean(1, keepdim=True)
    images = grey + (images - grey) * _uniform(images, generator, 0.3, 1.4)
    mean = images.mean((1, 2, 3), keepdim=True)
    images = mean + (images - mean) * _uniform(images, generator, 0.6, 1.3)
    tint = _uniform(images, generator, 0.88, 1.12, channels=3)
    return images * tint * torch.exp(_uniform(images, generator, -0.6, 0.35))


def _fog(images: Tensor, generator: torch.Generator) -> Tensor:
    """Veil that is densest at the horizon, where the air between is deepest."""
    row = torch.linspace(-1.0, 1.0, images.shape[2], device=images.device)
    depth = torch.exp(-((row / 0.4) ** 2)).view(1, 1, -1, 1)
    density = _uniform(images, generator, 0.1, 0.6, chance=0.25)
    veil = (density * (0.3 + 0.7 * depth)).clamp(0.0, 0.9)
    return images * (1.0 - veil) + _uniform(images, generator, 0.5, 0.9) * veil


def _blur(images: Tensor, generator: torch.Generator) -> Tensor:
    soft = functional.avg_pool2d(images, 3, 1, 1, count_include_pad=False)
    share = _uniform(images, generator, 0.0, 1.0, chance=0.3)
    return images * (1.0 - share) + soft * share


def _patch(images: Tensor, generator: torch.Generator) -> Tensor:
    """A drop or a speck of dirt: one soft grey disc on some of the lenses."""
    height, width = images.shape[2:]
    y = torch.arange(height, device=images.device).view(1, 1, -1, 1)
    x = torch.arange(width, device=images.device).view(1, 1, 1, -1)
    at_y = _uniform(images, generator, 0.0, height)
    at_x = _uniform(images, generator, 0.0, width)
    radius = _uniform(images, generator, 4.0, 16.0)
    inside = torch.sigmoid(radius - torch.sqrt((x - at_x) ** 2 + (y - at_y) ** 2))
    share = inside * _uniform(images, generator, 0.3, 0.9, chance=0.2)
    return images * (1.0 - share) + _uniform(images, generator, 0.1, 0.8) * share
