"""Answers to questions about the drive, out of memory, the present plan, and what-if rolls."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from vla_driving.contract.clock import SECOND, Nanoseconds
from vla_driving.contract.navigation import Turn
from vla_driving.contract.plan import Evidence, LateralAction, LongitudinalAction, Plan
from vla_driving.contract.scene import SceneObject
from vla_driving.contract.supervision import Level
from vla_driving.contract.vehicle import VehicleParameters
from vla_driving.vla.language import counterfactual as what_if
from vla_driving.vla.language.concepts import named, words_of
from vla_driving.vla.language.counterfactual import LEAD_BRAKES, Other
from vla_driving.vla.language.memory import Memory, Moment
from vla_driving.vla.language.quantities import said_speed
from vla_driving.vla.language.situation import Situation
from vla_driving.vla.language.wishes import SPEEDS, Wish, km_h
from vla_driving.vla.reasoning import NOUNS

BRAKING = -0.7
"""m/s^2, below which the car slows down for somebody to notice."""
GATHERING = 0.7
EASED = 0.7
"""m/s lost without any braking to speak of, which is slowing down all the same."""
STANDING = 0.3
SLOWING = (LongitudinalAction.DECELERATE, LongitudinalAction.STOP)
STEERING = tuple(a for a in LateralAction if a != LateralAction.KEEP_LANE)
FASTER_BY = 10.0 / 3.6
"""m/s that "faster" means in a question."""
MOST_CHARACTERS, MOST_EVIDENCE = 512, 16
UNANSWERABLE = (
    "I cannot answer that. I can say why I braked, slowed, stopped, steered or sped up in the last "
    "minute, what would happen if somebody stopped, stepped out or cut in or if we drove faster, "
    "how fast we are, what I see, and what comes next"
)


@dataclass(frozen=True)
class Reply:
    """What is said, and the figures in it."""

    text: str
    evidence: tuple[Evidence, ...] = ()


@dataclass(frozen=True, eq=False)
class Knowledge:
    """All that an answer may rest on; `wishes` are those that hold."""

    seen: Situation
    memory: Memory
    wishes: Sequence[Wish]
    vehicle: VehicleParameters
    now_ns: Nanoseconds


def answer(text: str, kind: str, known: Knowledge) -> Reply:
    """The answer to a question of a kind: "why", "what_if" or "state"."""
    reply = {"why": _why, "what_if": _what_if}.get(kind, _state)(text, known)
    return Reply(reply.text[:MOST_CHARACTERS], reply.evidence[:MOST_EVIDENCE])


# Why.


def _why(text: str, known: Knowledge) -> Reply:
    plain, _ = named(text)
    words = set(words_of(text))
    if len(words) > SHORT and not words & _ABOUT_DRIVING:
        return Reply(UNANSWERABLE)
    moments = known.memory.moments
    if not moments:
        return Reply("I remember nothing yet: no vehicle state has come")
    now = moments[-1]
    if words & {"lane", "lanes", "steer", "steering", "swerve", "turn", "turning", "moved"}:
        return _why_then(moments, known, lambda m: m.lateral in STEERING, "steered to the side")
    if plain & {"faster"} and not words & {"brake", "braked", "slow"}:
        return _why_then(moments, known, lambda m: m.acceleration > GATHERING, "sped up")
    if words & _STANDING_WORDS or ("stop" in plain and now.speed < STANDING):
        if now.speed < STANDING:
            begun = _begin(moments, lambda m: m.speed < STANDING)
            return _because(begun, known, "we stand")
        if any(m.speed < STANDING for m in moments):
            return _why_then(moments, known, lambda m: m.speed < STANDING, "stopped")
    return _eased(moments, known) or _why_then(moments, known, _slows, "slowed down")


def _eased(moments: tuple[Moment, ...], known: Knowledge) -> Reply | None:
    """The wish that the car obeyed where it slowed down too gently to be seen in its braking."""
    wish = next((w for w in reversed(known.wishes) if w.intent in SPEEDS), None)
    if wish is None or any(map(_slows, moments)):
        return None
    since = [m for m in moments if m.stamp_ns >= wish.since_ns]
    if not since or since[0].speed - min(m.speed for m in since) < EASED:
        return None
    ago = (known.now_ns - wish.since_ns) / SECOND
    return Reply(
        f"{ago:.0f} s ago you asked: {wish.words}",
        (Evidence("own car", "speed then", since[0].speed, "m/s"),
         Evidence("instruction", "speed", wish.speed, "m/s"),
         Evidence("memory", "time ago", ago, "s")),
    )


SHORT = 3
"""Words of a question that needs no word of driving, as "why was that"."""
_DRIVING = """you we us brake braked braking stop stopped stopping slow slowed slowing slower fast
faster speed sped accelerate accelerating drive driving turn turned turning steer steered swerve
lane lanes wait waiting stand standing moving car happened monitor reason hold-up what's"""
_ABOUT_DRIVING = frozenset(_DRIVING.split())
_STANDING_WORDS = {"standing", "stand", "stood", "waiting", "moving", "stopped", "halt"}


