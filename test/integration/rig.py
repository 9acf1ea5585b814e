"""A car, a camera and a driver around the real processes, over real DDS."""

from __future__ import annotations

import dataclasses
import re
import subprocess
import sys
import threading
import time
from collections import defaultdict, deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import psutil
import rclpy
from diagnostic_msgs.msg import DiagnosticArray
from rclpy.executors import SingleThreadedExecutor
from sensor_msgs.msg import Image
from vla_driving_msgs import msg as msgs

from vla_driving import paths
from vla_driving.contract.checksum import signed, vehicle_state_checksum
from vla_driving.contract.messages import byte_array, from_message, set_stamp, to_message
from vla_driving.contract.scene import ObjectList
from vla_driving.contract.supervision import Engagement
from vla_driving.contract.topics import BY_NAME
from vla_driving.contract.vehicle import ControlCommand, load_vehicle
from vla_driving.nodes.qos import profile
from vla_driving.simulation.bench_vehicle import BenchVehicle, BenchVehicleSettings

HERE = Path(__file__).parent
OUTPUTS = {
    "vla/frames": msgs.FrameSet, "vla/camera_health": msgs.CameraHealth,
    "vla/plan": msgs.Plan, "vla/approved_plan": msgs.ApprovedPlan,
    "vla/safety_state": msgs.SafetyState, "vla/control_command": msgs.ControlCommand,
    "vla/command": msgs.Command, "vla/answer": msgs.Answer,
    "vla/event": msgs.DriveEvent, "diagnostics": DiagnosticArray,
}
# Nodes of a busy test machine: what is tested is who reacts and how, not how soon.
PATIENT = (
    "camera_ingest.health.max_age=1.0", "camera_ingest.health.max_silence=10.0",
    "vla_inference.max_frame_age=1.0",
    "vla_inference.max_vehicle_state_age=0.5", "vla_inference.plan_validity=1.5",
    "safety_monitor.inputs.plan_max_age=1.5", "safety_monitor.inputs.vehicle_state_max_age=0.8",
    "safety_monitor.inputs.objects_max_age=1.5", "safety_monitor.inputs.frames_max_age=1.5",
    "safety_monitor.inputs.min_rate_share=0.1", "safety_monitor.reaction.fallback_validity=1.0",
    "safety_monitor.inputs.heartbeat_max_age=1.0",
    "controller_bridge.supervision.vehicle_state_timeout=0.8",
    "controller_bridge.supervision.approved_plan_timeout=0.8",
)


class Rig:
    """Feeds the stack at the rates of the table and keeps what it answers.

    `driver` holds fields of the next vehicle states (buttons, overrides); `picture` is what the
    camera sees, None for a camera that says nothing.
    """

    def __init__(self, listen_only: bool = False) -> None:
        self._context = rclpy.Context()
        rclpy.init(context=self._context)
        self.node = rclpy.create_node("rig", context=self._context)
        self._executor = SingleThreadedExecutor(context=self._context)
        self._executor.add_node(self.node)
        self._lock = threading.Lock()
        self._seen: dict[str, deque[Any]] = defaultdict(lambda: deque(maxlen=5000))
        self.driver: dict[str, Any] = {}
        self.picture: np.ndarray | None = road_picture()
        self._random = np.random.default_rng(1)
        self._objects = 0
        self._closing = False
        self._failure: Exception | None = None
        vehicle = load_vehicle(paths.config("vehicles/metadrive_sedan.yaml"))
        patient = BenchVehicleSettings(speed=0.0, follow=True, command_timeout=1.5)
        self._car = BenchVehicle(patient, vehicle)
        self.speed = 0.0
        self._publishers: dict[str, Any] = {}
        for name, kind in OUTPUTS.items():
            self.node.create_subscription(
                kind, name, self._keeper(name), profile(BY_NAME[name].delivery, 100)
            )
        if not listen_only:
            for rate_hz, act in ((50.0, self._drive), (10.0, self._look), (10.0, self._sense)):
                self.node.create_timer(1.0 / rate_hz, act)
        self._thread = threading.Thread(target=self._spin, daemon=True)
        self._thread.start()

    def publish(self, topic: str, message: Any) -> None:
        """Send a message as one more publisher, whatever it holds."""
        if topic not in self._publishers:
            row = "camera/{camera}/image" if topic.startswith("camera") else topic
            self._publishers[topic] = self.node.create_publisher(
                type(message), topic, profile(BY_NAME[row].delivery)
            )
        self._publishers[topic].publish(message)

    def leave(self, topic: str) -> None:
        """Speak on a topic no more: a second speaker is a fault as long as it is there."""
        self.node.destroy_publisher(self._publishers.pop(topic))

    def now_ns(self) -> int:
        """The stack's clock."""
        return int(self.node.get_clock().now().nanoseconds)

    def seen(self, topic: str) -> list[Any]:
        """Messages of a topic so far, oldest first."""
        with self._lock:
            return list(self._seen[topic])

    def newest(self, topic: str) -> Any:
        """Newest message of a topic, None where there is none."""
        messages = self.seen(topic)
        return messages[-1] if messages else None

    def wait(self, what: str, condition: Callable[[], Any], timeout_s: float = 60.0) -> Any:
        """First true answer of `condition`; fails with `what` was waited for."""
        end = time.monotonic() + timeout_s
        while time.monotonic() < end:
            if answer := condition():
                return answer
            if self._failure is not None:
                raise self._failure
            time.sleep(0.02)
        raise AssertionError(f"waited {timeout_s:.0f} s for {what}; events: {self.events()[-8:]}")

    def events(self) -> list[str]:
        """Lines of the events so far."""
        return [event.text for event in self.seen("vla/event")]

    def event(self, name: str, subject: str = "") -> msgs.DriveEvent:
        """Wait for an event of this name whose subject holds `subject`."""
        return self.wait(
            f"event {name} {subject}",
            lambda: next(
                (e for e in self.seen("vla/event") if e.name == name and subject in e.subject), None
            ),
        )

    def engage(self) -> None:
        """Press the button when the stack is ready, and wait until it drives."""
        self.wait("the stack to be ready", lambda: getattr(self.newest(SAFETY), "ready", False))
        self.driver = {"engage_button": True}
        self.wait(
            "engagement", lambda: self.newest(SAFETY).engagement == Engagement.ENABLED
        )
        self.driver = {}
        self.wait("the car to move", lambda: self.speed > 1.0)

    def standstill(self) -> None:
        """Wait until the car stands."""
        self.wait("standstill", lambda: self.speed < 0.05)

    def close(self) -> None:
        """Leave the domain."""
        self._closing = True
        self._thread.join()
        self._executor.shutdown()
        self.node.destroy_node()
        rclpy.shutdown(context=self._context)

    def _spin(self) -> None:
        try:
            while not self._closing:
                self._executor.spin_once(timeout_sec=0.1)
        except Exception as error:  # whoever waits tells it
            self._failure = error

    def _keeper(self, topic: str) -> Callable[[Any], None]:
        def keep(message: Any) -> None:
            if topic == "vla/control_command":
                self._car.obey(from_message(ControlCommand, message), self.now_ns())
            with self._lock:
                self._seen[topic].append(message)

        return keep

    def _drive(self) -> None:
        state = dataclasses.replace(self._car.step(self.now_ns()), **self.driver)
        state = dataclasses.replace(state, checksum=vehicle_state_checksum(state))
        self.speed = state.speed
        self.publish("vehicle/state", to_message(state))

    def _look(self) -> None:
        if self.picture is None:
            return
        noise = self._random.integers(-2, 3, self.picture.shape)
        pixels = np.clip(self.picture + noise, 0, 255).astype(np.uint8)
        message = Image(
            height=pixels.shape[0], width=pixels.shape[1], encoding="rgb8",
            step=pixels.shape[1] * 3, data=byte_array(pixels),
        )
        set_stamp(message.header.stamp, self.now_ns())
        self.publish(CAMERA, message)

    def _sense(self) -> None:
        self._objects += 1
        nothing = signed(ObjectList(self.now_ns(), self._objects, "radar", ()))
        self.publish("vehicle/objects", to_message(nothing))
        self.publish("vla/driver_state", to_message(self._car.driver(self.now_ns())))


