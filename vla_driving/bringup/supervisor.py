"""The small supervisor behind `vla-driving up`: for machines without ROS's launch.

It starts a set of the table, configures and activates the lifecycle nodes in order, watches, tells
who died, lets the others stop the car, and shuts down in order with nothing left over.
"""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable
from dataclasses import dataclass
from types import FrameType, TracebackType
from typing import Any

import rclpy
from rclpy.node import Node

from vla_driving.bringup import environment
from vla_driving.bringup.child import Child, StartOptions
from vla_driving.bringup.lifecycle import (
    ACTIVATE,
    CONFIGURE,
    DEACTIVATE,
    WORDS,
    BringupError,
    LifecycleClient,
    make_node,
    refuse_a_domain_in_use,
    refuse_more_than,
)
from vla_driving.bringup.processes import Death, Process
from vla_driving.bringup.standstill import PROPOSES, CarWatch, engaged_and_moving
from vla_driving.contract.events import DriveEvent, Severity
from vla_driving.contract.messages import to_message
from vla_driving.contract.topics import BY_NAME
from vla_driving.nodes.qos import profile

NAME = "supervisor"
_LAST_WORDS_S = 10.0
_POLL_S = 0.1
# Fast DDS repeats itself every 3 s; the names of idle nodes were seen after up to 3.3 s.
_DISCOVERY_S = 3.5
_ACTIVATE_TIMEOUT_S = 60.0
_DEACTIVATE_TIMEOUT_S = 5.0
_PATIENCE_S = 5.0


@dataclass(frozen=True)
class Obituary:
    """A process that ended without being asked to."""

    process: Process
    return_code: int
    cause: str

    @property
    def line(self) -> str:
        """Who, how, what it said last, and what becomes of the car."""
        return f"{self.process.name} died: {self.cause}; {self.process.consequence}"


