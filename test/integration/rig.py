"""A car, a camera and a driver around the real processes, over real DDS."""

from __future__ import annotations

import dataclasses
import itertools
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
from patience import PATIENCE, is_cause, is_lateness
from rclpy.executors import SingleThreadedExecutor
from sensor_msgs.msg import Image
from vla_driving_msgs import msg as msgs

from vla_driving import paths
from vla_driving.bringup import environment
from vla_driving.contract.checksum import signed, vehicle_state_checksum
from vla_driving.contract.messages import (
    byte_array,
    from_message,
    set_stamp,
    stamp_of,
    to_message,
)
from vla_driving.contract.scene import ObjectList
from vla_driving.contract.supervision import Engagement, Level, Verdict
from vla_driving.contract.topics import BY_NAME
from vla_driving.contract.vehicle import ControlCommand, load_vehicle
from vla_driving.nodes.qos import profile
from vla_driving.simulation.bench_vehicle import BenchVehicle, BenchVehicleSettings

# As every process of the stack: out of the 0.5 MB of shared memory that Fast DDS gives by itself a
# camera's driver got no more images through, for minutes, to a process that had stood still.
environment.prepare_own()

HERE = Path(__file__).parent
OUTPUTS = {
    "vla/frames": msgs.FrameSet, "vla/camera_health": msgs.CameraHealth,
    "vla/plan": msgs.Plan, "vla/approved_plan": msgs.ApprovedPlan,
    "vla/safety_state": msgs.SafetyState, "vla/control_command": msgs.ControlCommand,
    "vla/command": msgs.Command, "vla/answer": msgs.Answer,
    "vla/event": msgs.DriveEvent, "diagnostics": DiagnosticArray,
}
PATIENCE_S = 120.0
"""For anything at all: whoever waits longer waits in vain."""
ATTEMPTS = 6
"""To have the car drive where the machine is too slow for it now and then."""
_PRESSED_S = 8.0
"""An engage request that is not granted lapses sooner."""
_MOVES = 1.0
"""m/s."""
_TOLD_S = 10.0
"""By then a stop's cause has been told."""
_PICTURES = 16


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
        self._noise = _noise(self.picture.shape)
        self._objects = 0
        self._closing = False
        self._failure: Exception | None = None
        self._engaged_ns = 0
        vehicle = load_vehicle(paths.config("vehicles/metadrive_sedan.yaml"))
        patient = BenchVehicleSettings(speed=0.0, follow=True, command_timeout=3.0)
        self._car = BenchVehicle(patient, vehicle)
        self.speed = 0.0
        self._faults: tuple[str, ...] = ()
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

    def heard(self, topic: str) -> Any:
        """Newest message of a topic; waits for the first one."""
        return self.wait(f"a message on {topic}", lambda: self.newest(topic))

    def wait(
        self, what: str, condition: Callable[[], Any], timeout_s: float = PATIENCE_S
    ) -> Any:
        """First true answer of `condition`; fails with `what` was waited for."""
        end = time.monotonic() + timeout_s
        while True:
            late = time.monotonic() > end
            if answer := condition():
                return answer
            if self._failure is not None:
                raise self._failure
            if late:
                raise AssertionError(f"waited {timeout_s:.0f} s for {what}; {self.story()}")
            time.sleep(0.02)

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

    # Driving.

    @property
    def engagement(self) -> Engagement | None:
        """Who drives, as the safety monitor said last."""
        state = self.newest(SAFETY)
        return None if state is None else Engagement(state.engagement)

    @property
    def drives(self) -> bool:
        """Whether the stack moves the car now."""
        return self.engagement == Engagement.ENABLED and self.speed > _MOVES

    def engage(self) -> None:
        """Press the button when the stack is ready, until the car moves.

        Where something came too late on the way, and for nothing else, once more.
        """
        for _ in range(ATTEMPTS):
            if self._press() and self._moves():
                return
            self._excuse()
        raise AssertionError(f"the car does not drive after {ATTEMPTS} attempts; {self.story()}")

    def drive(self) -> None:
        """Have the car drive that was engaged before: fails where it was stopped meanwhile.

        A stop because something came too late is no such failure: the driver engages again.
        """
        if self.drives or (self.engagement == Engagement.ENABLED and self._moves()):
            return
        self._excuse()
        self.engage()

    def while_it_drives(self, what: str, act: Callable[[], bool]) -> None:
        """Act while the car drives; once more where `act` says that it was stopped just then."""
        for _ in range(ATTEMPTS):
            self.drive()
            if act():
                return
        raise AssertionError(f"{what}: in vain, {ATTEMPTS} times; {self.story()}")

    def wait_until_ready(self) -> None:
        """Wait until the stack would engage, or drives."""

        def ready() -> bool:
            if self._faults:
                self.hand_back()  # a gateway that stopped the car asks for the driver's foot first
            return self.engagement == Engagement.ENABLED or bool(self.newest(SAFETY).ready)

        self.heard(SAFETY)
        self.wait("the stack to be ready", ready)

    def hand_back(self) -> None:
        """Have the driver brake until the stack has let go, bridge and monitor alike."""
        ended = (Engagement.DISABLED, Engagement.STOPPED)
        self.driver = {"brake_override": True}
        self.wait(
            "the car to be handed back",
            lambda: not self.heard(COMMAND).engaged and self.engagement in ended,
        )
        self.driver = {}

    def standstill(self) -> None:
        """Wait until the car stands."""
        self.wait("standstill", lambda: self.speed < 0.05)

    def causes(self) -> list[Any]:
        """Events since the car was engaged that may be why it was stopped, oldest first."""
        found = [
            event for event in self.seen("vla/event")
            if stamp_of(event.header.stamp) >= self._engaged_ns and is_cause(event)
        ]
        return sorted(found, key=lambda event: stamp_of(event.header.stamp))

    def story(self) -> str:
        """What is known of the car, for whoever reads of a failure."""
        state = self.newest(SAFETY)
        lines = [f"speed {self.speed:.2f} m/s, the car reports {list(self._faults)}"]
        if state is not None:
            bad = [c.detail or c.name for c in state.checks if c.verdict > Verdict.WARN]
            lines.append(
                f"{Engagement(state.engagement).name}, {Level(state.level).name}, "
                f"{'' if state.ready else 'not '}ready, alert {state.alert_text!r}, fails: {bad}"
            )
        events = [
            f"{stamp_of(e.header.stamp) / 1e9:.2f} {e.source} {e.name}: {e.text}"
            for e in self.seen("vla/event")[-25:]
        ]
        return "\n".join([*lines, "events:", *events])

    def _press(self) -> bool:
        """Whether the stack drives: the button is pressed as soon as it is ready."""
        self.wait_until_ready()
        self.driver = {"engage_button": True}
        end = time.monotonic() + _PRESSED_S
        while not (engaged := self.engagement == Engagement.ENABLED) and time.monotonic() < end:
            time.sleep(0.02)
        self.driver = {}
        if engaged:
            self._engaged_ns = stamp_of(self.newest(SAFETY).header.stamp)
            return True
        # Only a button that was seen released can be pressed again.
        last = self.newest(SAFETY).sequence
        self.wait("the button to be released", lambda: self.newest(SAFETY).sequence > last + 5)
        return False

    def _moves(self) -> bool:
        """Whether the car gathers speed; False where it is stopped before."""
        self.wait(
            "the car to move",
            lambda: self.drives or self.engagement not in (Engagement.ENABLED, None),
        )
        return self.drives

    def _excuse(self) -> None:
        """Fail unless what first may have stopped the car since it was engaged is lateness.

        Whatever is wrong later on may be for want of what did not come.
        """
        self.wait(
            "the cause of a stop",
            lambda: self.causes() or self.engagement in (Engagement.DISABLED, Engagement.ENABLED),
            _TOLD_S,
        )
        for first in self.causes()[:1]:
            assert is_lateness(first), f"the car was stopped: {first.text}; {self.story()}"

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
            if topic == COMMAND:
                self._car.obey(from_message(ControlCommand, message), self.now_ns())
            with self._lock:
                self._seen[topic].append(message)

        return keep

    def _drive(self) -> None:
        state = dataclasses.replace(self._car.step(self.now_ns()), **self.driver)
        state = dataclasses.replace(state, checksum=vehicle_state_checksum(state))
        self.speed, self._faults = state.speed, state.faults
        self.publish("vehicle/state", to_message(state))

    def _look(self) -> None:
        picture = self.picture
        if picture is None:
            return
        pixels = np.clip(picture + next(self._noise), 0, 255).astype(np.uint8)
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


def _noise(shape: tuple[int, ...]) -> Iterator[np.ndarray]:
    """A camera's noise; drawn beforehand, for the rig is to be no load itself."""
    random = np.random.default_rng(1)
    return itertools.cycle(
        [random.integers(-2, 3, shape, np.int16) for _ in range(_PICTURES)]
    )


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
        assert self.process.poll() is None, self.said()
        return "up and active" in self.said()

    def node(self, name: str) -> psutil.Process:
        """The process of one node."""
        for child in self.process.children(recursive=True):
            if f"vla_driving.nodes.{name}" in child.cmdline():
                return child
        raise AssertionError(f"no process of {name}:\n{self.said()}")

    def end(self, timeout_s: float = PATIENCE_S) -> int:
        """Exit code, asked to end by SIGINT where it still runs."""
        if self.process.is_running():
            self.process.send_signal(2)
        return self.exit_code(timeout_s)

    def exit_code(self, timeout_s: float = PATIENCE_S) -> int:
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
    stack = Stack(out, "--no-record", *PATIENCE, *options)
    rig = Rig()
    try:
        rig.wait("all nodes to be active", stack.is_up, 2.0 * PATIENCE_S)
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
COMMAND = "vla/control_command"
CAMERA = "camera/front/image"
