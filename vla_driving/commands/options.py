"""Options that several commands share, and what they mean for the parameters of the nodes."""

from __future__ import annotations

import argparse
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from vla_driving import paths
from vla_driving.bringup.child import StartOptions
from vla_driving.bringup.processes import PROCESSES, SLOW_MODEL

_ALL = (*PROCESSES, SLOW_MODEL)
Overrides = dict[str, dict[str, Any]]


def add_stack_options(parser: argparse.ArgumentParser) -> None:
    """--params, --set, --vehicle, --model, --namespace."""
    parser.add_argument(
        "--params", type=Path, action="append", default=[], metavar="FILE",
        help="parameter file on top of config/stack.yaml; may be given several times",
    )
    parser.add_argument(
        "--set", action="append", default=[], metavar="NODE.NAME=VALUE", dest="settings",
        help="one parameter, for instance safety_monitor.driver.requirement=L4",
    )
    parser.add_argument("--vehicle", help="name in config/vehicles, or a path")
    parser.add_argument("--model", help="name in models, or a path")
    parser.add_argument("--namespace", default="/", help="put every node and topic below it")


def add_separate_option(parser: argparse.ArgumentParser) -> None:
    """--separate."""
    parser.add_argument(
        "--separate", action="store_true",
        help="camera_ingest and vla_inference in a process each, frames over DDS between them",
    )


def start_options(arguments: argparse.Namespace, out: Path, extra: Overrides) -> StartOptions:
    """What the supervisor starts the nodes with. Raises ValueError for a bad --set."""
    overrides: Overrides = {node: {} for process in _ALL for node in process.nodes}
    shared = {
        "vehicle": arguments.vehicle, "model": arguments.model,
        "large_model": getattr(arguments, "large_model", None),
    }
    for group in overrides.values():
        group.update({name: value for name, value in shared.items() if value is not None})
    for source in (extra, _settings(arguments.settings, overrides)):
        for node, group in source.items():
            overrides[node].update(group)
    return StartOptions(
        params_files=(paths.config("stack.yaml"), *arguments.params),
        log_folder=out / "log",
        namespace=arguments.namespace,
        overrides=overrides,
    )


def for_every_node(values: Mapping[str, Any]) -> Overrides:
    """The same parameters for all nodes."""
    return {node: dict(values) for process in _ALL for node in process.nodes}


def fresh_folder(parent: Path) -> Path:
    """A folder named by the time now, in UTC."""
    return parent / time.strftime("%Y%m%dT%H%M%SZ", time.gmtime())


def _settings(settings: list[str], nodes: Mapping[str, object]) -> Overrides:
    found: Overrides = {}
    for setting in settings:
        name, equals, text = setting.partition("=")
        node, dot, parameter = name.partition(".")
        if not (equals and dot and node in nodes):
            raise ValueError(
                f"--set {setting}: expected NODE.NAME=VALUE with NODE one of {', '.join(nodes)}"
            )
        try:
            found.setdefault(node, {})[parameter] = yaml.safe_load(text)
        except yaml.YAMLError:
            raise ValueError(f"--set {setting}: {text!r} is not a YAML value") from None
    return found
