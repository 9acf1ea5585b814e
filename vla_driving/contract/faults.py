"""Faults as a core reports them: named, measured, each with one severity and one reaction."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from vla_driving.contract.clock import Nanoseconds
from vla_driving.contract.events import DriveEvent, Severity


@dataclass(frozen=True)
class Reaction:
    """How bad a fault is and what the node does about it, in words."""

    severity: Severity
    text: str


@dataclass(frozen=True)
class Fault:
    """One fault now: a row of its room's table, what it is about, and value against limit."""

    name: str
    subject: str
    detail: str
    value: float = 0.0
    limit: float = 0.0
    unit: str = ""


class FaultLog:
    """Makes events of the faults that were not there in the step before."""

    def __init__(self, source: str, reactions: Mapping[str, Reaction]) -> None:
        self._source = source
        self._reactions = reactions
        self._active: frozenset[tuple[str, str]] = frozenset()

    def update(self, faults: Iterable[Fault], stamp_ns: Nanoseconds) -> tuple[DriveEvent, ...]:
        """Events of the new ones among `faults`, which are all that are active now."""
        present = {(f.name, f.subject): f for f in faults}
        new = tuple(self._event(f, stamp_ns) for k, f in present.items() if k not in self._active)
        self._active = frozenset(present)
        return new

    def _event(self, fault: Fault, stamp_ns: Nanoseconds) -> DriveEvent:
        row = self._reactions[fault.name]
        measured = ""
        if fault.unit:
            measured = f" ({fault.value:.4g} {fault.unit}, limit {fault.limit:.4g})"
        return DriveEvent(
            stamp_ns, row.severity, self._source, fault.name, fault.subject,
            fault.value, fault.limit, fault.unit,
            f"{fault.subject}: {fault.detail}{measured}; {row.text}",
        )
