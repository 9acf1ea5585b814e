"""The pilot: from one image, what was seen before, the way and a wish to trajectories and reasons.

One encoder pass a frame. What it saw over the last seconds comes from a memory of feature tokens
(`memory.py`), the instruction as a token of a sentence encoder, the way as the next turn and a few
points. Each part can be left out, which is how its worth is measured.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from vla_driving.contract.language import Intent
from vla_driving.contract.trajectory import TIMES_S
from vla_driving.learning.tensors import (
    CAUSES,
    INTENTS,
    LANE_LINES,
    MEMORY_POSE,
    MEMORY_WIDTH,
    MODES,
    NAVIGATION,
    OBJECT_CLASSES,
    OBJECT_NUMBERS,
    ROUTE_M,
    SLOTS,
    STATIONS_M,
    TEXT,
    USUAL_GAP_S,
)

KNOTS_S = (0.1, 0.5, 1.0, 1.5, 2.0, 2.7, 3.5, 4.8, 6.4)
"""Times at which the controls are decoded; between them they are linear."""


@dataclass(frozen=True)
class PilotSettings:
    """Size of the network, what the car can do in 1/m, m/s², m/s, and which parts there are.

    Widths of less than 16 crash torch 2.13 on the CPU (backward pass, channels last).
    """

    widths: tuple[int, int, int, int] = (32, 64, 128, 160)
    blocks: tuple[int, int, int, int] = (2, 2, 2, 2)
    hidden: int = 512
    scene_hidden: int = 384
    reason_hidden: int = 128
    queries: int = 4
    dropout: float = 0.1
    max_curvature: float = 0.2
    max_acceleration: float = 2.5
    max_deceleration: float = 7.0
    top_speed: float = 30.0
    memory: bool = True
    text: bool = True
    route: bool = True


@dataclass(frozen=True)
class Told:
    """What a batch of B is told besides the images.

    speed (B, 1) in m/s, navigation (B, 8), route (B, 12), text (B, 384), command (B, 1): time gap
    in s; memory: tokens (B, N, D) and their poses (B, N, 5).
    """

    speed: Tensor
    navigation: Tensor
    route: Tensor
    text: Tensor
    command: Tensor
    tokens: Tensor
    poses: Tensor


@dataclass(frozen=True)
class Decoded:
    """What the network says for a batch of B; units as in the contract.

    acceleration, curvature (B, K, 64); mode_logits (B, K); line_logits (B, 4); line_offsets
    (B, 4, S) in m; object_logits (B, M); object_numbers (B, M, 6): x, y, velocity_x, velocity_y,
    length, width; class_logits (B, M, classes); uncertainty (B,) in m; cause_logits (B, causes);
    cause_object_logits (B, 1 + M), the first for none; cause_distance (B,) in m.
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
    cause_logits: Tensor
    cause_object_logits: Tensor
    cause_distance: Tensor


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


class Recall(nn.Module):
    """Attention of the present over what is remembered, with poses and ages beside the tokens."""

    def __init__(self, present: int, queries: int) -> None:
        super().__init__()
        width = MEMORY_WIDTH
        self.queries = queries
        self.ask = nn.Linear(present, queries * width)
        self.place = nn.Linear(MEMORY_POSE + 1, width)
        self.mix = nn.Sequential(nn.Linear(width, width), nn.ReLU())
        self.key = nn.Linear(width, width)
        self.value = nn.Linear(width, width)
        self.nothing = nn.Parameter(torch.zeros(1, 1, width))
        self.size = queries * width

    def forward(self, seen: Tensor, tokens: Tensor, poses: Tensor) -> Tensor:
        """(B, size) from seen (B, F), tokens (B, N, D) and poses (B, N, 5)."""
        there = poses[..., 4:]
        # Metres, radians and seconds to numbers of about one.
        placed = torch.cat([
            poses[..., :1] / 20.0, poses[..., 1:2] / 10.0, torch.sin(poses[..., 2:3]),
            torch.cos(poses[..., 2:3]) - 1.0, poses[..., 3:4] / 2.0, there,
        ], -1)
        mixed = self.mix(tokens + self.place(placed)) * there
        # One more that is always there: an empty memory recalls nothing.
        mixed = torch.cat([self.nothing + 0.0 * mixed[:, :1], mixed], 1)
        hidden = torch.cat([0.0 * there[:, :1], 1.0 - there], 1).transpose(1, 2)
        asked = self.ask(seen).unflatten(1, (self.queries, MEMORY_WIDTH))
        match = asked @ self.key(mixed).transpose(1, 2) / MEMORY_WIDTH**0.5
        share = torch.softmax(match - 1e4 * hidden, 2)
        return (share @ self.value(mixed)).flatten(1)


