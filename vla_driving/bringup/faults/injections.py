"""Every kind of injection: how it begins, and how it is undone."""

from __future__ import annotations

import shutil
import signal
import subprocess
import sys
import threading
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import numpy as np
from rcl_interfaces.msg import Parameter, ParameterType, ParameterValue
from rcl_interfaces.srv import SetParameters

from vla_driving.bringup.faults.stand import APPROVED, COMMAND, OBJECTS, PLAN, STATE, FaultStand
from vla_driving.contract.checksum import signed
from vla_driving.contract.clock import SECOND, Nanoseconds, nanoseconds
from vla_driving.contract.messages import byte_array, from_message, to_message
from vla_driving.contract.plan import ApprovedPlan, Plan
from vla_driving.contract.scene import ObjectList
from vla_driving.contract.trajectory import Trajectory
from vla_driving.contract.vehicle import ControlCommand, VehicleState
from vla_driving.nodes.fault_relay import Relay
from vla_driving.replay.faults.alterations import (
    APPROVED_PLANS,
    COMMANDS,
    OBJECT_LISTS,
    PLAN_MESSAGES,
    PLANS,
    CameraAlteration,
    StateAlteration,
)
from vla_driving.replay.faults.table import FaultCase

PAUSE_S = 0.3
STATE_LATE_S = 0.4
_ROGUE_PERIOD_S = 0.02


class Injection(ABC):
    """One fault in one run."""

    def __init__(self, stand: FaultStand, case: FaultCase) -> None:
        self.stand = stand
        self.case = case
        self.bad_plans: set[int] = set()
        self.problems: list[str] = []

    @abstractmethod
    def begin(self) -> None:
        """Do it."""

    @property
    @abstractmethod
    def started_ns(self) -> Nanoseconds | None:
        """When the fault took effect, None while it has not."""

    @abstractmethod
    def end(self) -> None:
        """Undo it; the stack need not be well yet."""


class _Timed(Injection):
    """One that takes effect when it is done."""

    _at_ns: Nanoseconds | None = None

    @property
    def started_ns(self) -> Nanoseconds | None:
        return self._at_ns

    def now(self) -> None:
        """The fault begins."""
        self._at_ns = time.time_ns()


class Kill(_Timed):
    """SIGKILL to the node."""

    def begin(self) -> None:
        child = self.stand.process(self.case.target)
        self.now()
        child.send(signal.SIGKILL)
        self.stand.note_death(self.case.target)

    def end(self) -> None:
        self.stand.revive()


class Stop(_Timed):
    """SIGSTOP to the node until the run ends."""

    def begin(self) -> None:
        child = self.stand.process(self.case.target)
        self.now()
        child.send(signal.SIGSTOP)

    def end(self) -> None:
        self.stand.process(self.case.target).send(signal.SIGCONT)


class Pause(Stop):
    """SIGSTOP, and SIGCONT after PAUSE_S."""

    def begin(self) -> None:
        super().begin()
        time.sleep(PAUSE_S)
        self.end()


class _Relayed(Injection):
    """One that spoils what passes a relay."""

    topic = ""
    _ordered_ns: Nanoseconds | None = None

    @property
    def relay(self) -> Relay:
        return self.stand.relays.relays[self.topic]

    @property
    def started_ns(self) -> Nanoseconds | None:
        return self._ordered_ns if self._ordered_ns is not None else self.relay.spoilt_ns

    def spoil(self, how: Callable[[Any], Any]) -> None:
        """Change every message."""
        self.relay.spoil(how)

    def withhold(self) -> None:
        """Let nothing pass; counts from now."""
        self._ordered_ns = time.time_ns()
        self.relay.spoil(lambda message: None)

    def delay(self, late_s: float) -> None:
        """Let everything come late; counts from now."""
        self._ordered_ns = time.time_ns()
        self.relay.delay(late_s)

    def end(self) -> None:
        self.relay.mend()


class SpoiltPlan(_Relayed):
    """Plans of the model, spoilt one by one."""

    topic = PLAN

    def begin(self) -> None:
        alter, finish = PLANS[self.case.target], PLAN_MESSAGES.get(self.case.target)
        refused = self.case.target not in ("numbers_back", "collision")

        def spoil(message: Any) -> Any:
            plan = alter(from_message(Plan, message))
            if refused:
                self.bad_plans.add(plan.sequence)
            spoilt = to_message(plan)
            if finish is not None:
                finish(spoilt)
            return spoilt

        self.spoil(spoil)


class LatePlan(_Relayed):
    """Plans that come late."""

    topic = PLAN

    def begin(self) -> None:
        self.delay(float(self.case.target))


class _Spoilt(_Relayed):
    """Messages of one kind, spoilt or lost."""

    kind: type
    alterations: Mapping[str, Callable[[Any], Any]]

    def begin(self) -> None:
        if self.case.target == "lost":
            self.withhold()
            return
        alter = self.alterations[self.case.target]
        self.spoil(lambda message: to_message(alter(from_message(self.kind, message))))


class SpoiltApprovedPlan(_Spoilt):
    """Approved plans."""

    topic, kind, alterations = APPROVED, ApprovedPlan, APPROVED_PLANS


class SpoiltObjects(_Spoilt):
    """Object lists of the radar."""

    topic, kind, alterations = OBJECTS, ObjectList, OBJECT_LISTS


class SpoiltCommand(_Spoilt):
    """Commands on their way to the car; what the bridge sent is known before."""

    topic, kind, alterations = COMMAND, ControlCommand, COMMANDS


