"""Things worth keeping: faults, interventions, changes of engagement."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum

from vla_driving.contract.clock import Nanoseconds


class Severity(IntEnum):
    """Values as in DriveEvent.msg."""

    INFO = 0
    WARNING = 1
    ERROR = 2
    CRITICAL = 3


@dataclass(frozen=True)
class DriveEvent:
    """One event: `subject` is the camera, topic, node or check that it is about.

    `text` is one line: what, value, limit, reaction.
    """

    stamp_ns: Nanoseconds
    severity: Severity
    source: str
    name: str
    subject: str
    value: float
    limit: float
    unit: str
    text: str