def _slows(moment: Moment) -> bool:
    return moment.acceleration < BRAKING or (
        moment.longitudinal in SLOWING and moment.acceleration < 0.5 * BRAKING
    )


def _why_then(
    moments: tuple[Moment, ...], known: Knowledge, when: Callable[[Moment], bool], what: str
) -> Reply:
    """The newest time that something was so, and what lay behind its beginning."""
    found = [k for k, moment in enumerate(moments) if when(moment)]
    if not found:
        span = (moments[-1].stamp_ns - moments[0].stamp_ns) / SECOND
        return Reply(
            f"we have not {_PARTICIPLES.get(what, what)} in the last {span:.0f} s",
            (Evidence("memory", "span", span, "s"),),
        )
    return _because(_begin(moments[: found[-1] + 1], when), known, f"we {what}")


_PARTICIPLES = {"sped up": "sped up", "stopped": "stopped", "slowed down": "slowed down"}


def _begin(moments: tuple[Moment, ...], when: Callable[[Moment], bool]) -> tuple[Moment, ...]:
    """The last stretch, from its beginning on; a break of half a second does not end it."""
    begin = len(moments) - 1
    for k in range(len(moments) - 1, -1, -1):
        if when(moments[k]):
            begin = k
        elif moments[begin].stamp_ns - moments[k].stamp_ns > SECOND // 2:
            break
    return moments[begin:]


def _because(stretch: tuple[Moment, ...], known: Knowledge, what: str) -> Reply:
    first, last = stretch[0], stretch[-1]
    ago = (known.now_ns - first.stamp_ns) / SECOND
    when = f"{ago:.0f} s ago" if ago > 1.5 else "just now"
    figures = (
        Evidence("own car", "speed then", first.speed, "m/s"),
        Evidence("own car", "speed after", last.speed, "m/s"),
        Evidence("memory", "time ago", ago, "s"),
    )
    cause = _cause(stretch, known)
    return Reply(f"{when} {what}: {cause.text}", cause.evidence + figures)


def _cause(stretch: tuple[Moment, ...], known: Knowledge) -> Reply:
    """Who had it so: the driver, the safety monitor, or the plan, with its own reason."""
    early = stretch[: max(1, min(len(stretch), 15))]
    if any(m.brake_override for m in early):
        return Reply("you braked")
    if any(m.steering_override for m in early):
        return Reply("you steered")
    if any(m.accelerator_override for m in early):
        return Reply("you pressed the accelerator")
    for moment in early:
        if moment.level >= Level.DEGRADED and moment.check is not None:
            check = moment.check
            did = {
                Level.DEGRADED: "slowed us", Level.MINIMAL_RISK: "stopped us",
                Level.EMERGENCY: "made an emergency stop", Level.STOPPED: "keeps us stopped",
            }.get(moment.level, "stepped in")
            return Reply(
                f"the safety monitor {did}: {check.detail or check.name}",
                (Evidence(f"check {check.name}", "value", check.value, check.unit),
                 Evidence(f"check {check.name}", "limit", check.limit, check.unit)),
            )
    plan = next((m.plan for m in early if m.plan is not None), None)
    if plan is None:
        return Reply("no plan of mine was there, so I do not know")
    return Reply(plan.reasoning, plan.evidence)


# What if.


def _what_if(text: str, known: Knowledge) -> Reply:
    seen, vehicle = known.seen, known.vehicle
    plan = seen.fresh_plan(known.now_ns)
    if plan is None or seen.state is None or not plan.candidates:
        return Reply("I cannot work that out: no plan of mine is fresh")
    plain, _ = named(text)
    words = set(words_of(text))
    if words & {"distance", "long", "far"} and "stop" in plain | _stems(words):
        return _stopping(seen.speed, vehicle)
    if words & {"cut", "cuts", "merges", "changes", "comes", "came", "over", "moves"} and not (
        words & _PERSONS
    ):
        return _cut_in(plan, "right" not in words, seen.speed, vehicle)
    if words & _PERSONS and not words & {"brakes", "braked"}:
        return _steps_out(plan, seen.speed, vehicle)
    if words & {"we", "you"} and ("faster" in plain or "speed" in plain or said_speed(text)):
        return _faster(text, plan, known)
    if words & {"stops", "stopped", "brakes", "braked", "stop", "slams", "slammed", "brake"}:
        return _lead_stops(plan, seen.speed, vehicle)
    return Reply(UNANSWERABLE)


