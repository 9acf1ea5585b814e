"""Light, weather, lens and mounting, which do not change the way to drive; and mirrored roads."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

from vla_driving.contract.language import Intent
from vla_driving.contract.navigation import Turn
from vla_driving.contract.scene import LaneLineKind


@dataclass(frozen=True)
class _Chance:
    """Random numbers: one a clip; `clip` (B,) says to which of them an image belongs."""

    generator: torch.Generator
    clip: Tensor

    def uniform(
        self, images: Tensor, low: float, high: float, channels: int = 1, chance: float = 1.0
    ) -> Tensor:
        """(B, channels, 1, 1) in [low, high]; 0 where the `chance` misses."""
        value = self._rand(images, channels) * (high - low) + low
        if chance < 1.0:
            value = value * (self._rand(images, 1) < chance)
        return value

    def _rand(self, images: Tensor, channels: int) -> Tensor:
        shape = (int(self.clip.max()) + 1, channels, 1, 1)
        return torch.rand(shape, generator=self.generator, device=images.device)[self.clip]


def augment(
    images: Tensor, generator: torch.Generator, clip: Tensor | None = None
) -> Tensor:
    """Vary images (B, 3, H, W), 0 to 1; the same for the same generator.

    Images of one `clip` (B,) are varied alike but for the grain; without it each one differently.
    """
    if clip is None:
        clip = torch.arange(len(images), device=images.device)
    chance = _Chance(generator, clip)
    images = _mounting(images, chance)
    images = _colour(images, chance)
    images = _fog(images, chance)
    images = _blur(images, chance)
    noise = 0.04 * chance.uniform(images, 0.0, 1.0, chance=0.5)
    grain = torch.randn(images.shape, generator=generator, device=images.device)
    images = images + noise * grain
    return _patch(images, chance).clamp(0.0, 1.0)


def mirror_images(images: Tensor, turned: Tensor) -> Tensor:
    """Images (B, 3, H, W), those that are `turned` (B,) as seen in a mirror."""
    return torch.where(turned.view(-1, 1, 1, 1), images.flip(3), images)


def mirror_labels(labels: dict[str, Tensor], turned: Tensor) -> dict[str, Tensor]:
    """Labels of the frames of which those that are `turned` (B,) are seen in a mirror.

    A road that bends the other way. Needs a camera on the car's centre line that looks straight
    ahead. Labels that have no side stay as they are.
    """
    new = dict(labels)
    for name, flip in _FLIPS.items():
        if name in labels:
            value = labels[name]
            new[name] = torch.where(
                turned.view(-1, *[1] * (value.dim() - 1)), flip(value), value
            )
    return new


def _negated(*columns: int) -> Callable[[Tensor], Tensor]:
    """A copy with these columns of the last axis negated."""

    def flip(value: Tensor) -> Tensor:
        value = value.clone()
        value[..., columns] *= -1.0
        return value

    return flip


def _lines(value: Tensor) -> Tensor:
    value = value[:, _OTHER_SIDE_LINE].clone()
    value[..., 1:] *= -1.0
    return value


def _navigation(value: Tensor) -> Tensor:
    value = value.clone()
    value[:, [Turn.LEFT, Turn.RIGHT]] = value[:, [Turn.RIGHT, Turn.LEFT]]
    return value


def _intent(value: Tensor) -> Tensor:
    table = torch.arange(len(Intent), device=value.device, dtype=value.dtype)
    for left, right in _OTHER_SIDE_INTENT:
        table[left], table[right] = right, left
    return table[value.long()]


_OTHER_SIDE_LINE = [
    LaneLineKind.LANE_RIGHT, LaneLineKind.LANE_LEFT,
    LaneLineKind.ROAD_EDGE_RIGHT, LaneLineKind.ROAD_EDGE_LEFT,
]


_OTHER_SIDE_INTENT = (
    (Intent.CHANGE_LEFT, Intent.CHANGE_RIGHT), (Intent.NEXT_LEFT, Intent.NEXT_RIGHT),
)
_FLIPS: dict[str, Callable[[Tensor], Tensor]] = {
    "curvature": torch.neg, "yaw_rate": torch.neg, "pose": _negated(1, 2),
    "route": _negated(1, 4, 7, 10), "objects": _negated(2, 4), "lane_lines": _lines,
    "navigation": _navigation, "intent": _intent,
}


def _mounting(images: Tensor, chance: _Chance) -> Tensor:
    """A camera that sits off by up to 1° in roll and a few pixels in yaw and pitch."""
    roll = chance.uniform(images, -1.0, 1.0).flatten() * math.radians(1.0)
    right = chance.uniform(images, -1.0, 1.0).flatten() * 2.0 / 128.0
    down = chance.uniform(images, -1.0, 1.0).flatten() * 2.0 / 64.0
    aspect = images.shape[3] / images.shape[2]
    cos, sin = torch.cos(roll), torch.sin(roll)
    theta = torch.stack(
        [torch.stack([cos, -sin / aspect, right], 1), torch.stack([sin * aspect, cos, down], 1)], 1
    )
    grid = functional.affine_grid(theta, list(images.shape), align_corners=False)
    return functional.grid_sample(images, grid, padding_mode="border", align_corners=False)


def _colour(images: Tensor, chance: _Chance) -> Tensor:
    gamma = torch.exp(chance.uniform(images, -0.5, 0.5))
    images = images.clamp(1e-4, 1.0) ** gamma
    grey = images.mean(1, keepdim=True)
    images = grey + (images - grey) * chance.uniform(images, 0.3, 1.4)
    mean = images.mean((1, 2, 3), keepdim=True)
    images = mean + (images - mean) * chance.uniform(images, 0.6, 1.3)
    tint = chance.uniform(images, 0.88, 1.12, channels=3)
    return images * tint * torch.exp(chance.uniform(images, -0.6, 0.35))


def _fog(images: Tensor, chance: _Chance) -> Tensor:
    """Veil that is densest at the horizon, where the air between is deepest."""
    row = torch.linspace(-1.0, 1.0, images.shape[2], device=images.device)
    depth = torch.exp(-((row / 0.4) ** 2)).view(1, 1, -1, 1)
    density = chance.uniform(images, 0.1, 0.6, chance=0.25)
    veil = (density * (0.3 + 0.7 * depth)).clamp(0.0, 0.9)
    return images * (1.0 - veil) + chance.uniform(images, 0.5, 0.9) * veil


def _blur(images: Tensor, chance: _Chance) -> Tensor:
    soft = functional.avg_pool2d(images, 3, 1, 1, count_include_pad=False)
    share = chance.uniform(images, 0.0, 1.0, chance=0.3)
    return images * (1.0 - share) + soft * share


def _patch(images: Tensor, chance: _Chance) -> Tensor:
    """A drop or a speck of dirt: one soft grey disc on some of the lenses."""
    height, width = images.shape[2:]
    y = torch.arange(height, device=images.device).view(1, 1, -1, 1)
    x = torch.arange(width, device=images.device).view(1, 1, 1, -1)
    at_y = chance.uniform(images, 0.0, height)
    at_x = chance.uniform(images, 0.0, width)
    radius = chance.uniform(images, 4.0, 16.0)
    inside = torch.sigmoid(radius - torch.sqrt((x - at_x) ** 2 + (y - at_y) ** 2))
    share = inside * chance.uniform(images, 0.3, 0.9, chance=0.2)
    return images * (1.0 - share) + chance.uniform(images, 0.1, 0.8) * share
