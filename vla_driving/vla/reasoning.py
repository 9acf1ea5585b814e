"""What the plan amounts to and why, said with nothing but what the model itself reports."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from vla_driving.contract.navigation import Turn
from vla_driving.contract.plan import Evidence, LateralAction, LongitudinalAction
from vla_driving.contract.scene import LaneLine, LaneLineKind, ObjectClass, SceneObject
from vla_driving.contract.trajectory import PERIOD_S, Trajectory
from vla_driving.vla.inputs import Navigation
from vla_driving.vla.outputs import Decoded

LOOK_AHEAD_S = 3.0
"""The speed that is spoken of is the planned one at this time."""
SPEED_CHANGE = 0.7
"""m/s within LOOK_AHEAD_S; less is cruising."""
STANDING = 0.3
"""m/s, below which the car stands."""
CORRIDOR = 1.2
"""m beside the path within which an object's edge is in the way."""
PROLONGED, PROLONGED_STEP = 40.0, 1.0
"""m beyond the path's end that count as in the way as well: a car that stands has no path."""
CROSSED = 0.3
"""m. The rear axle's middle this far beyond a line has changed the lane."""
ROUND = 0.6
"""rad. A path turned further has gone round a bend."""
TURNING, AWAY = 0.1, 0.2
"""rad. A path that turns by less than the first does not turn, by more than the second it bends."""
SHARP = 0.01
"""1/m, above which a bend is worth a word (radius below 100 m)."""

_NOUNS = {
    ObjectClass.UNKNOWN: "object", ObjectClass.CAR: "car", ObjectClass.TRUCK: "truck",
    ObjectClass.BICYCLE: "bicycle", ObjectClass.PEDESTRIAN: "pedestrian",
    ObjectClass.OBSTACLE: "obstacle",
}
_LATERAL = {
    LateralAction.KEEP_LANE: "keep lane", LateralAction.CHANGE_LEFT: "change to the left lane",
    LateralAction.CHANGE_RIGHT: "change to the right lane",
    LateralAction.TURN_LEFT: "turn left", LateralAction.TURN_RIGHT: "turn right",
    LateralAction.PULL_OVER: "pull over",
}


@dataclass(frozen=True)
class Explanation:
    """Actions, one short sentence and the figures in it."""

    lateral: LateralAction
    longitudinal: LongitudinalAction
    sentence: str
    evidence: tuple[Evidence, ...]


def explain(decoded: Decoded, speed: float, navigation: Navigation) -> Explanation:
    """Explanation of the best candidate, driven from `speed` m/s on."""
    path = decoded.candidates[0]
    longitudinal = longitudinal_action(path, speed)
    lateral = lateral_action(path, decoded.lane_lines, navigation)
    cause, evidence = _cause(decoded, path)
    planned = float(path.speed[_index(LOOK_AHEAD_S)])
    slower = longitudinal not in (LongitudinalAction.CRUISE, LongitudinalAction.ACCELERATE)
    link = ", so " if slower and evidence else "; "
    sentence = f"{cause}{link}{_intent(longitudinal, planned)}; {_LATERAL[lateral]}"
    own = (
        Evidence("own car", "speed", speed, "m/s"),
        Evidence("plan", f"speed in {LOOK_AHEAD_S:g} s", planned, "m/s"),
    )
    return Explanation(lateral, longitudinal, sentence, evidence + own)


def longitudinal_action(path: Trajectory, speed: float) -> LongitudinalAction:
    """What the speeds of a path amount to."""
    if speed < STANDING and float(path.speed.max()) < STANDING:
        return LongitudinalAction.WAIT
    if float(path.speed.min()) < STANDING and float(path.speed[-1]) < STANDING:
        return LongitudinalAction.STOP
    change = float(path.speed[_index(LOOK_AHEAD_S)]) - speed
    if change > SPEED_CHANGE:
        return LongitudinalAction.ACCELERATE
    return LongitudinalAction.DECELERATE if change < -SPEED_CHANGE else LongitudinalAction.CRUISE