_PERSONS = {
    "pedestrian", "child", "person", "somebody", "someone", "anyone", "man", "woman", "cyclist",
    "kid", "dog", "people", "steps", "runs", "ran", "stepped", "walks", "jumps",
}


def _stems(words: set[str]) -> set[str]:
    return {"stop"} if words & {"stopping", "braking", "stop"} else set()


def _lead_stops(plan: Plan, speed: float, vehicle: VehicleParameters) -> Reply:
    thing = what_if.lead_of(plan)
    if thing is None:
        return Reply(
            "nobody is seen ahead in our way; " + _stopping(speed, vehicle).text,
            _stopping(speed, vehicle).evidence,
        )
    other = Other(what_if.gap_to(thing, vehicle), max(0.0, thing.velocity_x), LEAD_BRAKES)
    scene = (
        f"if the {NOUNS[thing.classification]} {other.gap:.0f} m before us at "
        f"{km_h(other.speed)} braked with {LEAD_BRAKES:g} m/s²"
    )
    return _outcome(scene, speed, other, vehicle)


def _steps_out(plan: Plan, speed: float, vehicle: VehicleParameters) -> Reply:
    hard, soft = (
        what_if.stopping_distance(speed, d)
        for d in (vehicle.emergency_deceleration, vehicle.comfort_deceleration)
    )
    text = (
        f"at {km_h(speed)} we would stand after {hard:.1f} m braking with "
        f"{vehicle.emergency_deceleration:g} m/s², {soft:.1f} m gently: whoever steps out nearer "
        f"than {hard:.0f} m would be hit"
    )
    return Reply(text, (
        Evidence("own car", "speed", speed, "m/s"),
        Evidence("own car", "emergency stopping distance", hard, "m"),
        Evidence("own car", "gentle stopping distance", soft, "m"),
    ))


def _cut_in(plan: Plan, left: bool, speed: float, vehicle: VehicleParameters) -> Reply:
    side = "left" if left else "right"
    thing = what_if.beside_of(plan, left)
    if thing is None:
        other = Other(what_if.CUT_IN_GAP, max(0.0, speed - FASTER_BY), after_s=1.0)
        scene = (
            f"no car is seen on the {side}; if one came in {other.gap:.0f} m before us at "
            f"{km_h(other.speed)}"
        )
    else:
        gap = max(1.0, what_if.gap_to(thing, vehicle))
        other = Other(gap, max(0.0, thing.velocity_x), after_s=1.0)
        scene = (
            f"if the {NOUNS[thing.classification]} on the {side} at {km_h(other.speed)} came in "
            f"{other.gap:.0f} m before us"
        )
    return _outcome(scene, speed, other, vehicle)


def _faster(text: str, plan: Plan, known: Knowledge) -> Reply:
    seen, vehicle = known.seen, known.vehicle
    said = said_speed(text)
    relative = said is not None and bool({"faster", "quicker", "by"} & set(words_of(text)))
    speed = seen.speed + (FASTER_BY if said is None else said) if relative or not said else said
    hard = what_if.stopping_distance(speed, vehicle.emergency_deceleration)
    before = what_if.stopping_distance(seen.speed, vehicle.emergency_deceleration)
    sideways = what_if.lateral_acceleration(plan, speed)
    figures = [
        Evidence("what if", "speed", speed, "m/s"),
        Evidence("what if", "emergency stopping distance", hard, "m"),
        Evidence("what if", "lateral acceleration", sideways, "m/s^2"),
    ]
    said_all = [f"at {km_h(speed)} we would stand after {hard:.0f} m instead of {before:.0f} m"]
    if sideways > vehicle.max_lateral_acceleration:
        said_all.append(
            f"the bend would take {sideways:.1f} m/s², more than the "
            f"{vehicle.max_lateral_acceleration:g} allowed"
        )
    limit = seen.speed_limit(known.now_ns)
    if limit is not None and speed > limit + STANDING:
        said_all.append(f"the speed limit is {km_h(limit)}")
        figures.append(Evidence("speed limit", "speed", limit, "m/s"))
    thing = what_if.lead_of(plan)
    if thing is not None:
        other = Other(what_if.gap_to(thing, vehicle), max(0.0, thing.velocity_x))
        outcome = _outcome(
            f"behind the {NOUNS[thing.classification]} ahead", speed, other, vehicle
        )
        said_all.append(outcome.text)
        figures += outcome.evidence
    return Reply("; ".join(said_all), tuple(figures))


def _stopping(speed: float, vehicle: VehicleParameters) -> Reply:
    hard = what_if.stopping_distance(speed, vehicle.emergency_deceleration)
    return Reply(
        f"at {km_h(speed)} we would stand after {hard:.1f} m, braking with "
        f"{vehicle.emergency_deceleration:g} m/s²",
        (Evidence("own car", "speed", speed, "m/s"),
         Evidence("own car", "emergency stopping distance", hard, "m")),
    )


