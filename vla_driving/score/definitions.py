"""What each figure of the scoreboard means, for the page and for docs/score.md."""

from __future__ import annotations

from vla_driving.score import blame, comfort, instructions, reasons
from vla_driving.score.drive import ALLOWED_S, ALLOWED_SHARE, LOST_M, STUCK_S
from vla_driving.score.loop import ENGAGE_AGAIN_S, LATENCY_S

_BOUNDS = "; ".join(
    f"{name.replace('_', ' ')} {low:g} to {high:g}" for name, (low, high) in comfort.BOUNDS.items()
)

DEFINITIONS: tuple[tuple[str, str], ...] = (
    (
        "success",
        "the end of the route is reached without an at-fault collision, without leaving the road "
        f"and in time: {ALLOWED_S:g} s and what the route takes at {ALLOWED_SHARE:.0%} of the speed"
        f" limit; to stand still for {STUCK_S:g} s is too long as well, and further than "
        f"{LOST_M:g} m from the centre of any lane of the route it is left. 95 % interval by "
        "Wilson",
    ),
    ("route completion", "mean share of the route driven"),
    (
        "collisions, at fault",
        "by NAVSIM's rule, with each road user once a drive. At fault: ran into something that "
        "stands, the own front bumper met a road user, or a side did while the car was not within "
        f"one lane. Not at fault: hit while standing (below {blame.STANDING:g} m/s) or "
        "from behind",
    ),
    ("off road", "times that a side of the car comes beyond the carriageway by 0.1 m"),
    (
        "comfort",
        f"share of 4 s spans within all bounds of NAVSIM throughout, SI units: {_BOUNDS}; true "
        "motion at 10 Hz, smoothed as nuPlan's metric does",
    ),
    (
        "progress",
        "way made by the time at which the privileged teacher arrived on the same route, over the "
        "teacher's; at most 1",
    ),
    (
        "intervention",
        "the safety monitor's level rises above NOMINAL, or it hands over; counted by the check "
        "behind it",
    ),
    (
        "disengagement",
        "the stack gives the drive up: a hand-over or a stop by the monitor. The driver engages "
        f"again as soon as that is possible, at most once in {ENGAGE_AGAIN_S:g} s, and does "
        "nothing else",
    ),
    (
        "latency",
        f"of the model, modelled as constant: a plan reaches the monitor {1000 * LATENCY_S:.0f} ms"
        " after the exposure of its picture",
    ),
    (
        "reason true",
        f"once in {reasons.EVERY_S:g} s the cause that the plan's evidence names is held against "
        "the simulator's state: a thing of that kind within "
        f"{reasons.DISTANCE_M:g} m or {reasons.DISTANCE_SHARE:.0%} of the distance and "
        f"{reasons.SPEED_M_S:g} m/s of the speed stated, at most {reasons.ASIDE_M:g} m beside the "
        "lane, that stands, brakes or comes over where that is the cause; a bend to that side as "
        f"sharp as stated within {reasons.RADIUS_SHARE:.0%} or sharper; a junction, the route's "
        f"end or a limit within what a plan covers; a free way with nothing nearer than "
        f"{reasons.FREE_S:g} s and {reasons.FREE_M:g} m. Only under plans that the monitor lets "
        "pass untouched",
    ),
    (
        "reason consistent",
        f"the motion of the {reasons.FOLLOWS_S:g} s that follow is the action stated: faster or "
        f"slower by {reasons.CHANGES:g} m/s, held within {reasons.HOLDS:g} m/s, standing; and to "
        f"that side by {reasons.ASIDE_CHANGE:g} m or {reasons.TURN_CHANGE:g} rad within the "
        f"{reasons.LOOK_S:g} s that a plan covers, or kept",
    ),
    (
        "controls",
        "blacked_out and frozen change the picture behind all health checks, so that the model "
        "drives by it; shuffled says another intent's words while the first is what counts",
    ),
)


def rules() -> list[tuple[str, str]]:
    """Intent and the motion by which it counts as followed."""
    return instructions.rules()
