"""The two ends of a hand-over, in processes of their own: `python -m vla_driving.bench.ends`.

The frame carries the monotonic time at which its pixels were ready; whoever holds them as an array
on the other side takes the difference. Prints the durations in ms as one JSON list.
"""

from __future__ import annotations

import argparse
import json
import sys
import threading
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import rclpy
from rclpy.experimental import EventsExecutor
from rclpy.node import Node
from sensor_msgs.msg import Image
from vla_driving_msgs.msg import FrameSet as FrameSetMessage

from vla_driving.contract.clock import Nanoseconds
from vla_driving.contract.frames import CameraFrame, FrameSet, FrameStatus
from vla_driving.contract.messages import from_message, set_stamp, stamp_of, to_message
from vla_driving.contract.topics import BY_NAME
from vla_driving.nodes.handover import Handover
from vla_driving.nodes.process import SWITCH_S
from vla_driving.nodes.qos import profile

WIDTH, HEIGHT = 640, 384
RATE_HZ = 20.0
TOPIC = "vla/frames"
SEND_S = 60.0
"""A sender that nobody ended ends by itself."""


def frame_set(sequence: int, pixels: np.ndarray[Any, np.dtype[np.uint8]]) -> FrameSet:
    """One camera's frame, stamped now."""
    now_ns = time.monotonic_ns()
    frame = CameraFrame("front", now_ns, FrameStatus.OK, 0.0, 0.0, pixels)
    return FrameSet(now_ns, sequence, "bench/0", (frame,))


def noise() -> np.ndarray[Any, np.dtype[np.uint8]]:
    """(HEIGHT, WIDTH, 3) rgb8."""
    return np.random.default_rng(1).integers(0, 256, (HEIGHT, WIDTH, 3), np.uint8)


def age_ms(stamp_ns: Nanoseconds) -> float:
    """Time since a stamp of the monotonic clock."""
    return (time.monotonic_ns() - stamp_ns) / 1e6


def composed(passes: int) -> list[float]:
    """Frames from one node's thread to another's in this process."""
    handover, taken = Handover(), _Taken(passes)
    executors = [EventsExecutor(), EventsExecutor()]
    nodes = [Node("sender"), Node("receiver")]
    for executor, node in zip(executors, nodes, strict=True):
        executor.add_node(node)
    handover.attach(lambda frames: taken.add(age_ms(frames.stamp_ns)), executors[1].create_task)
    pixels, sequence = noise(), iter(range(sys.maxsize))
    nodes[0].create_timer(
        1.0 / RATE_HZ, lambda: handover.put(frame_set(next(sequence), pixels))
    )
    sys.setswitchinterval(SWITCH_S)
    thread = threading.Thread(target=taken.spin, args=(executors[1],))
    thread.start()
    taken.spin(executors[0])
    thread.join()
    return taken.durations_ms


def receive(passes: int, plain: bool) -> list[float]:
    """Frames from the process of `send`, as this project's messages or the plain way."""
    taken, node = _Taken(passes), Node("receiver")

    def take_plain(message: Image) -> None:
        pixels = np.frombuffer(message.data, np.uint8).reshape(message.height, message.width, 3)
        assert pixels.size
        taken.add(age_ms(stamp_of(message.header.stamp)))

    def take(message: FrameSetMessage) -> None:
        taken.add(age_ms(from_message(FrameSet, message).stamp_ns))

    if plain:
        node.create_subscription(Image, TOPIC, take_plain, 10)
        executor: Any = rclpy.executors.SingleThreadedExecutor()
    else:
        node.create_subscription(FrameSetMessage, TOPIC, take, profile(BY_NAME[TOPIC].delivery))
        executor = EventsExecutor()
    executor.add_node(node)
    taken.spin(executor)
    return taken.durations_ms


def send(plain: bool) -> None:
    """Frames at RATE_HZ until the process is ended, or for SEND_S."""
    node, pixels = Node("sender"), noise()
    if plain:
        publisher = node.create_publisher(Image, TOPIC, 10)
    else:
        publisher = node.create_publisher(
            FrameSetMessage, TOPIC, profile(BY_NAME[TOPIC].delivery)
        )
    end = time.monotonic() + SEND_S
    for sequence in range(round(SEND_S * RATE_HZ)):
        if plain:
            message = Image(height=HEIGHT, width=WIDTH, encoding="rgb8", step=3 * WIDTH)
            set_stamp(message.header.stamp, time.monotonic_ns())
            message.data = pixels.tobytes()
            publisher.publish(message)
        else:
            publisher.publish(to_message(frame_set(sequence, pixels)))
        time.sleep(1.0 / RATE_HZ)
        if time.monotonic() > end:
            break


class _Taken:
    """Durations until there are enough; the first ones, while both ends find each other, do not
    count."""

    SETTLING = 10

    def __init__(self, passes: int) -> None:
        self._passes = passes
        self._all_ms: list[float] = []
        self._end = time.monotonic() + SEND_S

    @property
    def durations_ms(self) -> list[float]:
        return self._all_ms[self.SETTLING :]

    def add(self, duration_ms: float) -> None:
        self._all_ms.append(duration_ms)

    def spin(self, executor: Any) -> None:
        while len(self.durations_ms) < self._passes and time.monotonic() < self._end:
            executor.spin_once(timeout_sec=0.2)


def main() -> None:
    """Command line of one end."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("what", choices=["composed", "receive", "send"])
    parser.add_argument("--plain", action="store_true")
    parser.add_argument("--passes", type=int, default=100)
    options = parser.parse_args()
    rclpy.init(args=[])
    found: dict[str, Callable[[], Any]] = {
        "composed": lambda: composed(options.passes),
        "receive": lambda: receive(options.passes, options.plain),
        "send": lambda: send(options.plain),
    }
    result = found[options.what]()
    rclpy.try_shutdown()
    if result is not None:
        print(json.dumps(result))


if __name__ == "__main__":
    main()
