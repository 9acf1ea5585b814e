"""Running one node as a process of its own."""

from __future__ import annotations

import gc
import os
import signal
import sys

import rclpy
from rclpy.experimental import EventsExecutor
from rclpy.impl.implementation_singleton import rclpy_implementation
from rclpy.signals import SignalHandlerOptions

from vla_driving.contract.settings import SettingsError
from vla_driving.nodes.stack_node import StackNode

RCLError: type[Exception] = rclpy_implementation.RCLError


def run(node_class: type[StackNode]) -> None:
    """Make the node and spin until SIGINT or SIGTERM; a bad parameter ends it with one line."""
    asked_to_stop = False

    def stop(_signal: int, _frame: object) -> None:
        nonlocal asked_to_stop
        asked_to_stop = True

    # rclpy's own handlers would raise in the middle of a step.
    rclpy.init(signal_handler_options=SignalHandlerOptions.NO)
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, stop)
    refused = prioritise(node_class)
    try:
        node = node_class()
    except SettingsError as error:
        print(f"error: {error}", file=sys.stderr, flush=True)
        rclpy.try_shutdown()
        raise SystemExit(2) from None
    if refused:
        node.get_logger().info(refused)
    executor = EventsExecutor()
    executor.add_node(node)
    # What lives from here on is young: full collections of the libraries would cost tens of ms.
    gc.collect()
    gc.freeze()
    # spin() of this executor does not return on shutdown in Jazzy; spin_once does.
    while rclpy.ok() and not asked_to_stop:
        try:
            executor.spin_once(timeout_sec=0.5)
        except RCLError as error:
            # A stranger's request for a transition that does not exist must not end the drive.
            node.get_logger().error(f"refused: {error}")
    executor.remove_node(node)
    node.end()
    node.destroy_node()
    rclpy.try_shutdown()


def prioritise(node_class: type[StackNode]) -> str:
    """Take the node's scheduling; says what was not permitted, else empty."""
    try:
        os.nice(node_class.NICENESS)
        if node_class.REAL_TIME:
            os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(node_class.REAL_TIME))
    except PermissionError:
        return (
            "no permission for real-time priority: commands may jitter on a busy computer; "
            "on a car, grant CAP_SYS_NICE or set LimitRTPRIO and LimitNICE"
        )
    return ""
