"""A short drive through the real monitor and the real bridge with an adversary on the wires.

The car obeys the bridge, a sound model plans for it, and every step some of its plans and states
are replaced. Which ones, and by what, follows from the seed, the number of the drive, the step and
the place alone; so a drive can be repeated with some of the attacks left out.
"""

from __future__ import annotations

import copy
import math
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from vla_driving import paths
from vla_driving.assurance.fuzzing.adversary import PLANS, STATES
from vla_driving.assurance.fuzzing.oracle import Oracle
from vla_driving.contract.checksum import checksum_of, signed
from vla_driving.contract.clock import SECOND, Nanoseconds, nanoseconds
from vla_driving.contract.frames import CameraHealth, CameraReport, FrameStatus
from vla_driving.contract.plan import ApprovedPlan, LateralAction, LongitudinalAction, Plan
from vla_driving.contract.rates import Rates
from vla_driving.contract.scene import ObjectList
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
"""Step, "plan", "state" or "clock", and the place within the step."""


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
        self.sent: ApprovedPlan | None = None
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

    def step(self, states: list[Any], plans: list[Any]) -> list[str]:
        """Everything once: what arrived in, what is wrong with what leaves out."""
        self.given += [plan for plan in plans if isinstance(plan, Plan)]
        del self.given[:-200]
        inputs = MonitorInputs(
            vehicle_states=tuple(states), plans=tuple(plans), **self._others(),
        )
        out = self.monitor.step(inputs, self.now_ns)
        asked = any(getattr(s, "engage_button", False) for s in states)
        wrong = self.oracle.reported(out.safety_state, asked)
        wrong += self.oracle.approved(
            out.approved, self._readable(), self.speed if self.honest else None, self.now_ns
        )
        self.sent = out.approved or self.sent
        # The bridge takes the newest of each of its steps; what is no state, no node hands on.
        typed = [state for state in states if isinstance(state, VehicleState)]
        halves = typed[: len(typed) // 2], typed[len(typed) // 2 :]
        self.state = halves[0][-1] if halves[0] else self.state
        wrong += self._half()
        self.now_ns += nanoseconds(HALF_S)
        self.state = halves[1][-1] if halves[1] else self.state
        wrong += self._half()
        self.now_ns += nanoseconds(STEP_S - HALF_S)
        self.count += 1
        return wrong

    def _readable(self) -> list[Plan]:
        return [plan for plan in self.given if isinstance(plan.candidates, tuple)]

    def _others(self) -> dict[str, Any]:
        if self.count % 5:
            return {}
        report = CameraReport("front", self.now_ns, FrameStatus.OK, 0.0, 0.2)
        number = self.count // 5
        return {
            "objects": (signed(ObjectList(self.now_ns, number, "radar", ())),),
            "driver_states": (
                signed(DriverState(self.now_ns, True, True, True, 0.0, 0.0, number)),
            ),
            "frames": (signed(CameraHealth(self.now_ns, number, "fuzz/1", (report,))),),
        }

    def _half(self) -> list[str]:
        """One step of the bridge and of the car."""
        self._believe()
        out = self.bridge.step(Inputs(self.sent, self.state), self.now_ns)
        self.oracle.in_force = self.sent
        newest = self._recent[-1] if self._recent else None
        overridden = (
            newest is not None and newest is self.state
            and (newest.steering_override or newest.brake_override)
        )
        pedal = newest is not None and newest.accelerator_override
        wrong = self.oracle.command(out.command, overridden, pedal, self.now_ns)
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
    drive = copy.deepcopy(begun)
    rng = np.random.default_rng((seed, number))
    kinds = list(rng.choice(list(PLANS), int(rng.integers(0, 4)), replace=False))
    lies = list(rng.choice(list(STATES), int(rng.integers(0 if kinds else 1, 3)), replace=False))
    share = float(rng.choice((0.2, 0.7, 1.0)))
    plans_each = int(rng.choice((1, 2, 4))) if kinds else 1
    states_each = int(rng.choice((2, 4, 8))) if lies else 1
    drift = float(rng.normal(0.0, 0.03)) if rng.random() < 0.2 else 0.0
    jumps = rng.random() < 0.03
    stranger = drive.given[0]
    for step in range(STEPS):
        own = np.random.default_rng((seed, number, step))
        if jumps and own.random() < 0.1 and _wanted(only, (step, "clock", 0)):
            drive.now_ns += nanoseconds(float(own.choice((-3.0, -0.05, 0.03, 0.2, 0.7, 5.0))))
            _note(result, (step, "clock", 0), "clock")
        plans, states = [], []
        for place in range(plans_each):
            plan: Any = drive._sound_plan()
            plan = replace(plan, sequence=plan.sequence * plans_each + place)
            at: Attack = (step, "plan", place)
            own = np.random.default_rng((seed, number, step, 1, place))
            if drift and _wanted(only, at):
                path = plan.candidates[0]
                moved = replace(path, y=path.y + np.float32(drift * step))
                plan = replace(plan, candidates=(moved,))
                _note(result, at, "drift")
                plan = signed(plan)
            elif kinds and own.random() < share and _wanted(only, at):
                kind = str(own.choice(kinds))
                plan = PLANS[kind](own, signed(plan), stranger)
                _note(result, at, kind)
            else:
                plan = signed(plan)
            plans.append(plan)
        for place in range(states_each):
            state: Any = drive._sound_state()
            state = signed(replace(
                state, stamp_ns=state.stamp_ns + place * 10_000,
                sequence=drive.count * states_each + place,
            ))
            at = (step, "state", place)
            own = np.random.default_rng((seed, number, step, 2, place))
            if lies and own.random() < share and _wanted(only, at):
                kind = str(own.choice(lies))
                state = STATES[kind](own, state)
                _note(result, at, kind)
                drive.honest = False
            states.append(state)
        wrong = drive.step(states, plans)
        result.commands += 2
        result.engaged += drive.command_engaged
        if wrong:
            result.escape, result.step = wrong[0], step
            return


def _wanted(only: frozenset[Attack] | None, attack: Attack) -> bool:
    return only is None or attack in only


def _note(result: Result, attack: Attack, kind: str) -> None:
    result.attacks.append((attack, kind))
    if attack[1] != "clock":
        result.cases[kind] = result.cases.get(kind, 0) + 1
