"""Settings classes as declared ROS parameters: type, unit, range and meaning from their fields.

Values come from config/stack.yaml (or any --params-file and -p); there are no defaults in the code.
All are read-only while the node runs: a car's limits do not change in flight.
"""

from __future__ import annotations

import dataclasses
import typing
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, TypeVar

from rcl_interfaces.msg import FloatingPointRange, IntegerRange, ParameterDescriptor
from rclpy.node import Node
from rclpy.parameter import Parameter

from vla_driving import paths
from vla_driving.contract.rates import Rates
from vla_driving.contract.settings import SettingsError, described, from_mapping
from vla_driving.nodes.real_time import RealTimeSettings

T = TypeVar("T")

NO_MODEL = "none"
_OWNED_BY_ROS = ("use_sim_time", "start_type_description_service")


@dataclasses.dataclass(frozen=True)
class StackSettings:
    """What all nodes share."""

    vehicle: str = described("name of a file in config/vehicles, or a path")
    model: str = described("name of a folder in models, or a path")
    large_model: str = described("the same of a large model beside it, or none")
    cameras: tuple[str, ...] = described("files in config/cameras, paths, or assumed")
    rates: Rates = described("nominal rates; deadlines follow from them")
    real_time: RealTimeSettings = described("what is asked of the operating system")


def named_file(name: str, folder: str) -> Path:
    """A file by its path, or by its name in a folder of config/."""
    is_path = "/" in name or name.endswith(".yaml")
    return Path(name) if is_path else paths.config(f"{folder}/{name}.yaml")


def named_model(name: str) -> Path:
    """A model's folder by its path, or by its name in models/."""
    return Path(name) if "/" in name else paths.model(name)


@dataclasses.dataclass(frozen=True)
class Leaf:
    """One parameter: dotted name, Python type and the metadata of its field."""

    name: str
    type: Any
    metadata: Mapping[str, Any]


def leaves(cls: type, prefix: str = "") -> Iterator[Leaf]:
    """Parameters of a settings class, nested classes flattened to dotted names."""
    hints = typing.get_type_hints(cls)
    for field in dataclasses.fields(cls):
        name, hint = prefix + field.name, hints[field.name]
        if dataclasses.is_dataclass(hint):
            yield from leaves(typing.cast(type, hint), name + ".")
        else:
            yield Leaf(name, hint, field.metadata)


def read(node: Node, *classes: type) -> tuple[Any, ...]:
    """Declare the parameters of the settings classes and return one object of each.

    Raises SettingsError with one line that names node, parameter, value and what is allowed;
    unknown parameters are refused as well.
    """
    known = [leaf for cls in classes for leaf in leaves(cls)]
    given = _given(node)
    where = f"node {node.get_name()}"
    names = {leaf.name for leaf in known}
    for name in given:
        if name not in names and not name.startswith("qos_overrides."):
            raise SettingsError(f"{where}: unknown parameter {name!r}; see docs/parameters.md")
    missing = [leaf.name for leaf in known if leaf.name not in given]
    if missing:
        raise SettingsError(
            f"{where}: parameter {missing[0]!r} is missing: set it in config/stack.yaml "
            "and start with --params-file"
        )
    settings: tuple[Any, ...] = tuple(
        from_mapping(cls, _nested({leaf.name: given[leaf.name] for leaf in leaves(cls)}), where)
        for cls in classes
    )
    for leaf in known:
        value = float(given[leaf.name]) if leaf.type is float else given[leaf.name]
        node.declare_parameter(
            leaf.name, value, descriptor=_descriptor(leaf), ignore_override=True
        )
    return settings


def _given(node: Node) -> dict[str, Any]:
    overrides: dict[str, Parameter] = node._parameter_overrides
    return {
        name: list(p.value) if isinstance(p.value, tuple) else p.value
        for name, p in overrides.items()
        if name not in _OWNED_BY_ROS
    }


def _nested(flat: Mapping[str, Any]) -> dict[str, Any]:
    tree: dict[str, Any] = {}
    for name, value in flat.items():
        *path, last = name.split(".")
        branch = tree
        for part in path:
            branch = branch.setdefault(part, {})
        branch[last] = value
    return tree


def _descriptor(leaf: Leaf) -> ParameterDescriptor:
    unit = leaf.metadata.get("unit", "")
    doc = leaf.metadata.get("doc", "")
    descriptor = ParameterDescriptor(
        description=f"{doc} [{unit}]" if unit else doc, read_only=True
    )
    if allowed := leaf.metadata.get("choices"):
        descriptor.additional_constraints = "one of " + ", ".join(allowed)
    if bounds := leaf.metadata.get("range"):
        low, high = bounds
        if leaf.type is int:
            descriptor.integer_range = [IntegerRange(from_value=int(low), to_value=int(high))]
        elif leaf.type is float:
            descriptor.floating_point_range = [
                FloatingPointRange(from_value=float(low), to_value=float(high))
            ]
    return descriptor