class Listening(nn.Module):
    """What is wished for, out of the token of a text: a probability of each Intent.

    Whatever the words are, only that reaches the driving; so words that were never taught move the
    car as far as they are understood, and no further.
    """

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.Linear(TEXT, 64), nn.ReLU(), nn.Dropout(0.2), nn.Linear(64, INTENTS)
        )

    def forward(self, text: Tensor) -> Tensor:
        """Logits (B, intents) of tokens (B, 384) of unit length."""
        # A unit token has components of about 1/sqrt(384).
        return self.layers(text * TEXT**0.5)

    def intents(self, text: Tensor) -> Tensor:
        """Probabilities (B, intents); those of NONE alone where the token is zeros."""
        said = (text * text).sum(1, keepdim=True).clamp(max=1.0)
        none = torch.zeros_like(text[:, :INTENTS])
        none = none + torch.eye(INTENTS, device=text.device, dtype=text.dtype)[Intent.NONE]
        return said * torch.softmax(self.forward(text), 1) + (1.0 - said) * none


class Pilot(nn.Module):
    """See `Told` and `Decoded` for what it is told and answers."""

    def __init__(self, settings: PilotSettings | None = None) -> None:
        super().__init__()
        self.settings = settings = settings or PilotSettings()
        self.encoder = Encoder(settings)
        size = self.encoder.size
        self.state = nn.Sequential(nn.Linear(1 + NAVIGATION, 64), nn.ReLU(), nn.Linear(64, 64))
        self.remember = nn.Linear(size, MEMORY_WIDTH)
        self.recall = Recall(size, settings.queries)
        self.listening = Listening()
        self.wish = nn.Linear(INTENTS + 1, 32)
        self.way = nn.Sequential(nn.Linear(3 * len(ROUTE_M), 32), nn.ReLU())
        self.trunk = nn.Sequential(
            nn.Linear(size + 64 + self.recall.size + 32 + 32, settings.hidden),
            nn.ReLU(),
            nn.Linear(settings.hidden, settings.hidden),
            nn.ReLU(),
        )
        self.scene_trunk = nn.Sequential(
            nn.Linear(size + self.recall.size, settings.scene_hidden), nn.ReLU(),
            nn.Dropout(settings.dropout),
        )
        self.reason = nn.Sequential(
            nn.Linear(settings.hidden + settings.scene_hidden, settings.reason_hidden), nn.ReLU()
        )
        self.control_head = nn.Linear(settings.hidden, MODES * 2 * len(KNOTS_S))
        self.mode_head = nn.Linear(settings.hidden, MODES + 1)
        self.line_head = nn.Linear(settings.scene_hidden, LANE_LINES * (1 + len(STATIONS_M)))
        self.object_head = nn.Linear(
            settings.scene_hidden, SLOTS * (OBJECT_NUMBERS + OBJECT_CLASSES)
        )
        self.cause_head = nn.Linear(settings.reason_hidden, CAUSES + 1 + SLOTS + 1)
        self.register_buffer("interpolation", torch.from_numpy(interpolation()), persistent=False)
        self.doubt_scale: Tensor
        self.register_buffer("doubt_scale", torch.ones(()))
        scale = torch.tensor([10.0, 2.0, 5.0, 1.0, 1.0, 0.5])
        offset = torch.tensor([20.0, 0.0, 5.0, 0.0, 4.5, 1.9])
        self.register_buffer("object_scale", scale, persistent=False)
        self.register_buffer("object_offset", offset, persistent=False)

    def token(self, seen: Tensor) -> Tensor:
        """(B, D) what is remembered of a frame whose feature is `seen` (B, F)."""
        return torch.tanh(self.remember(seen))

    def forward(self, image: Tensor, told: Told) -> Decoded:
        """Answer for image (B, 3, 128, 256), 0 to 1, and what is told beside it."""
        return self.decide(self.encoder(image), told)

    def decide(self, seen: Tensor, told: Told) -> Decoded:
        """Answer from the feature `seen` (B, F) of the image."""
        s = self.settings
        past = self.recall(seen, told.tokens, told.poses) if s.memory else self._nought(
            seen, self.recall.size
        )
        intents = self.listening.intents(told.text if s.text else self._nought(seen, TEXT))
        wish = self.wish(torch.cat([intents, wider(told.command)], 1))
        way = self.way(told.route) if s.route else self._nought(seen, 32)
        state = self.state(torch.cat([told.speed / s.top_speed, told.navigation], 1))
        thought = self.trunk(torch.cat([seen, state, past, wish, way], 1))
        scene = self.scene_trunk(torch.cat([seen, past], 1))
        reason = self.cause_head(self.reason(torch.cat([thought, scene], 1)))
        acceleration, curvature = self._controls(thought)
        modes = self.mode_head(thought)
        lines = self.line_head(scene).unflatten(1, (LANE_LINES, 1 + len(STATIONS_M)))
        objects = self.object_head(scene).unflatten(1, (SLOTS, OBJECT_NUMBERS + OBJECT_CLASSES))
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
            cause_logits=reason[:, :CAUSES],
            cause_object_logits=reason[:, CAUSES:CAUSES + 1 + SLOTS],
            cause_distance=20.0 + 10.0 * reason[:, -1],
        )

    @staticmethod
    def _nought(seen: Tensor, size: int) -> Tensor:
        return torch.zeros(seen.shape[0], size, device=seen.device, dtype=seen.dtype)

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


