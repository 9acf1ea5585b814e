"""What the monitor says: the one line for the driver, and events where something changes."""

from __future__ import annotations

from dataclasses import dataclass

from vla_driving.contract.clock import Nanoseconds
from vla_driving.contract.events import DriveEvent, Severity
from vla_driving.contract.supervision import Alert, Engagement, Level, Verdict
from vla_driving.safety.judge import Outcome

NODE = "safety_monitor"
MAX_EVENTS = 16
"""A step: whatever else changed shows in SafetyState."""

_ACTION = {
    Level.NOMINAL: "driving on",
    Level.DEGRADED: "slowing down",
    Level.MINIMAL_RISK: "stopping",
    Level.EMERGENCY: "emergency stop",
    Level.STOPPED: "stopped",
}


def worst(outcomes: tuple[Outcome, ...]) -> Outcome | None:
    """The outcome with the highest reaction, then hand-over, then severity; the first of equals."""
    counting = [o for o in outcomes if o.reaction > Level.NOMINAL]
    if not counting:
        return None
    return max(counting, key=lambda o: (o.check.reaction, o.check.hand_over, o.check.severity))


@dataclass(frozen=True)
class Notice:
    """Alert and line to the driver."""

    alert: Alert
    text: str


_SILENCE = Notice(Alert.NONE, "")


def notice(
    engagement: Engagement,
    level: Level,
    cause: str,
    ready: bool,
    attention: Outcome | None,
) -> Notice:
    """The line for this step; `cause` is the line of the check behind the level, if any.

    `attention` is the outcome of a driver check that warns.
    """
    if engagement == Engagement.STOPPED:
        rest = "engage to drive on" if ready else "cannot engage yet"
        return Notice(Alert.WARNING, f"{cause}: stopped, {rest}")
    if engagement == Engagement.MINIMAL_RISK:
        return Notice(Alert.CRITICAL, f"{cause}: {_ACTION[level]}")
    if engagement == Engagement.SOFT_DISABLING:
        return Notice(Alert.CRITICAL, f"{cause}: take over now")
    if engagement == Engagement.OVERRIDING:
        return Notice(Alert.INFO, "the driver overrides")
    if engagement == Engagement.PRE_ENABLED:
        return Notice(Alert.INFO, f"waiting to engage: {cause}")
    if engagement == Engagement.DISABLED:
        return _SILENCE if ready else Notice(Alert.INFO, f"not ready: {cause}")
    if attention is not None:
        return Notice(Alert.WARNING, attention.text())
    if level == Level.DEGRADED:
        return Notice(Alert.WARNING, f"{cause}: {_ACTION[level]}" if cause else _ACTION[level])
    return _SILENCE


class Events:
    """Tells what changed since the step before."""

    def __init__(self) -> None:
        self._verdicts: dict[str, Verdict] = {}

    def of_checks(
        self, outcomes: tuple[Outcome, ...], engagement: Engagement, stamp_ns: Nanoseconds
    ) -> list[DriveEvent]:
        """One event for each check whose verdict turned bad, or good again."""
        idle = engagement in (Engagement.DISABLED, Engagement.PRE_ENABLED)
        events = []
        for outcome in outcomes:
            name, verdict = outcome.check.name, outcome.verdict
            if self._verdicts.get(name, Verdict.PASS) == verdict:
                continue
            was = self._verdicts.get(name, Verdict.PASS)
            self._verdicts[name] = verdict
            good = verdict in (Verdict.PASS, Verdict.WARN)
            if good and was in (Verdict.PASS, Verdict.WARN):
                continue
            severity = Severity.INFO if good else outcome.check.severity
            words = "the driver drives" if idle else _ACTION[outcome.check.reaction]
            words = "again within limits" if good else words
            events.append(
                DriveEvent(
                    stamp_ns, severity, NODE, name, outcome.check.inputs, outcome.value,
                    outcome.limit, outcome.check.unit, f"{outcome.text()}: {words}",
                )
            )
        return events[:MAX_EVENTS]


def change(
    name: str, before: str, after: str, cause: str, severity: Severity, stamp_ns: Nanoseconds
) -> DriveEvent:
    """Event of a change of level or engagement."""
    text = f"{name} {before} to {after}" + (f": {cause}" if cause else "")
    return DriveEvent(stamp_ns, severity, NODE, name, after, 0.0, 0.0, "", text)
