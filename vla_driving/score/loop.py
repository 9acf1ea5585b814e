"""The closed loop: the whole stack and the simulated car in lock step, 0.02 s at a time.

Picture -> camera_ingest -> actor and reasoner -> safety monitor -> controller bridge ->
drive-by-wire, each the vehicle's own core under the shipped settings, with radar, route, driver and
heartbeats beside them as the vehicle sends them. Nothing reads a clock: a plan reaches the monitor
a constant time after the exposure of its picture, and the same scenario gives the same drive.
"""

from __future__ import annotations

import dataclasses
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field

from vla_driving.camera.images import CameraImage
from vla_driving.camera.ingest import CameraIngest, CameraInputs
from vla_driving.contract.checksum import signed
from vla_driving.contract.clock import SECOND, Nanoseconds, nanoseconds
from vla_driving.contract.events import DriveEvent
from vla_driving.contract.frames import CameraHealth, FrameSet, Image
from vla_driving.contract.language import Answer, Command
from vla_driving.contract.motion import EgoMotion
from vla_driving.contract.navigation import (
    EngagementRequest,
    EngagementWish,
    Instruction,
    Route,
)
from vla_driving.contract.plan import ApprovedPlan, Plan
from vla_driving.contract.scene import ObjectList
from vla_driving.contract.supervision import Engagement, Heartbeat, SafetyState
from vla_driving.contract.vehicle import ControlCommand, DriverState, VehicleState
from vla_driving.control.bridge import ControllerBridge, Inputs
from vla_driving.replay.drive import Arrived
from vla_driving.safety import heartbeats
from vla_driving.safety.intake import MonitorInputs
from vla_driving.safety.monitor import SafetyMonitor
from vla_driving.score.rig import Rig
from vla_driving.score.unchecked import Unchecked
from vla_driving.simulation.metadrive import PHYSICS_STEP_S
from vla_driving.simulation.world import World
from vla_driving.vla.actor import Actor, ActorInputs
from vla_driving.vla.language.reasoner import ReasonerInputs
from vla_driving.vla.manifest import Model
from vla_driving.vla.runtimes.choose import Chosen

LATENCY_S = 0.08
"""From the exposure of a picture to its plan's arrival at the monitor; bench.md has the measured
times, which are shorter."""
ENGAGE_AGAIN_S = 1.0
INSTRUCTION_S = 60.0
"""An instruction holds at most this long."""
STEP_NS = nanoseconds(PHYSICS_STEP_S)
START_NS: Nanoseconds = 1000 * SECOND
MOVING_SPEED = 0.5
"""m/s, as in camera_ingest's node: a car that creeps may well see the same picture twice."""
_WAITING = (Engagement.DISABLED, Engagement.STOPPED)

Eye = Callable[[Image], Image]
"""Changes what the model sees, behind all health checks."""


@dataclass
class Seen:
    """What the stack said of late; `plan` is the newest made, whether it arrived yet or not."""

    picture: Image | None = None
    picture_ns: Nanoseconds = 0
    plan: Plan | None = None
    approved: ApprovedPlan | None = None
    safety: SafetyState | None = None
    state: VehicleState | None = None
    objects: ObjectList | None = None
    command: ControlCommand | None = None


@dataclass
class Talk:
    """What was said in the car so far, and when it arrived."""

    instructions: list[Arrived[Instruction]] = field(default_factory=list)
    answers: list[Arrived[Answer]] = field(default_factory=list)
    wishes: list[Arrived[Command]] = field(default_factory=list)


