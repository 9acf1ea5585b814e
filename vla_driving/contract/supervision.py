"""What the safety monitor reports: verdicts, level, engagement, alert."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum

from vla_driving.contract.clock import Nanoseconds


class Level(IntEnum):
    """The ladder of reactions, in order of severity; values as in SafetyState.msg."""

    NOMINAL = 0
    DEGRADED = 1
    MINIMAL_RISK = 2
    EMERGENCY = 3
    STOPPED = 4


class Engagement(IntEnum):
    """Who drives; values as in SafetyState.msg."""

    DISABLED = 0
    PRE_ENABLED = 1
    ENABLED = 2
    OVERRIDING = 3
    SOFT_DISABLING = 4
    MINIMAL_RISK = 5
    STOPPED = 6


class Manoeuvre(IntEnum):
    """Values as in SafetyState.msg."""

    NONE = 0
    COMFORTABLE_STOP = 1
    EMERGENCY_STOP = 2
    HOLD = 3
    PULL_OVER = 4


class Alert(IntEnum):
    """Values as in SafetyState.msg."""

    NONE = 0
    INFO = 1
    WARNING = 2
    CRITICAL = 3


class Verdict(IntEnum):
    """Outcome of one check; "never came", "too old" and "malformed" are three different things."""

    PASS = 0
    WARN = 1
    FAIL = 2
    NOT_INITIALISED = 3
    STALE = 4
    INVALID = 5


@dataclass(frozen=True)
class Heartbeat:
    """A node's sign of life, sent at `stamp_ns`; travels as a std_msgs/Header."""

    stamp_ns: Nanoseconds
    node: str


@dataclass(frozen=True)
class CheckResult:
    """One check: `value` against `limit` in `unit`, and the `reaction` its verdict asks for.

    `detail` is one line: what, value, limit, cause.
    """

    name: str
    verdict: Verdict
    value: float
    limit: float
    unit: str
    reaction: Level
    detail: str


@dataclass(frozen=True)
class SafetyState:
    """The safety monitor's view at `stamp_ns`, every check included, also those passed."""

    stamp_ns: Nanoseconds
    sequence: int
    level: Level
    engagement: Engagement
    manoeuvre: Manoeuvre
    ready: bool
    alert: Alert
    alert_text: str
    checks: tuple[CheckResult, ...]
