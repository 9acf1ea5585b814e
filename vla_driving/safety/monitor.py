"""The checker of the doer-and-checker pair: one step from what arrived to what may be driven."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TypeVar

import numpy as np

from vla_driving.contract.checksum import approved_plan_checksum
from vla_driving.contract.clock import Nanoseconds, age_s, nanoseconds
from vla_driving.contract.events import DriveEvent, Severity
from vla_driving.contract.motion import EgoMotion
from vla_driving.contract.plan import ApprovedPlan, Plan, PlanSource
from vla_driving.contract.rates import Rates
from vla_driving.contract.supervision import (
    Alert,
    Engagement,
    Level,
    Manoeuvre,
    SafetyState,
    Verdict,
)
from vla_driving.contract.trajectory import HORIZON_S, Trajectory
from vla_driving.contract.vehicle import VehicleParameters, VehicleState
from vla_driving.safety import arbiter, engagement, manoeuvres, pull_over, report
from vla_driving.safety.approval import CAP_HEALS, Approval
from vla_driving.safety.braking import Braking
from vla_driving.safety.checks import STATE_CHECKS
from vla_driving.safety.checks.table import Limits, Situation
from vla_driving.safety.contacts import NEVER_S
from vla_driving.safety.driver_inputs import DriverInputs
from vla_driving.safety.engagement import Driver, Wishes
from vla_driving.safety.fallback import Fallback
from vla_driving.safety.following import Following
from vla_driving.safety.intake import Intake, MonitorInputs
from vla_driving.safety.judge import Outcome, StateJudge
from vla_driving.safety.lateness import Lateness
from vla_driving.safety.navigation import off_route
from vla_driving.safety.repetition import Repetition
from vla_driving.safety.settings import SafetyMonitorSettings
from vla_driving.safety.speed_cap import CREEP, SpeedCap, speed_limit
from vla_driving.safety.speed_jumps import SpeedJumps

T = TypeVar("T")

_STOPPING = (Engagement.MINIMAL_RISK, Engagement.STOPPED)
_IDLE = (Engagement.DISABLED, Engagement.PRE_ENABLED)
_FOLLOWING = (Engagement.ENABLED, Engagement.SOFT_DISABLING)
_ATTENTION = ("driver_eyes", "driver_hands")
_RUNS_OUT = "plan_validity"


@dataclass(frozen=True, eq=False)
class MonitorOutputs:
    """What leaves a step. `approved` is None until the first vehicle state, and if the step failed.

    `safety_state` is None in steps between two reports (rates.safety_state), unless level,
    engagement, manoeuvre, readiness or alert changed. A report that falls due in a step with a plan
    comes one step later.
    """

    approved: ApprovedPlan | None
    safety_state: SafetyState | None
    events: tuple[DriveEvent, ...]


class SafetyMonitor:
    """Core of the node: call `step` at rates.approved_plan and when a plan arrives."""

    def __init__(
        self,
        settings: SafetyMonitorSettings,
        vehicle: VehicleParameters,
        rates: Rates,
        cameras: tuple[str, ...] = (),
    ) -> None:
        """`cameras` are those of this car, by name; without any the set is not checked."""
        self._settings = settings
        self._vehicle = vehicle
        self._limits = Limits(settings, vehicle)
        # A little less than the period: the step that is due must not fall just before it.
        self._report_period_ns = nanoseconds(0.9 / rates.safety_state)
        self._intake = Intake(settings.inputs, rates, settings.driver.requirement == "L2")
        self._buttons = DriverInputs(
            settings.reaction.request_max_age, settings.inputs.future_tolerance
        )
        self._motion = EgoMotion()
        self._approval = Approval(self._limits, self._motion)
        self._judge = StateJudge(STATE_CHECKS, self._limits)
        self._following = Following(settings.following, vehicle)
        self._repetition = Repetition()
        self._lateness = Lateness()
        self._jumps = SpeedJumps()
        self._jumped: tuple[Nanoseconds, float] | None = None
        self._cameras = cameras
        self._publishers: dict[str, int] = {}
        self._most_publishers = ("", 1)
        self._off_route = 0.0
        self._heals = False
        self._contact_s = 0.0
        self._fallback = Fallback(vehicle, self._motion)
        self._cap = SpeedCap(vehicle, settings.reaction.cap_deceleration)
        self._events = report.Events()
        self._results = report.Results()
        self._engagement = engagement.EngagementState()
        self._arbiter = arbiter.ArbiterState()
        self._cause = report.Cause()
        self._sent: ApprovedPlan | None = None
        self._hand_overs = 0
        self._last_ns: Nanoseconds | None = None
        self._clock_error: tuple[Nanoseconds, float] | None = None
        self._error: tuple[Nanoseconds, str] | None = None
        self._sequence = 0
        self._state_sequence = 0
        self._reported: tuple[Nanoseconds, object] | None = None
        self._put_off = False

    def step(self, inputs: MonitorInputs, now_ns: Nanoseconds) -> MonitorOutputs:
        """One step; never raises.

        Should the monitor itself fail, no approved plan leaves (the bridge then stops the car by
        itself) and SafetyState says so.
        """
        try:
            # Absurd numbers overflow to infinity or NaN, which no check lets pass.
            with np.errstate(all="ignore"):
                return self._step(inputs, now_ns)
        except Exception as error:  # nothing may leave a step
            return self._failed(error, now_ns)

    def _step(self, inputs: MonitorInputs, now_ns: Nanoseconds) -> MonitorOutputs:
        self._watch_clock(now_ns)
        driver = self._take(inputs, now_ns)
        state = self._intake.vehicle_state.newest
        follow = self._approval.follow(self._speed(now_ns), now_ns)
        noticed = self._judge.look(self._situation(state, now_ns))
        counting = [o for o in noticed if o.counts]
        waits = self._waits(follow, counting, now_ns)
        if waits:
            follow, noticed = Level.DEGRADED, list(map(_bridged, noticed))
        level = max([follow, *(o.check.reaction for o in noticed if o.counts)])
        wishes = self._wishes(level, counting, state, now_ns)
        events = self._refusals(now_ns)
        events += self._decide(driver, wishes, level, counting, state, now_ns)
        if self._engagement.engagement == Engagement.OVERRIDING:
            self._cap.release()
        self._cap.step(
            self._target_speed(counting, now_ns), self._speed(now_ns),
            age_s(self._last_ns, now_ns) if self._last_ns is not None else 0.0,
        )
        approved = self._output(driver, follow, waits, state, now_ns)
        safety_state = self._report(noticed, wishes, waits, bool(inputs.plans), now_ns)
        if self._events.has_news([*noticed, *self._approval.failures()]):
            idle = self._engagement.engagement in _IDLE
            events += self._events.of_checks(self._shown(waits), idle, now_ns)
        self._last_ns = now_ns
        return MonitorOutputs(approved, safety_state, tuple(events[: report.MAX_EVENTS]))

    # -- what arrived ------------------------------------------------------------------------

    def _watch_clock(self, now_ns: Nanoseconds) -> None:
        """The check of the clock fails for a while; stamps of before a jump back are void."""
        if self._last_ns is None:
            return
        passed_s = age_s(self._last_ns, now_ns)
        if not 0.0 <= passed_s <= self._settings.inputs.max_clock_step:
            self._clock_error = (now_ns, passed_s)
        if passed_s < 0.0:
            self._forget(now_ns)

    def _forget(self, now_ns: Nanoseconds) -> None:
        """Begin anew after the clock ran back; a stop under way goes on.

        What engagement and arbiter noted last needs no new stamp: the jump itself asks for a stop
        in this very step.
        """
        for watch in self._intake.by_field().values():
            watch.forget()
        self._intake.heartbeats.forget()
        self._motion.clear()
        self._approval.clear()
        self._following.clear()
        self._buttons.forget()
        self._lateness.forget()
        self._jumps.forget()
        self._judge.forget()
        self._fallback.rebase(now_ns)
        self._engagement = replace(self._engagement, since_ns=now_ns)
        self._reported = None

    def _take(self, inputs: MonitorInputs, now_ns: Nanoseconds) -> Driver:
        intake, approval = self._intake, self._approval
        intake.refuse(inputs.malformed)
        states = intake.vehicle_state.take(inputs.vehicle_states, now_ns)
        for state in states:
            self._motion.add(state)
            self._repetition.take(state)
            jump = self._jumps.take(state)
            if jump > self._settings.inputs.max_speed_jump:
                self._jumped = (now_ns, jump)
            if state.accelerator_override:
                self._following.clear()  # the driver's foot, not the approved plan
            elif self._sent is not None and self._sent.engaged:
                self._following.add(state, self._sent)
        for listed in intake.objects.take(inputs.objects, now_ns)[-1:]:
            approval.world.see_objects(listed)
        for route in intake.route.take(inputs.routes, now_ns)[-1:]:
            self._off_route = off_route(route.x, route.y)
        if inputs.publishers:
            self._publishers.update(inputs.publishers)
            self._most_publishers = max(self._publishers.items(), key=lambda item: item[1])
        intake.driver_state.take(inputs.driver_states, now_ns)
        for health in intake.frames.take(inputs.frames, now_ns):
            self._lateness.take(health)
        intake.heartbeats.take(inputs.heartbeats, now_ns)
        for plan in intake.plan.take(inputs.plans, now_ns):
            approval.consider(plan, self._speed(now_ns), self._limit_with(plan, now_ns), now_ns)
        current = intake.vehicle_state.fresh(now_ns)
        return self._buttons.read(states, current, inputs.requests, now_ns)

    # -- what it means -----------------------------------------------------------------------

    def _speed(self, now_ns: Nanoseconds) -> float:
        """Speed now, m/s; measured last where it cannot be carried on."""
        speed = self._motion.speed(now_ns)
        state = self._intake.vehicle_state.newest
        if speed is None:
            speed = state.speed if state is not None else 0.0
        return max(speed, 0.0)

    def _situation(self, state: VehicleState | None, now_ns: Nanoseconds) -> Situation:
        approval, approved = self._approval, self._approval.approved
        deviation, excess = self._following.deviation(self._motion)
        return Situation(
            now_ns=now_ns,
            limits=self._limits,
            intake=self._intake,
            state=state,
            clock_error_s=self._recent(self._clock_error, now_ns) or 0.0,
            monitor_error=self._recent(self._error, now_ns),
            plan=self._intake.plan.newest,
            approved_until_ns=None if approved is None else approved.until_ns,
            malformed_scene=approval.world.scene.malformed,
            malformed_objects=approval.world.sensor.malformed,
            unseen_m=approval.unseen_m,
            speed_limit=max(self._speed_limit(now_ns), self._cap.value),
            path_deviation=deviation,
            speed_excess=excess,
            hand_overs=self._hand_overs,
            identical=self._repetition.count,
            route_deviation=self._off_route,
            above_cap=self._above_cap(state),
            unlisted_m=approval.unlisted_m,
            cameras=self._cameras,
            lost=self._lateness.lost(),
            speed_jump=self._recent(self._jumped, now_ns) or 0.0,
            publishers=self._most_publishers,
        )

    def _recent(self, noted: tuple[Nanoseconds, T] | None, now_ns: Nanoseconds) -> T | None:
        """What was noted within the last `clock_settle`."""
        if noted is None or abs(age_s(noted[0], now_ns)) > self._settings.inputs.clock_settle:
            return None
        return noted[1]

    def _above_cap(self, state: VehicleState | None) -> float:
        """Measured speed above the cap that is given, m/s; 0 while the car is not ours."""
        if state is None or self._engagement.engagement not in _FOLLOWING:
            return 0.0
        return state.speed - self._cap.value

    def _speed_limit(self, now_ns: Nanoseconds) -> float:
        approved = self._approval.approved
        plan = approved.plan if approved is not None else None
        return self._limit_with(plan, now_ns)

    def _limit_with(self, plan: Plan | None, now_ns: Nanoseconds) -> float:
        """Highest speed allowed here, m/s, by car, route, and signs and instruction of a plan."""
        return speed_limit(
            self._vehicle, self._intake.route.fresh(now_ns),
            plan.traffic_controls if plan is not None else (),
            self._settings.world.min_probability,
            plan.speed_cap if plan is not None else 0.0,
        )

    def _waits(self, follow: Level, counting: list[Outcome], now_ns: Nanoseconds) -> bool:
        """Whether the car stands and must go on standing, for what is in the way alone.

        That is no stop of the monitor's: it drives on with the next plan that it approves.
        """
        state = self._intake.vehicle_state.fresh(now_ns)
        if follow <= Level.DEGRADED or state is None:
            return False
        if self._engagement.engagement not in _FOLLOWING or not self._approval.way_is_blocked():
            return False
        others = (o.reaction for o in counting if o.check.name != _RUNS_OUT)
        stands = abs(state.speed) < self._settings.reaction.standstill_speed
        return stands and max(others, default=Level.NOMINAL) <= Level.DEGRADED

    def _wishes(
        self,
        level: Level,
        counting: list[Outcome],
        state: VehicleState | None,
        now_ns: Nanoseconds,
    ) -> Wishes:
        hand_over = any(o.check.hand_over for o in counting)
        return Wishes(
            ready=level <= Level.DEGRADED and not hand_over,
            stop=level >= Level.MINIMAL_RISK,
            hand_over=hand_over,
            standstill=state is not None and self._stands(state, now_ns),
        )

    def _stands(self, state: VehicleState, now_ns: Nanoseconds) -> bool:
        """Measured; with the vehicle state lost while stopping, by the time braking must take."""
        if self._intake.vehicle_state.fresh(now_ns) is not None:
            return state.standstill or abs(state.speed) < self._settings.reaction.standstill_speed
        braking = self._fallback.braking
        lost_s = age_s(state.stamp_ns, now_ns)
        return braking is not None and lost_s > braking.longest_s(state.speed) + 1.0

    # -- what to do --------------------------------------------------------------------------

    def _decide(
        self,
        driver: Driver,
        wishes: Wishes,
        level: Level,
        counting: list[Outcome],
        state: VehicleState | None,
        now_ns: Nanoseconds,
    ) -> list[DriveEvent]:
        before, level_before = self._engagement.engagement, self._arbiter.level
        reaction = self._settings.reaction
        self._engagement = engagement.step(self._engagement, driver, wishes, reaction, now_ns)
        after = self._engagement.engagement
        demand = self._stop_demand(level, after, state, now_ns)
        self._arbiter = arbiter.step(self._arbiter, after, demand, reaction, now_ns)
        self._cause.note(after in _STOPPING, level, self._approval.cause(counting))
        if not demand.stop_is_free and level < Level.EMERGENCY:
            self._cause.harder(self._contact_line())
        if after != before and after == Engagement.SOFT_DISABLING:
            self._hand_overs += any(o.check.name in _ATTENTION for o in counting)
        return report.changes(
            (before, after), (level_before, self._arbiter.level), self._cause.text, now_ns
        )

    def _stop_demand(
        self, level: Level, after: Engagement, state: VehicleState | None, now_ns: Nanoseconds
    ) -> arbiter.Demand:
        """Bring the path of the monitor's own stop up to date, and look along it."""
        if after not in _STOPPING or state is None:
            self._fallback.release()
            return arbiter.Demand(level)
        self._follow_path(state)
        if after == Engagement.STOPPED or self._arbiter.manoeuvre == Manoeuvre.EMERGENCY_STOP:
            return arbiter.Demand(level)
        begins = self._arbiter.manoeuvre == Manoeuvre.NONE
        braking = self._fallback.brake(state, now_ns)
        if begins and level < Level.EMERGENCY and self._turn_aside(braking, state, now_ns):
            return arbiter.Demand(level, edge_is_free=True)
        self._contact_s = self._contact(braking, state, now_ns, whole=False)
        free = self._contact_s >= self._settings.world.collision_horizon
        return arbiter.Demand(level, stop_is_free=free)

    def _contact(
        self, braking: Braking, state: VehicleState, now_ns: Nanoseconds,
        whole: bool,
    ) -> float:
        """Time to the first contact of the stop under way, s; `whole`: until it stands."""
        trajectory = self._fallback.trajectory(braking, max(state.speed, 0.0))
        return self._approval.contact_s(trajectory, self._fallback.stamp_ns, now_ns, whole)

    def _contact_line(self) -> str:
        horizon = self._settings.world.collision_horizon
        return f"a collision in {self._contact_s:.2f} s ends the planned stop (limit {horizon:g} s)"

    def _turn_aside(
        self, braking: Braking, state: VehicleState, now_ns: Nanoseconds
    ) -> bool:
        """Let the stop end at the edge of the road where that is known to be free."""
        lane, aside = self._fallback.path, self._path_aside(braking, state, now_ns)
        if lane is None or aside is None:
            return False
        self._fallback.turn_to(aside)
        if self._contact(braking, state, now_ns, whole=True) == NEVER_S:
            return True
        self._fallback.turn_to(lane)
        return False

    def _path_aside(
        self, braking: Braking, state: VehicleState, now_ns: Nanoseconds
    ) -> manoeuvres.StopPath | None:
        approved, listed, path = (
            self._approval.approved, self._intake.objects.newest, self._fallback.path
        )
        if approved is None or listed is None or path is None:
            return None
        settings = self._settings.pull_over
        oldest_ns = min(approved.plan.stamp_ns, listed.stamp_ns)
        change = self._motion.change(approved.plan.stamp_ns, path.stamp_ns)
        if change is None or age_s(oldest_ns, now_ns) > settings.max_age:
            return None
        return pull_over.shifted(
            path, approved.plan.lane_lines, change, braking, max(state.speed, 0.0), self._vehicle,
            settings, self._settings.world.min_probability,
        )

    def _follow_path(self, state: VehicleState) -> None:
        approved = self._approval.approved
        if approved is None:
            self._fallback.follow(None, None, state)
        else:
            self._fallback.follow(approved.plan, approved.trajectory, state)

    def _target_speed(self, counting: list[Outcome], now_ns: Nanoseconds) -> float:
        limit = self._speed_limit(now_ns)
        if self._arbiter.level != Level.DEGRADED:
            return limit
        causes = self._approval.failing() | {o.check.name for o in counting}
        # While DEGRADED lasts on after its cause, what was asked for last goes on.
        self._heals = causes <= CAP_HEALS if causes else self._heals
        if self._heals:
            return min(limit, max(self._approval.safe_speed, CREEP))
        return min(limit, self._settings.reaction.degraded_speed)

    # -- what leaves -------------------------------------------------------------------------

    def _output(
        self, driver: Driver, follow: Level, waits: bool, state: VehicleState | None,
        now_ns: Nanoseconds,
    ) -> ApprovedPlan | None:
        if state is None:
            return None
        now, approved = self._engagement.engagement, self._approval.approved
        engaged = engagement.drives(now, driver)
        if waits and now not in _STOPPING:
            until_ns = now_ns + nanoseconds(self._settings.reaction.fallback_validity)
            plan = self._message(
                state.stamp_ns, until_ns, PlanSource.FALLBACK, engaged, manoeuvres.hold(), True
            )
        elif approved is not None and follow <= Level.DEGRADED and now not in _STOPPING:
            plan = self._message(
                approved.plan.stamp_ns, approved.until_ns, PlanSource.MODEL, engaged,
                approved.trajectory,
            )
        else:
            plan = self._own_plan(engaged, state, now_ns)
        if not engaged:
            self._following.clear()
        self._sent = replace(plan, checksum=approved_plan_checksum(plan))
        return self._sent

    def _own_plan(
        self, engaged: bool, state: VehicleState, now_ns: Nanoseconds
    ) -> ApprovedPlan:
        """The stop under way; the one that would be driven where the driver still has the car."""
        self._follow_path(state)
        if self._arbiter.manoeuvre == Manoeuvre.HOLD:
            trajectory = manoeuvres.hold()
        else:
            hard = self._arbiter.manoeuvre == Manoeuvre.EMERGENCY_STOP
            brake = self._fallback.brake_fully if hard else self._fallback.brake
            trajectory = self._fallback.trajectory(brake(state, now_ns), max(state.speed, 0.0))
        hold = self._arbiter.manoeuvre == Manoeuvre.HOLD
        stamp_ns = self._fallback.stamp_ns
        until_ns = min(
            now_ns + nanoseconds(self._settings.reaction.fallback_validity),
            stamp_ns + nanoseconds(HORIZON_S),
        )
        return self._message(stamp_ns, until_ns, PlanSource.FALLBACK, engaged, trajectory, hold)

    def _message(
        self,
        stamp_ns: Nanoseconds,
        until_ns: Nanoseconds,
        source: PlanSource,
        engaged: bool,
        trajectory: Trajectory,
        hold: bool = False,
    ) -> ApprovedPlan:
        newest, approved = self._intake.plan.newest, self._approval.approved
        self._sequence += 1
        return ApprovedPlan(
            stamp_ns=stamp_ns,
            sequence=self._sequence,
            plan_sequence=approved.plan.sequence if approved is not None else 0,
            frame_stamp_ns=newest.stamp_ns if newest is not None else 0,
            valid_until_ns=until_ns,
            source=source,
            engaged=engaged,
            hold=hold,
            hazard_lights=self._engagement.engagement in _STOPPING,
            speed_cap=self._cap.value,
            trajectory=trajectory,
        )

    # -- what is told ------------------------------------------------------------------------

    def _refusals(self, now_ns: Nanoseconds) -> list[DriveEvent]:
        """One event a topic for what was refused in this step: it changes nothing by itself."""
        events = []
        for watch in self._intake.by_field().values():
            if (news := watch.news()) is not None:
                name = f"{watch.title.replace(' ', '_')}_refused"
                events.append(
                    DriveEvent(
                        now_ns, Severity.WARNING, report.NODE, name, watch.title,
                        float(watch.malformed + watch.disordered),
                        float(self._settings.inputs.max_wrong), "messages",
                        f"{news}: the one before stays in force",
                    )
                )
        return events

    def _shown(self, waits: bool) -> tuple[Outcome, ...]:
        """The outcomes of all checks as they are told."""
        outcomes = self._judge.all()
        if waits:
            outcomes = tuple(map(_bridged, outcomes))
        return (*outcomes, *self._approval.shown())

    def _report(
        self, noticed: list[Outcome], wishes: Wishes, waits: bool, busy: bool, now_ns: Nanoseconds
    ) -> SafetyState | None:
        """What has news or is due; the latter waits where this step was `busy` with a plan."""
        now, level = self._engagement.engagement, self._arbiter.level
        ready = wishes.ready and (
            now in _IDLE or (now == Engagement.STOPPED and wishes.standstill)
        )
        told = report.notice(
            now, level, self._cause.text, ready, self._attention(noticed), waits
        )
        key = (now, level, self._arbiter.manoeuvre, ready, told.alert)
        if self._reported is not None:
            last_ns, last_key = self._reported
            if last_key == key:
                if now_ns - last_ns < self._report_period_ns:
                    return None
                if busy and not self._put_off:
                    self._put_off = True
                    return None
        self._reported, self._put_off = (now_ns, key), False
        self._state_sequence += 1
        return SafetyState(
            now_ns, self._state_sequence, level, now, self._arbiter.manoeuvre, ready, told.alert,
            told.text, self._results.of(self._shown(waits)),
        )

    def _attention(self, noticed: list[Outcome]) -> report.Notice | None:
        """The first or second alert to a driver who looks away or lets go of the wheel."""
        driver = self._settings.driver
        second = {
            "driver_eyes": driver.eyes_off_warning, "driver_hands": driver.hands_off_warning
        }
        alerts = [
            report.Notice(
                Alert.WARNING if o.value > second[o.check.name] else Alert.INFO, o.text()
            )
            for o in noticed if o.check.name in second and o.verdict == Verdict.WARN
        ]
        return max(alerts, key=lambda notice: notice.alert, default=None)

    def _failed(self, error: Exception, now_ns: Nanoseconds) -> MonitorOutputs:
        text = f"the safety monitor itself failed: {type(error).__name__}: {str(error)[:120]}"
        first = self._recent(self._error, now_ns) is None
        self._error = (now_ns, text)
        self._state_sequence += 1
        state = SafetyState(
            now_ns, self._state_sequence, Level.EMERGENCY, self._engagement.engagement,
            Manoeuvre.NONE, False, Alert.CRITICAL, f"{text}: the bridge stops the car", (),
        )
        event = DriveEvent(
            now_ns, Severity.CRITICAL, report.NODE, "monitor", "monitor", 1.0, 0.0, "failures", text
        )
        return MonitorOutputs(None, state, (event,) if first else ())


def _bridged(outcome: Outcome) -> Outcome:
    """That the plan approved last runs out asks for nothing while the car waits."""
    if outcome.check.name != _RUNS_OUT or not outcome.counts:
        return outcome
    return outcome._replace(verdict=Verdict.WARN, counts=False)
