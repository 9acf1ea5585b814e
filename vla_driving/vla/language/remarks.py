"""What the car says of its own accord: why it begins to do something else, in the plan's words."""

from __future__ import annotations

from vla_driving.contract.clock import SECOND, Nanoseconds
from vla_driving.contract.language import Answer, AnswerStatus
from vla_driving.contract.plan import Evidence, LateralAction, LongitudinalAction, Plan
from vla_driving.contract.supervision import Level
from vla_driving.vla.language.memory import worst_check
from vla_driving.vla.language.situation import Situation

SETTLED_S = 0.5
"""An action counts once it has been planned for so long."""
WORTH_SAYING = (LongitudinalAction.DECELERATE, LongitudinalAction.STOP)
MOST_CHARACTERS = 512

Action = tuple[LongitudinalAction, LateralAction]


class Remarks:
    """One remark at a time, no more often than every `gap_s`; changes within it stay unsaid."""

    def __init__(self, gap_s: float) -> None:
        self._gap_ns = round(gap_s * SECOND)
        self._said: Action | None = None
        self._level = Level.NOMINAL
        self._wanted: Action | None = None
        self._since_ns: Nanoseconds = 0
        self._quiet_until_ns: Nanoseconds = 0

    def step(self, seen: Situation, now_ns: Nanoseconds) -> Answer | None:
        """The remark due now."""
        remark = self._on_safety(seen, now_ns) or self._on_plan(seen, now_ns)
        if remark is not None:
            self._quiet_until_ns = now_ns + self._gap_ns
        return remark

    def _on_safety(self, seen: Situation, now_ns: Nanoseconds) -> Answer | None:
        """A step up the ladder is told at once."""
        level = seen.safety.level if seen.safety else Level.NOMINAL
        before, self._level = self._level, level
        if level <= before or level < Level.MINIMAL_RISK:
            return None
        check = worst_check(seen.safety)
        why = check.detail or check.name if check else "its cause is not told"
        figures = (Evidence(check.name, "value", check.value, check.unit),) if check else ()
        text = f"the safety monitor takes over ({level.name.lower().replace('_', ' ')}): {why}"
        return Answer(now_ns, 0, AnswerStatus.REMARK, text[:MOST_CHARACTERS], figures)

    def _on_plan(self, seen: Situation, now_ns: Nanoseconds) -> Answer | None:
        plan = seen.fresh_plan(now_ns)
        if plan is None:
            return None
        action = (plan.longitudinal_action, plan.lateral_action)
        if action != self._wanted:
            self._wanted, self._since_ns = action, now_ns
        settled = now_ns - self._since_ns >= SETTLED_S * SECOND
        if not settled or action == self._said:
            return None
        if self._said is not None and not _worth(action, self._said):
            self._said = action
            return None
        if now_ns < self._quiet_until_ns:
            return None
        self._said = action
        return _spoken(plan)


def _worth(action: Action, before: Action) -> bool:
    return action[1] != before[1] or (action[0] in WORTH_SAYING and action[0] != before[0])


def _spoken(plan: Plan) -> Answer:
    return Answer(
        plan.stamp_ns, 0, AnswerStatus.REMARK, plan.reasoning[:MOST_CHARACTERS], plan.evidence[:16]
    )