def lateral_action(
    path: Trajectory, lane_lines: tuple[LaneLine, ...], navigation: Navigation
) -> LateralAction:
    """A turn that the route asks for within the path, a lane line crossed, or neither."""
    if navigation.distance_to_turn < float(path.x[-1]):
        if navigation.turn == Turn.LEFT and not _bends_away(path.heading):
            return LateralAction.TURN_LEFT
        if navigation.turn == Turn.RIGHT and not _bends_away(-path.heading):
            return LateralAction.TURN_RIGHT
    lines = {line.kind: line for line in lane_lines}
    if (left := lines.get(LaneLineKind.LANE_LEFT)) and _offset(path, left) > CROSSED:
        return LateralAction.CHANGE_LEFT
    if (right := lines.get(LaneLineKind.LANE_RIGHT)) and _offset(path, right) < -CROSSED:
        return LateralAction.CHANGE_RIGHT
    return LateralAction.KEEP_LANE


def _bends_away(heading: npt.NDArray[np.float32]) -> bool:
    """Whether a path only bends to the right: its turn to the left is over, or not yet reached."""
    turned = float((heading - np.minimum.accumulate(heading)).max())
    return turned < TURNING and float(heading[-1]) < -AWAY


def object_in_the_way(
    path: Trajectory, objects: tuple[SceneObject, ...]
) -> SceneObject | None:
    """The first of `objects` ahead that the path, prolonged straight on, leads through, or None."""
    prolonged = np.arange(PROLONGED_STEP, PROLONGED, PROLONGED_STEP)
    x = np.concatenate([path.x, path.x[-1] + prolonged * np.cos(path.heading[-1])])
    y = np.concatenate([path.y, path.y[-1] + prolonged * np.sin(path.heading[-1])])
    for thing in objects:
        beside = float(np.hypot(x - thing.x, y - thing.y).min())
        if thing.x > 0.0 and beside < 0.5 * thing.width + CORRIDOR:
            return thing
    return None


def _cause(decoded: Decoded, path: Trajectory) -> tuple[str, tuple[Evidence, ...]]:
    if thing := object_in_the_way(path, decoded.objects):
        noun = _NOUNS[thing.classification]
        evidence = (
            Evidence(f"{noun} ahead", "distance", thing.x, "m"),
            Evidence(f"{noun} ahead", "speed", thing.velocity_x, "m/s"),
            Evidence(f"{noun} ahead", "probability", thing.probability, "1"),
        )
        return f"{noun} {thing.x:.0f} m ahead at {max(0.0, thing.velocity_x):.0f} m/s", evidence
    sharpest = path.curvature[int(np.argmax(np.abs(path.curvature)))]
    if abs(float(sharpest)) > SHARP:
        side, radius = ("left" if sharpest > 0 else "right"), 1.0 / abs(float(sharpest))
        return f"{side} bend of {radius:.0f} m radius", (
            Evidence(f"{side} bend", "radius", radius, "m"),
        )
    return "nothing seen in the way", ()


def _intent(action: LongitudinalAction, planned: float) -> str:
    return {
        LongitudinalAction.CRUISE: f"hold {planned:.0f} m/s",
        LongitudinalAction.ACCELERATE: f"speed up to {planned:.0f} m/s",
        LongitudinalAction.DECELERATE: f"slow to {planned:.0f} m/s",
        LongitudinalAction.STOP: "stop",
        LongitudinalAction.WAIT: "wait",
    }[action]


def _offset(path: Trajectory, line: LaneLine) -> float:
    """How far left of the line the path is, square to it, where the line is last good for that, m.

    Further round a bend, both run sideways and a small error along the road looks like a big one.
    """
    reached = (path.x >= line.x[0]) & (path.x <= line.x[-1]) & (np.abs(path.heading) < ROUND)
    within = np.flatnonzero(reached)
    if not within.size:
        return 0.0
    last = within[-1]
    beside = path.y[last] - np.interp(path.x[last], line.x, line.y)
    return float(beside * np.cos(path.heading[last]))


def _index(time_s: float) -> int:
    return round(time_s / PERIOD_S) - 1
