"""What the monitor says: the one line for the driver, and events where something changes."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from vla_driving.contract.clock import Nanoseconds
from vla_driving.contract.events import DriveEvent, Severity
from vla_driving.contract.supervision import Alert, CheckResult, Engagement, Level, Verdict
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


def worst(outcomes: Iterable[Outcome]) -> Outcome | None:
    """The outcome with the highest reaction, then hand-over, then severity; the first of equals."""
    asking = [o for o in outcomes if o.reaction > Level.NOMINAL]
    return max(
        asking, key=lambda o: (o.check.reaction, o.check.hand_over, o.check.severity), default=None
    )


class Cause:
    """The line behind the reaction under way; a stop keeps its first cause or takes a worse."""

    def __init__(self) -> None:
        self.text = ""
        self._level = Level.NOMINAL

    def note(self, stopping: bool, level: Level, cause: Outcome | None) -> None:
        """Take this step's cause in."""
        if stopping and self.text and level <= self._level:
            return
        self.text = cause.text() if cause is not None else ""
        self._level = level if stopping else Level.NOMINAL

    def harder(self, text: str) -> None:
        """The planned stop is not enough: from now on this is why."""
        if self._level < Level.EMERGENCY:
            self.text, self._level = text, Level.EMERGENCY


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
    attention: Notice | None,
    waits: bool = False,
) -> Notice:
    """The line for this step; `cause` is the line of the check behind the level, if any.

    `attention` is what the driver is told of eyes and hands; `waits`: the car stands until what is
    in its way is gone.
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
    told = attention or _SILENCE
    if level == Level.DEGRADED and told.alert < Alert.WARNING:
        action = "waiting" if waits else _ACTION[level]
        return Notice(Alert.WARNING, f"{cause}: {action}" if cause else action)
    return told


class Results:
    """Outcomes as they are reported; one that is as in the report before keeps its result."""

    def __init__(self) -> None:
        self._last: dict[str, tuple[Outcome, CheckResult]] = {}

    def of(self, outcomes: Iterable[Outcome]) -> tuple[CheckResult, ...]:
        """Results in the same order."""
        return tuple(map(self._of, outcomes))

    def _of(self, outcome: Outcome) -> CheckResult:
        last = self._last.get(outcome.check.name)
        if last is not None and (last[0] is outcome or last[0] == outcome):
            return last[1]
        result = outcome.result()
        self._last[outcome.check.name] = (outcome, result)
        return result


_GOOD = (Verdict.PASS, Verdict.WARN)


class Events:
    """Tells what changed since the step before."""

    def __init__(self) -> None:
        self._bad: dict[str, Verdict] = {}

    def has_news(self, noticed: Iterable[Outcome]) -> bool:
        """Whether `of_checks` would find any, from the outcomes that are not PASS alone."""
        bad = {o.check.name: o.verdict for o in noticed if o.verdict not in _GOOD}
        return bad != self._bad

    def of_checks(
        self, outcomes: Iterable[Outcome], idle: bool, stamp_ns: Nanoseconds
    ) -> list[DriveEvent]:
        """One event for each check whose verdict turned bad, or good again; of all the checks.

        `idle`: the driver drives, so that nothing is done about it.
        """
        events: list[DriveEvent] = []
        for outcome in outcomes:
            good = outcome.verdict in _GOOD
            if good and not self._bad:
                continue
            name, verdict = outcome.check.name, outcome.verdict
            if self._bad.get(name) == (None if good else verdict):
                continue
            if good:
                del self._bad[name]
                words = "again within limits"
            else:
                self._bad[name] = verdict
                words = "the driver drives" if idle else _ACTION[outcome.check.reaction]
            events.append(
                DriveEvent(
                    stamp_ns, Severity.INFO if good else _severity(outcome, idle), NODE, name,
                    outcome.check.inputs, outcome.value, outcome.limit, outcome.check.unit,
                    f"{outcome.text()}: {words}",
                )
            )
        return events


def _severity(outcome: Outcome, idle: bool) -> Severity:
    """While the driver drives nothing is worse than a warning, and what never came no news."""
    if not idle:
        return outcome.check.severity
    if outcome.verdict == Verdict.NOT_INITIALISED:
        return Severity.INFO
    return min(outcome.check.severity, Severity.WARNING)


def changes(
    engagements: tuple[Engagement, Engagement],
    levels: tuple[Level, Level],
    cause: str,
    stamp_ns: Nanoseconds,
) -> list[DriveEvent]:
    """Events of a change of engagement and of level, each given before and after the step."""
    events = []
    before, after = engagements
    if after != before:
        alarming = after in (Engagement.MINIMAL_RISK, Engagement.SOFT_DISABLING)
        severity = Severity.ERROR if alarming else Severity.INFO
        text = f"engagement {before.name} to {after.name}" + (f": {cause}" if alarming else "")
        events.append(_change("engagement", after.name, severity, text, stamp_ns))
    low, high = levels
    if low != high:
        severity = Severity.INFO if high < low else _SEVERITY[high]
        text = f"level {low.name} to {high.name}" + (f": {cause}" if cause else "")
        events.append(_change("level", high.name, severity, text, stamp_ns))
    return events


_SEVERITY = {
    Level.NOMINAL: Severity.INFO,
    Level.DEGRADED: Severity.WARNING,
    Level.MINIMAL_RISK: Severity.ERROR,
    Level.EMERGENCY: Severity.CRITICAL,
    Level.STOPPED: Severity.ERROR,
}


def _change(
    name: str, subject: str, severity: Severity, text: str, stamp_ns: Nanoseconds
) -> DriveEvent:
    return DriveEvent(stamp_ns, severity, NODE, name, subject, 0.0, 0.0, "", text)
