"""Instructions that hold: whether one can be taken on, and when it is done or over."""

from __future__ import annotations

import math
from dataclasses import dataclass

from vla_driving.contract.clock import Nanoseconds, nanoseconds
from vla_driving.contract.language import Intent
from vla_driving.contract.navigation import Instruction, Turn
from vla_driving.contract.plan import Evidence
from vla_driving.contract.vehicle import VehicleParameters
from vla_driving.vla.language.counterfactual import gap_to
from vla_driving.vla.language.encoder import Embeddings
from vla_driving.vla.language.quantities import Unit
from vla_driving.vla.language.settings import ReasonerSettings
from vla_driving.vla.language.situation import LanePlace, Situation
from vla_driving.vla.language.understanding import Understanding

SPEEDS = frozenset({Intent.SPEED_UP, Intent.SLOW_DOWN, Intent.DRIVE_AT})
GAPS = frozenset({Intent.MORE_DISTANCE, Intent.LESS_DISTANCE})
LANES = frozenset({Intent.CHANGE_LEFT, Intent.CHANGE_RIGHT})
TURNS = frozenset({Intent.NEXT_LEFT, Intent.NEXT_RIGHT, Intent.NEXT_STRAIGHT})
STOPS = frozenset({Intent.STOP, Intent.PULL_OVER})
MANOEUVRES = LANES | TURNS | STOPS | {Intent.GO_ON}
LASTING = SPEEDS | GAPS | STOPS
"""Hold on after they are done, until cancelled, superseded or expired."""

SLOWEST = 1.5
"""m/s, below which driving is standing."""
SPEED_REACHED = 0.7
GAP_REACHED = 0.3
NOBODY_AHEAD_S = 5.0
MOVING = 1.0
LANE_MOVED, LANE_CENTRED, LANE_SETTLED_S = 0.75, 0.6, 0.5
STOOD_S = 0.5
SHORTEST_GAP_SPEED = 2.0
NEAR_EDGE = 3.0
"""m from the car's middle to the road's edge, within which it stands at the side."""
TURNED = math.radians(50.0)
STRAIGHT = math.radians(25.0)
IN_JUNCTION_M, PASSED_M = 15.0, 20.0
NARROWEST_LANE = 2.2
ROUTE_TURNS = {
    Intent.NEXT_LEFT: Turn.LEFT, Intent.NEXT_RIGHT: Turn.RIGHT, Intent.NEXT_STRAIGHT: Turn.STRAIGHT,
}
WORDS = {
    Intent.SPEED_UP: "drive faster", Intent.SLOW_DOWN: "drive slower", Intent.DRIVE_AT: "drive at",
    Intent.MORE_DISTANCE: "keep more distance", Intent.LESS_DISTANCE: "keep less distance",
    Intent.STOP: "stop", Intent.GO_ON: "go on", Intent.CHANGE_LEFT: "change to the left lane",
    Intent.CHANGE_RIGHT: "change to the right lane", Intent.NEXT_LEFT: "turn left",
    Intent.NEXT_RIGHT: "turn right", Intent.NEXT_STRAIGHT: "go straight on",
    Intent.PULL_OVER: "pull over",
}


class Impossible(Exception):
    """Why a wish is refused: one line, and the figures in it."""

    def __init__(self, reason: str, *evidence: Evidence) -> None:
        super().__init__(reason)
        self.reason = reason
        self.evidence = evidence


@dataclass(eq=False)
class Wish:
    """An instruction taken on. `speed` in m/s and `time_gap` in s, 0 for none."""

    instruction: Instruction
    intent: Intent
    token: Embeddings
    since_ns: Nanoseconds
    expires_ns: Nanoseconds
    speed: float
    time_gap: float
    lane: LanePlace | None
    done: bool = False
    settled_ns: Nanoseconds | None = None
    at_junction: tuple[float, float] | None = None
    """m driven and rad turned when the junction was reached."""

    @property
    def words(self) -> str:
        """What is wished for, in few words."""
        if self.intent == Intent.DRIVE_AT:
            return f"{WORDS[self.intent]} {km_h(self.speed)}"
        if self.intent in SPEEDS:
            return f"{WORDS[self.intent]}, {km_h(self.speed)}"
        if self.intent in GAPS:
            return f"{WORDS[self.intent]}, {self.time_gap:.1f} s"
        return WORDS[self.intent]

    @property
    def holds(self) -> bool:
        """Whether the car still goes by it."""
        return not self.done or self.intent in LASTING


