"""Writes the pilot as an ONNX graph that takes raw images and answers in the contract's units."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import torch
from torch import Tensor, nn

from vla_driving.learning.network import Pilot
from vla_driving.learning.tensors import INPUTS, OUTPUTS, SHAPES

OPSET = 17
SMALL = 256
"""Weights of fewer numbers stay in single precision."""


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
    model = onnx.load(temporary)
    _halve_weights(model.graph)
    onnx.checker.check_model(model, full_check=True)
    onnx.save(model, temporary)
    temporary.replace(path)


def _halve_weights(graph: onnx.GraphProto) -> None:
    """Large float32 initialisers as float16 behind a Cast, which runtimes fold when they load."""
    casts = []
    for weight in graph.initializer:
        values = onnx.numpy_helper.to_array(weight)
        if values.dtype != np.float32 or values.size < SMALL:
            continue
        name = weight.name
        weight.CopyFrom(onnx.numpy_helper.from_array(values.astype(np.float16), f"{name}_half"))
        casts.append(
            onnx.helper.make_node("Cast", [weight.name], [name], to=onnx.TensorProto.FLOAT)
        )
    nodes = [*casts, *graph.node]
    del graph.node[:]
    graph.node.extend(nodes)
