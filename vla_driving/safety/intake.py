"""What the monitor believes of each topic: the newest good message and how well they come.

"Never came", "too old" and "malformed" are kept apart; a message that is refused leaves the one
before it in force, and its reason is kept for the driver's line.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, Generic, Protocol, TypeVar

from vla_driving.contract.checksum import checksum_of
from vla_driving.contract.clock import SECOND, Nanoseconds, age_s
from vla_driving.contract.frames import CameraHealth
from vla_driving.contract.navigation import EngagementRequest, Route
from vla_driving.contract.plan import LateralAction, LongitudinalAction, Plan
from vla_driving.contract.rates import Rates
from vla_driving.contract.scene import MAX_OBJECTS, ObjectList
from vla_driving.contract.supervision import Heartbeat
from vla_driving.contract.vehicle import DriverState, VehicleState
from vla_driving.safety.heartbeats import Heartbeats
from vla_driving.safety.settings import InputSettings

MAX_MESSAGES_PER_STEP = 16
"""Newest messages of one topic looked at in one step; the older ones count as lost."""
WINDOW = 20
"""Messages over which wrong and missing ones are counted, and the rate is measured."""
MAX_LISTED = 4 * MAX_OBJECTS
"""A list longer than this is refused; up to there the nearest `MAX_OBJECTS` are looked at."""

_MAX_REASON = 160
"""Characters kept of a reason."""
_MAX_VALUE = 100.0
"""m/s, m/s², rad, rad/s. No road vehicle reports more."""
_LATERAL, _LONGITUDINAL = frozenset(LateralAction), frozenset(LongitudinalAction)


@dataclass(frozen=True)
class MonitorInputs:
    """All that arrived since the step before, oldest first.

    `malformed` names what could not even be turned into a contract type: (field of this class,
    reason). `publishers` says how many speak on a topic, where that was counted of late.
    """

    vehicle_states: tuple[VehicleState, ...] = ()
    plans: tuple[Plan, ...] = ()
    objects: tuple[ObjectList, ...] = ()
    routes: tuple[Route, ...] = ()
    driver_states: tuple[DriverState, ...] = ()
    frames: tuple[CameraHealth, ...] = ()
    requests: tuple[EngagementRequest, ...] = ()
    heartbeats: tuple[Heartbeat, ...] = ()
    malformed: tuple[tuple[str, str], ...] = ()
    publishers: tuple[tuple[str, int], ...] = ()


class _Stamped(Protocol):
    @property
    def stamp_ns(self) -> Nanoseconds: ...

    @property
    def checksum(self) -> int: ...


M = TypeVar("M", bound=_Stamped)


class Watch(Generic[M]):
    """One topic: newest good message, its order, gaps, rate and wrong messages."""

    def __init__(
        self,
        title: str,
        max_age_s: float,
        rate_hz: float,
        required: bool,
        future_tolerance_s: float,
        fault_of: Callable[[M], str | None],
    ) -> None:
        """`fault_of` names what is wrong with a message by itself, or None."""
        self.title = title
        self.max_age_s = max_age_s
        self.rate_hz = rate_hz
        self.required = required
        self.newest: M | None = None
        self.reason = ""
        self.version = 0  # counts what has come, good or not: without it nothing here changes
        self._news: str | None = None
        self._future_tolerance_s = future_tolerance_s
        self._fault_of = fault_of
        self._sequence: int | None = None
        self._stamps: deque[Nanoseconds] = deque(maxlen=WINDOW)
        self._malformed: deque[bool] = deque(maxlen=WINDOW)
        self._disordered: deque[bool] = deque(maxlen=WINDOW)
        self._missing: deque[int] = deque(maxlen=WINDOW)

    def take(self, messages: tuple[M, ...], now_ns: Nanoseconds) -> list[M]:
        """Look at new messages; those that are good, oldest first."""
        kept = messages[-MAX_MESSAGES_PER_STEP:]
        return [message for message in kept if self._accept(message, now_ns)]

    def refuse(self, reason: str) -> None:
        """Count a message that is malformed."""
        self.version += 1
        self._malformed.append(True)
        self.reason = reason
        self._news = self._news or f"{self.title} refused: {reason}"

    def news(self) -> str | None:
        """The first message that was refused since this was last asked, and why."""
        news, self._news = self._news, None
        return news

    def forget(self) -> None:
        """Start anew after a jump of the clock: stamps of before mean nothing."""
        self.version += 1
        self.newest = None
        self._sequence = None
        for ring in (self._stamps, self._malformed, self._disordered, self._missing):
            ring.clear()

    def age_s(self, now_ns: Nanoseconds) -> float:
        """Age of the newest good message, s; infinite where none ever came."""
        return math.inf if self.newest is None else age_s(self.newest.stamp_ns, now_ns)

    def fresh(self, now_ns: Nanoseconds) -> M | None:
        """The newest good message, or None where it is too old."""
        return self.newest if self.age_s(now_ns) <= self.max_age_s else None

    @property
    def malformed(self) -> int:
        """Malformed ones among the last messages."""
        return sum(self._malformed)

    @property
    def last_malformed(self) -> bool:
        """Whether the message that came last was malformed."""
        return bool(self._malformed) and self._malformed[-1]

    @property
    def disordered(self) -> int:
        """Ones out of order among the last messages: old stamps, numbers that run back."""
        return sum(self._disordered)

    @property
    def missing(self) -> int:
        """Numbers that were left out among the last messages."""
        return sum(self._missing)

    @property
    def rate(self) -> float | None:
        """Mean rate by stamps, Hz; None until half a window has come."""
        if len(self._stamps) < WINDOW // 2:
            return None
        return (len(self._stamps) - 1) * SECOND / (self._stamps[-1] - self._stamps[0])

    def _accept(self, message: M, now_ns: Nanoseconds) -> bool:
        try:
            fault = _unsigned(message) or self._fault_of(message)
            ahead = -age_s(message.stamp_ns, now_ns)
            if fault is None and ahead > self._future_tolerance_s:
                fault = f"stamp lies {ahead:.2f} s in the future"
            sequence = getattr(message, "sequence", None)
        except Exception as error:  # whatever arrives, it is that message's fault
            fault, sequence = f"unreadable: {type(error).__name__}: {error}", None
        if fault is not None:
            self.refuse(fault)
            return False
        self.version += 1
        self._malformed.append(False)
        newer = self.newest is None or message.stamp_ns > self.newest.stamp_ns
        self._count(sequence, newer)
        if not newer:
            return False
        if self._stamps and age_s(self._stamps[-1], message.stamp_ns) > self.max_age_s:
            self._stamps.clear()  # an outage is freshness's business; the rate starts anew
        self._stamps.append(message.stamp_ns)
        self._sequence = sequence
        self.newest = message
        return True

    def _count(self, sequence: int | None, newer: bool) -> None:
        step = 1 if sequence is None or self._sequence is None else sequence - self._sequence
        wrong = not newer or step < 1
        self._disordered.append(wrong)
        self._missing.append(0 if wrong else step - 1)
        if wrong:
            self.reason = "an older stamp" if not newer else "its number runs back"
            self._news = self._news or f"{self.title} out of order: {self.reason}"


class Intake:
    """All topics of the monitor."""

    def __init__(self, settings: InputSettings, rates: Rates, driver_required: bool) -> None:
        tolerance = settings.future_tolerance
        self.vehicle_state: Watch[VehicleState] = Watch(
            "vehicle state", settings.vehicle_state_max_age, rates.vehicle_state, True, tolerance,
            _vehicle_state_fault,
        )
        self.plan: Watch[Plan] = Watch(
            "plan", settings.plan_max_age, rates.plan, True, tolerance, _plan_fault
        )
        self.objects: Watch[ObjectList] = Watch(
            "object list", settings.objects_max_age, rates.objects, settings.objects_required,
            tolerance, _objects_fault,
        )
        self.route: Watch[Route] = Watch(
            "route", settings.route_max_age, rates.route, settings.route_required, tolerance,
            _route_fault,
        )
        self.driver_state: Watch[DriverState] = Watch(
            "driver state", settings.driver_state_max_age, rates.driver_state, driver_required,
            tolerance, _driver_state_fault,
        )
        self.frames: Watch[CameraHealth] = Watch(
            "camera health", settings.frames_max_age, rates.frames, settings.frames_required,
            tolerance, _no_fault,
        )
        self.heartbeats = Heartbeats(tolerance)

    def refuse(self, malformed: tuple[tuple[str, str], ...]) -> None:
        """Count what could not be turned into a contract type, by field of `MonitorInputs`."""
        watches = self.by_field()
        for name, reason in malformed[-MAX_MESSAGES_PER_STEP:]:
            if name in watches:
                watches[name].refuse(str(reason)[:_MAX_REASON])

    def by_field(self) -> dict[str, Watch[Any]]:
        """Watches by the field of `MonitorInputs` that feeds them."""
        return {
            "vehicle_states": self.vehicle_state,
            "plans": self.plan,
            "objects": self.objects,
            "routes": self.route,
            "driver_states": self.driver_state,
            "frames": self.frames,
        }


def _unsigned(message: Any) -> str | None:
    if checksum_of(message) != message.checksum:
        return f"checksum {message.checksum} does not fit"
    return None


def _finite(values: Iterable[float]) -> bool:
    return all(map(math.isfinite, values))


def _vehicle_state_fault(state: VehicleState) -> str | None:
    numbers = (
        state.speed, state.wheel_speed, state.acceleration, state.lateral_acceleration,
        state.yaw_rate, state.steering_angle, state.steering_rate,
    )
    if not _finite(numbers):
        return "a number is not finite"
    if max(map(abs, numbers)) > _MAX_VALUE:
        worst = max(range(len(numbers)), key=lambda k: abs(numbers[k]))
        return f"{_STATE_NUMBERS[worst]} {numbers[worst]:.4g} is absurd"
    return None


_STATE_NUMBERS = (
    "speed", "wheel speed", "acceleration", "lateral acceleration", "yaw rate", "steering angle",
    "steering rate",
)


def _plan_fault(plan: Plan) -> str | None:
    if not plan.candidates:
        return "it holds no candidate"
    if len(plan.objects) > MAX_LISTED:
        return f"{len(plan.objects)} objects are more than {MAX_LISTED}"
    if plan.lateral_action not in _LATERAL or plan.longitudinal_action not in _LONGITUDINAL:
        return f"its action {plan.lateral_action}, {plan.longitudinal_action} is unknown"
    return None


def _objects_fault(objects: ObjectList) -> str | None:
    if len(objects.objects) > MAX_LISTED:
        return f"{len(objects.objects)} objects are more than {MAX_LISTED}"
    return None


def _route_fault(route: Route) -> str | None:
    if not _finite((route.speed_limit, route.distance_to_turn, route.distance_to_goal)):
        return "a number is not finite"
    if route.speed_limit < 0.0:
        return f"speed limit {route.speed_limit:.1f} m/s is negative"
    return None


def _driver_state_fault(state: DriverState) -> str | None:
    if not _finite((state.eyes_off_duration_s, state.hands_off_duration_s)):
        return "a number is not finite"
    if state.eyes_off_duration_s < 0.0 or state.hands_off_duration_s < 0.0:
        return "a duration is negative"
    return None


def _no_fault(message: object) -> str | None:
    return None