def road_picture() -> np.ndarray:
    """(144, 256, 3) rgb8: a straight road of the simulator, seen by its camera."""
    picture = cv2.imread(str(HERE / "road.png"))
    assert picture is not None
    return np.ascontiguousarray(picture[:, :, ::-1])


class Stack:
    """`vla-driving up` as a person starts it."""

    def __init__(self, out: Path, *options: str) -> None:
        self.out = out
        command = [sys.executable, "-m", "vla_driving.cli", "up", "--out", str(out), *options]
        self._log = (out.parent / f"{out.name}.txt").open("w+")
        self.process = psutil.Popen(command, stdout=self._log, stderr=subprocess.STDOUT)

    def said(self) -> str:
        """All that it printed so far."""
        return Path(self._log.name).read_text()

    def is_up(self) -> bool:
        """Whether every node is active; fails where it has ended instead."""
        assert self.process.is_running(), self.said()
        return "up and active" in self.said()

    def node(self, name: str) -> psutil.Process:
        """The process of one node."""
        for child in self.process.children(recursive=True):
            if f"vla_driving.nodes.{name}" in child.cmdline():
                return child
        raise AssertionError(f"no process of {name}:\n{self.said()}")

    def end(self, timeout_s: float = 60.0) -> int:
        """Exit code, asked to end by SIGINT where it still runs."""
        if self.process.is_running():
            self.process.send_signal(2)
        return self.exit_code(timeout_s)

    def exit_code(self, timeout_s: float = 60.0) -> int:
        """Exit code once it ended by itself."""
        try:
            return int(self.process.wait(timeout_s))
        finally:
            for child in self.process.children(recursive=True) if self.process.is_running() else []:
                child.kill()
            if self.process.is_running():
                self.process.kill()
            self._log.flush()


@contextmanager
def running(out: Path, *options: str) -> Iterator[tuple[Rig, Stack]]:
    """Rig and the four nodes of the car, torn down at the end."""
    patience = [word for setting in PATIENT for word in ("--set", setting)]
    stack = Stack(out, "--no-record", *patience, *options)
    rig = Rig()
    try:
        rig.wait("all nodes to be active", stack.is_up, 90.0)
        yield rig, stack
    finally:
        rig.close()
        stack.end()


def one_line(text: str, *words: str) -> str:
    """The line of `text` that holds every word; fails where there is none."""
    for line in text.splitlines():
        if all(re.search(re.escape(word), line) for word in words):
            return line
    raise AssertionError(f"no line holds all of {words} in:\n{text}")


SAFETY = "vla/safety_state"
CAMERA = "camera/front/image"
