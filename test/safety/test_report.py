"""The lines to the driver and the events, word for word."""

from dataclasses import replace
from typing import Any

import pytest

from vla_driving.contract.events import DriveEvent, Severity
from vla_driving.contract.supervision import Alert, Engagement, Level, Verdict
from vla_driving.safety.checks import CHECKS
from vla_driving.safety.checks.table import StateCheck
from vla_driving.safety.judge import Outcome
from vla_driving.safety.report import (
    NODE,
    Cause,
    Events,
    Notice,
    Results,
    changes,
    notice,
    worst,
)

E, L, A = Engagement, Level, Alert
ROWS = {check.name: check for check in CHECKS}
GEAR, EYES, SPEED = ROWS["gear"], ROWS["driver_eyes"], ROWS["speed_limit"]


def outcome(
    row: Any = SPEED, value: float = 20.0, verdict: Verdict = Verdict.FAIL, counts: bool = True
) -> Outcome:
    return Outcome(row, verdict, value, 15.0, None, counts)


@pytest.mark.parametrize(
    ("engagement", "level", "cause", "ready", "attention", "alert", "text"),
    [
        (E.STOPPED, L.STOPPED, "why", True, None, A.WARNING, "why: stopped, engage to drive on"),
        (E.STOPPED, L.STOPPED, "why", False, None, A.WARNING, "why: stopped, cannot engage yet"),
        (E.MINIMAL_RISK, L.MINIMAL_RISK, "why", False, None, A.CRITICAL, "why: stopping"),
        (E.MINIMAL_RISK, L.EMERGENCY, "why", False, None, A.CRITICAL, "why: emergency stop"),
        (E.SOFT_DISABLING, L.DEGRADED, "why", False, None, A.CRITICAL, "why: take over now"),
        (E.OVERRIDING, L.NOMINAL, "why", True, None, A.INFO, "the driver overrides"),
        (E.PRE_ENABLED, L.NOMINAL, "why", False, None, A.INFO, "waiting to engage: why"),
        (E.DISABLED, L.NOMINAL, "why", True, None, A.NONE, ""),
        (E.DISABLED, L.NOMINAL, "why", False, None, A.INFO, "not ready: why"),
        (E.ENABLED, L.NOMINAL, "why", True, None, A.NONE, ""),
        (E.ENABLED, L.NOMINAL, "why", True, Notice(A.INFO, "look"), A.INFO, "look"),
        (E.ENABLED, L.DEGRADED, "why", True, None, A.WARNING, "why: slowing down"),
        (E.ENABLED, L.DEGRADED, "", True, None, A.WARNING, "slowing down"),
        (E.ENABLED, L.DEGRADED, "why", True, Notice(A.INFO, "look"), A.WARNING,
         "why: slowing down"),
        (E.ENABLED, L.DEGRADED, "why", True, Notice(A.WARNING, "look"), A.WARNING, "look"),
    ],
)
def test_the_line_of_every_state(
    engagement: Engagement, level: Level, cause: str, ready: bool, attention: Notice | None,
    alert: Alert, text: str,
) -> None:
    assert notice(engagement, level, cause, ready, attention) == Notice(alert, text)


def test_the_worst_is_of_the_highest_reaction_then_hand_over_then_severity() -> None:
    stop, look, fast = outcome(GEAR), outcome(EYES), outcome(SPEED)
    assert worst([]) is None
    assert worst([outcome(SPEED, counts=False)]) is None
    assert worst([fast, look, stop]) is stop
    assert worst([fast, look]) is look
    again = outcome(SPEED, 30.0)
    assert worst([fast, again]) is fast
    severe = Outcome(
        replace(SPEED, severity=Severity.CRITICAL), Verdict.FAIL, 1.0, 0.0, None, True
    )
    assert worst([fast, severe]) is severe


def test_a_stop_keeps_its_cause_until_a_worse_one_comes() -> None:
    cause = Cause()
    assert cause.text == ""
    cause.note(False, L.DEGRADED, outcome())
    first = cause.text
    assert first == outcome().text()
    cause.note(True, L.MINIMAL_RISK, outcome(GEAR, 3.0))
    stopping = cause.text
    assert stopping != first
    cause.note(True, L.MINIMAL_RISK, outcome(EYES))
    assert cause.text == stopping
    cause.note(True, L.EMERGENCY, outcome(EYES))
    assert cause.text == outcome(EYES).text()
    cause.harder("harder")
    assert cause.text == outcome(EYES).text()
    cause.note(False, L.NOMINAL, None)
    assert cause.text == ""


def test_a_stop_that_is_not_enough_says_so_once() -> None:
    cause = Cause()
    cause.note(True, L.MINIMAL_RISK, outcome(GEAR, 3.0))
    cause.harder("a collision ends it")
    assert cause.text == "a collision ends it"
    cause.harder("another")
    assert cause.text == "a collision ends it"
    cause.note(True, L.MINIMAL_RISK, outcome(EYES))
    assert cause.text == "a collision ends it"


def test_a_stop_without_a_cause_takes_the_first_that_comes() -> None:
    cause = Cause()
    cause.note(True, L.MINIMAL_RISK, None)
    assert cause.text == ""
    cause.note(True, L.MINIMAL_RISK, outcome(EYES))
    assert cause.text == outcome(EYES).text()


def test_what_was_said_while_driving_is_no_cause_of_a_stop() -> None:
    cause = Cause()
    cause.note(False, L.MINIMAL_RISK, outcome(GEAR, 3.0))
    cause.note(True, L.MINIMAL_RISK, outcome(EYES))
    assert cause.text == outcome(EYES).text()


