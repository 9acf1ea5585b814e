"""Moving lifecycle nodes through their states, and a look at who is in the domain."""

from __future__ import annotations

import os
import time
from collections import Counter
from collections.abc import Callable, Iterable
from typing import Any

import rclpy
from lifecycle_msgs.msg import Transition
from lifecycle_msgs.srv import ChangeState
from rclpy.executors import SingleThreadedExecutor
from rclpy.node import Node

CONFIGURE = int(Transition.TRANSITION_CONFIGURE)
ACTIVATE = int(Transition.TRANSITION_ACTIVATE)
DEACTIVATE = int(Transition.TRANSITION_DEACTIVATE)
WORDS = {CONFIGURE: "configure", ACTIVATE: "activate", DEACTIVATE: "deactivate"}

_POLL_S = 0.1


class BringupError(RuntimeError):
    """One line: which node or domain, what is wrong and what to do."""


class LifecycleClient:
    """Asks nodes to change their state; every wait ends early where `alive` says no.

    `alive` may raise to end the wait with its own words.
    """

    def __init__(self, node: Node, executor: SingleThreadedExecutor) -> None:
        self._node = node
        self._executor = executor

    def change(
        self, name: str, transition: int, timeout_s: float, alive: Callable[[], None]
    ) -> bool:
        """Ask the node of this (relative) name; True where it says that it did.

        Raises BringupError where it does not answer in time.
        """
        client = self._node.create_client(ChangeState, f"{name}/change_state")
        try:
            deadline = time.monotonic() + timeout_s
            self._wait(client.service_is_ready, deadline, alive, name, "its services to appear")
            request = ChangeState.Request(transition=Transition(id=transition))
            future = client.call_async(request)
            self._wait(future.done, deadline, alive, name, f"it to {WORDS[transition]}")
            return bool(future.result().success)
        finally:
            self._node.destroy_client(client)

    def _wait(
        self, done: Callable[[], bool], deadline: float, alive: Callable[[], None],
        name: str, what: str,
    ) -> None:
        begin = time.monotonic()
        while not done():
            alive()
            if time.monotonic() > deadline:
                raise BringupError(
                    f"{name}: waited {time.monotonic() - begin:.0f} s for {what}, in vain"
                )
            self._executor.spin_once(timeout_sec=_POLL_S)


def refuse_a_domain_in_use(
    node: Node, executor: SingleThreadedExecutor, names: Iterable[str], listen_s: float
) -> None:
    """Listen to the domain for a while. Raises BringupError where one of the nodes runs already."""
    end = time.monotonic() + listen_s
    while time.monotonic() < end:
        executor.spin_once(timeout_sec=_POLL_S)
    refuse_more_than(0, node, names)


def refuse_more_than(count: int, node: Node, names: Iterable[str]) -> None:
    """Raises BringupError where more than `count` nodes of a name are in this node's namespace.

    The asking node itself may be there once.
    """
    space = node.get_namespace()
    pairs: list[Any] = node.get_node_names_and_namespaces()
    here = Counter(str(name) for name, where in pairs if where == space)
    found = [name for name in names if here[name] > count]
    if here[node.get_name()] > 1:
        found.append(node.get_name())
    if found:
        domain = os.environ.get("ROS_DOMAIN_ID") or "0"
        full = ", ".join(f"{space.rstrip('/')}/{name}" for name in found)
        raise BringupError(
            f"ROS domain {domain} already runs {full}: stop what runs there, "
            "or choose another domain with ROS_DOMAIN_ID (0 to 101)"
        )


def make_node(name: str, namespace: str) -> tuple[Any, Node, SingleThreadedExecutor]:
    """A context of its own, without signal handlers, with a node and an executor in it."""
    context = rclpy.Context()
    rclpy.init(
        args=[], context=context,
        signal_handler_options=rclpy.signals.SignalHandlerOptions.NO,
    )
    node = rclpy.create_node(
        name, namespace=namespace, context=context, use_global_arguments=False,
        enable_rosout=False, start_parameter_services=False,
    )
    executor = SingleThreadedExecutor(context=context)
    executor.add_node(node)
    return context, node, executor
