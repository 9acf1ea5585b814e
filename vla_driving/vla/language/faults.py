"""The one table of the reasoner's faults: severity and reaction of each. None stops anything."""

from __future__ import annotations

from vla_driving.contract.events import Severity
from vla_driving.contract.faults import Reaction

NODE = "reasoner"

REACTIONS: dict[str, Reaction] = {
    "clock_went_back": Reaction(Severity.WARNING, "what was remembered is dropped, wishes hold"),
    "instructions_dropped": Reaction(Severity.WARNING, "the newest is understood, the others not"),
    "instruction_invalid": Reaction(Severity.WARNING, "refused"),
    "understanding_failed": Reaction(Severity.ERROR, "refused; the drive goes on as before"),
}