class SpoiltCamera(_Relayed):
    """Images of the camera, spoilt or lost."""

    @property
    def relay(self) -> Relay:
        return self.stand.relays.relays[self.stand.image]

    def begin(self) -> None:
        if self.case.target == "missing":
            self.withhold()
            return
        newest = self.relay.log.newest
        alter = CameraAlteration(self.case.target, None if newest is None else _pixels(newest))

        def spoil(message: Any) -> Any:
            pixels = alter(_pixels(message))
            if pixels is None:
                return None
            message.data = byte_array(np.ascontiguousarray(pixels))
            return message

        self.spoil(spoil)


class SpoiltState(_Relayed):
    """Vehicle states, spoilt, late or lost."""

    topic = STATE

    def begin(self) -> None:
        if self.case.target == "lost":
            self.withhold()
        elif self.case.target == "late":
            self.delay(STATE_LATE_S)
        else:
            alter = StateAlteration(self.case.target)

            def spoil(message: Any) -> Any:
                state = alter(from_message(VehicleState, message))
                return None if state is None else to_message(state)

            self.spoil(spoil)


class Rogue(_Timed):
    """A second publisher that speaks at 50 Hz, each message whole and plausible by itself."""

    def begin(self) -> None:
        self._over = threading.Event()
        self.now()
        self._publisher = self.stand.relays.publisher(self.case.target)
        self._thread = threading.Thread(target=self._speak, daemon=True)
        self._thread.start()

    def end(self) -> None:
        self._over.set()
        self._thread.join()
        self.stand.relays.node.destroy_publisher(self._publisher)

    def _speak(self) -> None:
        make = _ROGUES[self.case.target]
        while not self._over.wait(_ROGUE_PERIOD_S):
            self._publisher.publish(make(self.stand))


class ClockJump(_Timed):
    """The clock of every process of the set jumps at once and stays there."""

    def begin(self) -> None:
        self.now()
        self.stand.clock.set(nanoseconds(float(self.case.target)))

    def end(self) -> None:
        self.stand.clock.set(0)


class Starvation(_Timed):
    """Processes that do nothing but compute, at the niceness of the nodes."""

    def begin(self) -> None:
        self._children = []
        setpriv = shutil.which("setpriv")
        assert setpriv is not None  # the nodes are started with it
        command = [setpriv, "--pdeathsig", "KILL", "--", sys.executable, "-c", "while True: pass"]
        self.now()
        for _ in range(int(self.case.target)):
            self._children.append(subprocess.Popen(command))

    def end(self) -> None:
        for child in self._children:
            child.kill()
        for child in self._children:
            child.wait()


class Reconfiguration(_Timed):
    """Somebody loosens limits of running nodes through their parameter services."""

    WISHES = (
        ("safety_monitor", "plan.max_shift", 2.0),
        ("controller_bridge", "supervision.vehicle_state_timeout", 1.0),
        ("vla_inference", "plan_validity", 3.0),
        ("camera_ingest", "health.max_age", 5.0),
    )

    def begin(self) -> None:
        node, executor = self.stand.node, self.stand.executor
        self.now()
        for name, parameter, value in self.WISHES:
            client = node.create_client(SetParameters, f"{name}/set_parameters")
            try:
                client.wait_for_service(2.0)
                value_message = ParameterValue(
                    type=ParameterType.PARAMETER_DOUBLE, double_value=value
                )
                wish = Parameter(name=parameter, value=value_message)
                future = client.call_async(SetParameters.Request(parameters=[wish]))
                executor.spin_until_future_complete(future, 2.0)
                answer = future.result()
                if answer is not None and answer.results[0].successful:
                    self.problems.append(f"{name} took {parameter} in flight")
            finally:
                node.destroy_client(client)

    def end(self) -> None:
        """Nothing was changed."""


def _pixels(message: Any) -> Any:
    return np.frombuffer(message.data, np.uint8).reshape(message.height, message.width, 3)


def _rogue_plan(stand: FaultStand) -> Any:
    plan = from_message(Plan, stand.relays.relays[PLAN].log.newest)
    sequence = plan.sequence + 1_000_000
    late = replace(plan, sequence=sequence, stamp_ns=plan.stamp_ns + SECOND // 100)
    return to_message(signed(late))


def _rogue_approved_plan(stand: FaultStand) -> Any:
    """It asks for full acceleration, right after the one before it."""
    plan = from_message(ApprovedPlan, stand.relays.relays[APPROVED].log.newest)
    faster = _accelerated(plan.trajectory)
    return to_message(signed(replace(plan, sequence=plan.sequence + 1, trajectory=faster)))


def _accelerated(trajectory: Trajectory) -> Trajectory:
    return replace(
        trajectory, acceleration=np.full_like(trajectory.acceleration, 2.0),
        speed=trajectory.speed + np.float32(3.0),
    )


def _rogue_command(stand: FaultStand) -> Any:
    command = from_message(ControlCommand, stand.relays.relays[COMMAND].log.newest)
    own = replace(command, sequence=command.sequence + 1_000_000, acceleration=2.0)
    return to_message(signed(own))


_ROGUES: dict[str, Callable[[FaultStand], Any]] = {
    PLAN: _rogue_plan, APPROVED: _rogue_approved_plan, COMMAND: _rogue_command,
}
_KINDS: dict[str, type[Injection]] = {
    "kill": Kill, "stop": Stop, "pause": Pause, "plan": SpoiltPlan, "late plan": LatePlan,
    "approved plan": SpoiltApprovedPlan, "objects": SpoiltObjects, "command": SpoiltCommand,
    "camera": SpoiltCamera, "state": SpoiltState,
    "rogue": Rogue, "clock": ClockJump, "starve": Starvation, "parameters": Reconfiguration,
}


def injection(stand: FaultStand, case: FaultCase) -> Injection:
    """The injection that a row of the table asks for."""
    return _KINDS[case.action](stand, case)
