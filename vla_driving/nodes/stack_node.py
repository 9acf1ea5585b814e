"""What all nodes have in common: lifecycle, parameters, topics, events, diagnostics."""

from __future__ import annotations

import gc
import importlib
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any, ClassVar

from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus, KeyValue
from rcl_interfaces.msg import SetParametersResult
from rclpy.clock import Clock, ClockType
from rclpy.lifecycle import LifecycleNode, LifecycleState, TransitionCallbackReturn
from rclpy.parameter import Parameter
from rclpy.timer import Timer
from std_msgs.msg import Header

from vla_driving.contract.clock import SECOND, Nanoseconds
from vla_driving.contract.events import DriveEvent, Severity
from vla_driving.contract.messages import MalformedMessage, from_message, set_stamp, to_message
from vla_driving.contract.topics import BY_NAME
from vla_driving.nodes import cdr, parameters
from vla_driving.nodes.handover import Handover
from vla_driving.nodes.heartbeat import Heart
from vla_driving.nodes.qos import profile
from vla_driving.nodes.real_time import Guard, RealTime
from vla_driving.nodes.statistics import InputStatistics, StepStatistics

DIAGNOSTICS_PERIOD_S = 1.0
LONGEST_TURN_S = 0.5
"""A main loop that takes longer to come round counts as hung: no plan is valid for longer."""
REPEAT_EVENT_AFTER_S = 1.0
RECORDER_DEPTH = 100
MOST_REFUSALS = 8
MOST_CHARACTERS = 120


