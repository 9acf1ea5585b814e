"""Strict reading of YAML settings: nothing unknown, missing or out of range passes.

A dataclass field states its unit, range and meaning beside itself::

    wheelbase: float = quantity("m", 0.5, 10.0, "front to rear axle")

The same fields make the ROS parameters of the nodes and the tables of the docs.
"""

from __future__ import annotations

import dataclasses
import math
import types
import typing
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeVar

import yaml

T = TypeVar("T")


class SettingsError(ValueError):
    """One line that names the file, the key, the value and what is allowed."""


def quantity(unit: str, low: float, high: float, doc: str = "") -> Any:
    """Dataclass field for a number in `unit` within [low, high]."""
    return dataclasses.field(metadata={"unit": unit, "range": (low, high), "doc": doc})


def choice(*allowed: str, doc: str = "") -> Any:
    """Dataclass field for one of `allowed` words."""
    return dataclasses.field(metadata={"choices": allowed, "doc": doc})


def described(doc: str) -> Any:
    """Dataclass field of any other type, with its meaning."""
    return dataclasses.field(metadata={"doc": doc})


def read_yaml(path: Path) -> dict[str, Any]:
    """Mapping at the top of a YAML file. Raises SettingsError where there is none."""
    try:
        content = yaml.load(path.read_text(encoding="utf-8"), _UniqueKeys)  # a SafeLoader
    except FileNotFoundError:
        raise SettingsError(f"{path}: no such file") from None
    except (OSError, UnicodeDecodeError) as error:
        raise SettingsError(f"{path}: cannot be read: {error}") from None
    except yaml.YAMLError as error:
        line = " ".join(str(error).split())
        raise SettingsError(f"{path}: not valid YAML: {line}") from None
    if not isinstance(content, dict):
        raise SettingsError(f"{path}: expected a mapping of keys, got {type(content).__name__}")
    return content


class _UniqueKeys(yaml.SafeLoader):
    """Refuses a key that stands twice in one mapping, where YAML would let the last one win."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        mapping: dict[Any, Any] = {}
        for key_node, _ in node.value:
            key = self.construct_object(key_node, deep=True)
            if key in mapping:
                raise yaml.constructor.ConstructorError(
                    None, None, f"key {key!r} stands twice", key_node.start_mark
                )
            mapping[key] = None
        return super().construct_mapping(node, deep)


def load(cls: type[T], path: Path) -> T:
    """Dataclass `cls` filled from a YAML file. Raises SettingsError."""
    return from_mapping(cls, read_yaml(path), str(path))


def from_mapping(cls: type[T], mapping: Mapping[str, Any], where: str) -> T:
    """Dataclass `cls` filled from a mapping, nested dataclasses included.

    `where` leads the text of a SettingsError. A field with a default may be left out.
    """
    if not isinstance(mapping, Mapping):
        raise SettingsError(f"{where}: expected keys, got {mapping!r}")
    fields = {f.name: f for f in dataclasses.fields(cls)}  # type: ignore[arg-type]
    for key in mapping:
        if key not in fields:
            raise SettingsError(f"{where}: unknown key {key!r}; allowed: {', '.join(fields)}")
    hints = typing.get_type_hints(cls)
    values: dict[str, Any] = {}
    for name, field in fields.items():
        if name in mapping:
            values[name] = _convert(hints[name], mapping[name], field.metadata, f"{where}: {name}")
        elif field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING:
            raise SettingsError(f"{where}: key {name!r} is missing")
    return cls(**values)


def _convert(hint: Any, value: Any, metadata: Mapping[str, Any], where: str) -> Any:
    origin = typing.get_origin(hint)
    if origin in (typing.Union, types.UnionType):
        options = [h for h in typing.get_args(hint) if h is not type(None)]
        return None if value is None else _convert(options[0], value, metadata, where)
    if origin is tuple:
        return _convert_tuple(hint, value, metadata, where)
    if dataclasses.is_dataclass(hint):
        return from_mapping(typing.cast(type, hint), value, where)
    if hint is float:
        return _number(value, metadata, where)
    if hint is int:
        if isinstance(value, bool) or not isinstance(value, int):
            raise SettingsError(f"{where}: expected a whole number, got {value!r}")
        return int(_number(value, metadata, where))
    if hint in (str, bool) and not isinstance(value, hint):
        raise SettingsError(f"{where}: expected {hint.__name__}, got {value!r}")
    allowed = metadata.get("choices")
    if allowed and value not in allowed:
        raise SettingsError(f"{where}: {value!r} is not one of {', '.join(allowed)}")
    return value


def _convert_tuple(
    hint: Any, value: Any, metadata: Mapping[str, Any], where: str
) -> tuple[Any, ...]:
    if not isinstance(value, list | tuple):
        raise SettingsError(f"{where}: expected a list, got {value!r}")
    inner = typing.get_args(hint)
    if len(inner) == 2 and inner[1] is Ellipsis:
        inner = (inner[0],) * len(value)
    if len(inner) != len(value):
        raise SettingsError(f"{where}: expected {len(inner)} entries, got {len(value)}")
    return tuple(
        _convert(h, v, metadata, f"{where}[{i}]")
        for i, (h, v) in enumerate(zip(inner, value, strict=True))
    )


def _number(value: Any, metadata: Mapping[str, Any], where: str) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise SettingsError(f"{where}: expected a finite number, got {value!r}")
    low, high = metadata.get("range", (-math.inf, math.inf))
    if not low <= value <= high:
        unit = metadata.get("unit", "")
        raise SettingsError(f"{where}: {value} is outside {low} to {high} {unit}".rstrip())
    return float(value)
