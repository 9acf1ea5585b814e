"""The one table of camera_ingest's faults: severity and reaction of each."""

from __future__ import annotations

from vla_driving.contract.events import Severity
from vla_driving.contract.faults import Reaction
from vla_driving.contract.frames import FrameStatus

NODE = "camera_ingest"

_DROPPED = "image dropped"
_MARKED = "its frame is marked, the model does not plan on it"

REACTIONS: dict[str, Reaction] = {
    "camera_unknown": Reaction(Severity.WARNING, _DROPPED),
    "stamp_repeated": Reaction(Severity.WARNING, _DROPPED),
    "stamp_went_back": Reaction(Severity.WARNING, _DROPPED),
    "stamp_in_future": Reaction(Severity.ERROR, _DROPPED),
    "stamp_jumped": Reaction(Severity.WARNING, "used all the same"),
    "video_waits": Reaction(Severity.WARNING, "shown from its next keyframe on"),
    "image_undecodable": Reaction(Severity.ERROR, _DROPPED),
    "image_wrong_size": Reaction(Severity.ERROR, _DROPPED),
    "camera_rate_off": Reaction(Severity.WARNING, "its images are used all the same"),
    "camera_info_contradicts": Reaction(
        Severity.ERROR, "what was taken before is used: the camera file, or the first camera_info"
    ),
    "camera_info_awaited": Reaction(Severity.ERROR, _MARKED),
    "camera_skew": Reaction(Severity.WARNING, "used all the same"),
    "view_incomplete": Reaction(Severity.INFO, "what the camera does not see is black"),
    "lens_misplaced": Reaction(Severity.WARNING, "distances are misjudged to that extent"),
    **{
        f"camera_{status.name.lower()}": Reaction(Severity.ERROR, _MARKED)
        for status in FrameStatus
        if status != FrameStatus.OK
    },
}
