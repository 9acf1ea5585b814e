"""What the plan amounts to and why, said with nothing but what the model itself reports."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from vla_driving.contract.language import Cause, Command, Intent
from vla_driving.contract.navigation import Turn
from vla_driving.contract.plan import Evidence, LateralAction, LongitudinalAction
from vla_driving.contract.scene import LaneLine, LaneLineKind, ObjectClass, SceneObject
from vla_driving.contract.trajectory import PERIOD_S, Trajectory
from vla_driving.vla.inputs import Navigation
from vla_driving.vla.outputs import Decoded, ReportedCause

LOOK_AHEAD_S = 3.0
"""The speed that is spoken of is the planned one at this time."""
SPEED_CHANGE = 0.7
"""m/s within LOOK_AHEAD_S; less is cruising."""
BEGUN, BEGUN_S = 0.2, 1.0
"""m/s within so many s; a change that begins later is for a later plan to say, which knows more."""
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

NOUNS = {
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


SURE = 0.5
"""Probability from which a cause that the network reports goes before that of geometry."""
NEAR, NEAR_S = 10.0, 4.0
"""m, and s at the present speed, within which something in the way is what slows the car."""
OVER_LIMIT = 0.5
"""m/s above a limit that are worth slowing down for."""
JUNCTION_AHEAD, GOAL_AHEAD = 40.0, 60.0
"""m"""
SLOWER = (LongitudinalAction.DECELERATE, LongitudinalAction.STOP, LongitudinalAction.WAIT)
CAUSE = ("cause", "class")
"""Subject and quantity of the evidence whose value is a Cause."""
_PLACES = ("left turn", "right turn", "junction", "roundabout", "goal")
_OF_THINGS = (Cause.LEAD, Cause.LEAD_BRAKES, Cause.STOPPED, Cause.CUT_IN, Cause.PEDESTRIAN)


@dataclass(frozen=True)
class Explanation:
    """Actions, one short sentence, the figures in it, and what the car acts for."""

    lateral: LateralAction
    longitudinal: LongitudinalAction
    sentence: str
    evidence: tuple[Evidence, ...]
    cause: Cause


@dataclass(frozen=True)
class Stated:
    """What evidence states, for whoever holds it against the truth; None where it says nothing.

    m and m/s; `planned_speed` is that in LOOK_AHEAD_S; `side` of a bend is 1 left, -1 right, 0 for
    none.
    """

    cause: Cause
    object_class: ObjectClass | None
    distance: float | None
    speed: float | None
    planned_speed: float | None
    side: int
    radius: float | None


@dataclass(frozen=True)
class _Told:
    cause: Cause
    words: str
    evidence: tuple[Evidence, ...] = ()


def explain(
    decoded: Decoded, speed: float, navigation: Navigation, command: Command | None = None,
    cause: ReportedCause | None = None,
) -> Explanation:
    """Explanation of the best candidate, driven from `speed` m/s on.

    A `cause` that the network reports is told where it is sure and its figures are there; otherwise
    that of geometry. The action is read off the path, so that it cannot contradict it.
    """
    path = decoded.candidates[0]
    longitudinal = longitudinal_action(path, speed)
    lateral = lateral_action(path, decoded.lane_lines, navigation)
    slower = longitudinal in SLOWER
    told = _reported(cause, path, speed, navigation, command, slower) or _geometric(
        decoded, path, speed, navigation, command, slower
    )
    planned = float(path.speed[_index(LOOK_AHEAD_S)])
    link = ", so " if slower and told.cause != Cause.FREE else "; "
    sentence = f"{told.words}{link}{_intent(longitudinal, planned)}; {_LATERAL[lateral]}"
    own = (
        Evidence("own car", "speed", speed, "m/s"),
        Evidence("plan", f"speed in {LOOK_AHEAD_S:g} s", planned, "m/s"),
    )
    first = Evidence(*CAUSE, float(told.cause), "1")
    return Explanation(lateral, longitudinal, sentence, (first, *told.evidence, *own), told.cause)


def stated(evidence: tuple[Evidence, ...]) -> Stated | None:
    """What a plan's evidence states; None where it names no cause."""
    found = {(e.subject, e.quantity): e.value for e in evidence}
    code = found.get(CAUSE)
    if code is None or code not in list(Cause):
        return None
    things = tuple(f"{noun} ahead" for noun in (*NOUNS.values(), "signal"))
    ahead = {quantity: v for (subject, quantity), v in found.items() if subject in things}
    near = [v for (subject, quantity), v in found.items()
            if quantity == "distance" and subject in _PLACES]
    left, right = (found.get((f"{side} bend", "radius")) for side in ("left", "right"))
    return Stated(
        Cause(int(code)),
        ObjectClass(int(ahead["class"])) if "class" in ahead else None,
        ahead.get("distance", near[0] if near else None), ahead.get("speed"),
        found.get(("plan", f"speed in {LOOK_AHEAD_S:g} s")),
        1 if left is not None else -1 if right is not None else 0,
        left if left is not None else right,
    )


