"""What may leave monitor and bridge, written from the vehicle's limits and not from their code."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from vla_driving.contract.checksum import checksum_of
from vla_driving.contract.clock import SECOND, Nanoseconds, nanoseconds
from vla_driving.contract.plan import ApprovedPlan, Plan, PlanSource
from vla_driving.contract.scene import MAX_OBJECTS, ObjectList, SceneObject
from vla_driving.contract.supervision import Engagement, SafetyState
from vla_driving.contract.trajectory import HORIZON_S, PERIOD_S, POINTS, TIMES_S, Trajectory
from vla_driving.contract.vehicle import (
    CommandSource,
    ControlCommand,
    VehicleParameters,
    VehicleState,
)
from vla_driving.control.settings import SupervisionSettings
from vla_driving.safety.settings import SafetyMonitorSettings

_EPS = 1e-6
_SLOW = 1.5
"""m/s. Below it turning the wheels moves the car by next to nothing."""
_MEAN = 5
"""Periods over which lateral jerk is a mean (UN R79)."""
_STOPPING = (Engagement.MINIMAL_RISK, Engagement.STOPPED)
_OFF = (Engagement.DISABLED, Engagement.PRE_ENABLED)


@dataclass
class Oracle:
    """Judges every approved plan and every command of one drive; answers with what is wrong."""

    vehicle: VehicleParameters
    monitor: SafetyMonitorSettings
    bridge: SupervisionSettings
    period_s: float
    engagement: Engagement = Engagement.DISABLED
    asked: bool = False
    plan_sequence: int | None = None
    last: tuple[Nanoseconds, ControlCommand] | None = None
    speeds: list[float] = field(default_factory=list)
    in_force: tuple[ApprovedPlan, ...] = ()
    tampered: bool = False
    _lists: tuple[ObjectList, ...] = ()
    _listed_ns: Nanoseconds = -(2**63)
    _judged: Trajectory | None = None

    # -- the monitor -----------------------------------------------------------------------

    def reported(self, told: SafetyState | None, asked: bool) -> list[str]:
        """The engagement; `asked` is True where the driver may have asked for it in this step."""
        self.asked |= asked
        if told is None:
            return []
        wrong = []
        if "safety monitor itself failed" in told.alert_text:
            wrong.append(f"monitor failed: {told.alert_text}")
        before, now = self.engagement, told.engagement
        if before in (*_OFF, Engagement.STOPPED) and now == Engagement.ENABLED and not self.asked:
            wrong.append(f"engaged from {before.name} and nobody asked for it")
        if before == Engagement.MINIMAL_RISK and now not in (before, Engagement.STOPPED, *_OFF):
            wrong.append(f"a stop ended in {now.name}")
        if now != before and now in (*_OFF, Engagement.STOPPED):
            self.asked = now == Engagement.PRE_ENABLED
        self.engagement = now
        return wrong

    def approved(
        self, plan: ApprovedPlan | None, given: Sequence[Plan], speed: float | None,
        now_ns: Nanoseconds,
    ) -> list[str]:
        """An approved plan; `given` are all plans that came, `speed` is m/s where it is known."""
        if plan is None:
            return []
        wrong = _of_message(plan, self.vehicle)
        if self.plan_sequence is not None and plan.sequence != self.plan_sequence + 1:
            wrong.append("its number does not count up by one")
        self.plan_sequence = plan.sequence
        wrong += _sound(plan.trajectory)
        if wrong:
            return wrong
        if plan.source == PlanSource.FALLBACK:
            return self._own_stop(plan.trajectory)
        if self.engagement in _STOPPING:
            wrong.append("a plan of the model while stopping")
        origins = [p for p in given if any(c is plan.trajectory for c in p.candidates)]
        origins.sort(key=lambda p: (p.stamp_ns != plan.stamp_ns, p.sequence != plan.plan_sequence))
        origin = origins[0] if origins else None
        if origin is None:
            return [*wrong, "its trajectory is in no plan that came"]
        if not _believable(origin, now_ns, self.monitor):
            wrong.append("it comes from a plan that is not to be believed")
        age = self.monitor.inputs.plan_max_age
        if plan.valid_until_ns > min(origin.valid_until_ns, origin.stamp_ns + nanoseconds(age)):
            wrong.append("it is valid for longer than the plan it comes from")
        if plan.stamp_ns != origin.stamp_ns:
            wrong.append("its stamp is not that of the plan it comes from")
        if plan.trajectory is not self._judged:
            self._judged = plan.trajectory
            wrong += self._plan_limits(plan.trajectory)
            if speed is not None:
                wrong += self._start(plan.trajectory, speed)
            wrong += self._strikes(plan.trajectory, origin.objects, origin.stamp_ns, now_ns)
            for listed in self._lists:
                # Of the same instant, so in the same frame.
                if listed.stamp_ns == origin.stamp_ns and len(listed.objects) <= MAX_OBJECTS:
                    wrong += self._strikes(
                        plan.trajectory, listed.objects, listed.stamp_ns, now_ns
                    )
        return wrong

    def seen(self, lists: Sequence[Any]) -> None:
        """The sensor's lists of this step; those count that are signed and newer than any other."""
        self._lists = ()
        for listed in lists:
            stamp = getattr(listed, "stamp_ns", None)
            if not isinstance(listed, ObjectList) or not isinstance(stamp, int):
                continue
            if stamp > self._listed_ns and _fits(listed):
                self._lists = (listed,)
            self._listed_ns = max(self._listed_ns, stamp)

    def _own_stop(self, own: Trajectory) -> list[str]:
        wrong = []
        if own.acceleration.max() > 1e-3:
            wrong.append("the monitor's own stop accelerates")
        if own.acceleration.min() < -self.vehicle.emergency_deceleration - 1e-3:
            wrong.append("the monitor's own stop brakes beyond the emergency deceleration")
        return wrong

    def _plan_limits(self, t: Trajectory) -> list[str]:
        car, plan = self.vehicle, self.monitor.plan
        more = 1.0 + plan.limit_tolerance + 1e-5
        x, y, heading, speed, pull, bend = (
            a.astype(np.float64) for a in t.arrays()[1:]
        )
        lateral = speed**2 * bend
        angle = np.arctan(car.wheelbase * bend)
        mean = 0.5 * (speed[1:] + speed[:-1])
        turn = np.abs(np.diff(angle)) / PERIOD_S * (mean >= _SLOW)
        gone = np.hypot(np.diff(x), np.diff(y))
        middle = 0.5 * (heading[1:] + heading[:-1])
        slip = np.diff(y) * np.cos(middle) - np.diff(x) * np.sin(middle)
        jerk = np.abs(lateral[_MEAN:] - lateral[:-_MEAN]) / (_MEAN * PERIOD_S)
        rows = (
            ("curvature", np.abs(bend), math.tan(car.max_steering_angle) / car.wheelbase * more),
            ("steering rate", turn, car.max_steering_rate * more),
            ("lateral acceleration", np.abs(lateral), car.max_lateral_acceleration * more),
            ("lateral jerk", jerk, car.max_lateral_jerk * more),
            ("acceleration", pull, car.max_acceleration * more),
            ("deceleration", -pull, car.max_deceleration * more),
            ("speed", speed, car.max_speed + self.monitor.world.speed_tolerance + 1e-5),
            ("reversing", -speed, plan.max_reverse_speed + 1e-5),
            ("steps", np.abs(gone - mean * PERIOD_S), plan.max_step_error + 1e-5),
            ("slip", np.abs(slip), plan.max_slip + 1e-5),
            ("turns", np.abs(np.diff(heading) - bend[1:] * mean * PERIOD_S),
             plan.max_turn_error + 1e-5),
            ("speeds", np.abs(np.diff(speed) - pull[1:] * PERIOD_S), plan.max_speed_error + 1e-5),
        )
        return [
            f"approved with {name} {values.max():.4g} (limit {limit:.4g})"
            for name, values, limit in rows if not values.max() <= limit
        ]

    def _start(self, t: Trajectory, speed: float) -> list[str]:
        """It begins at the car, which drives at about `speed` when the plan is made."""
        away = math.hypot(float(t.x[0]) - speed * PERIOD_S, float(t.y[0]))
        if away > self.monitor.plan.max_start_distance + 0.3:
            return [f"approved though it begins {away:.2f} m from the car"]
        return []

    def _strikes(
        self, t: Trajectory, items: Sequence[SceneObject], stamp_ns: Nanoseconds,
        now_ns: Nanoseconds,
    ) -> list[str]:
        """It drives over the middle of what stands, by the plan's or the sensor's own objects."""
        world, car = self.monitor.world, self.vehicle
        since = TIMES_S - (now_ns - stamp_ns) / SECOND
        soon = (since > 0.0) & (since <= world.collision_horizon)
        x = t.x[soon] + car.centre_offset * np.cos(t.heading[soon])
        y = t.y[soon] + car.centre_offset * np.sin(t.heading[soon])
        for item in items[:MAX_OBJECTS]:
            numbers = (item.x, item.y, item.heading, item.length, item.width, item.probability)
            stands = item.velocity_x == 0.0 and item.velocity_y == 0.0
            if not all(map(math.isfinite, numbers)) or not stands:
                continue
            plain = 0.1 < item.length < 20.0 and 0.1 < item.width < 5.0 and item.x > car.length
            if plain and item.probability >= world.min_probability and len(x):
                nearest = float(np.hypot(x - item.x, y - item.y).min())
                if nearest < 0.4 * car.width:
                    return [f"approved though it drives over an object, {nearest:.2f} m off it"]
        return []

    # -- the bridge ------------------------------------------------------------------------

    def believed(self, state: VehicleState | None, speeds: list[float]) -> None:
        """Speeds in m/s that the bridge may go by from now on."""
        self.speeds = speeds

    def arrived(self, plan: ApprovedPlan, sound: bool) -> None:
        """An approved plan came to the bridge; `sound`: the newest, as the monitor sent it.

        Which one the bridge follows is only known as long as all of them were.
        """
        self.tampered |= not sound
        if not self.tampered:
            self.in_force = (*self.in_force[-2:], plan)
        elif _fits(plan):
            self.in_force = (*self.in_force[-99:], plan)

    def command(
        self, command: ControlCommand, overridden: bool, pedal: bool, now_ns: Nanoseconds,
        publishers: int = 1,
    ) -> list[str]:
        """A command; `overridden` where the driver is known to steer or brake."""
        wrong = []
        numbers = (
            command.steering_angle, command.steering_rate, command.acceleration, command.jerk
        )
        if not all(map(math.isfinite, numbers)):
            return [f"a number of the command is not finite: {numbers}"]
        if command.checksum != checksum_of(command):
            wrong.append("the checksum of the command does not fit")
        before, self.last = self.last, (now_ns, command)
        car = self.vehicle
        if abs(command.steering_angle) > car.max_steering_angle + _EPS:
            wrong.append(f"angle {command.steering_angle}")
        low, high = -car.emergency_deceleration - _EPS, car.max_acceleration + _EPS
        if not low <= command.acceleration <= high:
            wrong.append(f"acceleration {command.acceleration}")
        if overridden and command.engaged:
            wrong.append("engaged though the driver steers or brakes")
        if command.engaged != (command.source != CommandSource.STANDBY):
            wrong.append("engaged and source contradict each other")
        if command.source == CommandSource.PLAN:
            wrong += self._follows(publishers, now_ns)
        if before is not None and command.engaged:
            wrong += self._rates(before, command, now_ns)
            wrong += self._keeps_stopping(before[1], command, pedal)
        return wrong

    def _follows(self, publishers: int, now_ns: Nanoseconds) -> list[str]:
        if publishers > 1:
            return ["a plan is followed though two speak on its topic"]
        if not any(plan.engaged and plan.valid_until_ns >= now_ns for plan in self.in_force):
            return ["a plan is followed and none that was signed is valid and engaged"]
        return []

    def _rates(
        self, before: tuple[Nanoseconds, ControlCommand], command: ControlCommand,
        now_ns: Nanoseconds,
    ) -> list[str]:
        car, last, wrong = self.vehicle, before[1], []
        dt = min(max((now_ns - before[0]) / SECOND, 0.0), 3.0 * self.period_s)
        turn = command.steering_angle - last.steering_angle
        if abs(turn) > car.max_steering_rate * dt + _EPS:
            wrong.append(f"angle moved by {turn:.5f} in {dt:.3f} s")
        if abs(command.steering_rate) > car.max_steering_rate + 1e-3:
            wrong.append(f"steering rate {command.steering_rate}")
        known = self.in_force if self.tampered else self.in_force[-1:]
        by_fallback = any(plan.source == PlanSource.FALLBACK for plan in known)
        stopping = command.source == CommandSource.STOP or by_fallback
        jerk = car.emergency_jerk if stopping else car.max_jerk
        change = command.acceleration - last.acceleration
        if abs(change) > jerk * dt + _EPS:
            wrong.append(f"acceleration moved by {change:.4f} in {dt:.3f} s")
        if abs(command.jerk) > jerk + 1e-3:
            wrong.append(f"jerk {command.jerk}")
        if not stopping and command.acceleration < -car.max_deceleration - _EPS and change < 0.0:
            wrong.append(f"brakes harder and harder: {command.acceleration}")
        return wrong + self._sideways(last, command, turn, dt)

    def _sideways(
        self, last: ControlCommand, command: ControlCommand, turn: float, dt: float
    ) -> list[str]:
        """At the lowest speed that the bridge may go by."""
        car = self.vehicle
        speed = min(map(abs, self.speeds), default=0.0)
        squared = max(speed - 0.05, 0.0) ** 2
        lateral = squared * abs(math.tan(command.steering_angle)) / car.wheelbase
        outward = abs(command.steering_angle) > abs(last.steering_angle) + _EPS
        wrong = []
        if lateral > car.max_lateral_acceleration + 1e-3 and outward:
            wrong.append(f"lateral acceleration {lateral:.3f} at {speed:.2f} m/s")
        bends = math.tan(command.steering_angle) - math.tan(last.steering_angle)
        jerk = squared * abs(bends) / car.wheelbase
        if jerk > car.max_lateral_jerk * dt + 1e-3:
            wrong.append(f"lateral acceleration moved by {jerk:.4f} in {dt:.3f} s")
        return wrong

    def _keeps_stopping(
        self, last: ControlCommand, command: ControlCommand, pedal: bool
    ) -> list[str]:
        if pedal:
            return []
        wrong = []
        rises = command.acceleration > max(last.acceleration, 0.0) + _EPS
        if command.source == CommandSource.STOP and rises:
            wrong.append("the bridge's own stop accelerates")
        known = self.in_force if self.tampered else self.in_force[-1:]
        held = bool(known) and all(plan.hold for plan in known)
        if command.source == CommandSource.PLAN and held and rises:
            wrong.append("it accelerates where it is to hold")
        if command.hold and rises:
            wrong.append("it holds and accelerates")
        return wrong