class Loop:
    """One drive of the stack. Call `step` until it has gone on long enough."""

    def __init__(
        self, rig: Rig, world: World, model: Model, chosen: Chosen, eye: Eye | None = None,
        checked: bool = True,
    ) -> None:
        """`eye` changes what the model sees, behind all health checks; not `checked`, every plan
        is approved as it is."""
        settings, virtual = rig.settings, model.manifest.inputs.cameras
        rates = settings.rates
        self.world = world
        self.seen = Seen()
        self.talk = Talk()
        self.motion = EgoMotion()
        self.events: list[DriveEvent] = []
        self._eye = eye
        self._camera = rig.camera.name
        self._ingest = CameraIngest(
            settings.camera, [rig.camera], virtual, model.manifest.title, rates.frames,
            {self._camera: rates.camera},
        )
        self._actor = Actor(model, chosen, settings.inference, rig.vehicle, lambda: 0)
        self._reasoner = rig.reasoner()
        self._monitor: SafetyMonitor | Unchecked = Unchecked(rig.vehicle.max_speed)
        if checked:
            self._monitor = SafetyMonitor(settings.monitor, rig.vehicle, rates, (self._camera,))
        self._bridge = ControllerBridge(settings.bridge, rig.vehicle, rates)
        self._picture_every = _ticks(rates.camera)
        self._objects_every = _ticks(rates.objects)
        self._route_every = _ticks(rates.route)
        self._driver_every = _ticks(rates.driver_state)
        self._commands = max(1, round(rates.command * PHYSICS_STEP_S))
        self._tick = 0
        self._states: list[VehicleState] = []
        self._route: Route | None = None
        self._due: deque[Plan] = deque()
        self._asked_ns: Nanoseconds = 0
        self._said: list[Instruction] = []
        self._taken = 0
        self._command: Command | None = None

    def say(self, text: str) -> None:
        """Give the car an instruction; it is heard with the next picture."""
        said = Instruction(
            self.now_ns, len(self.talk.instructions) + 1, text, "cockpit",
            self.now_ns + nanoseconds(INSTRUCTION_S),
        )
        self._said.append(said)
        self.talk.instructions.append(Arrived(self.now_ns, said))

    @property
    def now_ns(self) -> Nanoseconds:
        """Time of the present instant."""
        return START_NS + self._tick * STEP_NS

    @property
    def engaged(self) -> bool:
        """Whether the car is the stack's."""
        return self.seen.approved is not None and self.seen.approved.engaged

    def step(self) -> None:
        """Go on by PHYSICS_STEP_S."""
        now_ns = self.now_ns
        self.events = []
        state = self.world.vehicle_state(now_ns)
        self.seen.state = state
        self.motion.add(state)
        self._states.append(state)
        inputs = self._sensors(state, now_ns)
        if self._tick % self._picture_every == 0:
            inputs = dataclasses.replace(inputs, frames=self._think(state, now_ns))
        inputs = dataclasses.replace(inputs, plans=self._arrived(now_ns))
        out = self._monitor.step(inputs, now_ns)
        self.events += out.events
        self.seen.approved = out.approved or self.seen.approved
        self.seen.safety = out.safety_state or self.seen.safety
        self._act(state, now_ns)
        self._tick += 1

    def _sensors(self, state: VehicleState, now_ns: Nanoseconds) -> MonitorInputs:
        """All but frames and plans that reaches the monitor now."""
        world, tick = self.world, self._tick
        inputs = MonitorInputs(
            vehicle_states=(state,), requests=self._requests(now_ns),
            heartbeats=tuple(Heartbeat(now_ns, node) for node in heartbeats.NODES),
        )
        if tick % self._route_every == 0:
            number = tick // self._route_every
            self._route = signed(dataclasses.replace(world.route(now_ns), sequence=number))
            inputs = dataclasses.replace(inputs, routes=(self._route,))
        if tick % self._objects_every == self._objects_every // 2:
            number = tick // self._objects_every
            self.seen.objects = signed(ObjectList(now_ns, number, "front_radar", world.radar()))
            inputs = dataclasses.replace(inputs, objects=(self.seen.objects,))
        if tick % self._driver_every == 0:
            number = tick // self._driver_every
            driver = signed(DriverState(now_ns, True, True, True, 0.0, 0.0, number))
            inputs = dataclasses.replace(inputs, driver_states=(driver,))
        return inputs

    def _think(self, state: VehicleState, now_ns: Nanoseconds) -> tuple[CameraHealth, ...]:
        """A picture's way to the plan that will arrive; the health of what was seen."""
        picture = self.world.render()
        self.seen.picture, self.seen.picture_ns = picture, now_ns
        image = CameraImage(self._camera, now_ns, picture)
        ingested = self._ingest.step(
            CameraInputs((image,), abs(state.speed) > MOVING_SPEED), now_ns
        )
        self.events += ingested.events
        frames = ingested.frames
        if frames is None:
            return ()
        states, self._states = tuple(self._states), []
        self._listen(states, now_ns)
        answer = self._actor.step(
            ActorInputs(self._altered(frames), states, self._route, command=self._command), now_ns
        )
        self.events += answer.events
        self.seen.plan = answer.plan
        if answer.plan is not None:
            self._due.append(answer.plan)
        health = CameraHealth(frames.stamp_ns, frames.sequence, frames.model, ingested.health)
        return (signed(health),)

    def _listen(self, states: tuple[VehicleState, ...], now_ns: Nanoseconds) -> None:
        """The reasoner's step, on what was said and on the plan before; navigation obeys too."""
        said, self._said = tuple(self._said), []
        out = self._reasoner.step(
            ReasonerInputs(said, self.seen.plan, states, self.seen.safety, self._route), now_ns
        )
        self.talk.answers += [Arrived(now_ns, answer) for answer in out.answers]
        if out.command is not None:
            self._command = out.command
            self.talk.wishes.append(Arrived(now_ns, out.command))
            self.world.obey(out.command)

    def take_answers(self) -> list[Answer]:
        """What the car said since this was last asked."""
        answers = [a.value for a in self.talk.answers[self._taken:]]
        self._taken = len(self.talk.answers)
        return answers

    def _altered(self, frames: FrameSet) -> FrameSet:
        if self._eye is None:
            return frames
        shown = tuple(
            frame if frame.image is None
            else dataclasses.replace(frame, image=self._eye(frame.image))
            for frame in frames.frames
        )
        return dataclasses.replace(frames, frames=shown)

    def _arrived(self, now_ns: Nanoseconds) -> tuple[Plan, ...]:
        found = []
        while self._due and now_ns - self._due[0].stamp_ns >= LATENCY_S * SECOND:
            found.append(self._due.popleft())
        return tuple(found)

    def _requests(self, now_ns: Nanoseconds) -> tuple[EngagementRequest, ...]:
        """The driver engages as soon as that is possible, and again after a stop; no more."""
        safety = self.seen.safety
        if safety is None or safety.engagement not in _WAITING or not safety.ready:
            return ()
        if now_ns - self._asked_ns < ENGAGE_AGAIN_S * SECOND:
            return ()
        self._asked_ns = now_ns
        return (signed(EngagementRequest(now_ns, EngagementWish.ENGAGE, "cockpit")),)

    def _act(self, state: VehicleState, now_ns: Nanoseconds) -> None:
        """The bridge's steps, and one of physics under the newest command."""
        for k in range(self._commands):
            at_ns = now_ns + k * STEP_NS // self._commands
            outcome = self._bridge.step(Inputs(self.seen.approved, state), at_ns)
            self.events += outcome.events
        self.seen.command = outcome.command
        self.world.step(outcome.command, PHYSICS_STEP_S)


def _ticks(rate_hz: float) -> int:
    """Physics steps between two messages."""
    return max(1, round(1.0 / (rate_hz * PHYSICS_STEP_S)))
