"""Whether the car stands, or is the driver's: asked only while the set goes down."""

from __future__ import annotations

import time
from typing import Any

from rclpy.node import Node
from vla_driving_msgs.msg import ControlCommand, VehicleState

from vla_driving.contract.topics import BY_NAME
from vla_driving.nodes.qos import profile

_SILENCE_S = 1.0


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
        if time.monotonic() - self._heard > _SILENCE_S:
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
