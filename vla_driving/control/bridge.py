"""controller_bridge's core: approved plan and vehicle state in, one command a step out."""

from __future__ import annotations

from dataclasses import dataclass, replace

from vla_driving.contract.checksum import command_checksum
from vla_driving.contract.clock import SECOND, Nanoseconds, age_s
from vla_driving.contract.events import DriveEvent, Severity
from vla_driving.contract.faults import Fault, FaultLog
from vla_driving.contract.motion import EgoMotion
from vla_driving.contract.plan import ApprovedPlan, PlanSource
from vla_driving.contract.rates import Rates
from vla_driving.contract.vehicle import (
    CommandSource,
    ControlCommand,
    VehicleParameters,
    VehicleState,
)
from vla_driving.control.envelope import Actuation, Envelope
from vla_driving.control.faults import NODE, REACTIONS, make_fault
from vla_driving.control.following import PlanFollower
from vla_driving.control.intake import PlanIntake, StateIntake
from vla_driving.control.position import Position, PositionEstimate
from vla_driving.control.settings import ControllerBridgeSettings
from vla_driving.control.stop import OwnStop
from vla_driving.control.tracking import LateralTracker


@dataclass(frozen=True)
class Inputs:
    """The newest message of each topic, None where none has come; repeats are not read twice.

    `publishers` is how many speak on the topic of approved plans.
    """

    approved_plan: ApprovedPlan | None
    vehicle_state: VehicleState | None
    publishers: int = 1


@dataclass(frozen=True)
class Tracking:
    """How well the plan is kept: the car left of it in m, turned left in rad, too fast in m/s."""

    lateral_error: float
    heading_error: float
    speed_error: float


@dataclass(frozen=True)
class Outcome:
    """One step: the command, the faults that stand now, the events that began with this step.

    `tracking` is None where no plan is followed.
    """

    command: ControlCommand
    faults: tuple[Fault, ...]
    events: tuple[DriveEvent, ...]
    tracking: Tracking | None


