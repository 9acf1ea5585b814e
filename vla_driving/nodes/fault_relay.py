"""Relays and a witness for fault injection: between two nodes of the stack, and beside them all.

A relay hands messages on as the bytes they are until it is told to spoil them. The witness keeps
what the stack says with the time of its arrival. Both run in a thread of their own.
"""

from __future__ import annotations

import contextlib
import os
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping
from typing import Any

import rclpy
from rclpy.experimental import EventsExecutor
from rclpy.serialization import deserialize_message
from rclpy.signals import SignalHandlerOptions

from vla_driving.contract.clock import Nanoseconds
from vla_driving.contract.topics import BY_NAME
from vla_driving.nodes.qos import profile
from vla_driving.nodes.stack_node import message_type

PREFIX = "unspoilt/"
"""Where the nodes before a relay publish to."""
KEPT = 6000
"""Messages of each topic: a minute of commands."""
PRIORITY = 15
"""SCHED_FIFO, below the safety monitor and the bridge: measuring must not hold them up."""

Spoil = Callable[[Any], Any]
"""From a message to the one to be sent instead, or None for none."""


class Log:
    """Messages of one topic as bytes, each with the time of its arrival."""

    def __init__(self, kind: Any) -> None:
        self._kind = kind
        self._kept: deque[tuple[Nanoseconds, bytes]] = deque(maxlen=KEPT)

    def add(self, cdr: bytes) -> Nanoseconds:
        """Keep a message; the time it came at."""
        now_ns = time.time_ns()
        self._kept.append((now_ns, cdr))
        return now_ns

    def since(self, start_ns: Nanoseconds) -> list[tuple[Nanoseconds, Any]]:
        """Messages that came after an instant, read."""
        recent = []
        for at_ns, cdr in reversed(list(self._kept)):
            if at_ns < start_ns:
                break
            recent.append((at_ns, deserialize_message(cdr, self._kind)))
        return recent[::-1]

    @property
    def newest(self) -> Any:
        """The newest message; None where none came."""
        return deserialize_message(self._kept[-1][1], self._kind) if self._kept else None

    @property
    def newest_ns(self) -> Nanoseconds:
        """When the newest came; 0 where none did."""
        return self._kept[-1][0] if self._kept else 0


class Relay:
    """One topic on its way; `log` keeps what came in."""

    def __init__(self, node: Any, row: str, topic: str) -> None:
        kind, qos = message_type(BY_NAME[row].type), profile(BY_NAME[row].delivery)
        self.log = Log(kind)
        self.handling_s: deque[float] = deque(maxlen=KEPT)
        self._kind = kind
        self._spoil: Spoil | None = None
        self._late_s = 0.0
        self._waiting: deque[tuple[float, bytes]] = deque()
        self.spoilt_ns: Nanoseconds | None = None
        self._publisher = node.create_publisher(kind, topic, qos)
        node.create_subscription(kind, PREFIX + topic, self._take, qos, raw=True)

    def spoil(self, how: Spoil) -> None:
        """Change every message from now on; `spoilt_ns` tells when the first one left."""
        self.spoilt_ns = None
        self._spoil = how

    def delay(self, late_s: float) -> None:
        """Hold every message back by `late_s` s from now on, to the next arrival after it."""
        self._late_s = late_s

    def mend(self) -> None:
        """Hand on what comes again."""
        self._spoil, self._late_s = None, 0.0
        self._waiting.clear()

    def _take(self, cdr: bytes) -> None:
        begin = time.perf_counter()
        self.log.add(cdr)
        if self._late_s > 0.0:
            self._hold_back(begin, cdr)
        elif self._spoil is not None:
            self._send_spoilt(self._spoil, cdr)
        else:
            self._publisher.publish(cdr)
            self.handling_s.append(time.perf_counter() - begin)

    def _hold_back(self, now_s: float, cdr: bytes) -> None:
        self._waiting.append((now_s, cdr))
        while self._waiting and now_s - self._waiting[0][0] >= self._late_s:
            self._publisher.publish(self._waiting.popleft()[1])

    def _send_spoilt(self, spoil: Spoil, cdr: bytes) -> None:
        message = spoil(deserialize_message(cdr, self._kind))
        if self.spoilt_ns is None:
            self.spoilt_ns = time.time_ns()
        if message is not None:
            self._publisher.publish(message)


class FaultRelays:
    """A node with relays and a witness, spinning until it is closed."""

    def __init__(
        self, relayed: Mapping[str, str], watched: tuple[str, ...], namespace: str = "/"
    ) -> None:
        """`relayed`: topics and their rows in the table of topics; `watched`: rows to listen to."""
        self.relays: dict[str, Relay] = {}
        self.logs: dict[str, Log] = {}
        self._closing = threading.Event()
        self._ready = threading.Event()
        self._thread = threading.Thread(
            target=self._run, args=(relayed, watched, namespace), name="relays", daemon=True
        )
        self._thread.start()
        self._ready.wait()

    def publisher(self, row: str) -> Any:
        """One more publisher on a topic."""
        kind = message_type(BY_NAME[row].type)
        return self.node.create_publisher(kind, row, profile(BY_NAME[row].delivery))

    def close(self) -> None:
        """Leave the domain."""
        self._closing.set()
        self._thread.join()

    def _run(self, relayed: Mapping[str, str], watched: tuple[str, ...], namespace: str) -> None:
        with contextlib.suppress(PermissionError):
            # The threads of DDS are made here, too, and take it over.
            os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(PRIORITY))
        context = rclpy.Context()
        rclpy.init(args=[], context=context, signal_handler_options=SignalHandlerOptions.NO)
        self.node: Any = rclpy.create_node(
            "fault_relays", namespace=namespace, context=context, use_global_arguments=False,
            enable_rosout=False, start_parameter_services=False,
        )
        for topic, row in relayed.items():
            self.relays[topic] = Relay(self.node, row, topic)
        for name in watched:
            self._watch(name)
        executor = EventsExecutor(context=context)
        executor.add_node(self.node)
        self._ready.set()
        while not self._closing.is_set():
            executor.spin_once(timeout_sec=0.1)
        executor.remove_node(self.node)
        self.node.destroy_node()
        rclpy.shutdown(context=context)

    def _watch(self, name: str) -> None:
        row = BY_NAME[name]
        kind = message_type(row.type)
        log = self.logs[name] = Log(kind)
        qos = profile(row.delivery, 100)
        self.node.create_subscription(kind, name, log.add, qos, raw=True)