def km_h(speed: float) -> str:
    """A speed in m/s in words."""
    return f"{round(3.6 * speed)} km/h"


def take_on(
    instruction: Instruction, understood: Understanding, seen: Situation, held: list[Wish],
    vehicle: VehicleParameters, settings: ReasonerSettings, now_ns: Nanoseconds,
) -> Wish:
    """The wish that an instruction makes now. Raises Impossible."""
    intent = understood.intent
    speed = gap = 0.0
    if intent in SPEEDS:
        speed = _speed(understood, seen, held, vehicle, settings, now_ns)
    elif intent in GAPS:
        gap = _gap(understood, seen, held, vehicle, settings, now_ns)
    elif intent in LANES:
        _check_lane(intent == Intent.CHANGE_LEFT, seen, now_ns)
    elif intent in TURNS:
        _check_junction(seen, now_ns)
    lasts = settings.wish_expiry if intent in LASTING else settings.manoeuvre_expiry
    expires_ns = instruction.expires_ns or now_ns + nanoseconds(lasts)
    return Wish(
        instruction, intent, understood.token, now_ns, expires_ns, speed, gap, seen.lane
    )


def supersedes(new: Wish, old: Wish) -> bool:
    """Whether a new wish takes the place of an old one: both want the same thing of the car."""
    for group in (SPEEDS, GAPS, MANOEUVRES):
        if new.intent in group:
            return old.intent in group
    return False


def progress(
    wish: Wish, seen: Situation, vehicle: VehicleParameters, now_ns: Nanoseconds
) -> tuple[Evidence, ...] | None:
    """The figures that show that a wish is done; None while it is not. Raises Impossible once it
    cannot be done any more."""
    if seen.state is None:
        return None
    if wish.intent in SPEEDS:
        return _speed_reached(wish, seen, now_ns)
    if wish.intent in GAPS:
        return _gap_reached(wish, seen, vehicle, now_ns)
    if wish.intent in LANES:
        return _lane_reached(wish, seen, now_ns)
    if wish.intent in TURNS:
        return _turned(wish, seen, now_ns)
    if wish.intent == Intent.GO_ON:
        return (_own_speed(seen),) if seen.speed > MOVING else None
    return _stopped(wish, seen, now_ns)


def _speed(
    understood: Understanding, seen: Situation, held: list[Wish], vehicle: VehicleParameters,
    settings: ReasonerSettings, now_ns: Nanoseconds,
) -> float:
    """m/s that a wish about speed comes to: never below what "faster" is said at, nor above
    limits."""
    limit = seen.speed_limit(now_ns)
    most = min(vehicle.max_speed, limit if limit is not None else math.inf)
    wished = next((w.speed for w in held if w.intent in SPEEDS and w.holds), 0.0)
    step = understood.amount * settings.speed_step
    if understood.difference and understood.speed is not None:
        step = understood.speed
    if understood.speed is not None and not understood.difference:
        return _named_speed(understood, seen, vehicle, limit)
    if understood.intent == Intent.DRIVE_AT:
        return most  # "at the speed limit"
    if understood.intent == Intent.SPEED_UP:
        if seen.speed > most - SPEED_REACHED:
            named = "speed limit" if limit == most else "car's limit"
            raise Impossible(
                f"we drive {km_h(seen.speed)} and the {named} is {km_h(most)}",
                _own_speed(seen), Evidence(named, "speed", most, "m/s"),
            )
        if not wished:
            return most  # nothing but the traffic holds the car back
        return min(most, max(seen.speed, wished) + step)
    base = min(seen.speed, wished or math.inf)
    if base - step < SLOWEST and base < SLOWEST + 0.5 * step:
        raise Impossible(f"we drive {km_h(seen.speed)} already; say stop", _own_speed(seen))
    return max(SLOWEST, base - step)


