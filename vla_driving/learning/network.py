"""The pilot: a small residual network from one image, speed and next turn to trajectories."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from vla_driving.contract.trajectory import TIMES_S
from vla_driving.learning.tensors import (
    LANE_LINES,
    MODES,
    NAVIGATION,
    OBJECT_CLASSES,
    OBJECT_NUMBERS,
    OBJECTS,
    STATIONS_M,
)

KNOTS_S = (0.1, 0.5, 1.0, 1.5, 2.0, 2.7, 3.5, 4.8, 6.4)
"""Times at which the controls are decoded; between them they are linear."""


@dataclass(frozen=True)
class PilotSettings:
    """Size of the network and what the car can do: 1/m, m/s², m/s.

    Widths of less than 16 crash torch 2.13 on the CPU (backward pass, channels last).
    """

    widths: tuple[int, int, int, int] = (32, 64, 128, 160)
    blocks: tuple[int, int, int, int] = (2, 2, 2, 2)
    hidden: int = 256
    dropout: float = 0.1
    max_curvature: float = 0.2
    max_acceleration: float = 2.5
    max_deceleration: float = 7.0
    top_speed: float = 30.0


@dataclass(frozen=True)
class Decoded:
    """What the network says for a batch of B; units as in the contract.

    acceleration, curvature (B, K, 64); mode_logits (B, K); line_logits (B, 4); line_offsets
    (B, 4, S) in m; object_logits (B, M); object_numbers (B, M, 6): x, y, velocity_x, velocity_y,
    length, width; class_logits (B, M, classes); uncertainty (B,) in m.
    """

    acceleration: Tensor
    curvature: Tensor
    mode_logits: Tensor
    line_logits: Tensor
    line_offsets: Tensor
    object_logits: Tensor
    object_numbers: Tensor
    class_logits: Tensor
    uncertainty: Tensor


class Block(nn.Module):
    """Two 3x3 convolutions around a short cut (He et al. 2016)."""

    def __init__(self, inputs: int, outputs: int, stride: int) -> None:
        super().__init__()
        self.body = nn.Sequential(
            nn.Conv2d(inputs, outputs, 3, stride, 1, bias=False),
            nn.BatchNorm2d(outputs),
            nn.ReLU(inplace=True),
            nn.Conv2d(outputs, outputs, 3, 1, 1, bias=False),
            nn.BatchNorm2d(outputs),
        )
        self.short_cut: nn.Module = nn.Identity()
        if stride != 1 or inputs != outputs:
            self.short_cut = nn.Sequential(
                nn.Conv2d(inputs, outputs, 1, stride, bias=False), nn.BatchNorm2d(outputs)
            )

    def forward(self, x: Tensor) -> Tensor:
        return torch.relu(self.body(x) + self.short_cut(x))


class Encoder(nn.Module):
    """Image (B, 3, 128, 256), 0 to 1, to a flat feature that keeps where things are."""

    def __init__(self, settings: PilotSettings) -> None:
        super().__init__()
        first = settings.widths[0]
        layers: list[nn.Module] = [
            nn.Conv2d(3, first, 5, 2, 2, bias=False), nn.BatchNorm2d(first), nn.ReLU(inplace=True)
        ]
        inputs = first
        for outputs, count in zip(settings.widths, settings.blocks, strict=True):
            for i in range(count):
                layers.append(Block(inputs, outputs, 2 if i == 0 else 1))
                inputs = outputs
        layers += [nn.Conv2d(inputs, 32, 1, bias=False), nn.BatchNorm2d(32), nn.ReLU(inplace=True)]
        self.layers = nn.Sequential(*layers, nn.Flatten(), nn.Dropout(settings.dropout))
        self.size = 32 * 4 * 8

    def forward(self, image: Tensor) -> Tensor:
        return self.layers(image - 0.5)


class Pilot(nn.Module):
    """See `Decoded` for what it answers; `SHAPES` in tensors.py for what it is asked."""

    def __init__(self, settings: PilotSettings | None = None) -> None:
        super().__init__()
        self.settings = settings = settings or PilotSettings()
        self.encoder = Encoder(settings)
        self.state = nn.Sequential(nn.Linear(1 + NAVIGATION, 64), nn.ReLU(), nn.Linear(64, 64))
        self.trunk = nn.Sequential(
            nn.Linear(self.encoder.size + 64, settings.hidden),
            nn.ReLU(),
            nn.Linear(settings.hidden, settings.hidden),
            nn.ReLU(),
        )
        self.scene_trunk = nn.Sequential(
            nn.Linear(self.encoder.size, settings.hidden), nn.ReLU(), nn.Dropout(settings.dropout)
        )
        knots = len(KNOTS_S)
        self.control_head = nn.Linear(settings.hidden, MODES * 2 * knots)
        self.mode_head = nn.Linear(settings.hidden, MODES + 1)
        self.line_head = nn.Linear(settings.hidden, LANE_LINES * (1 + len(STATIONS_M)))
        self.object_head = nn.Linear(
            settings.hidden, OBJECTS * (OBJECT_NUMBERS + OBJECT_CLASSES)
        )
        self.register_buffer("interpolation", torch.from_numpy(interpolation()), persistent=False)
        self.doubt_scale: Tensor
        self.register_buffer("doubt_scale", torch.ones(()))
        scale = torch.tensor([10.0, 2.0, 5.0, 1.0, 1.0, 0.5])
        offset = torch.tensor([20.0, 0.0, 5.0, 0.0, 4.5, 1.9])
        self.register_buffer("object_scale", scale, persistent=False)
        self.register_buffer("object_offset", offset, persistent=False)

    def forward(self, image: Tensor, speed: Tensor, navigation: Tensor) -> Decoded:
        """Answer for image (B, 3, 128, 256) 0 to 1, speed (B, 1) in m/s, navigation (B, 8)."""
        seen = self.encoder(image)
        told = self.state(torch.cat([speed / self.settings.top_speed, navigation], 1))
        thought = self.trunk(torch.cat([seen, told], 1))
        scene = self.scene_trunk(seen)
        acceleration, curvature = self._controls(thought)
        modes = self.mode_head(thought)
        lines = self.line_head(scene).unflatten(1, (LANE_LINES, 1 + len(STATIONS_M)))
        objects = self.object_head(scene).unflatten(1, (OBJECTS, OBJECT_NUMBERS + OBJECT_CLASSES))
        numbers = objects[..., 1:OBJECT_NUMBERS] * self.object_scale + self.object_offset
        return Decoded(
            acceleration=acceleration,
            curvature=curvature,
            mode_logits=modes[:, :MODES],
            line_logits=lines[..., 0],
            line_offsets=3.0 * lines[..., 1:],
            object_logits=objects[..., 0],
            object_numbers=numbers,
            class_logits=objects[..., OBJECT_NUMBERS:],
            uncertainty=self.doubt_scale * (nn.functional.softplus(modes[:, MODES]) + 0.05),
        )

    def _controls(self, thought: Tensor) -> tuple[Tensor, Tensor]:
        s = self.settings
        knots = self.control_head(thought).unflatten(1, (MODES, 2, len(KNOTS_S)))
        middle = 0.5 * (s.max_acceleration - s.max_deceleration)
        half = 0.5 * (s.max_acceleration + s.max_deceleration)
        # Shifted so that an untrained head asks for no acceleration.
        rest = float(np.arctanh(-middle / half))
        acceleration = middle + half * torch.tanh(knots[:, :, 0] * 0.5 + rest)
        curvature = s.max_curvature * torch.tanh(knots[:, :, 1] * 0.25)
        return acceleration @ self.interpolation, curvature @ self.interpolation


def interpolation() -> np.ndarray:
    """(knots, 64) matrix that interpolates linearly from KNOTS_S to the contract's times."""
    basis = np.eye(len(KNOTS_S))
    return np.stack([np.interp(TIMES_S, KNOTS_S, row) for row in basis]).astype(np.float32)
