"""A node's scheduling is asked for, and what is not permitted is said."""

import os
from typing import Any

import pytest

pytest.importorskip("rclpy", reason="needs ROS 2")

from vla_driving.nodes.controller_bridge import ControllerBridgeNode
from vla_driving.nodes.process import prioritise
from vla_driving.nodes.simulator import Simulator


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """What was asked of the system, which grants everything and changes nothing."""
    calls: dict[str, Any] = {}
    monkeypatch.setattr(os, "nice", lambda n: calls.update(nice=n))
    monkeypatch.setattr(
        os, "sched_setscheduler",
        lambda _, policy, param: calls.update(policy=policy, priority=param.sched_priority),
    )
    return calls


def test_the_bridge_asks_for_real_time(asked: dict[str, Any]) -> None:
    assert prioritise(ControllerBridgeNode) == ""
    assert asked["policy"] == os.SCHED_FIFO
    assert asked["priority"] == ControllerBridgeNode.REAL_TIME > 0


def test_the_simulator_gives_way(asked: dict[str, Any]) -> None:
    assert prioritise(Simulator) == ""
    assert asked == {"nice": Simulator.NICENESS} and Simulator.NICENESS > 0


def test_what_is_not_permitted_is_said(
    asked: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise PermissionError

    monkeypatch.setattr(os, "sched_setscheduler", refuse)
    assert "CAP_SYS_NICE" in prioritise(ControllerBridgeNode)