def _of_message(plan: ApprovedPlan, vehicle: VehicleParameters) -> list[str]:
    wrong = []
    if plan.checksum != checksum_of(plan):
        wrong.append("the checksum of the approved plan does not fit")
    if not 0 <= plan.valid_until_ns - plan.stamp_ns <= nanoseconds(HORIZON_S):
        wrong.append("the validity of the approved plan is none")
    if not 0.0 <= plan.speed_cap <= vehicle.max_speed + _EPS:
        wrong.append(f"speed cap {plan.speed_cap}")
    return wrong


def _sound(t: Trajectory) -> list[str]:
    for values in t.arrays():
        if values.shape != (POINTS,) or not np.isfinite(values).all():
            return ["an array of the approved plan is not 64 finite numbers"]
    if not np.abs(t.time - TIMES_S).max() <= 1e-3 + 1e-6:
        return ["the approved plan's times are not the grid"]
    return []


def _fits(message: ApprovedPlan | ObjectList) -> bool:
    try:
        return message.checksum == checksum_of(message)
    except Exception:  # what cannot be read is not to be believed
        return False


def _believable(plan: Plan, now_ns: Nanoseconds, settings: SafetyMonitorSettings) -> bool:
    """Signed and known in every value; that it came from the future is seen when it is approved."""
    try:
        known = 0 <= plan.lateral_action <= 5 and 0 <= plan.longitudinal_action <= 4
        ahead = (plan.stamp_ns - now_ns) / SECOND
        return (
            known and plan.checksum == checksum_of(plan)
            and ahead <= settings.inputs.future_tolerance
        )
    except Exception:  # what cannot be read is not to be believed
        return False
