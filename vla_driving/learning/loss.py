"""What the pilot is taught: positions, first controls, lane lines, objects, reasons, its doubt."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

from vla_driving.contract.language import Intent
from vla_driving.contract.scene import ObjectClass
from vla_driving.contract.trajectory import TIMES_S
from vla_driving.learning.network import Decoded
from vla_driving.learning.tensors import OBJECT_NUMBERS, STATIONS_M
from vla_driving.learning.unicycle import Motion, integrate

TWO_SECONDS = 19
FIRST_SECOND = 10
OTHER_MODES = 0.35
"""Share of the loss that modes which lost still get, so that none of them dies (relaxed
winner-takes-all, Rupprecht et al. 2017)."""


@dataclass(frozen=True)
class Labels:
    """Truth for a batch of B: speed (B,), acceleration and curvature (B, 64), lane_lines
    (B, 4, 1 + S), objects (B, M, 8), intent in force (B,), cause (B,), the slot of its object
    (B,) and m to it (B,), both -1 for none.

    What is not known is not taught: a probability of an object below 0, a cause below 0.
    """

    speed: Tensor
    acceleration: Tensor
    curvature: Tensor
    lane_lines: Tensor
    objects: Tensor
    intent: Tensor
    cause: Tensor
    cause_object: Tensor
    cause_distance: Tensor


@dataclass(frozen=True)
class Weights:
    """How much each part of the loss counts besides driving."""

    choose: float = 0.2
    doubt: float = 0.1
    lines: float = 0.5
    objects: float = 0.3
    cause: float = 0.2

    def without_scene(self) -> Weights:
        """The same without lane lines and objects."""
        return dataclasses.replace(self, lines=0.0, objects=0.0)


def total_loss(
    decoded: Decoded, labels: Labels, weights: Weights | None = None
) -> tuple[Tensor, dict[str, Tensor]]:
    """Scalar to minimise and its parts.

    Figures among them: `ade`, `position_2s` in m; `velocity` m/s along the road, of the nearest
    thing in the way; `cause_right`, a share.
    """
    weights = weights or Weights()
    truth = integrate(labels.speed, labels.acceleration, labels.curvature)
    speed = labels.speed[:, None].expand(-1, decoded.acceleration.shape[1])
    motion = integrate(speed, decoded.acceleration, decoded.curvature)
    cost = _motion_cost(motion, truth) + _control_cost(decoded, labels)
    best = cost.detach().argmin(1)
    winner = cost.gather(1, best[:, None])[:, 0]
    weight = importance(labels)
    weight = weight / weight.mean()
    drive = (weight * ((1.0 - OTHER_MODES) * winner + OTHER_MODES * cost.mean(1))).mean()
    choose = (weight * functional.cross_entropy(decoded.mode_logits, best, reduction="none")).mean()
    error = chosen_error(decoded, labels)
    doubt = _doubt_cost(decoded.uncertainty, error[:, TWO_SECONDS])
    lines = _line_cost(decoded, labels.lane_lines)
    objects = _object_cost(decoded, labels.objects)
    cause = _cause_cost(decoded, labels)
    total = (
        drive + weights.choose * choose + weights.doubt * doubt + weights.lines * lines
        + weights.objects * objects + weights.cause * cause
    )
    parts = {
        "loss": total, "drive": drive, "choose": choose, "doubt": doubt, "lines": lines,
        "objects": objects, "cause": cause, "ade": error.mean(),
        "position_2s": error[:, TWO_SECONDS].mean(), **_figures(decoded, labels),
    }
    return total, {k: v.detach() for k, v in parts.items()}


def importance(labels: Labels) -> Tensor:
    """(B,) how much a frame counts: bends, braking, obstacles and wishes are rare."""
    soon = slice(0, 2 * FIRST_SECOND)
    bend = labels.curvature[:, soon].abs().amax(1) / 0.03
    braking = -labels.acceleration[:, soon].amin(1) / 2.0
    first = labels.objects[:, 0]
    blocked = first[:, 0] * (first[:, 1] < 40.0)
    small = blocked * (first[:, OBJECT_NUMBERS] >= float(ObjectClass.PEDESTRIAN))
    bend, braking = bend.clamp(0.0, 1.0), braking.clamp(0.0, 1.0)
    wished = (labels.intent != float(Intent.NONE)).to(bend.dtype)
    return 1.0 + 0.7 * bend + 1.5 * braking + blocked + 1.5 * small + wished


@torch.no_grad()
def chosen_error(decoded: Decoded, labels: Labels) -> Tensor:
    """(B, 64) m between the most probable trajectory and the truth."""
    truth = integrate(labels.speed, labels.acceleration, labels.curvature)
    chosen = decoded.mode_logits.argmax(1)[:, None, None].expand(-1, 1, truth.x.shape[1])
    motion = integrate(
        labels.speed, decoded.acceleration.gather(1, chosen)[:, 0],
        decoded.curvature.gather(1, chosen)[:, 0],
    )
    return torch.hypot(motion.x - truth.x, motion.y - truth.y)


def _motion_cost(motion: Motion, truth: Motion) -> Tensor:
    """(B, K) cost; far points count less, since much about them is not yet decided."""
    time = torch.as_tensor(TIMES_S, device=truth.x.device)
    fade = 1.0 / (1.0 + 0.5 * time)
    cos, sin = torch.cos(truth.heading)[:, None], torch.sin(truth.heading)[:, None]
    dx, dy = motion.x - truth.x[:, None], motion.y - truth.y[:, None]
    along = (cos * dx + sin * dy).abs()
    across = (cos * dy - sin * dx).abs()
    heading = (motion.heading - truth.heading[:, None]).abs()
    speed = (motion.speed - truth.speed[:, None]).abs()
    return (fade * (0.4 * along + across + 2.0 * heading + 0.3 * speed)).mean(2)


def _control_cost(decoded: Decoded, labels: Labels) -> Tensor:
    """(B, K) cost of the controls that are carried out before the next plan comes."""
    curvature = decoded.curvature[..., :FIRST_SECOND] - labels.curvature[:, None, :FIRST_SECOND]
    acceleration = (
        decoded.acceleration[..., :FIRST_SECOND] - labels.acceleration[:, None, :FIRST_SECOND]
    )
    return 10.0 * curvature.abs().mean(2) + 0.25 * acceleration.abs().mean(2)


def _doubt_cost(uncertainty: Tensor, error: Tensor) -> Tensor:
    # Two-dimensional Gaussian: the expected squared distance is twice the variance per axis.
    variance = uncertainty**2
    return (torch.log(variance) + 0.5 * error.clamp(max=20.0) ** 2 / variance).mean()


def _line_cost(decoded: Decoded, truth: Tensor) -> Tensor:
    seen = truth[..., 0]
    exists = functional.binary_cross_entropy_with_logits(decoded.line_logits, seen)
    station = torch.tensor(STATIONS_M, device=truth.device)
    fade = 10.0 / (10.0 + station)
    offset = functional.smooth_l1_loss(
        decoded.line_offsets, truth[..., 1:], beta=0.3, reduction="none"
    )
    offset = (offset * fade).mean(2)
    return exists + (offset * seen).sum() / seen.sum().clamp(min=1.0)


_VELOCITIES = torch.arange(OBJECT_NUMBERS - 1) // 2 == 1
"""Of x, y, velocity_x, velocity_y, length, width."""


def _object_cost(decoded: Decoded, truth: Tensor) -> Tensor:
    known = (truth[..., 0] >= 0.0).to(truth.dtype)
    there = truth[..., 0].clamp(min=0.0)
    exists = functional.binary_cross_entropy_with_logits(
        decoded.object_logits, there, weight=known, reduction="sum"
    ) / known.sum().clamp(min=1.0)
    numbers = truth[..., 1:OBJECT_NUMBERS]
    scale = torch.tensor([5.0, 1.0, 2.0, 1.0, 1.0, 0.5], device=truth.device)
    # Far things cannot be placed as exactly as near ones; how fast they are matters as much.
    far = 1.0 + numbers[..., :1].clamp(min=0.0) / 15.0
    fade = torch.where(_VELOCITIES.to(far.device), 1.0, far)
    error = functional.smooth_l1_loss(
        decoded.object_numbers / scale, numbers / scale, reduction="none"
    )
    error = (error / fade).mean(2)
    kind = functional.cross_entropy(
        decoded.class_logits.flatten(0, 1),
        truth[..., OBJECT_NUMBERS].flatten().long(),
        reduction="none",
    ).view_as(there)
    number = there.sum().clamp(min=1.0)
    return exists + ((error + 0.1 * kind) * there).sum() / number


def _cause_cost(decoded: Decoded, labels: Labels) -> Tensor:
    """Cross-entropy of the cause and of its object, and the distance to it where there is one."""
    known = (labels.cause >= 0.0).to(decoded.cause_logits.dtype)
    count = known.sum().clamp(min=1.0)
    what = functional.cross_entropy(
        decoded.cause_logits, labels.cause.clamp(min=0.0).long(), reduction="none"
    )
    which = functional.cross_entropy(
        decoded.cause_object_logits, labels.cause_object.long() + 1, reduction="none"
    )
    placed = known * (labels.cause_distance >= 0.0)
    distance = functional.smooth_l1_loss(
        decoded.cause_distance / 10.0, labels.cause_distance.clamp(0.0, 60.0) / 10.0,
        reduction="none",
    )
    return ((what + 0.5 * which) * known).sum() / count + (
        (distance * placed).sum() / placed.sum().clamp(min=1.0)
    )


def _figures(decoded: Decoded, labels: Labels) -> dict[str, Tensor]:
    moving = labels.objects[:, 0, 0].clamp(min=0.0)
    known = (labels.cause >= 0.0).float()
    velocity = (decoded.object_numbers[:, 0, 2] - labels.objects[:, 0, 3]).abs()
    right = decoded.cause_logits.argmax(1) == labels.cause.long()
    return {
        "velocity": (velocity * moving).sum() / moving.sum().clamp(min=1.0),
        "cause_right": (right * known).sum() / known.sum().clamp(min=1.0),
    }