def _named_speed(
    understood: Understanding, seen: Situation, vehicle: VehicleParameters, limit: float | None
) -> float:
    speed = understood.speed or 0.0
    asked = Evidence("instruction", "speed", speed, "m/s")
    if speed > vehicle.max_speed + SPEED_TOLERANCE:
        raise Impossible(
            f"{km_h(speed)} is more than this car drives, {km_h(vehicle.max_speed)}",
            asked, Evidence("car's limit", "speed", vehicle.max_speed, "m/s"),
        )
    if limit is not None and speed > limit + SPEED_TOLERANCE:
        raise Impossible(
            f"{km_h(speed)} is above the speed limit of {km_h(limit)}",
            asked, Evidence("speed limit", "speed", limit, "m/s"),
        )
    if speed < SLOWEST - SPEED_TOLERANCE:
        raise Impossible(f"{km_h(speed)} is as good as standing; say stop", asked)
    if understood.intent == Intent.SLOW_DOWN and speed > seen.speed + SPEED_REACHED:
        raise Impossible(
            f"{km_h(speed)} is not slower than the {km_h(seen.speed)} we drive", asked,
            _own_speed(seen),
        )
    return speed


SPEED_TOLERANCE = 0.3
"""m/s by which a rounded figure may be above a limit."""


def _gap(
    understood: Understanding, seen: Situation, held: list[Wish], vehicle: VehicleParameters,
    settings: ReasonerSettings, now_ns: Nanoseconds,
) -> float:
    now = next((w.time_gap for w in held if w.intent in GAPS and w.holds), settings.time_gap)
    more = understood.intent == Intent.MORE_DISTANCE
    measured = _time_gap(seen, vehicle, now_ns)
    if measured is not None and measured < settings.max_time_gap:
        # "More" is more than there is, "less" is less.
        now = max(now, measured) if more else min(now, measured)
    if (said := understood.gap) is not None:
        gap = said.value if said.unit == Unit.SECONDS else (
            said.value / max(seen.speed, SHORTEST_GAP_SPEED)
        )
    else:
        gap = now + (settings.gap_step if more else -settings.gap_step)
        # The last step goes to the end of what is kept.
        if min(abs(now - settings.min_time_gap), abs(now - settings.max_time_gap)) > 0.05:
            gap = min(max(gap, settings.min_time_gap), settings.max_time_gap)
    asked = Evidence("instruction", "time gap", gap, "s")
    if gap < settings.min_time_gap - 0.05:
        raise Impossible(
            f"{gap:.1f} s is too close; at least {settings.min_time_gap:.1f} s are kept", asked
        )
    if gap > settings.max_time_gap + 0.05:
        raise Impossible(
            f"{gap:.1f} s is more than the {settings.max_time_gap:.1f} s that are kept at most",
            asked,
        )
    return gap


def _check_lane(left: bool, seen: Situation, now_ns: Nanoseconds) -> None:
    beyond = seen.beyond_line(left, now_ns)
    if beyond is not None and beyond < NARROWEST_LANE:
        side = "left" if left else "right"
        raise Impossible(
            f"no lane is seen on the {side}: the road's edge is {max(0.0, beyond):.1f} m beyond "
            "the line",
            Evidence(f"{side} road edge", "distance beyond the lane line", beyond, "m"),
        )


def _check_junction(seen: Situation, now_ns: Nanoseconds) -> None:
    route = seen.route_at(now_ns)
    if route is None:
        raise Impossible("no route is known, so neither is the next junction")
    if route.next_turn in (Turn.NONE, Turn.ARRIVE):
        raise Impossible(
            "the route has no junction ahead",
            Evidence("route", "distance to goal", float(route.distance_to_goal), "m"),
        )


def contradiction(wish: Wish, seen: Situation, now_ns: Nanoseconds) -> str:
    """What the route says otherwise, in words; empty where it agrees."""
    route = seen.route_at(now_ns)
    if route is None or wish.intent not in TURNS:
        return ""
    said = Turn(route.next_turn)
    if said in (ROUTE_TURNS[wish.intent], Turn.ROUNDABOUT):
        return ""
    return f"; the route says {said.name.lower()}, your word goes before it"


def _speed_reached(
    wish: Wish, seen: Situation, now_ns: Nanoseconds
) -> tuple[Evidence, ...] | None:
    off = seen.speed - wish.speed
    reached = {
        Intent.SPEED_UP: off > -SPEED_REACHED,
        Intent.SLOW_DOWN: off < SPEED_REACHED,
        Intent.DRIVE_AT: abs(off) < SPEED_REACHED,
    }[wish.intent]
    return (_own_speed(seen),) if _settled(wish, reached, now_ns) else None


