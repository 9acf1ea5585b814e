"""The world around the stack while it is measured: `python -m vla_driving.bench.feeder`.

Plays a bag's camera, vehicle state, radar, route and driver at their own times, stamped anew, over
and over; presses the engage button; and notes for each frame when its plan, its approved plan and
the first command made from it arrived. A process of its own, as the car's drivers would be.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import struct
import time
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import rclpy
from diagnostic_msgs.msg import DiagnosticArray
from rclpy.experimental import EventsExecutor
from rclpy.node import Node
from rclpy.serialization import deserialize_message
from sensor_msgs.msg import Image
from vla_driving_msgs import msg as msgs

from vla_driving.bench.figures import quantile
from vla_driving.contract.checksum import signed
from vla_driving.contract.clock import SECOND, Nanoseconds
from vla_driving.contract.messages import from_message, stamp_of, to_message
from vla_driving.contract.navigation import Route
from vla_driving.contract.scene import ObjectList
from vla_driving.contract.supervision import Engagement
from vla_driving.contract.topics import BY_NAME
from vla_driving.contract.vehicle import DriverState, VehicleState
from vla_driving.nodes import real_time
from vla_driving.nodes.qos import profile
from vla_driving.nodes.real_time import RealTimeSettings
from vla_driving.recording.bag_reader import BagReader

PRIORITY = 40
"""SCHED_FIFO: a camera's driver does not wait for the stack."""
KINDS: dict[str, type] = {
    "vehicle/state": VehicleState, "vehicle/objects": ObjectList, "vla/route": Route,
    "vla/driver_state": DriverState,
}
HAND_BACK_S = 0.5
"""Before the bag begins anew the driver brakes: the jump is no part of any drive."""
SETTLE_S = 0.5
PRESS_S = 0.2
LINE_EVERY_S = 10.0
DEPTH = 100
_STAMP_AT = 4
"""A serialised message that begins with a header: four bytes of encapsulation, then the stamp."""


@dataclass
class Frame:
    """One image: when it was sent, and durations from then on, ms; None for what never came.

    `forward_ms` and `actor_ms` are the plan's own account: the network alone, and all of the actor.
    """

    sent_s: float
    engaged: bool
    plan_ms: float | None = None
    approved_ms: float | None = None
    command_ms: float | None = None
    forward_ms: float | None = None
    actor_ms: float | None = None


@dataclass(frozen=True)
class Entry:
    """One message of the bag, `offset_ns` after its begin."""

    offset_ns: Nanoseconds
    topic: str
    value: Any


def load(bag: Path) -> list[Entry]:
    """The bag in the order of time; images as their bytes. Raises BagError."""
    entries = []
    begin: Nanoseconds | None = None
    for message in BagReader(bag).messages():
        topic = message.topic.lstrip("/")
        begin = message.log_time_ns if begin is None else begin
        kind = KINDS.get(topic)
        value = bytearray(message.cdr) if kind is None else from_message(kind, message.decoded)
        entries.append(Entry(message.log_time_ns - begin, topic, value))
    return sorted(entries, key=lambda entry: entry.offset_ns)


def restamped(cdr: bytearray, stamp_ns: Nanoseconds) -> bytes:
    """A serialised message with the stamp of its header replaced, in place."""
    struct.pack_into("<iI", cdr, _STAMP_AT, *divmod(stamp_ns, SECOND))
    return bytes(cdr)


def header_stamp(cdr: bytes) -> Nanoseconds:
    """Stamp of a serialised message that begins with a header."""
    seconds, nanoseconds = struct.unpack_from("<iI", cdr, _STAMP_AT)
    return int(seconds) * SECOND + int(nanoseconds)


