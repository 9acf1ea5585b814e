"""Writes the pilot as an ONNX graph that takes raw images and answers in the contract's units."""

from __future__ import annotations

from pathlib import Path

import onnx
import torch
from torch import Tensor, nn

from vla_driving.learning.graph import halve_weights, save, tidy
from vla_driving.learning.network import Pilot
from vla_driving.learning.tensors import INPUTS, OUTPUTS, SHAPES

OPSET = 17


class Deployed(nn.Module):
    """The network with the tensors of the model contract, one item a batch."""

    def __init__(self, pilot: Pilot) -> None:
        super().__init__()
        self.pilot = pilot

    def forward(self, images: Tensor, ego: Tensor, navigation: Tensor) -> tuple[Tensor, ...]:
        """Tensors named OUTPUTS from tensors named INPUTS; see SHAPES."""
        image = images[:, 0].permute(0, 3, 1, 2).float() / 255.0
        decoded = self.pilot(image, ego, navigation)
        lines = torch.cat(
            [torch.sigmoid(decoded.line_logits).unsqueeze(-1), decoded.line_offsets], -1
        )
        kind = decoded.class_logits.argmax(-1, keepdim=True).float()
        there = torch.sigmoid(decoded.object_logits).unsqueeze(-1)
        objects = torch.cat([there, decoded.object_numbers, kind], -1)
        return (
            decoded.acceleration,
            decoded.curvature,
            torch.softmax(decoded.mode_logits, 1),
            lines,
            objects,
            decoded.uncertainty,
        )


def example() -> tuple[Tensor, Tensor, Tensor]:
    """Inputs of the right type and shape."""
    return (
        torch.zeros((1, *SHAPES["images"]), dtype=torch.uint8),
        torch.zeros((1, *SHAPES["ego"])),
        torch.zeros((1, *SHAPES["navigation"])),
    )


def export(pilot: Pilot, path: Path) -> None:
    """Write `pilot` to `path` as ONNX, its batch normalisation folded into the convolutions.

    Weights are stored in half precision and computed with in single precision.
    """
    deployed = Deployed(pilot.cpu().float()).eval()
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_suffix(".part")
    torch.onnx.export(
        deployed, example(), str(temporary), input_names=list(INPUTS), output_names=list(OUTPUTS),
        opset_version=OPSET, dynamo=False,
    )
    save(halve_weights(tidy(onnx.load(temporary))), str(temporary))
    temporary.replace(path)


class Named(nn.Module):
    """The deployed network with its outputs by name, as the runtime of programs wants them."""

    def __init__(self, deployed: Deployed) -> None:
        super().__init__()
        self.deployed = deployed

    def forward(self, images: Tensor, ego: Tensor, navigation: Tensor) -> dict[str, Tensor]:
        """Outputs by name; see Deployed."""
        return dict(zip(OUTPUTS, self.deployed(images, ego, navigation), strict=True))


def export_program(pilot: Pilot, path: Path) -> None:
    """Write `pilot` to `path` as a torch.export program, for the torch runtime."""
    named = Named(Deployed(pilot.cpu().float()).eval())
    program = torch.export.export(named, (), dict(zip(INPUTS, example(), strict=True)))
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f"unfinished_{path.name}")
    torch.export.save(program, temporary)
    temporary.replace(path)
