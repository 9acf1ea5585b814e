"""The checker of the doer-and-checker pair: one step from what arrived to what may be driven."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TypeVar

from vla_driving.contract.checksum import approved_plan_checksum
from vla_driving.contract.clock import Nanoseconds, age_s, nanoseconds
from vla_driving.contract.events import DriveEvent, Severity
from vla_driving.contract.motion import EgoMotion
from vla_driving.contract.navigation import EngagementRequest, EngagementWish
from vla_driving.contract.plan import ApprovedPlan, PlanSource
from vla_driving.contract.rates import Rates
from vla_driving.contract.scene import MAX_TRAFFIC_CONTROLS, TrafficControlKind
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
from vla_driving.safety import arbiter, engagement, manoeuvres, report
from vla_driving.safety.approval import Approval
from vla_driving.safety.candidates import restamped
from vla_driving.safety.checks import STATE_CHECKS
from vla_driving.safety.checks.table import Limits, Situation
from vla_driving.safety.engagement import Driver, Wishes
from vla_driving.safety.following import Following
from vla_driving.safety.intake import Intake, MonitorInputs
from vla_driving.safety.judge import Outcome, StateJudge
from vla_driving.safety.settings import SafetyMonitorSettings

T = TypeVar("T")

_CREEP = 2.0
"""m/s. A cap for the distance to the one ahead leaves at least a crawl."""
_MAX_RESTAMP_S = 0.8


@dataclass(frozen=True, eq=False)
class MonitorOutputs:
    """What leaves a step. `approved` is None until the first vehicle state, and if the step failed.

    `safety_state` is None in steps between two reports (rates.safety_state), unless level,
    engagement, manoeuvre or alert changed.
    """

    approved: ApprovedPlan | None
    safety_state: SafetyState | None
    events: tuple[DriveEvent, ...]


class SafetyMonitor:
    """Core of the node: call `step` at rates.approved_plan and when a plan arrives."""

    def __init__(
        self, settings: SafetyMonitorSettings, vehicle: VehicleParameters, rates: Rates
    ) -> None:
        self._settings = settings
        self._vehicle = vehicle
        self._report_period_ns = nanoseconds(0.9 / rates.safety_state)
        limits = Limits(settings, vehicle)
        self._limits = limits
        self._intake = Intake(settings.inputs, rates, settings.driver.requirement == "L2")
        self._motion = EgoMotion()
        self._approval = Approval(limits, self._motion)
        self._judge = StateJudge(STATE_CHECKS, limits)
        self._following = Following(settings.following)
        self._events = report.Events()
        self._engagement = engagement.EngagementState()
        self._arbiter = arbiter.ArbiterState()
        self._path: manoeuvres.StopPath | None = None
        self._path_plan = 0
        self._braking: manoeuvres.Braking | None = None
        self._sent: ApprovedPlan | None = None
        self._cap = vehicle.max_speed
        self._button: bool | None = None
        self._hand_overs = 0
        self._cause = ""
        self._cause_level = Level.NOMINAL
        self._last_ns: Nanoseconds | None = None
        self._clock_error: tuple[Nanoseconds, float] | None = None
        self._error: tuple[Nanoseconds, str] | None = None
        self._sequence = 0
        self._state_sequence = 0
        self._reported: tuple[Nanoseconds, object] | None = None

    def step(self, inputs: MonitorInputs, now_ns: Nanoseconds) -> MonitorOutputs:
        """One step; never raises.

        Should the monitor itself fail, no approved plan leaves (the bridge then stops the car by
        itself) and SafetyState says so.
        """
        try:
            return self._step(inputs, now_ns)
        except Exception as error:  # nothing may leave a step
            return self._failed(error, now_ns)

    def _step(self, inputs: MonitorInputs, now_ns: Nanoseconds) -> MonitorOutputs:
        self._watch_clock(now_ns)
        driver = self._take(inputs, now_ns)
        state = self._intake.vehicle_state.newest
        follow = self._approval.follow(self._speed(now_ns), now_ns)
        outcomes = self._judge.outcomes(self._situation(state, now_ns))
        level = max(follow, max((o.reaction for o in outcomes), default=Level.NOMINAL))
        hand_over = any(o.counts and o.check.hand_over for o in outcomes)
        wishes = Wishes(
            ready=level <= Level.DEGRADED and not hand_over,
            stop=level >= Level.MINIMAL_RISK,
            hand_over=hand_over,
            standstill=self._stands(state, now_ns),
        )
        events = self._decide(driver, wishes, level, outcomes, state, now_ns)
        self._cap_speed(state, outcomes, now_ns)
        approved = self._output(driver, follow, state, now_ns)
        self._last_ns = now_ns
        safety_state, shown = self._report(outcomes, wishes, now_ns)
        events += self._events.of_checks(shown, self._engagement.engagement, now_ns)
        return MonitorOutputs(approved, safety_state, tuple(events[: report.MAX_EVENTS]))

    # -- what arrived ------------------------------------------------------------------------

    def _watch_clock(self, now_ns: Nanoseconds) -> None:
        """Stamps of before a jump mean nothing after it; the check stays failed for a while."""
        if self._last_ns is None:
            return
        passed = age_s(self._last_ns, now_ns)
        if 0.0 <= passed <= self._settings.inputs.max_clock_step:
            return
        self._clock_error = (now_ns, passed)
        if passed < 0.0:
            for watch in self._intake.by_field().values():
                watch.forget()
            self._motion.clear()
            self._approval.clear()
            self._following.clear()
            self._button = None
            self._engagement = replace(self._engagement, since_ns=now_ns, override_ns=now_ns)
            if self._arbiter.degraded_ns is not None:
                self._arbiter = replace(self._arbiter, degraded_ns=now_ns)
            if self._braking is not None:
                self._braking = replace(self._braking, since_ns=now_ns)
            self._reported = None

    def _take(self, inputs: MonitorInputs, now_ns: Nanoseconds) -> Driver:
        intake = self._intake
        watches = intake.by_field()
        for name, reason in inputs.malformed[: 4 * len(watches)]:
            if name in watches:
                watches[name].refuse(str(reason)[:160])
        states = intake.vehicle_state.take(inputs.vehicle_states, now_ns)
        for state in states:
            self._motion.add(state)
            if self._sent is not None and self._sent.engaged:
                self._following.add(state, self._sent)
        for listed in intake.objects.take(inputs.objects, now_ns)[-1:]:
            self._approval.world.see_objects(listed)
        intake.route.take(inputs.routes, now_ns)
        intake.driver_state.take(inputs.driver_states, now_ns)
        intake.frames.take(inputs.frames, now_ns)
        for plan in intake.plan.take(inputs.plans, now_ns):
            self._approval.consider(plan, self._speed(now_ns), now_ns)
        return self._driver(states, inputs.requests, now_ns)

    def _driver(
        self,
        states: list[VehicleState],
        requests: tuple[EngagementRequest, ...],
        now_ns: Nanoseconds,
    ) -> Driver:
        engage = cancel = False
        for state in states:
            # A button that is down when first seen is not a press.
            engage |= state.engage_button and self._button is False
            self._button = state.engage_button
        inputs, reaction = self._settings.inputs, self._settings.reaction
        for request in requests[-report.MAX_EVENTS:]:
            recent = -inputs.future_tolerance <= age_s(request.stamp_ns, now_ns)
            recent = recent and age_s(request.stamp_ns, now_ns) <= reaction.request_max_age
            engage |= recent and request.request == EngagementWish.ENGAGE
            cancel |= request.request == EngagementWish.DISENGAGE
        watch = self._intake.vehicle_state
        seen = states
        if not seen and watch.newest is not None and watch.age_s(now_ns) <= watch.max_age_s:
            seen = [watch.newest]
        return Driver(
            engage=engage,
            cancel=cancel or any(s.cancel_button for s in seen),
            brake=any(s.brake_override for s in seen),
            steer=any(s.steering_override for s in seen),
            accelerate=any(s.accelerator_override for s in seen),
        )

    # -- what it means -----------------------------------------------------------------------

    def _speed(self, now_ns: Nanoseconds) -> float:
        """Speed now, m/s; measured last where it cannot be carried on."""
        speed = self._motion.speed(now_ns)
        if speed is not None:
            return max(speed, 0.0)
        state = self._intake.vehicle_state.newest
        return max(state.speed, 0.0) if state is not None else 0.0

    def _situation(self, state: VehicleState | None, now_ns: Nanoseconds) -> Situation:
        approval, approved = self._approval, self._approval.approved
        deviation, excess = self._following.deviation(self._motion)
        unseen = None
        if approved is not None and now_ns <= approved.until_ns:
            unseen = approval.world.unseen(approved.paths, approved.batch.stamp_ns)
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
            unseen_m=unseen,
            speed_limit=self._speed_limit(now_ns),
            path_deviation=deviation,
            speed_excess=excess,
            hand_overs=self._hand_overs,
        )

    def _recent(self, noted: tuple[Nanoseconds, T] | None, now_ns: Nanoseconds) -> T | None:
        """What was noted within the last `clock_settle`."""
        if noted is None or abs(age_s(noted[0], now_ns)) > self._settings.inputs.clock_settle:
            return None
        return noted[1]

    def _speed_limit(self, now_ns: Nanoseconds) -> float:
        """Lowest of the car's, the route's and the signs' limits, m/s."""
        lowest = self._vehicle.max_speed
        route = self._intake.route
        if route.newest is not None and route.age_s(now_ns) <= route.max_age_s:
            lowest = min(lowest, route.newest.speed_limit or lowest)
        approved = self._approval.approved
        signs = approved.plan.traffic_controls if approved is not None else ()
        for sign in signs[:MAX_TRAFFIC_CONTROLS]:
            likely = sign.probability >= self._settings.world.min_probability
            if sign.kind == TrafficControlKind.SPEED_LIMIT and likely and sign.value > 0.0:
                lowest = min(lowest, sign.value) if sign.distance <= 0.0 else lowest
        return lowest

    def _stands(self, state: VehicleState | None, now_ns: Nanoseconds) -> bool:
        """Measured; with the vehicle state lost while stopping, by the time braking must take."""
        if state is None:
            return False
        watch = self._intake.vehicle_state
        age = watch.age_s(now_ns)
        if age <= watch.max_age_s:
            slow = abs(state.speed) < self._settings.reaction.standstill_speed
            return state.standstill or slow
        return self._braking is not None and age > self._braking.longest_s(state.speed) + 1.0

    # -- what to do --------------------------------------------------------------------------

    def _decide(
        self,
        driver: Driver,
        wishes: Wishes,
        level: Level,
        outcomes: tuple[Outcome, ...],
        state: VehicleState | None,
        now_ns: Nanoseconds,
    ) -> list[DriveEvent]:
        before, level_before = self._engagement.engagement, self._arbiter.level
        reaction = self._settings.reaction
        self._engagement = engagement.step(self._engagement, driver, wishes, reaction, now_ns)
        after = self._engagement.engagement
        self._carry_path(state, now_ns)
        if after == Engagement.MINIMAL_RISK and self._braking is None:
            self._braking = manoeuvres.comfortable(
                self._vehicle, state.acceleration if state is not None else 0.0, now_ns
            )
        demand = arbiter.Demand(level, self._stop_is_free(after, now_ns))
        self._arbiter = arbiter.step(self._arbiter, after, demand, reaction, now_ns)
        self._note_cause(after, outcomes, level)
        self._brake_harder(now_ns)
        if after != before and after == Engagement.SOFT_DISABLING:
            inattentive = ("driver_eyes", "driver_hands")
            self._hand_overs += any(o.counts and o.check.name in inattentive for o in outcomes)
        return self._changes(before, level_before, now_ns)

    def _carry_path(self, state: VehicleState | None, now_ns: Nanoseconds) -> None:
        """Keep the path of the approved plan, from the stop on as it was, in today's base_link."""
        stopping = self._engagement.engagement in (Engagement.MINIMAL_RISK, Engagement.STOPPED)
        if not stopping:
            self._braking = None
            approved = self._approval.approved
            if approved is not None and (
                self._path is None or self._path_plan != approved.plan.sequence
            ):
                self._path = manoeuvres.path_of(approved.trajectory, approved.plan.stamp_ns)
                self._path_plan = approved.plan.sequence
        if state is None:
            return
        if self._path is None or self._motion.change(self._path.stamp_ns, state.stamp_ns) is None:
            known = self._path is not None and self._path.stamp_ns == state.stamp_ns
            if not known:
                self._path = manoeuvres.path_of_wheels(state, self._vehicle)
            return
        self._path = self._path.carried(self._motion, state.stamp_ns)

    def _stop_is_free(self, after: Engagement, now_ns: Nanoseconds) -> bool:
        if after != Engagement.MINIMAL_RISK or self._path is None or self._braking is None:
            return True
        if self._arbiter.manoeuvre == Manoeuvre.EMERGENCY_STOP:
            return True
        speed = self._path_speed()
        trajectory = manoeuvres.stop(self._path, self._braking, speed)
        return self._approval.is_free(trajectory, self._path.stamp_ns, now_ns)

    def _path_speed(self) -> float:
        state = self._intake.vehicle_state.newest
        return max(state.speed, 0.0) if state is not None else 0.0

    def _brake_harder(self, now_ns: Nanoseconds) -> None:
        braking, vehicle = self._braking, self._vehicle
        wanted = self._arbiter.manoeuvre == Manoeuvre.EMERGENCY_STOP
        if braking is None or not wanted or braking.jerk == vehicle.emergency_jerk:
            return
        self._braking = manoeuvres.emergency(vehicle, braking.at(now_ns), now_ns)

    def _note_cause(
        self, after: Engagement, outcomes: tuple[Outcome, ...], level: Level
    ) -> None:
        """The line behind the reaction; while the car stops by itself, the first or a worse one."""
        latched = after in (Engagement.MINIMAL_RISK, Engagement.STOPPED)
        if latched and self._cause and (after == Engagement.STOPPED or level <= self._cause_level):
            return
        self._cause, self._cause_level = self._line(outcomes), level

    def _line(self, outcomes: tuple[Outcome, ...]) -> str:
        """The worst failing check; a plan that never came is told from one that was refused."""
        refused = self._refused()
        live = report.worst(self._approval.live)
        first = report.worst(tuple(o for o in outcomes if o.check.name != "plan_validity"))
        stops = [o for o in (live, first) if o is not None and o.reaction >= Level.MINIMAL_RISK]
        if stops:
            return max(stops, key=lambda o: o.reaction).text()
        expired = report.worst(tuple(o for o in outcomes if o.check.name == "plan_validity"))
        if expired is not None:
            return (refused or expired).text()
        candidates = [o for o in (first, live, self._approved_with()) if o is not None]
        return candidates[0].text() if candidates else ""

    def _refused(self) -> Outcome | None:
        judgement = self._approval.judgement
        if judgement is None or self._approval.chosen is not None:
            return None
        return report.worst(judgement.outcomes(0))

    def _approved_with(self) -> Outcome | None:
        judgement, chosen = self._approval.judgement, self._approval.chosen
        if judgement is None or chosen is None:
            return None
        return report.worst(judgement.outcomes(chosen))

    def _cap_speed(
        self, state: VehicleState | None, outcomes: tuple[Outcome, ...], now_ns: Nanoseconds
    ) -> None:
        """Bring the cap down at `cap_deceleration` from the car's speed, and up at once."""
        reaction = self._settings.reaction
        target = self._speed_limit(now_ns)
        if self._arbiter.level == Level.DEGRADED:
            by_lead = self._approval.capped_by_lead() and not any(o.counts for o in outcomes)
            lead = max(self._approval.lead_speed, _CREEP)
            target = min(target, lead if by_lead else reaction.degraded_speed)
        passed = age_s(self._last_ns, now_ns) if self._last_ns is not None else 0.0
        fall = reaction.cap_deceleration * min(max(passed, 0.0), 1.0)
        start = min(self._cap, max(state.speed if state is not None else 0.0, target))
        self._cap = max(target, start - fall)

    # -- what leaves -------------------------------------------------------------------------

    def _output(
        self, driver: Driver, follow: Level, state: VehicleState | None, now_ns: Nanoseconds
    ) -> ApprovedPlan | None:
        if state is None or self._path is None:
            return None
        now = self._engagement.engagement
        engaged = engagement.drives(now, driver)
        stopping = now in (Engagement.MINIMAL_RISK, Engagement.STOPPED)
        plan = None
        if follow <= Level.DEGRADED and not stopping:
            plan = self._model_plan(engaged, now_ns)
        if plan is None:
            plan = self._fallback(engaged, now_ns)
        if not engaged or (self._sent is not None and not self._sent.engaged):
            self._following.clear()
        self._sent = replace(plan, checksum=approved_plan_checksum(plan))
        self._sequence += 1
        return self._sent

    def _model_plan(self, engaged: bool, now_ns: Nanoseconds) -> ApprovedPlan | None:
        """The approved trajectory as the model gave it.

        Only where its stamp lies before the one sent last (after the monitor's own driving) it is
        written for that later instant, so that stamps never run back.
        """
        approved = self._approval.approved
        if approved is None:
            return None
        stamp_ns, trajectory = approved.plan.stamp_ns, approved.trajectory
        floor_ns = self._sent.stamp_ns if self._sent is not None else stamp_ns
        if stamp_ns < floor_ns <= now_ns:
            change = self._motion.change(stamp_ns, floor_ns)
            later_s = age_s(stamp_ns, floor_ns)
            if change is None or later_s > _MAX_RESTAMP_S:
                return None
            stamp_ns, trajectory = floor_ns, restamped(trajectory, change, later_s)
        return self._message(
            stamp_ns, approved.until_ns, PlanSource.MODEL, engaged, trajectory, hold=False
        )

    def _fallback(self, engaged: bool, now_ns: Nanoseconds) -> ApprovedPlan:
        assert self._path is not None
        reaction = self._settings.reaction
        hold = self._arbiter.manoeuvre == Manoeuvre.HOLD
        stamp_ns = self._path.stamp_ns
        if hold:
            trajectory = manoeuvres.hold()
        else:
            state = self._intake.vehicle_state.newest
            start = state.acceleration if state is not None else 0.0
            braking = self._braking or manoeuvres.comfortable(self._vehicle, start, stamp_ns)
            trajectory = manoeuvres.stop(self._path, braking, self._path_speed())
        until_ns = min(
            now_ns + nanoseconds(reaction.fallback_validity), stamp_ns + nanoseconds(HORIZON_S)
        )
        return self._message(
            stamp_ns, until_ns, PlanSource.FALLBACK, engaged, trajectory, hold=hold
        )

    def _message(
        self,
        stamp_ns: Nanoseconds,
        until_ns: Nanoseconds,
        source: PlanSource,
        engaged: bool,
        trajectory: Trajectory,
        *,
        hold: bool,
    ) -> ApprovedPlan:
        newest, approved = self._intake.plan.newest, self._approval.approved
        stopping = self._engagement.engagement in (Engagement.MINIMAL_RISK, Engagement.STOPPED)
        return ApprovedPlan(
            stamp_ns=stamp_ns,
            sequence=self._sequence + 1,
            plan_sequence=approved.plan.sequence if approved is not None else 0,
            frame_stamp_ns=newest.stamp_ns if newest is not None else 0,
            valid_until_ns=until_ns,
            source=source,
            engaged=engaged,
            hold=hold,
            hazard_lights=stopping,
            speed_cap=self._cap,
            trajectory=trajectory,
        )

    # -- what is told ------------------------------------------------------------------------

    def _shown(self) -> tuple[Outcome, ...]:
        """Outcomes of the candidate checks: of the newest plan, brought up to date."""
        judgement = self._approval.judgement
        if judgement is None:
            return ()
        outcomes = judgement.outcomes(self._approval.chosen or 0)
        live = {o.check.name: o for o in self._approval.live}
        return tuple(live.get(o.check.name, o) for o in outcomes)

    def _report(
        self, outcomes: tuple[Outcome, ...], wishes: Wishes, now_ns: Nanoseconds
    ) -> tuple[SafetyState | None, tuple[Outcome, ...]]:
        shown = (*outcomes, *self._shown())
        now, level = self._engagement.engagement, self._arbiter.level
        ready = wishes.ready and now in (Engagement.DISABLED, Engagement.PRE_ENABLED)
        ready |= wishes.ready and now == Engagement.STOPPED and wishes.standstill
        if now in (Engagement.DISABLED, Engagement.PRE_ENABLED):
            level = Level.NOMINAL if ready else Level.DEGRADED
        warned = ("driver_eyes", "driver_hands")
        attention = next(
            (o for o in outcomes if o.check.name in warned and o.verdict == Verdict.WARN), None
        )
        told = report.notice(now, level, self._cause, ready, attention)
        key = (now, level, self._arbiter.manoeuvre, ready, told.alert)
        if self._reported is not None:
            last_ns, last_key = self._reported
            if last_key == key and 0 <= now_ns - last_ns < self._report_period_ns:
                return None, shown
        self._reported = (now_ns, key)
        self._state_sequence += 1
        results = tuple(o.result() for o in shown)
        return SafetyState(
            now_ns, self._state_sequence, level, now, self._arbiter.manoeuvre, ready, told.alert,
            told.text, results,
        ), shown

    def _changes(
        self, before: Engagement, level_before: Level, now_ns: Nanoseconds
    ) -> list[DriveEvent]:
        events = []
        after, level = self._engagement.engagement, self._arbiter.level
        if after != before:
            bad = after in (Engagement.MINIMAL_RISK, Engagement.SOFT_DISABLING)
            events.append(
                report.change(
                    "engagement", before.name, after.name, self._cause if bad else "",
                    Severity.ERROR if bad else Severity.INFO, now_ns,
                )
            )
        if level != level_before:
            severity = Severity.WARNING if level <= Level.DEGRADED else Severity.CRITICAL
            events.append(
                report.change(
                    "level", level_before.name, level.name, self._cause,
                    severity if level > level_before else Severity.INFO, now_ns,
                )
            )
        return events

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
