"""Which type each layer of a compiled network computes in, and whether float32 crept in."""

from __future__ import annotations

import fnmatch
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

FLOAT32 = "float32"

_NO_ARITHMETIC = frozenset({
    "CAST", "CONSTANT", "SHUFFLE", "IDENTITY", "GATHER", "SLICE", "CONCATENATION", "SHAPE",
    "UNSQUEEZE", "SQUEEZE", "ASSERTION", "Reformat", "Constant", "NoOp", "Signal", "Wait",
})
"""Layers that move or convert values: they may hand over float32 at the network's rim."""
_NAMES = {
    "FLOAT": FLOAT32, "HALF": "float16", "BF16": "bfloat16", "INT8": "int8", "FP8": "float8",
    "INT32": "int32", "INT64": "int64", "BOOL": "bool", "UINT8": "uint8", "FP4": "float4",
    "INT4": "int4",
}
_FORMAT_WORDS = (
    ("fp32", FLOAT32), ("float", FLOAT32), ("fp16", "float16"), ("half", "float16"),
    ("bf16", "bfloat16"), ("fp8", "float8"), ("int8", "int8"), ("int32", "int32"),
    ("int64", "int64"), ("uint8", "uint8"), ("bool", "bool"),
)


@dataclass(frozen=True)
class LayerType:
    """One layer: name, kind in the words of the library, types of what it puts out."""

    name: str
    kind: str
    types: tuple[str, ...]


def crept_in(
    layers: Iterable[LayerType], precision: str, allowed: Sequence[str] = ()
) -> list[LayerType]:
    """Layers that compute in float32 in a network of another precision, the allowed ones left out.

    `allowed` are patterns of names as in a shell.
    """
    if precision == FLOAT32:
        return []
    return [
        layer for layer in layers
        if FLOAT32 in layer.types and layer.kind not in _NO_ARITHMETIC
        and not any(fnmatch.fnmatchcase(layer.name, pattern) for pattern in allowed)
    ]


def counted(layers: Iterable[LayerType]) -> dict[tuple[str, tuple[str, ...]], int]:
    """How many layers there are of each kind and type, most first."""
    found: dict[tuple[str, tuple[str, ...]], int] = {}
    for layer in layers:
        found[layer.kind, layer.types] = found.get((layer.kind, layer.types), 0) + 1
    return dict(sorted(found.items(), key=lambda item: -item[1]))


def of_network(network: Any) -> tuple[LayerType, ...]:
    """Layers of a strongly typed TensorRT network, before it is built: needs no GPU."""
    layers = []
    for i in range(network.num_layers):
        layer = network.get_layer(i)
        types = tuple(
            _NAMES.get(layer.get_output(k).dtype.name, layer.get_output(k).dtype.name)
            for k in range(layer.num_outputs)
        )
        layers.append(LayerType(layer.name, layer.type.name, types))
    return tuple(layers)


def of_engine(information: str) -> tuple[LayerType, ...]:
    """Layers of a built TensorRT engine from its inspector's JSON, versions 10 and 11.

    Version 10 names a tensor's type within "Format/Datatype", 11 in "DataType" of its own.
    Outputs of the network are float32 by contract and left out of a layer's types. Raises
    ValueError where the text is not the inspector's.
    """
    content = json.loads(information)
    rim = {t if isinstance(t, str) else t.get("Name", "")
           for t in content.get("Bindings", content.get("I/O Tensors", []))}
    layers = []
    for layer in content["Layers"]:
        if isinstance(layer, str):
            raise ValueError("the engine was built without detailed profiling: no types in it")
        outputs = [t for t in layer.get("Outputs", []) if t.get("Name") not in rim]
        layers.append(LayerType(
            layer.get("Name", "?"), layer.get("LayerType", "?"),
            tuple(_tensor_type(t) for t in outputs),
        ))
    return tuple(layers)


def _tensor_type(tensor: Mapping[str, Any]) -> str:
    said = str(tensor.get("DataType") or tensor.get("Format/Datatype") or "?")
    lowered = said.lower()
    return next((name for word, name in _FORMAT_WORDS if word in lowered), said)


def of_openvino(model: Any) -> tuple[LayerType, ...]:
    """Layers of the graph that OpenVINO runs (`CompiledModel.get_runtime_model`)."""
    names = {"f32": FLOAT32, "f16": "float16", "bf16": "bfloat16", "i8": "int8", "u8": "int8"}
    layers = []
    for operation in model.get_ops():
        info = operation.get_rt_info()
        kind, said = (str(info[k].astype(str)) for k in ("layerType", "runtimePrecision"))
        name = operation.get_friendly_name()
        layers.append(LayerType(name, kind, (names.get(said, said),)))
    return tuple(layers)
