"""Running one node as a process of its own."""

from __future__ import annotations

import gc
import sys
from collections.abc import Callable

import rclpy
from rclpy.executors import ExternalShutdownException
from rclpy.experimental import EventsExecutor

from vla_driving.contract.settings import SettingsError
from vla_driving.nodes.stack_node import StackNode


def run(node_class: Callable[[], StackNode]) -> None:
    """Make the node and spin until shutdown; a bad parameter ends it with one line."""
    rclpy.init()
    try:
        node = node_class()
    except SettingsError as error:
        print(f"error: {error}", file=sys.stderr, flush=True)
        rclpy.try_shutdown()
        raise SystemExit(2) from None
    executor = EventsExecutor()
    executor.add_node(node)
    gc.collect()
    gc.freeze()
    try:
        # spin() of this executor does not return on shutdown in Jazzy; spin_once does.
        while rclpy.ok():
            executor.spin_once(timeout_sec=0.5)
    except (KeyboardInterrupt, ExternalShutdownException):
        pass
    finally:
        executor.remove_node(node)
        node.release()
        node.destroy_node()
        rclpy.try_shutdown()
