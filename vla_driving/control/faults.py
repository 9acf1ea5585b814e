"""The one table of the bridge's faults: severity and reaction of each."""

from __future__ import annotations

from vla_driving.contract.events import Severity
from vla_driving.contract.faults import Fault, Reaction

NODE = "controller_bridge"


_REFUSED = "refused, the one before stays in force"
_STOPS = "stops the car in its path where it drives it"
_BLIND = "stops the car by the last path alone where it drives it"

REACTIONS: dict[str, Reaction] = {
    "approved_plan_missing": Reaction(Severity.INFO, "stands by"),
    "approved_plan_corrupt": Reaction(Severity.WARNING, _REFUSED),
    "approved_plan_invalid": Reaction(Severity.WARNING, _REFUSED),
    "approved_plan_out_of_order": Reaction(Severity.WARNING, _REFUSED),
    "approved_plan_refused": Reaction(Severity.ERROR, _STOPS),
    "approved_plan_publishers": Reaction(Severity.CRITICAL, _STOPS),
    "approved_plan_expired": Reaction(Severity.ERROR, _STOPS),
    "approved_plan_silent": Reaction(Severity.ERROR, _STOPS),
    "vehicle_state_missing": Reaction(Severity.INFO, "stands by"),
    "vehicle_state_corrupt": Reaction(Severity.WARNING, _REFUSED),
    "vehicle_state_invalid": Reaction(Severity.WARNING, _REFUSED),
    "vehicle_state_out_of_order": Reaction(Severity.WARNING, _REFUSED),
    "vehicle_state_stale": Reaction(Severity.CRITICAL, _BLIND),
    "ego_motion_unknown": Reaction(Severity.ERROR, _BLIND),
}


def make_fault(name: str, value: float, limit: float, unit: str, detail: str) -> Fault:
    """One fault now: its row in REACTIONS, the measured value and the limit in `unit`."""
    plan = name.startswith("approved_plan")
    return Fault(name, "vla/approved_plan" if plan else "vehicle/state", detail, value, limit, unit)
