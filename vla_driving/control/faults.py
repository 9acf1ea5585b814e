"""The one table of the bridge's faults: severity and reaction of each."""

from __future__ import annotations

from dataclasses import dataclass

from vla_driving.contract.clock import Nanoseconds
from vla_driving.contract.events import DriveEvent, Severity

NODE = "controller_bridge"


@dataclass(frozen=True)
class Reaction:
    """How bad it is, what it is about and what the bridge does, in words."""

    severity: Severity
    subject: str
    reaction: str


_PLAN, _STATE = "vla/approved_plan", "vehicle/state"
_REFUSED = "refused, the one before stays in force"
_STOPS = "stops the car in its path where it drives it"
_BLIND = "stops the car by the last path alone where it drives it"

REACTIONS: dict[str, Reaction] = {
    "approved_plan_missing": Reaction(Severity.INFO, _PLAN, "stands by"),
    "approved_plan_corrupt": Reaction(Severity.WARNING, _PLAN, _REFUSED),
    "approved_plan_invalid": Reaction(Severity.WARNING, _PLAN, _REFUSED),
    "approved_plan_out_of_order": Reaction(Severity.WARNING, _PLAN, _REFUSED),
    "approved_plan_refused": Reaction(Severity.ERROR, _PLAN, _STOPS),
    "approved_plan_expired": Reaction(Severity.ERROR, _PLAN, _STOPS),
    "vehicle_state_missing": Reaction(Severity.INFO, _STATE, "stands by"),
    "vehicle_state_corrupt": Reaction(Severity.WARNING, _STATE, _REFUSED),
    "vehicle_state_invalid": Reaction(Severity.WARNING, _STATE, _REFUSED),
    "vehicle_state_out_of_order": Reaction(Severity.WARNING, _STATE, _REFUSED),
    "vehicle_state_stale": Reaction(Severity.CRITICAL, _STATE, _BLIND),
    "ego_motion_unknown": Reaction(Severity.ERROR, _STATE, _BLIND),
}


@dataclass(frozen=True)
class Fault:
    """One fault now: its row in REACTIONS, the measured value and the limit in `unit`."""

    name: str
    value: float
    limit: float
    unit: str
    detail: str

    def event(self, stamp_ns: Nanoseconds) -> DriveEvent:
        """The fault as one line for everybody."""
        row = REACTIONS[self.name]
        text = f"{self.detail}: {self.value:g} {self.unit}, limit {self.limit:g}; {row.reaction}"
        return DriveEvent(
            stamp_ns, row.severity, NODE, self.name, row.subject,
            self.value, self.limit, self.unit, text,
        )


class FaultLog:
    """Tells which of the faults of a step are new."""

    def __init__(self) -> None:
        self._active: frozenset[str] = frozenset()

    def update(self, faults: tuple[Fault, ...], stamp_ns: Nanoseconds) -> tuple[DriveEvent, ...]:
        """Events of the faults that were not there in the step before."""
        new = tuple(f.event(stamp_ns) for f in faults if f.name not in self._active)
        self._active = frozenset(f.name for f in faults)
        return new
