"""The checker shares nothing with the doer, and nothing switches it off."""

from __future__ import annotations

import ast
import dataclasses
from pathlib import Path

import pytest

import vla_driving
from vla_driving.bringup.processes import PROCESSES
from vla_driving.contract.settings import from_mapping, read_yaml
from vla_driving.nodes.parameters import leaves
from vla_driving.safety.checks import CANDIDATE_CHECKS, CHECKS, STATE_CHECKS
from vla_driving.safety.settings import SafetyMonitorSettings

CODE = Path(vla_driving.__file__).parent
OWN = {"vla_driving.contract"}


def imported(room: str) -> set[str]:
    """Modules that a room imports, by their first two names."""
    found = set()
    for path in (CODE / room).rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            names = [a.name for a in node.names] if isinstance(node, ast.Import) else []
            if isinstance(node, ast.ImportFrom):
                assert node.level == 0
                names = [node.module or ""]
                if node.module == "vla_driving":
                    names = [f"vla_driving.{alias.name}" for alias in node.names]
            found |= {".".join(name.split(".")[:2]) for name in names}
    return found


@pytest.mark.requirement("SR-27")
@pytest.mark.parametrize("room", ["safety", "control"])
def test_monitor_and_bridge_know_nothing_but_the_vocabulary(room: str) -> None:
    ours = {name for name in imported(room) if name.startswith("vla_driving")}
    assert ours == OWN | {f"vla_driving.{room}"}
    others = {name.split(".")[0] for name in imported(room)} - {"vla_driving"}
    assert not others & {"torch", "onnxruntime", "openvino", "tensorrt", "rclpy"}


@pytest.mark.requirement("SR-27")
def test_monitor_bridge_and_doer_are_processes_of_their_own() -> None:
    parts = {"vla_inference", "safety_monitor", "controller_bridge"}
    homes = [parts.intersection(process.nodes) for process in PROCESSES]
    assert set().union(*homes) == parts
    assert all(len(home) <= 1 for home in homes)


@pytest.mark.requirement("SR-28")
def test_no_setting_switches_a_check_off() -> None:
    flags = [leaf.name for leaf in leaves(SafetyMonitorSettings) if leaf.type is bool]
    assert all(name.endswith("_required") for name in flags)
    assert len({check.name for check in CHECKS}) == len(CHECKS)
    assert set(CHECKS) == {*STATE_CHECKS, *CANDIDATE_CHECKS}


@pytest.mark.requirement("SR-28")
def test_every_source_of_this_car_but_navigation_is_required_as_shipped() -> None:
    stack = read_yaml(CODE.parent / "config/stack.yaml")["safety_monitor"]["ros__parameters"]
    shipped = from_mapping(SafetyMonitorSettings, stack, "config/stack.yaml").inputs
    required = {
        item.name for item in dataclasses.fields(shipped)
        if item.name.endswith("_required") and not getattr(shipped, item.name)
    }
    assert required <= {"route_required"}
