"""Monitor and bridge together, driven at random: what must hold of every step of every drive.

Rules take things away, spoil them, bring them back, and let the driver do what drivers do; a car
follows the bridge's commands alone. Invariants are looked at in every tick of 20 ms.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import pytest
from bicycle_plant import SETTINGS as BRIDGE
from drive import RATES, STEP, World
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from vla_driving.contract.checksum import signed
from vla_driving.contract.clock import age_s
from vla_driving.contract.frames import FrameStatus
from vla_driving.contract.plan import Plan, PlanSource
from vla_driving.contract.supervision import Engagement, Level, Manoeuvre, Verdict
from vla_driving.contract.trajectory import POINTS
from vla_driving.contract.vehicle import CommandSource, ControlCommand, VehicleState
from vla_driving.control.bridge import ControllerBridge, Inputs
from vla_driving.safety.engagement import TRANSITIONS
from vla_driving.safety.intake import MonitorInputs

E = Engagement
IDLE = (E.DISABLED, E.PRE_ENABLED)
STOPPING = (E.MINIMAL_RISK, E.STOPPED)
ROWS = {(row.source, row.target) for row in TRANSITIONS}
TOPICS = ("vehicle_states", "plans", "objects", "driver_states", "frames")
CHECK_OF = {
    "vehicle_states": "vehicle_state", "plans": "plan", "objects": "objects",
    "driver_states": "driver_state", "frames": "frames",
}


@dataclass
class Known:
    """What a topic has sent so far, told by the test itself."""

    newest_ns: int | None = None
    last_malformed: bool = False


@dataclass
class Stack(World):
    """The monitor's world with the bridge between it and the car."""

    speed: float = 0.0
    silent: set[str] = field(default_factory=set)
    spoilt: set[str] = field(default_factory=set)
    known: dict[str, Known] = field(default_factory=dict)
    obstacle_m: float | None = None
    bad_plans: bool = False
    stamp: VehicleState | None = None
    watch: list[Callable[[], None]] = field(default_factory=list)

    def __post_init__(self) -> None:
        super().__post_init__()
        self.bridge = ControllerBridge(BRIDGE, self.vehicle, RATES)
        self.command: ControlCommand | None = None
        self.before: ControlCommand | None = None
        self.known = {name: Known() for name in TOPICS}
        self.objects = Stack._ahead
        self.on_plan = Stack._planned
        self.on_inputs = Stack._arrived

    def _ahead(self) -> tuple[Any, ...]:
        return () if self.obstacle_m is None else (self.ahead(self.obstacle_m, 0.0),)

    @staticmethod
    def _planned(plan: Plan, world: World) -> Plan:
        assert isinstance(world, Stack)
        if not world.bad_plans:
            return plan
        path = plan.candidates[0]
        wild = replace(path, curvature=np.full(POINTS, 0.5, np.float32))
        return signed(replace(plan, candidates=(wild,)))

    @staticmethod
    def _arrived(inputs: MonitorInputs, world: World) -> MonitorInputs:
        """Leave out what is silent, break what is spoilt, and note what went in."""
        assert isinstance(world, Stack)
        changes: dict[str, Any] = {}
        for name in TOPICS:
            messages = getattr(inputs, name)
            if name in world.silent:
                messages = ()
            if messages and name in world.spoilt:
                messages = tuple(replace(m, checksum=m.checksum ^ 1) for m in messages)
                world.known[name].last_malformed = True
            elif messages:
                world.known[name] = Known(messages[-1].stamp_ns)
            changes[name] = messages
        world.stamp = changes["vehicle_states"][-1] if changes["vehicle_states"] else world.stamp
        return replace(inputs, **changes)

    def _tick(self) -> None:
        super()._tick()
        for look in self.watch:
            look()

    def _move(self) -> None:
        """The car does what the bridge commands; the driver's brake works by itself."""
        self.before = self.command
        for half in (0, STEP // 2):
            inputs = Inputs(self.approved, self.stamp)
            self.command = self.bridge.step(inputs, self.now_ns + half).command
        assert self.command is not None
        before: float = self.speed
        push = self.command.acceleration if self.command.engaged else 0.0
        if self.driver.get("brake_override"):
            push = min(push, -3.0)
        elif self.driver.get("accelerator_override"):
            push = 1.0
        elif self.command.engaged and self.command.hold:
            push = -before / 0.02
        after = max(before + push * 0.02, 0.0)
        self.acceleration = max((after - before) / 0.02, -self.vehicle.emergency_deceleration)
        distance = 0.5 * (after + before) * 0.02
        self.x += distance * math.cos(self.yaw)
        self.y += distance * math.sin(self.yaw)
        self.speed = after


class StackMachine(RuleBasedStateMachine):
    """Random drives."""

    def __init__(self) -> None:
        super().__init__()
        self.world = Stack(target_speed=8.0)
        self.world.watch.append(self._look)
        self.engagement = E.DISABLED
        self.hardest = Manoeuvre.NONE
        self.slowest = math.inf

    # -- what happens ------------------------------------------------------------------------

    @initialize()
    def begin(self) -> None:
        self.world.engage()

    @rule(seconds=st.sampled_from([0.04, 0.2, 0.5, 1.5]))
    def drive(self, seconds: float) -> None:
        self.world.run(seconds)

    @rule(name=st.sampled_from(TOPICS), seconds=st.sampled_from([0.1, 0.3, 0.8, 2.0]))
    def a_topic_falls_silent(self, name: str, seconds: float) -> None:
        self.world.silent.add(name)
        self.world.run(seconds)

    @rule(name=st.sampled_from(TOPICS), seconds=st.sampled_from([0.1, 0.3, 0.8, 2.0]))
    def a_topic_is_spoilt(self, name: str, seconds: float) -> None:
        self.world.spoilt.add(name)
        self.world.run(seconds)

    @rule(seconds=st.sampled_from([0.1, 0.6, 1.5]))
    def plans_go_wild(self, seconds: float) -> None:
        self.world.bad_plans = True
        self.world.run(seconds)

    @rule(status=st.sampled_from(list(FrameStatus)), seconds=st.sampled_from([0.1, 0.5]))
    def the_camera_is(self, status: FrameStatus, seconds: float) -> None:
        self.world.camera = status
        self.world.run(seconds)

    @rule(distance=st.floats(8.0, 60.0))
    def something_stands_ahead(self, distance: float) -> None:
        self.world.obstacle_m = self.world.x + distance
        self.world.run(0.3)

    @rule()
    def all_is_well_again(self) -> None:
        world = self.world
        world.silent.clear()
        world.spoilt.clear()
        world.bad_plans, world.obstacle_m, world.camera = False, None, FrameStatus.OK
        world.run(1.0)

    @rule(
        what=st.sampled_from(
            ["engage_button", "cancel_button", "brake_override", "steering_override",
             "accelerator_override"]
        ),
        seconds=st.sampled_from([0.02, 0.3]),
    )
    def the_driver(self, what: str, seconds: float) -> None:
        self.world.run(seconds, **{what: True})

    @rule()
    def the_driver_engages_a_sound_car(self) -> None:
        self.all_is_well_again()
        self.world.run(0.1, cancel_button=True)
        self.world.run(2.0)
        self.world.run(0.1, engage_button=True)
        self.world.run(0.1)

    @rule(name=st.sampled_from(["plans", "objects", "frames"]))
    def nobody_mends_it(self, name: str) -> None:
        """A lasting fault and no driver: the car comes to stand, and is held."""
        driving = self.engagement not in IDLE
        self.world.silent.add(name)
        self.world.run(12.0)
        if driving and "vehicle_states" not in self.world.silent | self.world.spoilt:
            assert self.engagement == E.STOPPED
            assert self.world.speed == 0.0
            assert self.world.command is not None and self.world.command.hold

    # -- what must hold of every tick --------------------------------------------------------

    def _look(self) -> None:
        out, command = self.world.outputs[-1], self.world.command
        assert command is not None
        self._of_commands(command)
        if out.safety_state is not None:
            self._of_engagement(out.safety_state.engagement)
            assert "monitor itself failed" not in out.safety_state.alert_text
            self._of_stops(out.safety_state.engagement, out.safety_state.manoeuvre)
            self._of_verdicts()
        self._of_the_driver()
        if out.approved is not None and self.engagement in STOPPING:
            assert out.approved.source == PlanSource.FALLBACK
            assert out.approved.hazard_lights

    def _of_commands(self, command: ControlCommand) -> None:
        car_ = self.world.vehicle
        assert abs(command.steering_angle) <= car_.max_steering_angle + 1e-9
        assert -car_.emergency_deceleration - 1e-9 <= command.acceleration
        assert command.acceleration <= car_.max_acceleration + 1e-9
        if command.engaged:
            assert abs(command.jerk) <= car_.emergency_jerk + 1e-5
            assert abs(command.steering_rate) <= car_.max_steering_rate + 1e-6

    def _of_engagement(self, after: E) -> None:
        assert after == self.engagement or (self.engagement, after) in ROWS
        driver = self.world.driver
        touched = any(
            driver.get(f"{name}_override") for name in ("brake", "steering", "accelerator")
        ) or driver.get("cancel_button")
        if self.engagement == E.MINIMAL_RISK and after == E.DISABLED:
            assert touched
        waited = self.engagement in (E.DISABLED, E.STOPPED)
        if waited and after not in (self.engagement, E.DISABLED):
            assert driver.get("engage_button")
        self.engagement = after

    def _of_stops(self, engagement: E, manoeuvre: Manoeuvre) -> None:
        """A hard stop stays hard until it ends; what brakes never gives way to what drives."""
        if engagement != E.MINIMAL_RISK:
            self.hardest, self.slowest = Manoeuvre.NONE, math.inf
            return
        assert manoeuvre not in (Manoeuvre.NONE, Manoeuvre.HOLD)
        if self.hardest == Manoeuvre.EMERGENCY_STOP:
            assert manoeuvre == Manoeuvre.EMERGENCY_STOP
        self.hardest = manoeuvre
        # Its speed only falls, after the half second in which the last demand is taken back.
        assert self.world.speed <= self.slowest + 0.5
        self.slowest = min(self.slowest, self.world.speed)

    def _of_the_driver(self) -> None:
        """Once the wheel or the brake is in the driver's hands, the next command lets go."""
        world = self.world
        lost = {"vehicle_states"} & (world.silent | world.spoilt)
        if lost or world.stamp is None or age_s(world.stamp.stamp_ns, world.now_ns) > 0.0:
            return
        if world.driver.get("brake_override") or world.driver.get("cancel_button"):
            assert self.engagement in (E.DISABLED, E.STOPPED, E.PRE_ENABLED)
        if world.driver.get("brake_override") or world.driver.get("steering_override"):
            # That of this tick was made before the state was: look one step on.
            command = world.bridge.step(Inputs(world.approved, world.stamp), world.now_ns).command
            assert command.source == CommandSource.STANDBY and not command.engaged

    def _of_verdicts(self) -> None:
        """Never came, too old, malformed: three different things, each told as what it is."""
        world = self.world
        assert world.safety is not None
        for name, known in world.known.items():
            result = world.check(f"{CHECK_OF[name]}_freshness")
            if known.newest_ns is None:
                expected = Verdict.INVALID if known.last_malformed else Verdict.NOT_INITIALISED
            elif age_s(known.newest_ns, world.safety.stamp_ns) <= result.limit:
                expected = Verdict.PASS
            else:
                expected = Verdict.INVALID if known.last_malformed else Verdict.STALE
            assert result.verdict == expected, name

    @invariant()
    def levels_fit_the_engagement(self) -> None:
        safety = self.world.safety
        if safety is not None:
            assert (safety.level >= Level.MINIMAL_RISK) == (safety.engagement in STOPPING)


StackMachine.TestCase.settings = settings(
    max_examples=6, stateful_step_count=10, deadline=None,
    suppress_health_check=list(HealthCheck),
)
TestStackMachine = pytest.mark.requirement("SR-10", "SR-18", "SR-19", "SR-20", "SR-21")(
    StackMachine.TestCase
)


@pytest.mark.requirement("SR-10")
def test_the_car_drives_and_a_silent_topic_is_told_as_what_it_is() -> None:
    """The machine's world by hand: it does drive, so that its invariants say something."""
    world = Stack(target_speed=8.0)
    world.engage()
    world.run(6.0)
    assert world.safety is not None and world.safety.engagement == E.ENABLED
    assert 5.0 < world.speed < 8.5
    world.silent.add("objects")
    world.run(1.0)
    assert world.check("objects_freshness").verdict == Verdict.STALE
    world.silent.clear()
    world.spoilt.add("objects")
    world.run(0.2)
    assert world.check("objects_freshness").verdict == Verdict.INVALID