class StackNode(LifecycleNode, ABC):
    """A lifecycle node around one core.

    A subclass names its SETTINGS class, its NICENESS as of nice(1) or its REAL_TIME priority as of
    SCHED_FIFO (the nearer to the actuators, the higher; 0 for none), whether it BEATS, and fills
    `configure` (make the core, `listen`, `speak`, `every`), which raises ValueError with one line
    where something does not fit. Messages are taken and timers run while the node is active.
    """

    NAME: ClassVar[str]
    SETTINGS: ClassVar[type]
    NICENESS: ClassVar[int] = 0
    REAL_TIME: ClassVar[int] = 0
    BEATS: ClassVar[bool] = False

    def __init__(self, handovers: Mapping[str, Handover] | None = None) -> None:
        """`handovers`: topics between this node and another one of its process."""
        super().__init__(self.NAME)
        self._handovers = dict(handovers or {})
        self.real_time = RealTime()
        self.stack: parameters.StackSettings
        self.stack, self.settings = parameters.read(
            self, parameters.StackSettings, self.SETTINGS
        )
        self._begun = self.configured = False
        self.active = False
        self.inputs: dict[str, InputStatistics] = {}
        self.steps = StepStatistics()
        self._writers: dict[str, Any] = {}
        self._written_raw: set[str] = set()
        self._readers: list[Any] = []
        self._timers_when_active: list[tuple[float, Callable[[], None]]] = []
        self._running_timers: list[Timer] = []
        self._heart: Heart | None = None
        self._steady = Clock(clock_type=ClockType.STEADY_TIME)
        self._told: dict[tuple[str, str], Nanoseconds] = {}
        self._worst = Severity.INFO
        self._worst_text = ""
        for topic in ("vla/event", "diagnostics", *(("vla/heartbeat",) if self.BEATS else ())):
            self._writers[topic] = self.create_publisher(
                message_type(BY_NAME[topic].type), topic, profile(BY_NAME[topic].delivery)
            )
        self.create_timer(DIAGNOSTICS_PERIOD_S, self._publish_diagnostics, clock=self._steady)
        self.add_pre_set_parameters_callback(self._tell_parameters)
        self.add_on_set_parameters_callback(_refuse_parameters)

    # What a subclass fills.

    @abstractmethod
    def configure(self) -> None:
        """Make the core and its topics. Raises ValueError with one line."""

    def release(self) -> None:
        """Let go of what `configure` took, also where it was broken off."""

    def diagnose(self) -> dict[str, str]:
        """More values for diagnostics, by name."""
        return {}

    def malformed(self, topic: str, reason: str) -> None:
        """Count and tell a message that could not be read."""
        self.inputs[topic].malformed += 1
        self.tell(
            DriveEvent(
                self.now_ns(), Severity.ERROR, self.NAME, "malformed_message", topic,
                float(self.inputs[topic].malformed), 0.0, "messages",
                f"{topic}: malformed message left out: {reason}",
            )
        )

    # What a subclass uses.

    def now_ns(self) -> Nanoseconds:
        """The stack's clock: ROS time, so a replay may drive it."""
        return int(self.get_clock().now().nanoseconds)

    def vehicle_file(self) -> Path:
        """The car's file, by the name or path in the parameter `vehicle`."""
        return parameters.named_file(self.stack.vehicle, "vehicles")

    def model_folder(self) -> Path:
        """The model's folder, by the name or path in the parameter `model`."""
        return parameters.named_model(self.stack.model)

    def speak(self, name: str, topic: str | None = None, raw: bool = False) -> None:
        """Make the publisher of row `name` of the table; silent while the node is not active.

        With `raw` contract objects are written as bytes, several times faster than through rclpy.
        """
        row, topic = BY_NAME[name], topic or name
        if raw:
            self._written_raw.add(topic)
        self._writers[topic] = self.create_lifecycle_publisher(
            message_type(row.type), topic, profile(row.delivery)
        )

    def send(self, topic: str, value: Any) -> None:
        """Publish a contract object (or a message) on a topic made by `speak`.

        A topic that is handed over within the process goes to DDS as well while somebody listens
        there, after its reader was woken.
        """
        writer = self._writers[topic]
        if handover := self._handovers.get(topic):
            handover.put(value)
            if not writer.get_subscription_count():
                return
        if topic in self._written_raw:
            writer.publish(cdr.write(value))
        else:
            writer.publish(value if hasattr(value, "SLOT_TYPES") else to_message(value))

    def listen(
        self, name: str, cls: type | None, take: Callable[[Any], None], topic: str | None = None,
        most_bytes: int | None = None,
    ) -> None:
        """Subscribe to row `name` of the table (as `topic` where the row holds a camera's name).

        `take` gets a contract object of type `cls`, or the message itself where `cls` is None. A
        message that does not fit is counted, told and left out. With `most_bytes` it is read from
        the bytes as they came, which is several times faster, and a longer one does not fit.
        """
        topic = topic or name
        if handover := self._handovers.get(topic):
            counted = self._counted(name, topic, take, _as_it_is)
            handover.attach(counted, self.executor.create_task)
        elif cls is None:
            self._subscribe(name, topic, take, _as_it_is)
        elif most_bytes is None:
            self._subscribe(name, topic, take, partial(from_message, cls))
        else:
            read = partial(cdr.read, cls, most_bytes=most_bytes)
            self._subscribe(name, topic, take, read, raw=True)

    def listen_raw(self, name: str, take: Callable[[bytes], None], topic: str) -> None:
        """Subscribe like `listen`, to record: `take` gets the bytes; a busy moment loses none."""
        self._subscribe(name, topic, take, _as_it_is, RECORDER_DEPTH, raw=True)

    def _subscribe(
        self, name: str, topic: str, take: Callable[[Any], None], read: Callable[[Any], Any],
        depth: int | None = None, raw: bool = False,
    ) -> None:
        """Subscribe to `topic` by row `name`."""
        row = BY_NAME[name]
        self._readers.append(
            self.create_subscription(
                message_type(row.type), topic, self._counted(name, topic, take, read),
                profile(row.delivery, depth), raw=raw,
            )
        )

    def _counted(
        self, name: str, topic: str, take: Callable[[Any], None], read: Callable[[Any], Any]
    ) -> Callable[[Any], None]:
        """`take` of what is read, with its input counted, called while the node is active alone."""
        statistics = InputStatistics(BY_NAME[name].deadline_s(self.stack.rates.as_dict()))
        self.inputs[topic] = statistics

        def callback(message: Any) -> None:
            if not self.active:
                return
            begin_ns = self._steady_ns()
            try:
                value = read(message)
            except MalformedMessage as error:
                statistics.arrived(begin_ns, None)
                self.malformed(topic, str(error))
            else:
                statistics.arrived(begin_ns, getattr(value, "sequence", None))
                take(value)
            statistics.took.add((self._steady_ns() - begin_ns) * 1e-9)

        return callback

    def every(self, rate_hz: float, step: Callable[[], None], counted: bool = True) -> None:
        """Call `step` at a steady rate while active; `counted` durations go to diagnostics."""
        self._timers_when_active.append((1.0 / rate_hz, self.timed(step) if counted else step))

    def timed(self, step: Callable[..., None]) -> Callable[..., None]:
        """`step` with its duration kept for diagnostics."""

        def measured(*arguments: Any) -> None:
            begin = time.perf_counter()
            step(*arguments)
            self.steps.took(begin, time.perf_counter())

        return measured

    def tell(self, event: DriveEvent) -> None:
        """Publish an event and log it; the same fault (name and subject) at most once a second."""
        key = (event.name, event.subject)
        last = self._told.get(key)
        recent = last is not None and 0 <= event.stamp_ns - last < REPEAT_EVENT_AFTER_S * SECOND
        if recent and event.severity > Severity.INFO:
            return
        self._told[key] = event.stamp_ns
        if event.severity > self._worst:
            self._worst, self._worst_text = event.severity, event.text
        log = self.get_logger()
        # rclpy remembers one severity a call site, so each has its own line.
        if event.severity >= Severity.ERROR:
            log.error(event.text)
        elif event.severity == Severity.WARNING:
            log.warning(event.text)
        else:
            log.info(event.text)
        self._writers["vla/event"].publish(to_message(event))

    def lost_real_time(self, cores: float) -> None:
        """Tell that the real-time priority was taken away: the process does not rest."""
        self.real_time = RealTime(refused=(f"SCHED_FIFO {self.REAL_TIME}",))
        self.tell(
            DriveEvent(
                self.now_ns(), Severity.ERROR, self.NAME, "real_time_lost", self.NAME, cores,
                Guard.MOST_CORES, "cores",
                f"{self.NAME} does not rest ({cores:.2f} cores, limit {Guard.MOST_CORES:g}): it no "
                "longer runs at real-time priority, so that the others are not starved",
            )
        )

    # Lifecycle.

    def on_configure(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Configure; a ValueError's line is logged and the node stays unconfigured."""
        self._begun = True
        try:
            self.configure()
        except Exception as error:  # rclpy would swallow it without a word
            kind = "" if isinstance(error, ValueError | OSError) else f"{type(error).__name__}: "
            self.get_logger().error(f"cannot be configured: {kind}{error}")
            self._let_go()
            return TransitionCallbackReturn.FAILURE
        self.configured = True
        return super().on_configure(state)

    def on_activate(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Start timers and take messages."""
        result = super().on_activate(state)
        # What lives from here on is young: full collections of the libraries would cost tens of ms.
        gc.collect()
        gc.freeze()
        self.active = True
        self._running_timers = [
            self.create_timer(period_s, step, clock=self._steady)
            for period_s, step in self._timers_when_active
        ]
        self._start_heart()
        return result

    def on_deactivate(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Stop timers and leave messages."""
        self._stop_timers()
        return super().on_deactivate(state)

    def on_cleanup(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Let go of core and topics."""
        result = super().on_cleanup(state)
        self._let_go()
        return result

    def on_shutdown(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Stop and let go."""
        self._stop_timers()
        result = super().on_shutdown(state)
        self._let_go()
        return result

    def _start_heart(self) -> None:
        if not self.BEATS:
            return
        period_s = 1.0 / self.stack.rates.heartbeat
        self._heart = Heart(self._beat, period_s, LONGEST_TURN_S)
        turn = self.create_timer(period_s, self._heart.turned, clock=self._steady)
        self._running_timers.append(turn)

    def _beat(self) -> None:
        beat = Header(frame_id=self.NAME)
        set_stamp(beat.stamp, self.now_ns())
        self._writers["vla/heartbeat"].publish(beat)

    def _stop_timers(self) -> None:
        self.active = False
        if self._heart is not None:
            self._heart.stop()
            self._heart = None
        for timer in self._running_timers:
            self.destroy_timer(timer)
        self._running_timers = []

    def end(self) -> None:
        """Let go of everything, in whatever state the node is."""
        self._stop_timers()
        self._let_go()

    def _let_go(self) -> None:
        if self._begun:
            self.release()
        self._begun = self.configured = False
        for reader in self._readers:
            self.destroy_subscription(reader)
        for topic in self._handovers.keys() & self.inputs.keys():
            self._handovers[topic].detach()
        for name in [n for n in self._writers if n not in _LASTING]:
            self.destroy_lifecycle_publisher(self._writers.pop(name))
        self._readers, self._timers_when_active, self.inputs = [], [], {}

    # Parameters.

    def _tell_parameters(self, wanted: list[Parameter]) -> list[Parameter]:
        """Nothing changes in flight: read-only refuses most, `_refuse_parameters` the rest."""
        for parameter in wanted[:MOST_REFUSALS]:
            self.tell(
                DriveEvent(
                    self.now_ns(), Severity.WARNING, self.NAME, "parameter_refused",
                    parameter.name[:MOST_CHARACTERS], 0.0, 0.0, "",
                    f"parameter {parameter.name[:MOST_CHARACTERS]} keeps its value: "
                    "none changes while the node runs; set it in config/stack.yaml and start anew",
                )
            )
        return wanted

    # Diagnostics.

    @staticmethod
    def _steady_ns() -> Nanoseconds:
        return time.monotonic_ns()

    def _publish_diagnostics(self) -> None:
        values = {
            "state": "active" if self.active else "inactive",
            "real_time": self.real_time.line,
            **self.steps.figures(),
        }
        for topic, statistics in self.inputs.items():
            values[f"{topic} rate_hz"] = f"{statistics.rate_hz(DIAGNOSTICS_PERIOD_S):.1f}"
            values[f"{topic} dropped"] = str(statistics.dropped)
            values[f"{topic} missed_deadlines"] = str(statistics.missed_deadlines)
            values[f"{topic} malformed"] = str(statistics.malformed)
            values |= statistics.took.figures(f"{topic} took")
            if topic in self._handovers:
                values |= self._handovers[topic].waited.figures(f"{topic} waited")
        if self.configured:
            values.update(self.diagnose())
        array = DiagnosticArray()
        set_stamp(array.header.stamp, self.now_ns())
        array.status = [
            DiagnosticStatus(
                level=_DIAGNOSTIC_LEVEL[self._worst],
                name=f"vla_driving: {self.NAME}",
                message=self._worst_text or "ok",
                hardware_id=self.stack.vehicle,
                values=[KeyValue(key=key, value=value) for key, value in values.items()],
            )
        ]
        self._writers["diagnostics"].publish(array)
        self._worst, self._worst_text = Severity.INFO, ""


_LASTING = ("vla/event", "vla/heartbeat", "diagnostics")
"""Topics of a node from its first to its last breath."""

def _as_it_is(message: Any) -> Any:
    return message


def _refuse_parameters(wanted: list[Parameter]) -> SetParametersResult:
    """For what is not read-only by itself: use_sim_time would change the clock in flight."""
    return SetParametersResult(successful=False, reason="no parameter changes while the node runs")


_DIAGNOSTIC_LEVEL = {
    Severity.INFO: DiagnosticStatus.OK,
    Severity.WARNING: DiagnosticStatus.WARN,
    Severity.ERROR: DiagnosticStatus.ERROR,
    Severity.CRITICAL: DiagnosticStatus.ERROR,
}


def message_type(name: str) -> Any:
    """Message class of a type's name, such as vla_driving_msgs/msg/Plan."""
    package, folder, message = name.split("/")
    return getattr(importlib.import_module(f"{package}.{folder}"), message)
