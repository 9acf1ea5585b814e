"""One parameter file for each process, merged from the files and overrides it is started with.

A node takes its parameters under any namespace, and what was said last wins: ROS itself would let a
group named after the node win over a later `-p`, and match that group in the root namespace alone.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import yaml

from vla_driving.contract.settings import SettingsError, read_yaml

EVERY_NODE = "/**"


def merged(files: Iterable[Path], node: str, overrides: Mapping[str, Any]) -> dict[str, Any]:
    """Parameters of a node, nested: groups `/**`, then the node's, file by file, then overrides.

    Overrides have dotted names. Raises SettingsError where a file is no ROS parameter file.
    """
    parameters: dict[str, Any] = {}
    for path in files:
        groups = read_yaml(path)
        for group in (EVERY_NODE, f"{EVERY_NODE}/{node}", f"/{node}", node):
            _add(parameters, _parameters_of(groups.get(group), path, group))
    for name, value in overrides.items():
        *branches, leaf = name.split(".")
        tree: Any = value
        for branch in reversed([*branches, leaf]):
            tree = {branch: tree}
        _add(parameters, tree)
    return parameters


def write(nodes: Mapping[str, Mapping[str, Any]], path: Path) -> None:
    """Write one file with the parameters of each node, that fits whatever namespace they get.

    That of a single node fits whatever name it gets as well.
    """
    alone = len(nodes) == 1
    content = {
        EVERY_NODE if alone else f"{EVERY_NODE}/{node}": {"ros__parameters": dict(parameters)}
        for node, parameters in nodes.items()
    }
    text = yaml.dump(content, Dumper=_WrittenOut, sort_keys=False)
    path.write_text(text, encoding="utf-8")


class _WrittenOut(yaml.SafeDumper):
    """A value that two nodes share is written twice: rcl reads no aliases."""

    def ignore_aliases(self, data: Any) -> bool:
        return True


def _parameters_of(group: Any, path: Path, name: str) -> Mapping[str, Any]:
    if group is None:
        return {}
    parameters = group.get("ros__parameters") if isinstance(group, dict) else None
    if not isinstance(parameters, dict):
        raise SettingsError(f"{path}: group {name!r} has no ros__parameters below it")
    return parameters


def _add(tree: dict[str, Any], more: Mapping[str, Any]) -> None:
    for name, value in more.items():
        if isinstance(value, Mapping) and isinstance(tree.get(name), dict):
            _add(tree[name], value)
        else:
            tree[name] = dict(value) if isinstance(value, Mapping) else value