def test_results_are_kept_while_nothing_changes() -> None:
    results = Results()
    (first,) = results.of([outcome()])
    assert first == outcome().result()
    assert results.of([outcome()])[0] is first
    (other,) = results.of([outcome(value=21.0)])
    assert other == outcome(value=21.0).result()
    assert results.of([outcome(GEAR), outcome(value=21.0)])[1] is other


def told(value: float, severity: Severity, words: str, verdict: Verdict) -> DriveEvent:
    text = f"{outcome(value=value, verdict=verdict).text()}: {words}"
    return DriveEvent(7, severity, NODE, "speed_limit", SPEED.inputs, value, 15.0, "m/s", text)


def test_an_event_when_a_verdict_turns_bad_changes_and_turns_good() -> None:
    events, bad, stale, good = Events(), Verdict.FAIL, Verdict.STALE, Verdict.PASS

    def of(value: float, verdict: Verdict) -> list[DriveEvent]:
        return events.of_checks([outcome(value=value, verdict=verdict)], False, 7)

    assert of(10.0, good) == []
    assert of(20.0, bad) == [told(20.0, Severity.WARNING, "slowing down", bad)]
    assert of(21.0, bad) == []
    assert of(22.0, stale) == [told(22.0, Severity.WARNING, "slowing down", stale)]
    assert of(10.0, Verdict.WARN) == [
        told(10.0, Severity.INFO, "again within limits", Verdict.WARN)
    ]
    assert of(10.0, good) == []


@pytest.mark.parametrize(
    ("row", "verdict", "idle", "severity", "words"),
    [
        (GEAR, Verdict.FAIL, False, Severity.ERROR, "stopping"),
        (GEAR, Verdict.FAIL, True, Severity.WARNING, "the driver drives"),
        (GEAR, Verdict.NOT_INITIALISED, True, Severity.INFO, "the driver drives"),
        (GEAR, Verdict.NOT_INITIALISED, False, Severity.ERROR, "stopping"),
    ],
)
def test_while_the_driver_drives_events_are_milder(
    row: StateCheck, verdict: Verdict, idle: bool, severity: Severity, words: str
) -> None:
    (event,) = Events().of_checks([outcome(row, 3.0, verdict)], idle, 7)
    assert event.severity == severity
    assert event.text.endswith(f": {words}")


def test_other_checks_go_on_being_told() -> None:
    events = Events()
    events.of_checks([outcome(GEAR, 3.0)], False, 1)
    found = events.of_checks([outcome(GEAR, 3.0), outcome(value=10.0, verdict=Verdict.PASS)],
                             False, 2)
    assert found == []
    found = events.of_checks([outcome(value=10.0, verdict=Verdict.PASS), outcome(value=20.0)],
                             False, 3)
    assert [event.name for event in found] == ["speed_limit"]


@pytest.mark.parametrize(
    ("engagements", "levels", "expected"),
    [
        ((E.ENABLED, E.ENABLED), (L.NOMINAL, L.NOMINAL), []),
        ((E.DISABLED, E.ENABLED), (L.NOMINAL, L.NOMINAL),
         [("engagement", "ENABLED", Severity.INFO, "engagement DISABLED to ENABLED")]),
        ((E.ENABLED, E.MINIMAL_RISK), (L.NOMINAL, L.NOMINAL),
         [("engagement", "MINIMAL_RISK", Severity.ERROR,
           "engagement ENABLED to MINIMAL_RISK: why")]),
        ((E.ENABLED, E.SOFT_DISABLING), (L.NOMINAL, L.NOMINAL),
         [("engagement", "SOFT_DISABLING", Severity.ERROR,
           "engagement ENABLED to SOFT_DISABLING: why")]),
        ((E.ENABLED, E.ENABLED), (L.NOMINAL, L.DEGRADED),
         [("level", "DEGRADED", Severity.WARNING, "level NOMINAL to DEGRADED: why")]),
        ((E.ENABLED, E.ENABLED), (L.DEGRADED, L.NOMINAL),
         [("level", "NOMINAL", Severity.INFO, "level DEGRADED to NOMINAL: why")]),
        ((E.ENABLED, E.ENABLED), (L.EMERGENCY, L.DEGRADED),
         [("level", "DEGRADED", Severity.INFO, "level EMERGENCY to DEGRADED: why")]),
        ((E.ENABLED, E.MINIMAL_RISK), (L.DEGRADED, L.EMERGENCY),
         [("engagement", "MINIMAL_RISK", Severity.ERROR,
           "engagement ENABLED to MINIMAL_RISK: why"),
          ("level", "EMERGENCY", Severity.CRITICAL, "level DEGRADED to EMERGENCY: why")]),
    ],
)
def test_changes_are_told(
    engagements: tuple[Engagement, Engagement], levels: tuple[Level, Level],
    expected: list[tuple[str, str, Severity, str]],
) -> None:
    assert changes(engagements, levels, "why", 9) == [
        DriveEvent(9, severity, NODE, name, subject, 0.0, 0.0, "", text)
        for name, subject, severity, text in expected
    ]


def test_a_level_without_a_cause_is_told_without_one() -> None:
    (event,) = changes((E.ENABLED, E.ENABLED), (L.DEGRADED, L.NOMINAL), "", 9)
    assert event.text == "level DEGRADED to NOMINAL"
