"""What each node asks for, and the names of several nodes in one process."""

import pytest

pytest.importorskip("rclpy", reason="needs ROS 2")

from vla_driving.nodes.controller_bridge import ControllerBridgeNode
from vla_driving.nodes.event_recorder import EventRecorder
from vla_driving.nodes.process import own_arguments
from vla_driving.nodes.safety_monitor import SafetyMonitorNode
from vla_driving.nodes.simulator import Simulator

LAUNCHED = ["x", "--ros-args", "-r", "__node:=vla_inference", "-r", "__ns:=/car"]


def test_who_is_nearer_to_the_actuators_comes_first() -> None:
    nodes = (ControllerBridgeNode, SafetyMonitorNode, EventRecorder, Simulator)
    priorities = [node.REAL_TIME for node in nodes]
    assert priorities == sorted(priorities, reverse=True) and priorities[-1] == 0
    assert Simulator.NICENESS >= 0, "the simulator is put before nobody"


def test_one_name_does_not_rename_several_nodes() -> None:
    assert own_arguments(LAUNCHED, 2) == ["x", "--ros-args", "-r", "__ns:=/car"]
    assert own_arguments(LAUNCHED, 1) == LAUNCHED