class Supervisor:
    """`with Supervisor(rows, options) as supervisor: supervisor.start(); supervisor.watch()`.

    Leaving the block shuts everything down. SIGINT and SIGTERM end `start` and `watch`; a second
    one ends the wait for the car to stand as well. To be used in the main thread.
    """

    def __init__(
        self,
        processes: tuple[Process, ...],
        options: StartOptions,
        grace_s: float = 10.0,
        listen_s: float = 1.0,
        show: Callable[[str], None] = print,
        stop_car_first: bool = True,
    ) -> None:
        """`grace_s`: how long the car may take to stand after a death or an interrupt.

        `listen_s`: how long to look for nodes of the same names in the domain. `show` takes a line.
        `stop_car_first`: bring an engaged car to rest before going down; not for a simulated one
        that ends with the set.
        """
        self._processes = processes
        self._options = options
        self._grace_s = grace_s
        self._listen_s = listen_s
        self._show = show
        self._stop_car_first = stop_car_first
        self._children: list[Child] = []
        self._mourned: set[str] = set()
        self._signals = 0
        self._up = False
        self._old_handlers: dict[int, Any] = {}
        self._context: Any = None
        self.deaths: list[Obituary] = []

    def __enter__(self) -> Supervisor:
        environment.prepare_own()
        self._context, self._node, self._executor = make_node(NAME, self._options.namespace)
        self._lifecycle = LifecycleClient(self._node, self._executor)
        row = BY_NAME["vla/event"]
        message = type(to_message(_event("", 0.0, "", 0)))
        self._events = self._node.create_publisher(message, row.name, profile(row.delivery))
        for number in (signal.SIGINT, signal.SIGTERM):
            self._old_handlers[number] = signal.signal(number, self._on_signal)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        try:
            self._shut_down()
        finally:
            for number, handler in self._old_handlers.items():
                signal.signal(number, handler)
            self._executor.shutdown()
            self._node.destroy_node()
            rclpy.shutdown(context=self._context)

    @property
    def node(self) -> Node:
        """The supervisor's own ROS node; it spins in `watch`."""
        return self._node

    @property
    def pids(self) -> tuple[int, ...]:
        """Process ids of those that still run."""
        return tuple(child.pid for child in self._children if child.running)

    @property
    def interrupted(self) -> bool:
        """Whether SIGINT or SIGTERM has come."""
        return self._signals > 0

    def start(self) -> None:
        """Start, configure and activate everything. Raises BringupError with one line.

        Returns early where it is interrupted.
        """
        self._options.check()
        self._options.log_folder.mkdir(parents=True, exist_ok=True)
        names = [node for process in self._processes for node in process.nodes]
        heard_all = time.monotonic() + _DISCOVERY_S
        refuse_a_domain_in_use(self._node, self._executor, names, self._listen_s)
        surroundings = environment.child_environment(os.environ, self._options.log_folder)
        for process in self._processes:
            self._children.append(Child(process, self._options, surroundings, self._show))
        try:
            # A second look before anything moves: some are heard late, and meanwhile ours start.
            while time.monotonic() < heard_all:
                self._executor.spin_once(timeout_sec=_POLL_S)
                self._all_alive()
            refuse_more_than(1, self._node, names)
            managed = [
                (c, n) for c in self._children if c.process.lifecycle for n in c.process.nodes
            ]
            for child, node in managed:
                self._bring_up(child, node, CONFIGURE, child.process.configure_timeout_s)
            for child, node in managed:
                self._bring_up(child, node, ACTIVATE, _ACTIVATE_TIMEOUT_S)
        except _Interrupted:
            return
        self._up = True
        self._show(f"[{NAME}] all {len(self._children)} processes are up and active")

    def watch(self, until: Callable[[], bool] = lambda: False) -> None:
        """Watch until `until` says so, a signal comes, or a death ends the drive.

        Deaths are told at once and kept in `deaths`; where the drive cannot go on without the
        process, the others get the grace time to bring the car to a standstill.
        """
        while not self.interrupted and not until():
            self._executor.spin_once(timeout_sec=_POLL_S)
            found = self._find_deaths()
            if any(dead.process.death == Death.END for dead in found):
                return
            if any(dead.process.death == Death.STOP for dead in found):
                self._wait_for_standstill(until)
                return

    def deactivate(self, name: str) -> None:
        """Have one node pause. Raises BringupError where it does not answer."""
        self._lifecycle.change(name, DEACTIVATE, _ACTIVATE_TIMEOUT_S, self._all_alive)

    def _bring_up(self, child: Child, name: str, transition: int, timeout_s: float) -> None:
        if not self._lifecycle.change(name, transition, timeout_s, self._all_alive):
            # What it has said about it may still be in the pipe.
            until = time.monotonic() + _LAST_WORDS_S
            while not (why := child.output.complaint()) and time.monotonic() < until:
                self._executor.spin_once(timeout_sec=_POLL_S)
            why = why or f"see {self._options.log_folder / f'{child.process.name}.log'}"
            raise BringupError(f"{name} did not {WORDS[transition]}: {why}")

    def _all_alive(self) -> None:
        if self.interrupted:
            raise _Interrupted
        for child in self._children:
            if not child.running:
                raise BringupError(f"{child.process.name} {child.cause_of_death()}")

    def _find_deaths(self) -> list[Obituary]:
        found = []
        for child in self._children:
            name = child.process.name
            if child.running or name in self._mourned:
                continue
            self._mourned.add(name)
            dead = Obituary(child.process, child.return_code, child.cause_of_death())
            found.append(dead)
            self._show(f"[{NAME}] {dead.line}")
            stamp_ns = int(self._node.get_clock().now().nanoseconds)
            event = _event(name, float(dead.return_code), dead.line, stamp_ns)
            self._events.publish(to_message(event))
        self.deaths += found
        return found

    def _wait_for_standstill(self, until: Callable[[], bool] = lambda: False) -> None:
        signals = self._signals
        car = CarWatch(self._node)
        end = time.monotonic() + self._grace_s
        while time.monotonic() < end and self._signals == signals and not until():
            self._executor.spin_once(timeout_sec=_POLL_S)
            self._find_deaths()
            if car.settled:
                break
        else:
            self._show(f"[{NAME}] the car was not seen standing; going down all the same")
        car.close()

    def _stop_the_car(self) -> None:
        """Take the doer away: the checker then brings an engaged car to rest."""
        doer = next((c for c in self._children if PROPOSES in c.process.nodes and c.running), None)
        if doer is None or not engaged_and_moving(self._node, self._executor):
            return
        self._show(f"[{NAME}] stopping the car first; another Ctrl-C does not wait for it")
        try:
            self._lifecycle.change(PROPOSES, DEACTIVATE, _DEACTIVATE_TIMEOUT_S, lambda: None)
        except BringupError as error:
            self._show(f"[{NAME}] {error}")
        self._wait_for_standstill()

    def _shut_down(self) -> None:
        lived = all(dead.process.death == Death.REPORT for dead in self.deaths)
        if self._up and self._stop_car_first and lived:
            self._stop_the_car()
        for child in reversed(self._children):
            child.end(_PATIENCE_S)
        self._children = []

    def _on_signal(self, number: int, frame: FrameType | None) -> None:
        self._signals += 1


class _Interrupted(Exception):
    """A signal came while starting."""


def _event(node: str, value: float, text: str, stamp_ns: int) -> DriveEvent:
    return DriveEvent(stamp_ns, Severity.CRITICAL, NAME, "node_died", node, value, 0.0, "", text)