def longitudinal_action(path: Trajectory, speed: float) -> LongitudinalAction:
    """What the speeds of a path amount to."""
    if speed < STANDING and float(path.speed.max()) < STANDING:
        return LongitudinalAction.WAIT
    if float(path.speed.min()) < STANDING and float(path.speed[-1]) < STANDING:
        return LongitudinalAction.STOP
    change = float(path.speed[_index(LOOK_AHEAD_S)]) - speed
    begun = float(path.speed[_index(BEGUN_S)]) - speed
    if change > SPEED_CHANGE and begun > BEGUN:
        return LongitudinalAction.ACCELERATE
    if change < -SPEED_CHANGE and begun < -BEGUN:
        return LongitudinalAction.DECELERATE
    return LongitudinalAction.CRUISE


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


def _reported(
    cause: ReportedCause | None, path: Trajectory, speed: float, navigation: Navigation,
    command: Command | None, slower: bool,
) -> _Told | None:
    """The network's own cause, where what it rests on is reported as well."""
    if cause is None or cause.probability < SURE:
        return None
    if cause.cause in _OF_THINGS:
        return _of_thing(_borne_out(cause.cause, cause.thing), cause.thing) if cause.thing else None
    if cause.cause == Cause.BEND:
        return _of_bend(path)
    if cause.cause == Cause.JUNCTION:
        return _of_junction(navigation)
    if cause.cause == Cause.SPEED_LIMIT:
        return _of_limit(navigation, command)
    if cause.cause == Cause.INSTRUCTION:
        return _of_instruction(command)
    if cause.cause == Cause.ROUTE_END:
        return _of_goal(navigation)
    if cause.cause == Cause.SIGNAL and cause.distance is not None:
        figures = (Evidence("signal ahead", "distance", cause.distance, "m"),)
        return _Told(Cause.SIGNAL, f"signal {cause.distance:.0f} m ahead", figures)
    return None if slower else _Told(Cause.FREE, _NOTHING)


_NOTHING = "nothing seen in the way"


def _geometric(
    decoded: Decoded, path: Trajectory, speed: float, navigation: Navigation,
    command: Command | None, slower: bool,
) -> _Told:
    thing = object_in_the_way(path, decoded.objects)
    if thing and (not slower or thing.x < NEAR + NEAR_S * speed):
        return _of_thing(_cause_of(thing), thing)
    if slower:
        for told in (_of_instruction(command, speed), _of_limit(navigation, command, speed),
                     _of_goal(navigation), _of_bend(path), _of_junction(navigation)):
            if told is not None:
                return told
    if thing:
        return _of_thing(_cause_of(thing), thing)
    return _of_bend(path) or _Told(Cause.FREE, _NOTHING)


def _cause_of(thing: SceneObject) -> Cause:
    if thing.classification in (ObjectClass.PEDESTRIAN, ObjectClass.BICYCLE):
        return Cause.PEDESTRIAN
    return Cause.STOPPED if abs(thing.velocity_x) < STANDING_THING else Cause.LEAD


STANDING_THING = 0.5
"""m/s"""
COMES_OVER, IN_FRONT = 0.2, 1.0
"""m/s towards us, and m beside us, of a vehicle that cuts in."""


