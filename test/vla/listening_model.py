"""A tiny real network with every optional input: what goes in can be read off its answer.

Curvature: 0.01 times the token's first number plus 0.05 times y of the route's only point.
Acceleration: the time gap. Uncertainty: seconds since the memory began. Memory: the sum of motions.
"""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest

from vla_driving.vla.manifest import Model, StateTensor, load_model, save_manifest

from .tiny_model import CANDIDATES, HEIGHT, PROBABILITY, WIDTH, manifest

TOKEN = 4
ROUTE_M = (20.0,)


def listening_model(folder: Path) -> Model:
    """Write the model into `folder`."""
    onnx = pytest.importorskip("onnx", reason="the package onnx is needed to make test networks")
    helper, types = onnx.helper, onnx.TensorProto
    node = helper.make_node
    spread = np.ones((1, CANDIDATES, 64), np.float32)
    cause = np.eye(12, dtype=np.float32)[[3]]
    constants = {
        "spread": spread, "first": np.array([0], np.int64), "second": np.array([1], np.int64),
        "fourth": np.array([3], np.int64), "some": np.array([[[0.01]]], np.float32),
        "more": np.array([[[0.05]]], np.float32), "chance": PROBABILITY, "why": cause,
        "one": np.array([1], np.int64),
    }
    nodes = [
        node("Cast", ["images"], ["pixels"], to=types.FLOAT),
        node("ReduceMean", ["pixels"], ["mean"], axes=[1, 2, 3, 4], keepdims=0),
        node("ReduceSum", ["navigation"], ["sum"], keepdims=0),
        node("ReduceSum", ["ego"], ["ego_sum"], keepdims=0),
        node("Add", ["mean", "sum"], ["all"]),
        node("Add", ["all", "ego_sum"], ["everything"]),
        node("Sub", ["everything", "everything"], ["nought"]),
        node("Gather", ["text", "first"], ["word"], axis=1),
        node("Mul", ["word", "some"], ["bend"]),
        node("Gather", ["route", "second"], ["left"], axis=1),
        node("Mul", ["left", "more"], ["way"]),
        node("Add", ["bend", "way"], ["wanted"]),
        node("Mul", ["wanted", "spread"], ["curvature"]),
        node("Mul", ["command", "spread"], ["acceleration"]),
        node("Add", ["state_way", "motion"], ["next_state_way"]),
        node("Gather", ["next_state_way", "fourth"], ["since"], axis=1),
        node("Reshape", ["since", "one"], ["uncertainty"]),
        node("Add", ["chance", "nought"], ["probability"]),
        node("Add", ["why", "nought"], ["cause"]),
    ]
    info = helper.make_tensor_value_info
    sizes = {"ego": 1, "navigation": 8, "route": 3, "text": TOKEN, "command": 1, "motion": 4,
             "state_way": 4}
    outputs = {
        "acceleration": list(spread.shape), "curvature": list(spread.shape),
        "probability": [1, CANDIDATES], "uncertainty": [1], "cause": [1, 12],
        "next_state_way": [1, 4],
    }
    graph = helper.make_graph(
        nodes, "listening",
        [info("images", types.UINT8, [1, 1, HEIGHT, WIDTH, 3]),
         *(info(n, types.FLOAT, [1, size]) for n, size in sizes.items())],
        [info(n, types.FLOAT, shape) for n, shape in outputs.items()],
        [onnx.numpy_helper.from_array(v, n) for n, v in constants.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)
    onnx.checker.check_model(model)
    onnx.save(model, folder / "tiny.onnx")
    plain = manifest()
    inputs = dataclasses.replace(
        plain.inputs, text=TOKEN, text_encoder="words", command=("time_gap",), route_m=ROUTE_M,
        motion=("dx", "dy", "dyaw", "dt"), states=(StateTensor("way", (1, 4)),),
    )
    answers = dataclasses.replace(
        plain.outputs, lane_lines=None, lane_stations_m=(), objects=None, cause=(1, 12)
    )
    save_manifest(manifest(inputs=inputs, outputs=answers), folder)
    return load_model(folder)