def _outcome(scene: str, speed: float, other: Other, vehicle: VehicleParameters) -> Reply:
    outcome = what_if.roll(speed, speed, other, vehicle)
    needed = what_if.needed_deceleration(speed, other)
    figures = [
        Evidence("what if", "gap", other.gap, "m"),
        Evidence("what if", "other's speed", other.speed, "m/s"),
        Evidence("what if", "strongest braking", outcome.strongest_braking, "m/s^2"),
        Evidence("what if", "smallest gap", outcome.smallest_gap, "m"),
        Evidence("what if", "impact speed", outcome.impact_speed, "m/s"),
    ]
    if math.isfinite(needed):
        figures.append(Evidence("what if", "needed deceleration", needed, "m/s^2"))
    limit = vehicle.emergency_deceleration
    if outcome.impact_speed > 0.0 or outcome.smallest_gap <= 0.0:
        text = (
            f"{scene}, we could not avoid it even with {limit:g} m/s²: impact at "
            f"{km_h(outcome.impact_speed)}"
        )
    else:
        hard = "hard" if outcome.strongest_braking > vehicle.max_deceleration else "gently"
        text = (
            f"{scene}, we would brake {hard}, at most {outcome.strongest_braking:.1f} of "
            f"{limit:g} m/s² (at least {needed:.1f} are needed), and keep "
            f"{outcome.smallest_gap:.1f} m"
        )
    return Reply(text, tuple(figures))


# How things stand.


def _state(text: str, known: Knowledge) -> Reply:
    seen, now_ns = known.seen, known.now_ns
    words = set(words_of(text))
    plan = seen.fresh_plan(now_ns)
    if words & {"limit", "allowed", "may"} or re.search(r"can we (?:drive|go) here", text.lower()):
        limit = seen.speed_limit(now_ns)
        if limit is None:
            return Reply("the route tells no speed limit")
        return Reply(
            f"the speed limit is {km_h(limit)}", (Evidence("speed limit", "speed", limit, "m/s"),)
        )
    if words & {"turn", "junction", "route", "next", "destination"}:
        return _next_turn(known)
    if words & {"speed", "fast"}:
        if seen.state is None:
            return Reply("no vehicle state has come")
        return Reply(
            f"we drive {km_h(seen.speed)}", (Evidence("own car", "speed", seen.speed, "m/s"),)
        )
    if words & {"instruction", "instructions", "wish", "wishes", "ask", "tell", "told"} - (
        {"tell"} if words & {"see", "plan"} else set()
    ):
        return _holding(known)
    if plan is None:
        return Reply("I have no fresh plan, so I cannot say")
    if words & {"see", "ahead", "front", "way", "anything", "objects", "cars", "car", "truck",
                "close", "detect"}:
        return _in_sight(plan)
    if words & {"doing", "plan", "planning", "going", "slowing", "turning", "stopping", "braking",
                "changing", "will", "stop", "brake"}:
        return Reply(plan.reasoning, plan.evidence)
    return Reply(UNANSWERABLE)


def _next_turn(known: Knowledge) -> Reply:
    route = known.seen.route_at(known.now_ns)
    if route is None or not math.isfinite(route.distance_to_turn):
        return Reply("no route is known")
    distance = float(route.distance_to_turn)
    what = {
        Turn.NONE: "no turn is known; route ends", Turn.LEFT: "left turn",
        Turn.RIGHT: "right turn", Turn.STRAIGHT: "junction, straight on",
        Turn.ROUNDABOUT: "roundabout", Turn.ARRIVE: "arrival",
    }[Turn(route.next_turn)]
    return Reply(
        f"{what} in {distance:.0f} m", (Evidence("route", "distance to turn", distance, "m"),)
    )


def _holding(known: Knowledge) -> Reply:
    holding = [w.words for w in known.wishes if w.holds]
    return Reply("you asked to " + "; ".join(holding) if holding else "no instruction holds")


def _in_sight(plan: Plan) -> Reply:
    if not plan.objects:
        return Reply("I see nobody; " + plan.reasoning, plan.evidence)
    nearest = plan.objects[:3]
    return Reply("I see " + ", ".join(map(_described, nearest)), tuple(
        Evidence(NOUNS[o.classification], "distance", math.hypot(o.x, o.y), "m") for o in nearest
    ))


def _described(thing: SceneObject) -> str:
    side = "ahead"
    if abs(thing.y) > 2.0:
        side = f"ahead, {abs(thing.y):.0f} m to the {'left' if thing.y > 0 else 'right'}"
    moving = math.hypot(thing.velocity_x, thing.velocity_y)
    return f"a {NOUNS[thing.classification]} {thing.x:.0f} m {side} at {km_h(moving)}"
