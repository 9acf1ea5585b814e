"""Who drives: a pure state machine with its transitions in one table.

Three rules hold in every state:

- the driver wins at once: braking or cancelling always ends in DISABLED, from STOPPED by cancelling
  or driving off;
- a minimum-risk manoeuvre ends at standstill or in the driver's hands, never in driving on;
- only the driver engages, by the edge of a button or a request of the cockpit.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

from vla_driving.contract.clock import Nanoseconds, age_s
from vla_driving.contract.supervision import Engagement
from vla_driving.safety.settings import ReactionSettings


@dataclass(frozen=True)
class Driver:
    """What the driver does in this step; `engage` is an edge, the others last."""

    engage: bool = False
    cancel: bool = False
    brake: bool = False
    steer: bool = False
    accelerate: bool = False

    @property
    def overrides(self) -> bool:
        """Hands or foot move the car."""
        return self.brake or self.steer or self.accelerate


@dataclass(frozen=True)
class Wishes:
    """What the checks ask for in this step.

    `ready`: an engage would be accepted. `stop`: a minimum-risk manoeuvre is needed. `hand_over`:
    the driver is to take over. `standstill`: the car stands.
    """

    ready: bool = False
    stop: bool = False
    hand_over: bool = False
    standstill: bool = False


@dataclass(frozen=True)
class EngagementState:
    """State, since when, and when the driver last moved the car."""

    engagement: Engagement = Engagement.DISABLED
    since_ns: Nanoseconds = 0
    override_ns: Nanoseconds = 0


@dataclass(frozen=True)
class _Moment:
    driver: Driver
    wishes: Wishes
    in_state_s: float
    released_s: float
    settings: ReactionSettings


@dataclass(frozen=True)
class Transition:
    """One row: the first of a state's rows whose condition holds is taken."""

    source: Engagement
    target: Engagement
    when: str
    condition: Callable[[_Moment], bool]


_E = Engagement

TRANSITIONS: tuple[Transition, ...] = (
    Transition(_E.DISABLED, _E.ENABLED, "engage, ready, no override",
               lambda m: _asks(m) and m.wishes.ready),
    Transition(_E.DISABLED, _E.PRE_ENABLED, "engage, not ready", lambda m: _asks(m)),
    Transition(_E.PRE_ENABLED, _E.DISABLED, "brake or cancel",
               lambda m: m.driver.brake or m.driver.cancel),
    Transition(_E.PRE_ENABLED, _E.ENABLED, "ready, no override",
               lambda m: m.wishes.ready and not m.driver.overrides),
    Transition(_E.PRE_ENABLED, _E.DISABLED, "not ready in time",
               lambda m: m.in_state_s >= m.settings.pre_enable),
    Transition(_E.ENABLED, _E.DISABLED, "brake or cancel",
               lambda m: m.driver.brake or m.driver.cancel),
    Transition(_E.ENABLED, _E.OVERRIDING, "the driver steers or accelerates",
               lambda m: m.driver.overrides),
    Transition(_E.ENABLED, _E.MINIMAL_RISK, "a check asks for a stop", lambda m: m.wishes.stop),
    Transition(_E.ENABLED, _E.SOFT_DISABLING, "a check asks for a hand-over",
               lambda m: m.wishes.hand_over),
    Transition(_E.OVERRIDING, _E.DISABLED, "brake or cancel",
               lambda m: m.driver.brake or m.driver.cancel),
    Transition(_E.OVERRIDING, _E.MINIMAL_RISK, "let go, a check asks for a stop",
               lambda m: not m.driver.overrides and m.wishes.stop),
    Transition(_E.OVERRIDING, _E.ENABLED, "let go for long enough",
               lambda m: not m.driver.overrides
               and m.released_s >= m.settings.override_release),
    Transition(_E.SOFT_DISABLING, _E.DISABLED, "the driver takes over",
               lambda m: m.driver.overrides or m.driver.cancel),
    Transition(_E.SOFT_DISABLING, _E.MINIMAL_RISK, "a check asks for a stop",
               lambda m: m.wishes.stop),
    Transition(_E.SOFT_DISABLING, _E.ENABLED, "no check asks for a hand-over any more",
               lambda m: not m.wishes.hand_over),
    Transition(_E.SOFT_DISABLING, _E.MINIMAL_RISK, "nobody took over in time",
               lambda m: m.in_state_s >= m.settings.soft_disable),
    Transition(_E.MINIMAL_RISK, _E.DISABLED, "the driver takes over",
               lambda m: m.driver.overrides or m.driver.cancel),
    Transition(_E.MINIMAL_RISK, _E.STOPPED, "standstill", lambda m: m.wishes.standstill),
    Transition(_E.STOPPED, _E.DISABLED, "cancel, or the driver drives off",
               lambda m: m.driver.cancel or m.driver.accelerate),
    Transition(_E.STOPPED, _E.ENABLED, "engage, ready, standing, no override",
               lambda m: _asks(m) and m.wishes.ready and m.wishes.standstill),
)


def _asks(moment: _Moment) -> bool:
    driver = moment.driver
    return driver.engage and not driver.cancel and not driver.overrides


def step(
    state: EngagementState,
    driver: Driver,
    wishes: Wishes,
    settings: ReactionSettings,
    now_ns: Nanoseconds,
) -> EngagementState:
    """The state after one step: at most one transition, the first in the table that applies."""
    override_ns = now_ns if driver.overrides else state.override_ns
    moment = _Moment(
        driver, wishes, age_s(state.since_ns, now_ns), age_s(override_ns, now_ns), settings
    )
    for row in _ROWS[state.engagement]:
        if row.condition(moment):
            return EngagementState(row.target, now_ns, override_ns)
    if override_ns == state.override_ns:
        return state
    return replace(state, override_ns=override_ns)


_ROWS = {e: tuple(row for row in TRANSITIONS if row.source == e) for e in Engagement}


def drives(engagement: Engagement, driver: Driver) -> bool:
    """Whether the car is the stack's to move.

    While the driver only accelerates, it still steers and the vehicle lets the pedal have its way;
    while the driver steers, it lets go.
    """
    if engagement == Engagement.OVERRIDING:
        return not driver.steer
    return engagement not in (Engagement.DISABLED, Engagement.PRE_ENABLED)