def _time_gap(seen: Situation, vehicle: VehicleParameters, now_ns: Nanoseconds) -> float | None:
    """s from our front bumper to the one ahead; None where there is nobody."""
    lead = seen.lead(now_ns)
    if lead is None:
        return None
    return gap_to(lead, vehicle) / max(seen.speed, SHORTEST_GAP_SPEED)


def _gap_reached(
    wish: Wish, seen: Situation, vehicle: VehicleParameters, now_ns: Nanoseconds
) -> tuple[Evidence, ...] | None:
    gap = _time_gap(seen, vehicle, now_ns)
    if gap is None:
        free = _settled(wish, seen.fresh_plan(now_ns) is not None, now_ns, NOBODY_AHEAD_S)
        return () if free else None
    reached = (
        gap > wish.time_gap - GAP_REACHED if wish.intent == Intent.MORE_DISTANCE
        else gap < wish.time_gap + GAP_REACHED
    )
    if not _settled(wish, reached, now_ns):
        return None
    return (Evidence("car ahead", "time gap", gap, "s"),)


def _lane_reached(wish: Wish, seen: Situation, now_ns: Nanoseconds) -> tuple[Evidence, ...] | None:
    if seen.lane is None:
        return None
    if wish.lane is None or wish.lane.count != seen.lane.count:
        wish.lane = seen.lane  # counting began anew: from here on
        return None
    moved = seen.lane.lanes - wish.lane.lanes
    towards = moved if wish.intent == Intent.CHANGE_LEFT else -moved
    there = towards > LANE_MOVED and abs(seen.lane.off_centre) < LANE_CENTRED
    if not _settled(wish, there, now_ns):
        return None
    return (
        Evidence("own car", "lanes moved to the left", moved, "1"),
        Evidence("own car", "off the lane's centre", seen.lane.off_centre, "m"),
    )


def _turned(wish: Wish, seen: Situation, now_ns: Nanoseconds) -> tuple[Evidence, ...] | None:
    route = seen.route_at(now_ns)
    if wish.at_junction is None:
        if route is not None and route.distance_to_turn < IN_JUNCTION_M:
            wish.at_junction = (seen.driven, seen.turned)
        return None
    driven, turned = seen.driven - wish.at_junction[0], seen.turned - wish.at_junction[1]
    figures = (Evidence("own car", "turned to the left", math.degrees(turned), "deg"),)
    ahead = IN_JUNCTION_M + PASSED_M
    passed = driven > ahead
    if wish.intent == Intent.NEXT_LEFT and turned > TURNED:
        return figures
    if wish.intent == Intent.NEXT_RIGHT and turned < -TURNED:
        return figures
    if wish.intent == Intent.NEXT_STRAIGHT and passed and abs(turned) < STRAIGHT:
        return figures
    wrong_way = abs(turned) > TURNED and wish.intent != Intent.NEXT_STRAIGHT
    if wrong_way or driven > 2.0 * ahead or (passed and abs(turned) > TURNED):
        raise Impossible(
            f"the junction is passed, turned {math.degrees(turned):.0f}° to the left", *figures
        )
    return None


def _stopped(wish: Wish, seen: Situation, now_ns: Nanoseconds) -> tuple[Evidence, ...] | None:
    if seen.stood_s(now_ns) < STOOD_S:
        return None
    figures = (_own_speed(seen),)
    if wish.intent == Intent.STOP:
        return figures
    edge = seen.to_right_edge()
    if edge is not None and edge > NEAR_EDGE:
        return None
    return figures if edge is None else (*figures, Evidence("right road edge", "distance", edge,
                                                            "m"))


def _settled(
    wish: Wish, reached: bool, now_ns: Nanoseconds, for_s: float = LANE_SETTLED_S
) -> bool:
    """Whether something has been so for a while."""
    if not reached:
        wish.settled_ns = None
        return False
    if wish.settled_ns is None:
        wish.settled_ns = now_ns
    return now_ns - wish.settled_ns >= nanoseconds(for_s)


def _own_speed(seen: Situation) -> Evidence:
    return Evidence("own car", "speed", seen.speed, "m/s")
