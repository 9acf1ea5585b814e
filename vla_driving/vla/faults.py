"""The one table of vla_inference's faults: severity and reaction of each."""

from __future__ import annotations

from vla_driving.contract.events import Severity
from vla_driving.contract.faults import Reaction

NODE = "vla_inference"

_NO_PLAN = "no plan for this frame"
_WITHOUT_THOUGHT = "planned without the large model"
_ANEW = "no plan for this frame, recurrent state starts anew"

REACTIONS: dict[str, Reaction] = {
    "runtime_fall_back": Reaction(Severity.WARNING, "the next runtime of the order is used"),
    "clock_went_back": Reaction(Severity.WARNING, "everything remembered is dropped"),
    "frames_missing": Reaction(Severity.INFO, "no plan before frames come"),
    "frames_out_of_order": Reaction(Severity.WARNING, _NO_PLAN),
    "frames_stale": Reaction(Severity.ERROR, _NO_PLAN),
    "frames_from_future": Reaction(Severity.ERROR, _NO_PLAN),
    "frames_wrong_model": Reaction(Severity.ERROR, _NO_PLAN),
    "frames_malformed": Reaction(Severity.ERROR, _NO_PLAN),
    "frame_unusable": Reaction(Severity.ERROR, _NO_PLAN),
    "vehicle_state_missing": Reaction(Severity.ERROR, _NO_PLAN),
    "vehicle_state_stale": Reaction(Severity.ERROR, _NO_PLAN),
    "vehicle_state_invalid": Reaction(Severity.WARNING, "refused, earlier states stay in use"),
    "route_invalid": Reaction(Severity.WARNING, "planned without a route"),
    "route_stale": Reaction(Severity.WARNING, "planned without a route"),
    "command_invalid": Reaction(Severity.WARNING, "planned without the command"),
    "command_stale": Reaction(Severity.WARNING, "planned without the command"),
    "command_not_understood": Reaction(
        Severity.WARNING, "planned with its speed alone: this model takes no text"
    ),
    "memory_lost": Reaction(Severity.INFO, "recurrent state starts anew"),
    "thought_invalid": Reaction(Severity.WARNING, _WITHOUT_THOUGHT),
    "thought_stale": Reaction(Severity.WARNING, _WITHOUT_THOUGHT),
    "inference_failed": Reaction(Severity.ERROR, _ANEW),
    "output_invalid": Reaction(Severity.ERROR, _ANEW),
}