def frame_stamp(cdr: bytes) -> Nanoseconds:
    """The field of a serialised ApprovedPlan or ControlCommand: after header and two numbers."""
    (length,) = struct.unpack_from("<I", cdr, _STAMP_AT + 8)
    numbers_at = -(-(12 + length) // 8) * 8
    return header_stamp(cdr[numbers_at + 16 :])


class Driver:
    """Engages when the stack is ready, and takes the car back before the bag begins anew."""

    def __init__(self) -> None:
        self.engagement = Engagement.DISABLED
        self.ready = False
        self._pressed_s = -10.0

    def inputs(self, lap_s: float, left_s: float, now_s: float) -> dict[str, bool]:
        """Fields of the vehicle state, `lap_s` after the bag's begin and `left_s` before its end.

        `now_s` is any steady time.
        """
        if left_s < HAND_BACK_S:
            return {"brake_override": True}
        if self.engagement == Engagement.ENABLED or lap_s < SETTLE_S:
            return {}
        if self.engagement not in (Engagement.DISABLED, Engagement.PRE_ENABLED):
            return {"brake_override": True}
        since = now_s - self._pressed_s
        if since > 2 * PRESS_S and self.ready and self.engagement == Engagement.DISABLED:
            self._pressed_s, since = now_s, 0.0
        return {"engage_button": True} if since < PRESS_S else {}


class Feeder:
    """Sends, listens, notes."""

    def __init__(self, entries: list[Entry]) -> None:
        self._entries = entries
        self._lap_ns = entries[-1].offset_ns + SECOND // 50
        self._node = Node("bench_feeder", start_parameter_services=False, enable_rosout=False)
        self._executor = EventsExecutor()
        self._executor.add_node(self._node)
        self._driver = Driver()
        self._sequences = dict.fromkeys(KINDS, 0)
        self._frames: dict[Nanoseconds, Frame] = {}
        self._plans: deque[bytes] = deque()
        self._last_image_s = 0.0
        self._late_ms: list[float] = []
        self.diagnostics: dict[str, dict[str, str]] = {}
        self._writers = {topic: self._writer(topic) for topic in {e.topic for e in entries}}
        self._listen()

    def _writer(self, topic: str) -> Any:
        row = BY_NAME[topic if topic in KINDS else "camera/{camera}/image"]
        kind = getattr(msgs, KINDS[topic].__name__) if topic in KINDS else Image
        return self._node.create_publisher(kind, topic, profile(row.delivery))

    def _listen(self) -> None:
        for topic, kind, take, raw in (
            ("vla/plan", msgs.Plan, self._take_plan, True),
            ("vla/approved_plan", msgs.ApprovedPlan, self._take_approved, True),
            ("vla/control_command", msgs.ControlCommand, self._take_command, True),
            ("vla/safety_state", msgs.SafetyState, self._take_safety, False),
            ("diagnostics", DiagnosticArray, self._take_diagnostics, False),
        ):
            delivery = BY_NAME[topic].delivery
            self._node.create_subscription(kind, topic, take, profile(delivery, DEPTH), raw=raw)

    def feed(self, warm_up_s: float, duration_s: float) -> dict[str, Any]:
        """Feed for `warm_up_s` and then `duration_s`; what was noted in the latter."""
        timeline, begin = self._timeline(), time.monotonic()
        self._feed_until(timeline, begin + warm_up_s, "warming up")
        # What is still under way belongs to the warm-up.
        self._frames.clear()
        self._late_ms.clear()
        before = {node: dict(values) for node, values in self.diagnostics.items()}
        print("WARM", flush=True)
        self._feed_until(timeline, begin + warm_up_s + duration_s, "measuring")
        # The last frame's command may still be under way, and is not missing for that.
        frames = [dataclasses.asdict(f) for f in list(self._frames.values())[:-2]]
        return {
            "frames": frames,
            "duration_s": duration_s,
            "late_ms_p99": quantile(self._late_ms, 0.99),
            "diagnostics_before": before,
            "diagnostics": self.diagnostics,
        }

    def _timeline(self) -> Iterator[tuple[float, Entry]]:
        """When which message is due on the monotonic clock in s, lap after lap without end."""
        begin_ns = time.monotonic_ns()
        while True:
            for entry in self._entries:
                yield (begin_ns + entry.offset_ns) / SECOND, entry
            begin_ns += self._lap_ns

    def _feed_until(
        self, timeline: Iterator[tuple[float, Entry]], end_s: float, word: str
    ) -> None:
        lines = time.monotonic() + LINE_EVERY_S
        for due_s, entry in timeline:
            self._spin_until(due_s)
            self._send(entry, due_s)
            if (now := time.monotonic()) >= end_s:
                return
            if now > lines:
                lines += LINE_EVERY_S
                print(f"{word}, {end_s - now:.0f} s left: {self._line()}", flush=True)

    def _line(self) -> str:
        times = [f.command_ms for f in self._frames.values() if f.command_ms is not None]
        if not times:
            return f"no command yet, {self._driver.engagement.name}"
        return (
            f"{len(self._frames)} frames, frame to command {quantile(times, 0.5):.1f} ms p50, "
            f"{quantile(times, 0.99):.1f} ms p99, {self._driver.engagement.name}"
        )

    def _spin_until(self, due_s: float) -> None:
        while (left := due_s - time.monotonic()) > 0.0:
            if left > 0.01 and self._plans and time.monotonic() - self._last_image_s > 0.03:
                self._read_plan(self._plans.popleft())
            else:
                self._executor.spin_once(timeout_sec=left)

    def _send(self, entry: Entry, due_s: float) -> None:
        now_s = time.monotonic()
        self._late_ms.append((now_s - due_s) * 1e3)
        stamp_ns = time.time_ns()
        if entry.topic not in KINDS:
            self._last_image_s = now_s
            engaged = self._driver.engagement == Engagement.ENABLED
            cdr = restamped(entry.value, stamp_ns)
            self._frames[stamp_ns] = Frame(time.monotonic(), engaged)
            self._writers[entry.topic].publish(cdr)
            return
        self._sequences[entry.topic] += 1
        fresh: dict[str, Any] = {
            "stamp_ns": stamp_ns, "sequence": self._sequences[entry.topic]
        }
        if entry.topic == "vehicle/state":
            lap_s = entry.offset_ns / SECOND
            fresh |= self._driver.inputs(lap_s, self._lap_ns / SECOND - lap_s, now_s)
        value = signed(dataclasses.replace(entry.value, **fresh))
        self._writers[entry.topic].publish(to_message(value))

    def _take_plan(self, cdr: bytes) -> None:
        if frame := self._frames.get(header_stamp(cdr)):
            frame.plan_ms = self._since(frame)
            self._plans.append(cdr)

    def _read_plan(self, cdr: bytes) -> None:
        plan = deserialize_message(cdr, msgs.Plan)
        if frame := self._frames.get(stamp_of(plan.header.stamp)):
            stages = {stage.stage: float(stage.milliseconds) for stage in plan.stages}
            frame.forward_ms, frame.actor_ms = stages.get("forward"), sum(stages.values())

    def _take_approved(self, cdr: bytes) -> None:
        frame = self._frames.get(frame_stamp(cdr))
        if frame is not None and frame.approved_ms is None:
            frame.approved_ms = self._since(frame)

    def _take_command(self, cdr: bytes) -> None:
        frame = self._frames.get(frame_stamp(cdr))
        if frame is not None and frame.command_ms is None:
            frame.command_ms = self._since(frame)

    def _take_safety(self, message: msgs.SafetyState) -> None:
        self._driver.engagement = Engagement(message.engagement)
        self._driver.ready = bool(message.ready)

    def _take_diagnostics(self, message: DiagnosticArray) -> None:
        for status in message.status:
            node = status.name.removeprefix("vla_driving: ")
            self.diagnostics[node] = {value.key: value.value for value in status.values}

    @staticmethod
    def _since(frame: Frame) -> float:
        return (time.monotonic() - frame.sent_s) * 1e3


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--bag", type=Path, required=True)
    parser.add_argument("--warm-up", type=float, required=True, metavar="S")
    parser.add_argument("--duration", type=float, required=True, metavar="S")
    parser.add_argument("--out", type=Path, required=True, help="JSON with what was noted")
    options = parser.parse_args()
    entries = load(options.bag)
    rclpy.init(args=[])
    feeder = Feeder(entries)
    wishes = RealTimeSettings(scheduling=True, cpus="all", lock_memory=False)
    taken = real_time.take(wishes, 0, PRIORITY, real_time.threads_of_process())
    print(f"feeder: {taken.line}", flush=True)
    found = feeder.feed(options.warm_up, options.duration)
    options.out.write_text(json.dumps(found), encoding="utf-8")
    rclpy.try_shutdown()


if __name__ == "__main__":
    main()
