"""Writes the pilot as an ONNX graph that takes raw images and answers in the contract's units."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import onnx
import torch
from torch import Tensor, nn

from vla_driving.learning.graph import halve_weights, save, tidy
from vla_driving.learning.memory import moved, step
from vla_driving.learning.network import Pilot, PilotSettings, Told
from vla_driving.learning.tensors import MEMORY, MEMORY_POSE, MEMORY_WIDTH, ROUTE_M, SHAPES, TEXT

OPSET = 17
_ALWAYS = ("images", "ego", "navigation")
OUTPUTS = (
    "acceleration", "curvature", "probability", "lane_lines", "objects", "uncertainty", "cause",
    "cause_object", "cause_distance",
)


def inputs_of(settings: PilotSettings) -> tuple[str, ...]:
    """Names of the tensors that a pilot of these parts takes, in order."""
    names = list(_ALWAYS)
    if settings.route:
        names.append("route")
    if settings.text:
        names.append("text")
    names.append("command")
    if settings.memory:
        names += ["motion", "state_tokens", "state_poses"]
    return tuple(names)


def outputs_of(settings: PilotSettings) -> tuple[str, ...]:
    """Names of the tensors that a pilot of these parts answers with, in order."""
    remembered = ("next_state_tokens", "next_state_poses") if settings.memory else ()
    return OUTPUTS + remembered


class Deployed(nn.Module):
    """The network with the tensors of the model contract, one item a batch."""

    def __init__(self, pilot: Pilot) -> None:
        super().__init__()
        self.pilot = pilot
        self.inputs = inputs_of(pilot.settings)
        self.outputs = outputs_of(pilot.settings)

    def forward(self, *tensors: Tensor) -> tuple[Tensor, ...]:
        """Tensors named `outputs` from tensors named `inputs`; see SHAPES."""
        given = dict(zip(self.inputs, tensors, strict=True))
        image = given["images"][:, 0].permute(0, 3, 1, 2).float() / 255.0
        seen = self.pilot.encoder(image)
        tokens, poses = self._memory(given)
        decoded = self.pilot.decide(seen, Told(
            speed=given["ego"], navigation=given["navigation"], command=given["command"],
            route=given.get("route", torch.zeros(1, 3 * len(ROUTE_M))),
            text=given.get("text", torch.zeros(1, TEXT)), tokens=tokens, poses=poses,
        ))
        lines = torch.cat(
            [torch.sigmoid(decoded.line_logits).unsqueeze(-1), decoded.line_offsets], -1
        )
        kind = decoded.class_logits.argmax(-1, keepdim=True).float()
        there = torch.sigmoid(decoded.object_logits).unsqueeze(-1)
        objects = torch.cat([there, decoded.object_numbers, kind], -1)
        answer = (
            decoded.acceleration,
            decoded.curvature,
            torch.softmax(decoded.mode_logits, 1),
            lines,
            objects,
            decoded.uncertainty,
            torch.softmax(decoded.cause_logits, 1),
            torch.softmax(decoded.cause_object_logits, 1),
            decoded.cause_distance.clamp(min=0.0),
        )
        if not self.pilot.settings.memory:
            return answer
        return (*answer, *step(tokens, poses, self.pilot.token(seen)))

    def _memory(self, given: dict[str, Tensor]) -> tuple[Tensor, Tensor]:
        if not self.pilot.settings.memory:
            return torch.zeros(1, MEMORY, MEMORY_WIDTH), torch.zeros(1, MEMORY, MEMORY_POSE)
        return given["state_tokens"], moved(given["state_poses"], given["motion"])


def example(names: Sequence[str]) -> tuple[Tensor, ...]:
    """Inputs of the right type and shape."""
    return tuple(
        torch.zeros((1, *SHAPES[n]), dtype=torch.uint8 if n == "images" else torch.float32)
        for n in names
    )


def export(pilot: Pilot, path: Path) -> None:
    """Write `pilot` to `path` as ONNX, its batch normalisation folded into the convolutions.

    Weights are stored in half precision and computed with in single precision.
    """
    deployed = Deployed(pilot.cpu().float()).eval()
    write_graph(deployed, deployed.inputs, deployed.outputs, path)


def write_graph(
    deployed: nn.Module, inputs: Sequence[str], outputs: Sequence[str], path: Path
) -> None:
    """Write a network of the contract's tensors, tidied, with its weights in half precision."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_suffix(".part")
    torch.onnx.export(
        deployed, example(inputs), str(temporary), input_names=list(inputs),
        output_names=list(outputs), opset_version=OPSET, dynamo=False,
    )
    save(halve_weights(tidy(onnx.load(temporary))), str(temporary))
    temporary.replace(path)


class Named(nn.Module):
    """The deployed network with its outputs by name, as the runtime of programs wants them."""

    def __init__(self, deployed: Deployed) -> None:
        super().__init__()
        self.deployed = deployed

    def forward(self, **tensors: Tensor) -> dict[str, Tensor]:
        """Outputs by name; see Deployed."""
        answer = self.deployed(*(tensors[n] for n in self.deployed.inputs))
        return dict(zip(self.deployed.outputs, answer, strict=True))


def export_program(pilot: Pilot, path: Path) -> None:
    """Write `pilot` to `path` as a torch.export program, for the torch runtime."""
    deployed = Deployed(pilot.cpu().float()).eval()
    given = dict(zip(deployed.inputs, example(deployed.inputs), strict=True))
    program = torch.export.export(Named(deployed), (), given)
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f"unfinished_{path.name}")
    torch.export.save(program, temporary)
    temporary.replace(path)
