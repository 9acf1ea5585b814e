"""Whether the car stands, or is the driver's, and bringing it to rest: while the set goes down."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import rclpy
from rclpy.executors import SingleThreadedExecutor
from rclpy.node import Node
from vla_driving_msgs.msg import ControlCommand, VehicleState

from vla_driving.bringup.lifecycle import (
    DEACTIVATE,
    BringupError,
    LifecycleClient,
    make_node,
)
from vla_driving.contract.topics import BY_NAME
from vla_driving.nodes.qos import profile

PROPOSES = "vla_inference"
"""Taken away, the checker brings an engaged car to rest."""
_SILENCE_S = 1.0
_MEET_S = 3.5
"""A node that is new to the domain may hear the others only then."""
_POLL_S = 0.1


class CarWatch:
    """Listens to the vehicle's state and the commands, below `namespace` or the node's own."""

    def __init__(self, node: Node, namespace: str = "") -> None:
        self._node = node
        self._heard = time.monotonic()
        self._state: Any = None
        self._command: Any = None
        prefix = namespace.rstrip("/") + "/" if namespace else ""
        self._readers = [
            node.create_subscription(kind, prefix + name, take, profile(BY_NAME[name].delivery))
            for kind, name, take in (
                (VehicleState, "vehicle/state", self._take_state),
                (ControlCommand, "vla/control_command", self._take_command),
            )
        ]

    @property
    def informed(self) -> bool:
        """Whether both have been heard."""
        return self._state is not None and self._command is not None

    @property
    def settled(self) -> bool:
        """The car stands, or it is the driver's, or there is none that reports any more."""
        silence_s = _MEET_S if self._state is None else _SILENCE_S
        if time.monotonic() - self._heard > silence_s:
            return True
        if self._state is None:
            return False
        ours = self._command is None or self._command.engaged
        return bool(self._state.standstill) or not ours

    def close(self) -> None:
        """Listen no more."""
        for reader in self._readers:
            self._node.destroy_subscription(reader)

    def _take_state(self, message: Any) -> None:
        self._state, self._heard = message, time.monotonic()

    def _take_command(self, message: Any) -> None:
        self._command = message


def engaged_and_moving(
    node: Node, executor: SingleThreadedExecutor, hear_s: float = _MEET_S
) -> bool:
    """Whether the stack moves the car now; listens until it knows, for at most `hear_s`."""
    car = CarWatch(node)
    end = time.monotonic() + hear_s
    while time.monotonic() < end and not car.informed:
        executor.spin_once(timeout_sec=_POLL_S)
    moving = car.informed and not car.settled
    car.close()
    return moving


def bring_to_rest(namespace: str, grace_s: float, say: Callable[[str], None]) -> None:
    """Take the doer away where the car is engaged and moves; returns when it stands, or in time.

    With a ROS node of its own, for whoever has none that still spins. `say` takes a line.
    """
    context, node, executor = make_node("stopping", namespace)
    try:
        if not engaged_and_moving(node, executor, _MEET_S):
            return
        say("stopping the car first")
        client = LifecycleClient(node, executor)
        try:
            client.change(PROPOSES, DEACTIVATE, _MEET_S, lambda: None)
        except BringupError as error:
            say(str(error))
        car = CarWatch(node)
        end = time.monotonic() + grace_s
        while time.monotonic() < end and not car.settled:
            executor.spin_once(timeout_sec=_POLL_S)
        say("the car stands" if car.settled else "the car was not seen standing")
    finally:
        executor.shutdown()
        node.destroy_node()
        rclpy.shutdown(context=context)
