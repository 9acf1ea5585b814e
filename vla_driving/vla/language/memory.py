"""The last minute: what was planned and why, how the car moved, what the safety monitor did."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass

from vla_driving.contract.clock import Nanoseconds, nanoseconds
from vla_driving.contract.plan import LateralAction, LongitudinalAction, Plan
from vla_driving.contract.supervision import CheckResult, Level, SafetyState, Verdict
from vla_driving.vla.language.situation import Situation

MOST = 2400
"""Moments, at most four a plan."""


@dataclass(frozen=True, eq=False)
class Moment:
    """The drive at one plan. `plan` is None where none was fresh."""

    stamp_ns: Nanoseconds
    speed: float
    acceleration: float
    brake_override: bool
    accelerator_override: bool
    steering_override: bool
    plan: Plan | None
    level: Level
    check: CheckResult | None

    @property
    def longitudinal(self) -> LongitudinalAction:
        """What the plan amounts to; CRUISE without one."""
        return self.plan.longitudinal_action if self.plan else LongitudinalAction.CRUISE

    @property
    def lateral(self) -> LateralAction:
        """What the plan amounts to; KEEP_LANE without one."""
        return self.plan.lateral_action if self.plan else LateralAction.KEEP_LANE


class Memory:
    """Moments of the last so many seconds, oldest first."""

    def __init__(self, span_s: float) -> None:
        self._span_ns = nanoseconds(span_s)
        self._moments: deque[Moment] = deque(maxlen=MOST)

    def add(self, seen: Situation, now_ns: Nanoseconds) -> None:
        """Keep this moment."""
        state, safety = seen.state, seen.safety
        if state is None:
            return
        self._moments.append(
            Moment(
                now_ns, state.speed, state.acceleration, state.brake_override,
                state.accelerator_override, state.steering_override, seen.fresh_plan(now_ns),
                safety.level if safety else Level.NOMINAL, worst_check(safety),
            )
        )
        while self._moments and now_ns - self._moments[0].stamp_ns > self._span_ns:
            self._moments.popleft()

    def clear(self) -> None:
        """Forget, for instance after a jump of the clock."""
        self._moments.clear()

    @property
    def moments(self) -> tuple[Moment, ...]:
        """Oldest first."""
        return tuple(self._moments)


def worst_check(safety: SafetyState | None) -> CheckResult | None:
    """The check that the monitor's own line tells, or the one that asks for the strongest reaction;
    None where all pass."""
    if safety is None or safety.level == Level.NOMINAL:
        return None
    failing = [
        c for c in safety.checks if c.verdict != Verdict.PASS and c.reaction > Level.NOMINAL
    ]
    told = (c for c in failing if c.detail and c.detail in safety.alert_text)
    return next(told, max(failing, key=lambda c: c.reaction, default=None))