class ControllerBridge:
    """Follows approved plans, hands over to the driver at once, stops the car when plans end.

    Its mode is the source of its commands: STANDBY (the car is the driver's), PLAN or STOP.
    """

    def __init__(
        self, settings: ControllerBridgeSettings, vehicle: VehicleParameters, rates: Rates
    ) -> None:
        self._settings = settings
        self._vehicle = vehicle
        self._period_s = 1.0 / rates.command
        self._plans = PlanIntake(settings.supervision)
        self._states = StateIntake(settings.supervision)
        self._motion = EgoMotion()
        self._position = PositionEstimate(vehicle, settings.longitudinal.standstill_speed)
        self._lateral = LateralTracker(settings.lateral, vehicle)
        self._follower = PlanFollower(settings.longitudinal, vehicle)
        self._envelope = Envelope(vehicle, self._period_s)
        self._fault_log = FaultLog(NODE, REACTIONS)
        self._mode = CommandSource.STANDBY
        self._stop: OwnStop | None = None
        self._withheld = 0.0
        self._overridden_ns: Nanoseconds | None = None
        self._last_ns: Nanoseconds | None = None
        self._sequence = 0

    def step(self, inputs: Inputs, now_ns: Nanoseconds) -> Outcome:
        """The command for now: always one, and never an exception."""
        elapsed_s = self._elapsed(now_ns)
        self._plans.publishers = inputs.publishers
        new_plan = self._plans.take(inputs.approved_plan, now_ns)
        if self._states.take(inputs.vehicle_state, now_ns) and self._states.state is not None:
            self._motion.add(self._states.state)
        if new_plan:
            self._position.new_path()
        position = self._estimate(elapsed_s, now_ns)
        faults = self._find_faults(position, now_ns)
        events = self._fault_log.update(faults, now_ns) + self._change_mode(position, now_ns)
        hold = self._actuate(position, elapsed_s, now_ns)
        self._position.commanded(self._envelope.last, now_ns)
        return Outcome(
            self._command(self._envelope.last, hold, now_ns), faults, events,
            self._tracking(position, now_ns),
        )

    # What is known.

    def _elapsed(self, now_ns: Nanoseconds) -> float:
        before, self._last_ns = self._last_ns, now_ns
        if before is None:
            return self._period_s
        if now_ns < before:
            # The clock was set back: nothing that carries a stamp can be believed any more.
            self._plans = PlanIntake(self._settings.supervision)
            self._states = StateIntake(self._settings.supervision)
            self._motion.clear()
            self._overridden_ns = None
            return 0.0
        return min((now_ns - before) / SECOND, 1.0)

    def _estimate(self, elapsed_s: float, now_ns: Nanoseconds) -> Position:
        blind = self._states.fault(now_ns) is not None
        speed = None if blind else self._motion.speed(now_ns)
        plan = self._plans.plan
        change = None
        if plan is not None and speed is not None:
            change = self._motion.change(plan.stamp_ns, now_ns)
        return self._position.update(self._plans.path, change, speed, elapsed_s, now_ns)

    def _find_faults(self, position: Position, now_ns: Nanoseconds) -> tuple[Fault, ...]:
        plan_fault = self._plans.fault(now_ns)
        state_fault = self._states.fault(now_ns)
        found = [self._plans.refusal, self._states.refusal, plan_fault, state_fault]
        if plan_fault is None and state_fault is None and not position.measured:
            age = self._plan_age_s(now_ns)
            found.append(make_fault("ego_motion_unknown", age, 0.0, "s", "no motion known since"))
        return tuple(fault for fault in found if fault is not None)

    def _plan_age_s(self, now_ns: Nanoseconds) -> float:
        return age_s(self._plans.plan.stamp_ns, now_ns) if self._plans.plan is not None else 0.0

    def _driver_overrides(self, now_ns: Nanoseconds) -> bool:
        state = self._states.state
        known = state is not None and self._states.fault(now_ns) is None
        if known and state is not None and (state.steering_override or state.brake_override):
            self._overridden_ns = now_ns
        if self._overridden_ns is None:
            return False
        # Held a while after release: the plan that knows of the override is still on its way.
        since = age_s(self._overridden_ns, now_ns)
        return since < self._settings.supervision.override_release

    # Who drives.

    def _change_mode(self, position: Position, now_ns: Nanoseconds) -> tuple[DriveEvent, ...]:
        before = self._mode
        self._mode, why = self._next_mode(position, now_ns)
        at_rest = self._mode == CommandSource.STANDBY or position.standing
        if at_rest and self._plans.fault(now_ns) is not None:
            self._plans.forget_order()
        if self._mode == before:
            return ()
        self._follower.reset()
        self._withheld = 0.0
        self._stop = None
        if self._mode == CommandSource.STOP:
            self._stop = OwnStop(
                self._settings.longitudinal, self._vehicle,
                self._envelope.last.acceleration, now_ns,
            )
        stopping = self._mode == CommandSource.STOP
        return (
            DriveEvent(
                now_ns, Severity.CRITICAL if stopping else Severity.INFO, NODE, "control_mode",
                self._mode.name, float(self._mode), float(before), "",
                f"control mode {before.name} to {self._mode.name}: {why}",
            ),
        )

    def _next_mode(self, position: Position, now_ns: Nanoseconds) -> tuple[CommandSource, str]:
        if self._driver_overrides(now_ns):
            return CommandSource.STANDBY, "the driver steers or brakes"
        fault = self._plans.fault(now_ns)
        plan = self._plans.plan
        if fault is None and plan is not None and not plan.engaged:
            return CommandSource.STANDBY, "not engaged"
        fault = fault or self._states.fault(now_ns)
        if fault is not None or not position.measured:
            if self._mode == CommandSource.STANDBY:
                return CommandSource.STANDBY, "not engaged"
            return CommandSource.STOP, fault.name if fault else "ego_motion_unknown"
        if self._stop is not None and not (
            position.standing
            or self._stop.lasted_s(now_ns) <= self._settings.supervision.resume_within
        ):
            return CommandSource.STOP, "plans are back, but the car has to stand first"
        return CommandSource.PLAN, "engaged and every input good"

    # What to do.

    def _actuate(self, position: Position, elapsed_s: float, now_ns: Nanoseconds) -> bool:
        """Move the envelope on by one step; True where the car is to be held."""
        state, plan = self._states.state, self._plans.plan
        if self._mode == CommandSource.STANDBY:
            known = state is not None and self._states.fault(now_ns) is None
            angle = state.steering_angle if known and state else self._envelope.last.steering_angle
            self._envelope.follow(angle, state.acceleration if known and state else 0.0, now_ns)
            return False
        if self._stop is not None:
            acceleration, hold = self._come_to_rest(self._stop, position, now_ns)
        else:
            acceleration, hold = self._follow(position, elapsed_s, now_ns)
        if state is not None and state.accelerator_override and not position.blind:
            # The driver's foot wins over the plan's brakes; the steering goes on.
            self._follower.reset()
            acceleration, hold = state.acceleration, False
        angle = self._envelope.last.steering_angle
        if not hold and plan is not None:
            angle = self._lateral.angle(position.ahead, position.speed)
        by_fallback = plan is not None and plan.source == PlanSource.FALLBACK
        done = self._envelope.step(
            angle, acceleration, position.speed, now_ns,
            stopping=self._mode == CommandSource.STOP or by_fallback,
        )
        self._withheld = acceleration - done.acceleration
        return hold

    def _follow(
        self, position: Position, elapsed_s: float, now_ns: Nanoseconds
    ) -> tuple[float, bool]:
        plan, path = self._plans.plan, self._plans.path
        assert plan is not None and path is not None  # the mode is PLAN
        return self._follower.acceleration(
            plan, path, self._plan_age_s(now_ns), position.speed, position.standing,
            self._withheld, elapsed_s,
        )

    def _come_to_rest(
        self, stop: OwnStop, position: Position, now_ns: Nanoseconds
    ) -> tuple[float, bool]:
        path = self._plans.path
        planned = path.acceleration_at(self._plan_age_s(now_ns)) if path is not None else 0.0
        return stop.acceleration(planned, position.speed, position.standing, position.blind)

    def _command(
        self, actuation: Actuation, hold: bool, now_ns: Nanoseconds
    ) -> ControlCommand:
        plan, state = self._plans.plan, self._states.state
        usable = plan is not None and self._plans.fault(now_ns) is None
        command = ControlCommand(
            stamp_ns=state.stamp_ns if state is not None else now_ns,
            sequence=self._sequence,
            plan_sequence=plan.plan_sequence if plan is not None else 0,
            frame_stamp_ns=plan.frame_stamp_ns if plan is not None else 0,
            source=self._mode,
            engaged=self._mode != CommandSource.STANDBY,
            steering_angle=actuation.steering_angle,
            steering_rate=actuation.steering_rate,
            acceleration=actuation.acceleration,
            jerk=actuation.jerk,
            hazard_lights=self._mode == CommandSource.STOP
            or (usable and plan is not None and plan.hazard_lights),
            hold=hold,
        )
        self._sequence += 1
        return replace(command, checksum=command_checksum(command))

    def _tracking(self, position: Position, now_ns: Nanoseconds) -> Tracking | None:
        plan, path = self._plans.plan, self._plans.path
        if self._mode != CommandSource.PLAN or plan is None or path is None:
            return None
        target = self._follower.target(plan, path, self._plan_age_s(now_ns))
        here = position.here
        return Tracking(here.lateral_error, here.heading_error, position.speed - target)
