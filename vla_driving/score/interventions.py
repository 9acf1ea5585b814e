"""What the safety monitor did in a drive, and for which check."""

from __future__ import annotations

from dataclasses import dataclass, field

from vla_driving.contract.supervision import Engagement, Level, SafetyState

_IDLE = (Engagement.DISABLED, Engagement.PRE_ENABLED)
_GIVEN_UP = (Engagement.SOFT_DISABLING, Engagement.MINIMAL_RISK, Engagement.STOPPED)


State = tuple[Engagement, Level]


@dataclass(frozen=True)
class Intervention:
    """One thing the monitor began to do: the level or hand-over, and the check behind it."""

    time_s: float
    reaction: str
    check: str
    value: float
    limit: float
    unit: str
    why: str


@dataclass
class Watch:
    """Counts what the monitor begins, one SafetyState after the other.

    An intervention is a rise of the level above NOMINAL or a hand-over; a disengagement is the
    stack giving the drive up: a hand-over or a stop by the monitor.
    """

    interventions: list[Intervention] = field(default_factory=list)
    disengagements: int = 0
    _before: State = (Engagement.DISABLED, Level.NOMINAL)

    def see(self, safety: SafetyState, time_s: float) -> None:
        """Take in the newest state."""
        before, self._before = self._before, (safety.engagement, safety.level)
        if safety.engagement in _GIVEN_UP and before[0] not in _GIVEN_UP:
            self.disengagements += 1
        reaction = reaction_begun(before, self._before)
        if reaction:
            self.interventions.append(intervention(time_s, reaction, safety))


def reaction_begun(before: State, after: State) -> str:
    """What the monitor has just begun to do, or nothing."""
    if after[0] in _IDLE:
        return ""
    if after[0] == Engagement.SOFT_DISABLING and before[0] != after[0]:
        return "HAND_OVER"
    level = Level.NOMINAL if before[0] in _IDLE else before[1]
    stands = Level.STOPPED in (level, after[1])
    return after[1].name if after[1] > level and not stands else ""


def intervention(time_s: float, reaction: str, safety: SafetyState) -> Intervention:
    """The reaction with the check that the alert names, or the one that asks for most."""
    asking = [c for c in safety.checks if c.reaction > Level.NOMINAL]
    named = [c for c in asking if c.detail and c.detail in safety.alert_text]
    worst = max(named or asking, key=lambda c: c.reaction, default=None)
    if worst is None:
        return Intervention(time_s, reaction, "", 0.0, 0.0, "", safety.alert_text)
    return Intervention(
        time_s, reaction, worst.name, worst.value, worst.limit, worst.unit, safety.alert_text
    )