def _borne_out(cause: Cause, thing: SceneObject) -> Cause:
    """The cause, where the figures that are told with it agree; else what they amount to."""
    if cause == Cause.STOPPED and abs(thing.velocity_x) >= STANDING_THING:
        return _cause_of(thing)
    towards = -thing.velocity_y if thing.y > 0.0 else thing.velocity_y
    if cause == Cause.CUT_IN and towards < COMES_OVER and abs(thing.y) > IN_FRONT:
        return _cause_of(thing)
    return cause


def _of_thing(cause: Cause, thing: SceneObject) -> _Told:
    noun = NOUNS[thing.classification]
    evidence = (
        Evidence(f"{noun} ahead", "distance", thing.x, "m"),
        Evidence(f"{noun} ahead", "speed", thing.velocity_x, "m/s"),
        Evidence(f"{noun} ahead", "probability", thing.probability, "1"),
        Evidence(f"{noun} ahead", "class", float(thing.classification), "1"),
    )
    does = {Cause.LEAD_BRAKES: " brakes", Cause.CUT_IN: " cuts in", Cause.STOPPED: " stands"}.get(
        cause, f" at {max(0.0, thing.velocity_x):.0f} m/s"
    )
    return _Told(cause, f"{noun} {thing.x:.0f} m ahead{does}", evidence)


def _of_bend(path: Trajectory) -> _Told | None:
    sharpest = float(path.curvature[int(np.argmax(np.abs(path.curvature)))])
    if abs(sharpest) <= SHARP:
        return None
    side, radius = ("left" if sharpest > 0 else "right"), 1.0 / abs(sharpest)
    return _Told(
        Cause.BEND, f"{side} bend of {radius:.0f} m radius",
        (Evidence(f"{side} bend", "radius", radius, "m"),),
    )


def _of_junction(navigation: Navigation) -> _Told | None:
    distance = navigation.distance_to_turn
    words = {
        Turn.LEFT: "left turn", Turn.RIGHT: "right turn", Turn.STRAIGHT: "junction",
        Turn.ROUNDABOUT: "roundabout",
    }.get(navigation.turn)
    if words is None or not distance < JUNCTION_AHEAD:
        return None
    return _Told(
        Cause.JUNCTION, f"{words} in {distance:.0f} m",
        (Evidence(words, "distance", distance, "m"),),
    )


def _of_goal(navigation: Navigation) -> _Told | None:
    distance = navigation.distance_to_turn
    if navigation.turn != Turn.ARRIVE or not distance < GOAL_AHEAD:
        return None
    return _Told(
        Cause.ROUTE_END, f"goal in {distance:.0f} m", (Evidence("goal", "distance", distance, "m"),)
    )


def _of_limit(
    navigation: Navigation, command: Command | None, speed: float | None = None
) -> _Told | None:
    """The speed limit; where an instruction's is lower, that is what holds."""
    limit = navigation.speed_limit
    if not limit > 0.0 or (speed is not None and speed < limit + OVER_LIMIT):
        return None
    if command is not None and 0.0 < command.speed <= limit:
        return _of_instruction(command)
    return _Told(
        Cause.SPEED_LIMIT, f"speed limit {limit:.0f} m/s",
        (Evidence("speed limit", "speed", limit, "m/s"),),
    )


def _of_instruction(command: Command | None, speed: float | None = None) -> _Told | None:
    """An instruction that slows the car: to stop, or to a speed that it drives above."""
    if command is None:
        return None
    figures = (Evidence("instruction", "id", float(command.instruction_id), "1"),)
    wish = {Intent.STOP: "stop", Intent.PULL_OVER: "pull over"}.get(command.intent)
    if wish:
        return _Told(Cause.INSTRUCTION, f"you asked to {wish}", figures)
    if command.speed > 0.0 and (speed is None or speed > command.speed + OVER_LIMIT):
        wanted = Evidence("instruction", "speed", command.speed, "m/s")
        words = f"you asked for {command.speed:.0f} m/s"
        return _Told(Cause.INSTRUCTION, words, (*figures, wanted))
    return None


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
