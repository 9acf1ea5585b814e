"""Running one node as a process of its own, or several in one."""

from __future__ import annotations

import signal
import sys
import threading
from collections.abc import Iterable

import rclpy
from rclpy.experimental import EventsExecutor
from rclpy.impl.implementation_singleton import rclpy_implementation
from rclpy.signals import SignalHandlerOptions

from vla_driving.contract.settings import SettingsError
from vla_driving.nodes import real_time
from vla_driving.nodes.handover import Handover
from vla_driving.nodes.stack_node import StackNode

RCLError: type[Exception] = rclpy_implementation.RCLError

SWITCH_S = 0.0005
"""How soon a thread that computes gives the interpreter to another one; Python waits 5 ms."""
_CALLING_THREAD = (0,)


def run(*node_classes: type[StackNode], handed_over: Iterable[str] = ()) -> None:
    """Make the nodes and spin until SIGINT or SIGTERM; a bad parameter ends it with one line.

    Each node has an executor and a thread of its own, the first one the main thread; the topics
    `handed_over` go from one to another in memory.
    """
    stop = threading.Event()

    def ask_to_stop(_signal: int, _frame: object) -> None:
        stop.set()

    # rclpy's own handlers would raise in the middle of a step.
    rclpy.init(
        args=own_arguments(sys.argv, len(node_classes)),
        signal_handler_options=SignalHandlerOptions.NO,
    )
    for number in (signal.SIGINT, signal.SIGTERM):
        # ROS's launch has SIGINT ignored: it first stops the car.
        if signal.getsignal(number) != signal.SIG_IGN:
            signal.signal(number, ask_to_stop)
    handovers = {topic: Handover() for topic in handed_over}
    try:
        workers = [_Worker(node_class(handovers), stop) for node_class in node_classes]
        # Also the threads of DDS, which all nodes of a process share.
        workers[0].schedule(real_time.threads_of_process())
    except SettingsError as error:
        print(f"error: {error}", file=sys.stderr, flush=True)
        rclpy.try_shutdown()
        raise SystemExit(2) from None
    sys.setswitchinterval(min(SWITCH_S, sys.getswitchinterval()))
    threads = [threading.Thread(target=w.work_alone, name=w.node.NAME) for w in workers[1:]]
    for thread in threads:
        thread.start()
    workers[0].work()
    for thread in threads:
        thread.join()
    for worker in workers:
        worker.end()
    rclpy.try_shutdown()


def own_arguments(arguments: list[str], nodes: int) -> list[str]:
    """The command line less the one name that ROS's launch gives, where there are several nodes."""
    kept: list[str] = []
    for argument in arguments:
        if nodes > 1 and argument.startswith("__node:=") and kept[-1:] in (["-r"], ["--remap"]):
            kept.pop()
        else:
            kept.append(argument)
    return kept


class _Worker:
    """One node with its executor."""

    def __init__(self, node: StackNode, stop: threading.Event) -> None:
        self.node = node
        self._stop = stop
        self._executor = EventsExecutor()
        self._executor.add_node(node)
        self._guard: real_time.Guard | None = None
        real_time.parse_cpus(node.stack.real_time.cpus)

    def schedule(self, threads: Iterable[int]) -> None:
        """Take the node's real-time options for these threads. Raises SettingsError."""
        node = self.node
        node.real_time = real_time.take(
            node.stack.real_time, node.NICENESS, node.REAL_TIME, threads
        )
        node.get_logger().info(node.real_time.line)
        if remedy := node.real_time.remedy:
            node.get_logger().info(remedy)
        if node.real_time.first:
            self._guard = real_time.Guard(node.REAL_TIME, node.lost_real_time)

    def work_alone(self) -> None:
        """Work in the calling thread, which is this node's own."""
        self.schedule(_CALLING_THREAD)
        self.work()

    def work(self) -> None:
        """Spin until asked to stop."""
        # spin() of this executor does not return on shutdown in Jazzy; spin_once does.
        while rclpy.ok() and not self._stop.is_set():
            try:
                self._executor.spin_once(timeout_sec=0.5)
            except RCLError as error:
                # A stranger's request for a transition that does not exist ends no drive.
                self.node.get_logger().error(f"refused: {error}")

    def end(self) -> None:
        """Let go of everything."""
        if self._guard is not None:
            self._guard.stop()
        self._executor.remove_node(self.node)
        self.node.end()
        self.node.destroy_node()
