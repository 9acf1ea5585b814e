"""What makes a demo end non-zero: each rule names what failed, where and since when."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from vla_driving.contract.clock import SECOND
from vla_driving.contract.supervision import Verdict
from vla_driving.contract.topics import BY_NAME
from vla_driving.replay.drive import Drive, Window
from vla_driving.replay.summary import frame_stamps

FOLLOW_S = 1.0
"""A command made from a frame, or from a newer one, has to come within this of the exposure."""
NODE_DIED = "node_died"
REQUIRED = (
    "vehicle/state", "vla/plan", "vla/approved_plan", "vla/safety_state", "vla/control_command",
)


def failures(drive: Drive, window: Window | None, dead_nodes: Sequence[str] = ()) -> list[str]:
    """One line for each rule that a drive breaks; empty where it passed.

    `dead_nodes` are those the supervisor saw die; events named "node_died" count as well.
    """
    if window is None:
        return ["the bag holds no message: nothing was recorded"]
    return [
        *_dead_nodes(drive, dead_nodes),
        *_silent_topics(drive, window),
        *_never_engaged(drive),
        *_unfollowed_frames(drive, window),
    ]


def _dead_nodes(drive: Drive, told: Sequence[str]) -> list[str]:
    lines = {name: f"{name}: the node died" for name in told}
    for arrived in drive.events:
        event = arrived.value
        if event.name == NODE_DIED:
            lines[event.subject] = f"{event.subject}: the node died: {event.text}"
    return list(lines.values())


def _silent_topics(drive: Drive, window: Window) -> list[str]:
    lines = []
    if not frame_stamps(drive, window).size:
        lines.append("vla/frames: no frame in the drive: is there a picture from the camera?")
    for name in REQUIRED:
        arrivals = drive.arrivals.get(name)
        if arrivals is None or not arrivals.within(window).arrival_ns.size:
            lines.append(f"{name}: no message in the drive: {BY_NAME[name].publisher} was silent")
    return lines


def _never_engaged(drive: Drive) -> list[str]:
    if drive.engaged_at() is not None:
        return []
    if not drive.safety:
        return ["the car never engaged: no safety state came"]
    last = drive.safety[-1].value
    reasons = [c.detail or c.name for c in last.checks if c.verdict is not Verdict.PASS]
    why = "; ".join(reasons[:3]) or "every check passed, so no engage request reached it"
    return [f"the car never engaged: {why}"]


def _unfollowed_frames(drive: Drive, window: Window) -> list[str]:
    """Frames after which no command came in time; those too near the end are not judged."""
    frames = np.sort(frame_stamps(drive, window))
    frames = frames[frames <= window.end_ns - FOLLOW_S * SECOND]
    if not frames.size:
        return []
    arrivals = np.array([c.arrival_ns for c in drive.commands], np.int64)
    behind = np.array([c.value.frame_stamp_ns for c in drive.commands], np.int64)
    newest = np.maximum.accumulate(behind) if behind.size else behind
    first = np.searchsorted(newest, frames)
    came = np.append(arrivals, np.iinfo(np.int64).max)[first]
    late = came > frames + round(FOLLOW_S * SECOND)
    if not late.any():
        return []
    since = (frames[late][0] - window.start_ns) / SECOND
    return [
        f"vla/control_command: no command followed {int(late.sum())} of {frames.size} frames "
        f"within {FOLLOW_S:g} s, the first {since:.1f} s into the drive"
    ]
