"""What every exported graph goes through, so that all runtimes take it and none works for nothing.

TensorRT takes uint8 only where it is cast at once; shapes that torch computes in the graph are
constants here; large weights are kept in half precision.
"""

from __future__ import annotations

import numpy as np
import onnx
import onnxscript.optimizer

SMALL = 256
"""Weights of fewer numbers stay in single precision."""
_EVERYTHING = 2**31


def tidy(model: onnx.ModelProto) -> onnx.ModelProto:
    """`model` with its images cast before all else and whatever is constant computed."""
    _cast_first(model.graph)
    inferred = onnx.shape_inference.infer_shapes(model)
    folded = onnxscript.optimizer.optimize(
        inferred, onnx_shape_inference=True,
        input_size_limit=_EVERYTHING, output_size_limit=_EVERYTHING,
    )
    assert isinstance(folded, onnx.ModelProto)
    return folded


def halve_weights(model: onnx.ModelProto) -> onnx.ModelProto:
    """Large float32 weights as float16 behind a Cast, which runtimes fold when they load."""
    graph, casts = model.graph, []
    for weight in graph.initializer:
        values = onnx.numpy_helper.to_array(weight)
        if values.dtype != np.float32 or values.size < SMALL:
            continue
        name = weight.name
        weight.CopyFrom(onnx.numpy_helper.from_array(values.astype(np.float16), f"{name}_half"))
        casts.append(
            onnx.helper.make_node("Cast", [weight.name], [name], to=onnx.TensorProto.FLOAT)
        )
    _replace_nodes(graph, [*casts, *graph.node])
    return model


def save(model: onnx.ModelProto, path: str) -> None:
    """Check and write a graph. Raises onnx's error where it is not a valid one."""
    onnx.checker.check_model(model, full_check=True)
    onnx.save(model, path)


def _cast_first(graph: onnx.GraphProto) -> None:
    """Move the Cast behind uint8 Gather and Transpose nodes to the graph's input."""
    consumers = {name: node for node in graph.node for name in node.input}
    path, tensor = [], "images"
    while (node := consumers[tensor]).op_type in ("Gather", "Transpose"):
        path.append(node)
        tensor = node.output[0]
    if node.op_type != "Cast" or not path:
        return
    path[-1].output[0] = node.output[0]
    node.input[0], node.output[0] = "images", "images_float"
    path[0].input[0] = "images_float"
    _replace_nodes(graph, [node, *(n for n in graph.node if n is not node)])


def _replace_nodes(graph: onnx.GraphProto, nodes: list[onnx.NodeProto]) -> None:
    copies = []
    for node in nodes:
        copy = onnx.NodeProto()
        copy.CopyFrom(node)
        copies.append(copy)
    del graph.node[:]
    graph.node.extend(copies)
