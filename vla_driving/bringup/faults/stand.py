"""The stack and the simulated car as real processes, with relays between them, for many runs."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from vla_driving.bringup import environment
from vla_driving.bringup.child import Child, StartOptions
from vla_driving.bringup.faults.clock import MovableClock
from vla_driving.bringup.lifecycle import (
    ACTIVATE,
    CONFIGURE,
    WORDS,
    BringupError,
    LifecycleClient,
    make_node,
    refuse_a_domain_in_use,
)
from vla_driving.bringup.processes import Process, Set, select
from vla_driving.contract.cameras import Camera
from vla_driving.contract.checksum import signed
from vla_driving.contract.messages import to_message
from vla_driving.contract.navigation import EngagementRequest, EngagementWish
from vla_driving.contract.supervision import Engagement, Level
from vla_driving.contract.topics import camera_topic
from vla_driving.contract.vehicle import CommandSource
from vla_driving.nodes.fault_relay import PREFIX, FaultRelays
from vla_driving.replay.faults.table import TOGETHER

NAME = "fault_stand"
PLAN, APPROVED, COMMAND = "vla/plan", "vla/approved_plan", "vla/control_command"
STATE, OBJECTS = "vehicle/state", "vehicle/objects"
SAFETY, EVENT, TRUTH = "vla/safety_state", "vla/event", "simulation/state"
_REQUEST = "vla/engagement_request"
LEASE_S = 10.5
"""config/fastdds.xml: a killed node is in the graph, and in the way of its successor, for 10 s."""
_SWITCH_S = 0.0005
_READY_TIMEOUT_S = 40.0
_ASK_AGAIN_S = 0.4
_POLL_S = 0.1
_ACTIVATE_TIMEOUT_S = 60.0


class NotReady(Exception):
    """The car could not be brought to where a fault can be injected: one line."""


class FaultStand:
    """`with FaultStand(...) as stand: stand.start()`; leaves nothing running."""

    def __init__(
        self, options: StartOptions, camera: Camera, min_speed: float,
        show: Callable[[str], None],
    ) -> None:
        """`min_speed` in m/s is what the car must do before a fault is injected."""
        self.image = camera_topic("camera/{camera}/image", camera.name)
        self._relayed = {
            **{topic: topic for topic in (PLAN, APPROVED, COMMAND, STATE, OBJECTS)},
            self.image: "camera/{camera}/image",
        }
        senders = {
            "vla_inference": (PLAN,), TOGETHER: (PLAN,), "safety_monitor": (APPROVED,),
            "controller_bridge": (COMMAND,), "simulator": (self.image, STATE, OBJECTS),
        }
        remappings = {n: {t: PREFIX + t for t in topics} for n, topics in senders.items()}
        self._options = replace(options, remappings=remappings)
        self._min_speed = min_speed
        self._show = show
        self._rows = select(Set.SIM)
        self._children: dict[str, Child] = {}
        self._died_s: dict[str, float] = {}

    def __enter__(self) -> FaultStand:
        environment.prepare_own()
        # What measures and injects shares Python's one lock with the relays: they go first.
        sys.setswitchinterval(_SWITCH_S)
        self._options.check()
        self._options.log_folder.mkdir(parents=True, exist_ok=True)
        self.clock = MovableClock(self._options.log_folder)
        namespace = self._options.namespace
        self._context, self.node, self.executor = make_node(NAME, namespace)
        self._lifecycle = LifecycleClient(self.node, self.executor)
        names = [node for row in self._rows for node in row.nodes]
        refuse_a_domain_in_use(self.node, self.executor, names, 4.0)
        self.relays = FaultRelays(self._relayed, (SAFETY, EVENT, TRUTH), namespace)
        self._requests = self.relays.publisher(_REQUEST)
        return self

    def __exit__(self, *_: object) -> None:
        self._end_all()
        self.relays.close()
        self.clock.close()
        self.executor.shutdown()
        self.node.destroy_node()
        self._context.shutdown()

    # Processes.

    def arrange(self, apart: bool) -> None:
        """Have the doer's nodes run in one process or `apart`. Raises BringupError."""
        rows = select(Set.SIM, composed=not apart)
        if rows != self._rows or not self._children:
            self._rows = rows
            self.restart_all()

    def start(self) -> None:
        """Start and activate everything. Raises BringupError with one line."""
        for row in self._rows:
            self._spawn(row)
        for row in self._rows:
            self._bring_up(row)

    def restart_all(self) -> None:
        """From nothing, as at the start; the road begins anew, too."""
        if self._children:
            self._end_all()
            time.sleep(LEASE_S)
        self.start()

    def process(self, node: str) -> Child:
        """The process of a node."""
        return self._children[node]

    def note_death(self, node: str) -> None:
        """It was just killed: whoever comes after it has to wait for its lease to end."""
        self._died_s[node] = time.monotonic()

    def revive(self) -> None:
        """Start anew whoever has died."""
        dead = [r for r in self._rows if not self._children[r.name].running]
        for row in dead:
            self._children[row.name].end(1.0)
            self._spawn(row)
        for row in dead:
            died_s = self._died_s.get(row.name, time.monotonic())
            time.sleep(max(0.0, died_s + LEASE_S - time.monotonic()))
            self._bring_up(row)

    def _spawn(self, row: Process) -> None:
        surroundings = environment.child_environment(os.environ, self._options.log_folder)
        surroundings |= self.clock.environment
        self._children[row.name] = Child(row, self._options, surroundings, self._show)

    def _bring_up(self, row: Process) -> None:
        child = self._children[row.name]

        def alive() -> None:
            if not child.running:
                raise BringupError(f"{row.name} {child.cause_of_death()}")

        for transition, timeout_s in (
            (CONFIGURE, row.configure_timeout_s), (ACTIVATE, _ACTIVATE_TIMEOUT_S)
        ):
            for node in row.nodes:
                if not self._lifecycle.change(node, transition, timeout_s, alive):
                    why = child.output.complaint()
                    raise BringupError(f"{node} did not {WORDS[transition]}: {why}")

    def _end_all(self) -> None:
        for child in reversed(self._children.values()):
            child.end(3.0)
        self._children = {}

    # The car.

    def prepare(self) -> None:
        """Have the stack drive the car, fast enough and with nothing wrong. Raises NotReady.

        A stop on the way there, on a busy machine, costs time and nothing else.
        """
        end_s = time.monotonic() + _READY_TIMEOUT_S
        asked_s = 0.0
        while not self._drives_well(self._min_speed):
            now_s = time.monotonic()
            if now_s > end_s:
                raise NotReady(f"not at speed within {_READY_TIMEOUT_S:.0f} s: {self._said()}")
            if dead := [n for n, c in self._children.items() if not c.running]:
                raise NotReady(f"{', '.join(dead)} is dead")
            if not self._under_way() and now_s - asked_s > _ASK_AGAIN_S:
                idle_and_ready = self._handed_back() and self._safety().ready
                wish = EngagementWish.ENGAGE if idle_and_ready else EngagementWish.DISENGAGE
                self._ask(wish)
                asked_s = now_s
            time.sleep(_POLL_S)

    def hand_back(self) -> None:
        """The driver takes over: whatever was under way ends."""
        self._ask(EngagementWish.DISENGAGE)

    @property
    def drives(self) -> bool:
        """Whether the stack drives with nothing wrong, at whatever speed."""
        return self._drives_well(0.0)

    @property
    def route_left(self) -> float:
        """Share of the road that lies ahead, 0 to 1."""
        truth = self.relays.logs[TRUTH].newest
        return 1.0 - float(truth.route_completion) if truth is not None else 1.0

    def _drives_well(self, speed: float) -> bool:
        command, state = self._command(), self.relays.relays[STATE].log.newest
        if command is None or state is None or state.speed < speed:
            return False
        if command.source != CommandSource.PLAN or command.hazard_lights:
            return False
        safety = self._safety()
        nominal = safety is not None and safety.level == Level.NOMINAL
        return bool(nominal and safety.engagement == Engagement.ENABLED)

    def _command(self) -> Any:
        return self.relays.relays[COMMAND].log.newest

    def _safety(self) -> Any:
        return self.relays.logs[SAFETY].newest

    def _engaged(self) -> bool:
        safety = self._safety()
        return bool(safety is not None and safety.engagement == Engagement.ENABLED)

    def _under_way(self) -> bool:
        command = self._command()
        driven = command is not None and command.source == CommandSource.PLAN
        return self._engaged() and driven

    def _said(self) -> str:
        newest = self.relays.logs[SAFETY].newest
        return str(newest.alert_text) if newest is not None and newest.alert_text else "no alert"

    def _handed_back(self) -> bool:
        command, safety = self._command(), self._safety()
        if safety is None or command is None:
            return False
        idle = safety.engagement in (Engagement.DISABLED, Engagement.PRE_ENABLED)
        return bool(idle and not command.engaged)

    def _ask(self, wish: EngagementWish) -> None:
        request = EngagementRequest(time.time_ns(), wish, NAME)
        self._requests.publish(to_message(signed(request)))

    @property
    def handling_ms(self) -> Mapping[str, list[float]]:
        """What each relay took to hand a message on, ms."""
        return {
            # Copied at one go: the relays go on meanwhile.
            topic: [1e3 * s for s in list(relay.handling_s)]
            for topic, relay in self.relays.relays.items()
        }
