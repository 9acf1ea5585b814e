"""A short drive through the real monitor and the real bridge with an adversary on the wires.

The car obeys the bridge, a sound model plans for it, and every step some of its plans and states,
of the sensor's lists and of the approved plans on their way to the bridge are replaced. Which ones,
and by what, follows from the seed, the number of the drive, the step and the place alone; so a
drive can be repeated with some of the attacks left out.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from itertools import pairwise
from typing import Any

import numpy as np

from vla_driving import paths
from vla_driving.assurance.fuzzing.adversary import PLANS, STATES
from vla_driving.assurance.fuzzing.links import LINKS, LISTS, SECOND_PUBLISHER
from vla_driving.assurance.fuzzing.oracle import Oracle
from vla_driving.contract.checksum import checksum_of, signed
from vla_driving.contract.clock import SECOND, Nanoseconds, nanoseconds
from vla_driving.contract.frames import CameraHealth, CameraReport, FrameStatus
from vla_driving.contract.plan import ApprovedPlan, LateralAction, LongitudinalAction, Plan
from vla_driving.contract.rates import Rates
from vla_driving.contract.scene import ObjectClass, ObjectList, SceneObject
from vla_driving.contract.settings import from_mapping, read_yaml
from vla_driving.contract.supervision import Engagement
from vla_driving.contract.trajectory import POINTS, integrate
from vla_driving.contract.vehicle import (
    CommandSource,
    DriverState,
    Gear,
    VehicleParameters,
    VehicleState,
    load_vehicle,
)
from vla_driving.control.bridge import ControllerBridge, Inputs
from vla_driving.control.settings import ControllerBridgeSettings
from vla_driving.safety.checks import CHECKS
from vla_driving.safety.intake import MonitorInputs
from vla_driving.safety.monitor import SafetyMonitor
from vla_driving.safety.settings import SafetyMonitorSettings

START: Nanoseconds = nanoseconds(1000.0)
STEP_S, HALF_S = 0.02, 0.01
STEPS = 40
"""Steps of the monitor in one drive."""
WARM_UP = 60
VEHICLES = ("default", "metadrive_sedan")
BEGINNINGS = ((0.0, 0.0), (3.0, 0.05), (8.0, 0.0), (8.0, -0.02), (14.0, 0.0), (14.0, 0.01))
"""Speed in m/s and curvature in 1/m at which drives begin."""

Attack = tuple[int, str, int]
"""Step; "plan", "state", "list", "link" or "clock"; the place within the step."""

Link = Callable[[int], tuple[ApprovedPlan | None, int]]
"""What comes to the bridge in the first or second half of a step, and from how many publishers."""


@dataclass(frozen=True)
class Config:
    """What is shipped."""

    monitor: SafetyMonitorSettings
    bridge: ControllerBridgeSettings
    rates: Rates
    vehicle: VehicleParameters

    @classmethod
    def of(cls, vehicle: str) -> Config:
        """As config/ says."""
        stack = read_yaml(paths.config("stack.yaml"))
        return cls(
            from_mapping(SafetyMonitorSettings, stack["safety_monitor"]["ros__parameters"], "-"),
            from_mapping(
                ControllerBridgeSettings, stack["controller_bridge"]["ros__parameters"], "-"
            ),
            from_mapping(Rates, stack["/**"]["ros__parameters"]["rates"], "-"),
            load_vehicle(paths.config(f"vehicles/{vehicle}.yaml")),
        )


@dataclass
class Result:
    """Cases by kind, and the first thing that was wrong."""

    cases: dict[str, int] = field(default_factory=dict)
    escape: str = ""
    step: int = 0
    attacks: list[tuple[Attack, str]] = field(default_factory=list)
    engaged: int = 0
    commands: int = 0


class Drive:
    """Car, model, monitor, bridge and oracle."""

    def __init__(self, config: Config, speed: float, curvature: float) -> None:
        self.config, self.speed, self.curvature = config, speed, curvature
        self.target = max(speed, 5.0)
        self.monitor = SafetyMonitor(config.monitor, config.vehicle, config.rates)
        self.bridge = ControllerBridge(config.bridge, config.vehicle, config.rates)
        self.oracle = Oracle(
            config.vehicle, config.monitor, config.bridge.supervision, 1.0 / config.rates.command
        )
        self.now_ns = START
        self.count = 0
        self.angle = math.atan(config.vehicle.wheelbase * curvature)
        self.acceleration = 0.0
        self.given: list[Plan] = []
        self.sent: list[ApprovedPlan] = []
        self.arrived: ApprovedPlan | None = None
        self.state: VehicleState | None = None
        self.honest = True
        self.command_engaged = False
        self._recent: list[VehicleState] = []
        self._reckoned = speed

    def warm_up(self) -> Drive:
        """Until it is engaged and drives. Raises RuntimeError where it does not come to that."""
        for k in range(WARM_UP):
            state = self._sound_state(engage_button=30 <= k < 32)
            wrong = self.step([state], [self._sound_plan()])
            if wrong:
                raise RuntimeError(f"a good drive is found wrong: {wrong}")
        if self.oracle.engagement != Engagement.ENABLED or not self.command_engaged:
            raise RuntimeError(f"a good drive is not engaged: {self.oracle.engagement.name}")
        return self

    def copy(self) -> Drive:
        """Another one that goes on from here; what nobody changes is shared."""
        fixed = (
            self.config, *vars(self.config).values(), *CHECKS, *self.given, *self.sent,
            *(path for plan in self.given for path in plan.candidates),
        )
        return copy.deepcopy(self, {id(item): item for item in fixed})

    # -- what is sound -----------------------------------------------------------------------

    def _sound_state(self, engage_button: bool = False) -> VehicleState:
        bend = math.tan(self.angle) / self.config.vehicle.wheelbase
        return signed(VehicleState(
            stamp_ns=self.now_ns, sequence=self.count, speed=self.speed, wheel_speed=self.speed,
            acceleration=self.acceleration, lateral_acceleration=self.speed**2 * bend,
            yaw_rate=self.speed * bend, steering_angle=self.angle, steering_rate=0.0,
            gear=Gear.DRIVE, standstill=self.speed < 0.01, engage_button=engage_button,
        ))

    def _sound_plan(self) -> Plan:
        demand = float(np.clip((self.target - self.speed) / 3.0, -2.0, 1.5))
        ramp = abs(self.target - self.speed) / max(abs(demand), 0.1)
        pull = np.where(np.arange(POINTS) * 0.1 < ramp, demand, 0.0)
        path = integrate(self.speed, pull, np.full(POINTS, self.curvature))
        return signed(Plan(
            stamp_ns=self.now_ns, sequence=self.count, frame_sequence=self.count,
            valid_until_ns=self.now_ns + nanoseconds(0.6), model_name="fuzz", model_version="1",
            runtime="", candidates=(path,), objects=(), lane_lines=(), traffic_controls=(),
            lateral_action=LateralAction.KEEP_LANE,
            longitudinal_action=LongitudinalAction.CRUISE, reasoning="", evidence=(),
            uncertainty=0.2, instruction_id=0, stages=(),
        ))

    # -- one step ----------------------------------------------------------------------------

    def step(
        self, states: list[Any], plans: list[Any], lists: list[Any] | None = None,
        link: Link | None = None,
    ) -> list[str]:
        """Everything once: what arrived in, what is wrong with what leaves out."""
        self.given += [plan for plan in plans if isinstance(plan, Plan)]
        del self.given[:-400]
        lists = self._sound_lists() if lists is None else lists
        inputs = MonitorInputs(
            vehicle_states=tuple(states), plans=tuple(plans), objects=tuple(lists),
            **self._others(),
        )
        out = self.monitor.step(inputs, self.now_ns)
        asked = any(getattr(s, "engage_button", False) for s in states)
        wrong = self.oracle.reported(out.safety_state, asked)
        self.oracle.seen(lists)
        wrong += self.oracle.approved(
            out.approved, self._readable(), self.speed if self.honest else None, self.now_ns
        )
        if out.approved is not None:
            self.sent = [*self.sent[-99:], out.approved]
        # The bridge takes the newest of each of its steps; what is no state, no node hands on.
        typed = [state for state in states if isinstance(state, VehicleState)]
        halves = typed[: len(typed) // 2], typed[len(typed) // 2 :]
        for place, half_s in enumerate((HALF_S, STEP_S - HALF_S)):
            self.state = halves[place][-1] if halves[place] else self.state
            wrong += self._half(place, link)
            self.now_ns += nanoseconds(half_s)
        self.count += 1
        return wrong

    def _readable(self) -> list[Plan]:
        return [plan for plan in self.given if isinstance(plan.candidates, tuple)]

    def _sound_lists(self) -> list[Any]:
        """Another car, well ahead in the next lane and away from this one."""
        if self.count % 5:
            return []
        other = SceneObject(
            ObjectClass.CAR, 0.9, 60.0, 4.5, 0.0, self.speed + 3.0, 0.0, 4.5, 1.8, 1.5
        )
        return [signed(ObjectList(self.now_ns, self.count // 5, "radar", (other,)))]

    def _others(self) -> dict[str, Any]:
        if self.count % 5:
            return {}
        report = CameraReport("front", self.now_ns, FrameStatus.OK, 0.0, 0.2)
        number = self.count // 5
        return {
            "driver_states": (
                signed(DriverState(self.now_ns, True, True, True, 0.0, 0.0, number)),
            ),
            "frames": (signed(CameraHealth(self.now_ns, number, "fuzz/1", (report,))),),
        }

    def _half(self, place: int, link: Link | None) -> list[str]:
        """One step of the bridge and of the car."""
        self._believe()
        came, publishers = (self.sent[-1] if self.sent else None), 1
        if link is not None and self.sent:
            came, publishers = link(place)
        if came is not None:
            self.arrived = came
            self.oracle.arrived(came, came is self.sent[-1])
        out = self.bridge.step(Inputs(self.arrived, self.state, publishers), self.now_ns)
        newest = self._recent[-1] if self._recent else None
        overridden = (
            newest is not None and newest is self.state
            and (newest.steering_override or newest.brake_override)
        )
        pedal = newest is not None and newest.accelerator_override
        wrong = self.oracle.command(out.command, overridden, pedal, self.now_ns, publishers)
        self.command_engaged = out.command.engaged
        self._move(out.command.engaged, out.command.steering_angle, out.command.acceleration,
                   out.command.hold and out.command.source != CommandSource.STANDBY)
        return wrong

    def _believe(self) -> None:
        """The states that the bridge may go by: signed, finite, in order, not of the future."""
        state = self.state
        if state is not None and (not self._recent or state is not self._recent[-1]):
            numbers = (state.speed, state.acceleration, state.yaw_rate, state.steering_angle)
            good = (
                state.checksum == checksum_of(state)
                and all(math.isfinite(n) and abs(n) <= 100.0 for n in numbers)
                and state.stamp_ns <= self.now_ns + nanoseconds(0.05)
                and (not self._recent or state.stamp_ns > self._recent[-1].stamp_ns)
            )
            if good:
                self._recent = [*self._recent[-4:], state]
        speeds = [self.oracle.speeds[-1]] if self.oracle.speeds else []
        for kept in self._recent:
            age = (self.now_ns - kept.stamp_ns) / SECOND
            speeds += [kept.speed, kept.speed + kept.acceleration * age]
        for kept, later in pairwise(self._recent):
            # The newest may be stamped a little ahead: now lies in between.
            if kept.stamp_ns <= self.now_ns < later.stamp_ns:
                share = (self.now_ns - kept.stamp_ns) / (later.stamp_ns - kept.stamp_ns)
                speeds.append(kept.speed + share * (later.speed - kept.speed))
        fresh = self._recent and abs(self.now_ns - self._recent[-1].stamp_ns) < 0.15 * SECOND
        self.oracle.believed(state, [*speeds, 0.0] if not fresh else speeds)

    def _move(self, engaged: bool, angle: float, acceleration: float, hold: bool) -> None:
        before = self.speed
        if engaged:
            self.angle = angle
            self.speed = 0.0 if hold and before < 0.2 else max(before + acceleration * HALF_S, 0.0)
        self.acceleration = (self.speed - before) / HALF_S


def beginnings() -> list[Drive]:
    """Drives that are engaged and under way, for each car."""
    return [
        Drive(Config.of(vehicle), speed, curvature).warm_up()
        for vehicle in VEHICLES for speed, curvature in BEGINNINGS
    ]


def attacked(
    begun: Drive, seed: int, number: int, result: Result, only: frozenset[Attack] | None = None
) -> None:
    """One drive from a beginning; with `only`, those attacks alone. Raises what a core raises."""
    adversary = Adversary(begun.copy(), seed, number, result, only)
    for step in range(STEPS):
        wrong = adversary.step(step)
        result.commands += 2
        result.engaged += adversary.drive.command_engaged
        if wrong:
            result.escape, result.step = wrong[0], step
            return


class Adversary:
    """What is done to one drive: a few kinds on each wire, more or less often."""

    def __init__(
        self, drive: Drive, seed: int, number: int, result: Result,
        only: frozenset[Attack] | None,
    ) -> None:
        self.drive, self._seed, self._result, self._only = drive, (seed, number), result, only
        rng = np.random.default_rng(self._seed)
        self._plans = list(rng.choice(list(PLANS), int(rng.integers(0, 4)), replace=False))
        least = 0 if self._plans else 1
        self._states = list(rng.choice(list(STATES), int(rng.integers(least, 3)), replace=False))
        self._share = float(rng.choice((0.2, 0.7, 1.0)))
        self._plans_each = int(rng.choice((1, 4, 8))) if self._plans else 1
        self._states_each = int(rng.choice((2, 8, 14))) if self._states else 1
        self._drift = float(rng.normal(0.0, 0.03)) if rng.random() < 0.2 else 0.0
        self._jumps = rng.random() < 0.03
        self._lists = list(rng.choice(list(LISTS), 2, replace=False)) if rng.random() < 0.3 else []
        kinds = [*LINKS, SECOND_PUBLISHER]
        self._links = list(rng.choice(kinds, 2, replace=False)) if rng.random() < 0.3 else []
        self._stranger = drive.given[0]

    def step(self, step: int) -> list[str]:
        """One step of the drive; what is wrong with it."""
        self._jump(step)
        plans = [self._plan(step, place) for place in range(self._plans_each)]
        states = [self._state(step, place) for place in range(self._states_each)]
        lists = self._listed(step) if self._lists else None
        return self.drive.step(
            states, plans, lists, (lambda place: self._link(step, place)) if self._links else None
        )

    def _own(self, step: int, *place: int) -> np.random.Generator:
        return np.random.default_rng((*self._seed, step, *place))

    def _attacks(
        self, kinds: list[Any], own: np.random.Generator, attack: Attack
    ) -> str | None:
        """The kind of this attack, noted; None where there is none here."""
        if not kinds or own.random() >= self._share or not self._wanted(attack):
            return None
        kind = str(own.choice(kinds))
        _note(self._result, attack, kind)
        return kind

    def _wanted(self, attack: Attack) -> bool:
        return self._only is None or attack in self._only

    def _jump(self, step: int) -> None:
        own = self._own(step)
        if self._jumps and own.random() < 0.1 and self._wanted((step, "clock", 0)):
            self.drive.now_ns += nanoseconds(float(own.choice((-3.0, -0.05, 0.03, 0.2, 0.7, 5.0))))
            _note(self._result, (step, "clock", 0), "clock")

    def _plan(self, step: int, place: int) -> Any:
        plan = self.drive._sound_plan()
        plan = signed(replace(plan, sequence=plan.sequence * self._plans_each + place))
        at: Attack = (step, "plan", place)
        own = self._own(step, 1, place)
        if self._drift and self._wanted(at):
            path = plan.candidates[0]
            moved = replace(path, y=path.y + np.float32(self._drift * step))
            _note(self._result, at, "drift")
            return signed(replace(plan, candidates=(moved,)))
        kind = self._attacks(self._plans, own, at)
        return plan if kind is None else PLANS[kind](own, plan, self._stranger)

    def _state(self, step: int, place: int) -> Any:
        state = self.drive._sound_state()
        state = signed(replace(
            state, stamp_ns=state.stamp_ns + place * 10_000,
            sequence=self.drive.count * self._states_each + place,
        ))
        own = self._own(step, 2, place)
        kind = self._attacks(self._states, own, (step, "state", place))
        if kind is None:
            return state
        self.drive.honest = False
        return STATES[kind](own, state)

    def _listed(self, step: int) -> list[Any]:
        lists = []
        path = self.drive._sound_plan().candidates[0]
        for place, sound in enumerate(self.drive._sound_lists()):
            own = self._own(step, 3, place)
            kind = self._attacks(self._lists, own, (step, "list", place))
            lists.append(sound if kind is None else LISTS[kind](own, sound, path))
        return lists

    def _link(self, step: int, place: int) -> tuple[ApprovedPlan | None, int]:
        own, sent = self._own(step, 4, place), self.drive.sent
        kind = self._attacks(self._links, own, (step, "link", place))
        if kind is None:
            return sent[-1], 1
        if kind == SECOND_PUBLISHER:
            return sent[-1], 2
        return LINKS[kind](own, sent), 1


def _note(result: Result, attack: Attack, kind: str) -> None:
    result.attacks.append((attack, kind))
    if attack[1] != "clock":
        result.cases[kind] = result.cases.get(kind, 0) + 1
