"""The one table of slow_model's faults: severity and reaction of each."""

from __future__ import annotations

from vla_driving.contract.events import Severity
from vla_driving.contract.faults import Reaction

NODE = "slow_model"

_NOTHING = "no new thought; the compact model drives on"

REACTIONS: dict[str, Reaction] = {
    "clock_went_back": Reaction(Severity.WARNING, "everything remembered is dropped"),
    "frames_unusable": Reaction(Severity.WARNING, _NOTHING),
    "vehicle_state_invalid": Reaction(Severity.WARNING, "refused, earlier states stay in use"),
    "past_too_short": Reaction(Severity.INFO, _NOTHING),
    "thought_failed": Reaction(Severity.ERROR, _NOTHING),
    "thought_late": Reaction(Severity.ERROR, "thrown away when it comes"),
    "thought_invalid": Reaction(Severity.ERROR, _NOTHING),
    "thought_without_words": Reaction(Severity.WARNING, "the plan says so in its place"),
}