def wider(time_gap: Tensor) -> Tensor:
    """How much more distance is wished for than is usual, -1 to 1 and beyond; 0 without a wish.

    So that less and more pull to different sides of none: as a number, any wish reads as more.
    """
    off = time_gap - USUAL_GAP_S
    scale = torch.where(off < 0.0, 0.5, 1.5)
    return torch.where(time_gap > 0.0, off / scale, 0.0)


def start_from(pilot: Pilot, weights: dict[str, Tensor]) -> list[str]:
    """Take over the weights of a pilot, an earlier and smaller one too; returns what stays new.

    A smaller layer becomes the corner of the larger one, and its rows weigh all that is new with 0:
    so the larger network at first answers as the smaller one did.
    """
    mine = pilot.state_dict()
    new = []
    for name, value in mine.items():
        old = weights.get(name)
        if old is None or old.dim() != value.dim() or any(
            o > v for o, v in zip(old.shape, value.shape, strict=True)
        ):
            new.append(name)
            continue
        corner = tuple(slice(0, n) for n in old.shape)
        if value.dim() == 2 and old.shape != value.shape:
            value[:old.shape[0]] = 0.0
        value[corner] = old
    pilot.load_state_dict(mine)
    return new


def interpolation() -> np.ndarray:
    """(knots, 64) matrix that interpolates linearly from KNOTS_S to the contract's times."""
    basis = np.eye(len(KNOTS_S))
    return np.stack([np.interp(TIMES_S, KNOTS_S, row) for row in basis]).astype(np.float32)
