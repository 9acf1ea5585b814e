"""What is said to the car in which scene, and by which measured motion it counts as followed.

Each case drives a scene of its own with a wording of the intent; where motion without a word is the
yardstick, the same scene is driven once more in silence. The table of rules (`rules`) is printed
into the documentation and onto the page.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from vla_driving.contract.language import AnswerStatus, Intent
from vla_driving.score.drive import SEEDS_TRIED, Saying, Task
from vla_driving.score.track import NO_LEAD, Track
from vla_driving.simulation.scenario import PlacedObject, Scenario

SPEED_BAND = 1.0
"""m/s around a speed asked for, and what a change of speed is at least."""
SETTLED_S = 2.0
"""Speeds and gaps are means over so long at the end of their time."""
GAP_CHANGE = 1.2
LANE_M = 0.6
LANE_S = 0.5
"""In a lane: this near its centre, for so long."""
STANDS = 0.2
MOVES = 2.0
"""m/s"""
KERB_M = 1.0
TURNED = (np.radians(60.0), np.radians(120.0))
STRAIGHT = np.radians(25.0)
BACK_TO_NORMAL = 1.5
"""m/s around the speed in silence at the same places, once a wish is cancelled."""
SAME_ALONG, SAME_ASIDE, SAME_SPEED = 1.0, 0.3, 0.5
"""No reaction: never further from the drive in silence than this, m, m and m/s."""


@dataclass(frozen=True)
class Trial:
    """A drive in which something was said at `at_s`, and the same one in silence where needed."""

    told: Track
    silent: Track | None
    at_s: float
    text: str
    limit: float
    answers: Sequence[Saying]
    mishap: bool

    def near_the_end_of(self, within_s: float, track: Track | None = None) -> Track:
        """The last SETTLED_S of the time given; of the drive told unless another is named."""
        return span(track or self.told, self.at_s + within_s - SETTLED_S, self.at_s + within_s)

    def within(self, seconds: float) -> Track:
        """What followed the words."""
        return span(self.told, self.at_s, self.at_s + seconds)

    def in_silence_at(self, along: Sequence[float]) -> list[float]:
        """Speeds in m/s with which the drive in silence passed places, m along the route."""
        if self.silent is None or not len(self.silent):
            return []
        return list(np.interp(along, self.silent.along, self.silent.speed))

    @property
    def speed_then(self) -> float:
        """When the words were said."""
        return float(np.interp(self.at_s, self.told.time, self.told.speed))


def span(track: Track, first_s: float, last_s: float) -> Track:
    """The samples between two instants."""
    a, b = np.searchsorted(track.time, (first_s - 1e-6, last_s + 1e-6))
    return Track(**{name: column[a:b] for name, column in vars(track).items()})


# Scenes


def _free_road(seed: int) -> Scenario:
    return Scenario(
        name=f"free_{seed}", map="SSS", seed=seed, lanes=2, start_lane=1, speed_limit=12.0,
        start_speed=9.0,
    )


def _three_lanes(seed: int) -> Scenario:
    return _free_road(seed).replace(name=f"lanes_{seed}", lanes=3, start_lane=1)


def _behind_a_car(seed: int) -> Scenario:
    lead = PlacedObject(
        "car", 22.0, behaviour="brakes", acts_after=1.0, deceleration=1.0, final_speed=6.0,
        rests=600.0,
    )
    return _free_road(seed).replace(
        name=f"lead_{seed}", objects=(lead,), start_speed=7.0, traffic_speed=7.0
    )


def _crossing(seed: int) -> Scenario:
    return _free_road(seed).replace(name=f"crossing_{seed}", map="SX", start_speed=7.0)


# Rules


def _faster(t: Trial) -> bool:
    return mean(t.near_the_end_of(10.0).speed) >= t.speed_then + SPEED_BAND


def _slower(t: Trial) -> bool:
    late = t.near_the_end_of(10.0)
    return STANDS < mean(late.speed) <= t.speed_then - SPEED_BAND


def _at_speed(t: Trial) -> bool:
    wish = wished_speed(t.text)
    if wish is None:
        return False
    return abs(mean(t.near_the_end_of(10.0).speed) - min(wish, t.limit)) <= SPEED_BAND


def _wider(t: Trial) -> bool:
    told, silent = _gap(t.near_the_end_of(12.0)), _gap(t.near_the_end_of(12.0, t.silent))
    return told is not None and silent is not None and told >= GAP_CHANGE * silent


def _closer(t: Trial) -> bool:
    told, silent = _gap(t.near_the_end_of(12.0)), _gap(t.near_the_end_of(12.0, t.silent))
    return told is not None and silent is not None and told <= silent / GAP_CHANGE


def _stands(t: Trial) -> bool:
    return min(t.within(12.0).speed, default=np.inf) < STANDS


def _goes(t: Trial) -> bool:
    return t.speed_then < STANDS and max(t.within(8.0).speed, default=0.0) > MOVES


def _lane_over(t: Trial, side: int) -> bool:
    after = t.within(12.0)
    if not len(after):
        return False
    there = [
        lane == after.lane[0] + side and abs(left) <= LANE_M
        for lane, left in zip(after.lane, after.left, strict=True)
    ]
    return longest(there) * 0.1 >= LANE_S


def _turned(t: Trial, side: int) -> bool:
    heading = np.unwrap(span(t.told, t.at_s, np.inf).heading)
    if not len(heading):
        return False
    change = float(heading[-1] - heading[0])
    if side == 0:
        return abs(change) <= STRAIGHT and np.abs(heading - heading[0]).max() <= TURNED[0]
    return bool(TURNED[0] <= side * change <= TURNED[1])


def _pulled_over(t: Trial) -> bool:
    after = t.within(25.0)
    return any(
        speed < STANDS and edge <= KERB_M
        for speed, edge in zip(after.speed, after.edge, strict=True)
    )


def _as_before(t: Trial) -> bool:
    # At the same places: the drive in silence is ahead, and may slow for what comes there.
    late = t.near_the_end_of(10.0)
    normal = mean(t.in_silence_at(late.along))
    then = t.in_silence_at(t.within(0.1).along[:1])
    return abs(mean(late.speed) - normal) <= BACK_TO_NORMAL and (
        t.speed_then <= mean(then) - BACK_TO_NORMAL
    )


def unmoved(t: Trial) -> bool:
    """Whether the car drove as it does in silence, from the words on."""
    if t.silent is None:
        return False
    told, silent = (span(x, t.at_s, np.inf) for x in (t.told, t.silent))
    n = min(len(told), len(silent))
    if n < len(told) - 2:
        return False

    def apart(name: str) -> float:
        a, b = (np.asarray(getattr(x, name)[:n], float) for x in (told, silent))
        return float(np.abs(a - b).max(initial=0.0))

    return (
        apart("along") <= SAME_ALONG and apart("left") <= SAME_ASIDE and apart("lane") == 0.0
        and apart("speed") <= SAME_SPEED
    )


def refused(t: Trial) -> bool:
    """Whether the answer says no, and nothing changed."""
    return any(a.status == AnswerStatus.REFUSED.name for a in t.answers) and unmoved(t)


def answered(t: Trial) -> bool:
    """Whether a question got its answer, and nothing changed."""
    return any(a.status == AnswerStatus.ANSWERED.name for a in t.answers) and unmoved(t)


@dataclass(frozen=True)
class Case:
    """How one intent is tried. `rule` says in words what `followed` computes.

    `before`: what is said earlier, s and text; `at_s`: when the wording is said; `within_s`: how
    long is looked at; `turn`: the way to be taken where the route itself goes another.
    """

    scene: Callable[[int], Scenario]
    at_s: float
    within_s: float
    rule: str
    followed: Callable[[Trial], bool]
    before: tuple[tuple[float, str], ...] = ()
    turn: str = ""
    needs_silence: bool = False


SLOWLY = (0.6, "drive at 20 km/h")

CASES: Mapping[Intent, Case] = {
    Intent.SPEED_UP: Case(
        _free_road, 8.0, 10.0, "told to drive at 20 km/h before; at least 1 m/s faster after 10 s",
        _faster, before=(SLOWLY,),
    ),
    Intent.SLOW_DOWN: Case(
        _free_road, 3.0, 10.0, "at least 1 m/s slower after 10 s, and not standing", _slower
    ),
    Intent.DRIVE_AT: Case(
        _free_road, 3.0, 10.0,
        "within 1 m/s of the speed named (of the limit, where that is lower) after 10 s", _at_speed,
    ),
    Intent.MORE_DISTANCE: Case(
        _behind_a_car, 7.0, 12.0,
        "behind a car: time gap after 12 s at least 20 % longer than in silence", _wider,
        needs_silence=True,
    ),
    Intent.LESS_DISTANCE: Case(
        _behind_a_car, 7.0, 12.0,
        "behind a car: time gap in silence at least 20 % longer than 12 s after the words",
        _closer, needs_silence=True,
    ),
    Intent.STOP: Case(_free_road, 3.0, 12.0, "stands within 12 s", _stands),
    Intent.GO_ON: Case(
        _free_road, 14.0, 8.0, "told to stop before, and standing; drives at 2 m/s within 8 s",
        _goes, before=((2.0, "stop here"),),
    ),
    Intent.CHANGE_LEFT: Case(
        _three_lanes, 3.0, 12.0, "for 0.5 s within 0.6 m of the left neighbour's centre, in 12 s",
        lambda t: _lane_over(t, -1),
    ),
    Intent.CHANGE_RIGHT: Case(
        _three_lanes, 3.0, 12.0, "for 0.5 s within 0.6 m of the right neighbour's centre, in 12 s",
        lambda t: _lane_over(t, 1),
    ),
    Intent.NEXT_LEFT: Case(
        _crossing, 1.0, 30.0, "on a route that goes another way: has turned left by 60 to 120°",
        lambda t: _turned(t, 1), turn="LEFT",
    ),
    Intent.NEXT_RIGHT: Case(
        _crossing, 1.0, 30.0, "on a route that goes another way: has turned right by 60 to 120°",
        lambda t: _turned(t, -1), turn="RIGHT",
    ),
    Intent.NEXT_STRAIGHT: Case(
        _crossing, 1.0, 30.0,
        "on a route that turns: has come out within 25° of where it pointed, and never turned 60°",
        lambda t: _turned(t, 0), turn="STRAIGHT",
    ),
    Intent.PULL_OVER: Case(
        _free_road, 3.0, 25.0, "stands at most 1 m from the right border within 25 s", _pulled_over
    ),
    Intent.CANCEL: Case(
        _free_road, 6.0, 10.0,
        "told to drive at 20 km/h before, and slower by 1.5 m/s than in silence at that place; "
        "after 10 s within 1.5 m/s of the speed in silence at the same places",
        _as_before, before=(SLOWLY,), needs_silence=True,
    ),
}

_UNMOVED = (
    "for 10 s never more than 1 m along, 0.3 m aside and 0.5 m/s from the drive in silence"
)
OTHERS: Mapping[Intent, Case] = {
    Intent.NONE: Case(_free_road, 3.0, 10.0, _UNMOVED, unmoved, needs_silence=True),
    Intent.UNSAFE: Case(
        _free_road, 3.0, 10.0, f"refused with a reason, and {_UNMOVED}", refused,
        needs_silence=True,
    ),
    Intent.QUESTION: Case(
        _free_road, 3.0, 10.0, f"answered, and {_UNMOVED}", answered, needs_silence=True
    ),
}

SHUFFLED: Mapping[Intent, Intent] = {
    Intent.SPEED_UP: Intent.LESS_DISTANCE, Intent.SLOW_DOWN: Intent.STOP,
    Intent.DRIVE_AT: Intent.CHANGE_LEFT, Intent.MORE_DISTANCE: Intent.CHANGE_RIGHT,
    Intent.LESS_DISTANCE: Intent.SLOW_DOWN, Intent.STOP: Intent.NEXT_LEFT,
    Intent.GO_ON: Intent.STOP, Intent.CHANGE_LEFT: Intent.CHANGE_RIGHT,
    Intent.CHANGE_RIGHT: Intent.CHANGE_LEFT, Intent.NEXT_LEFT: Intent.NEXT_RIGHT,
    Intent.NEXT_RIGHT: Intent.NEXT_STRAIGHT, Intent.NEXT_STRAIGHT: Intent.NEXT_LEFT,
    Intent.PULL_OVER: Intent.DRIVE_AT, Intent.CANCEL: Intent.NEXT_STRAIGHT,
}
"""The control: what is said instead, while the first is what counts."""

VARIANTS = 4
"""Scenes of each case: wordings take turns, so that drives in silence serve several."""


def task(intent: Intent, number: int, text: str, first_seed: int, split: str) -> Task:
    """The drive of one wording, the `number`-th of its intent and split."""
    case = CASES.get(intent) or OTHERS[intent]
    words = (*case.before, (case.at_s, text))
    return _task(case, number, first_seed, words, f"{intent.name.lower()}_{split}_{number}")


def silence(intent: Intent, number: int, first_seed: int) -> Task | None:
    """The same drive without a word, where the rule needs it."""
    case = CASES.get(intent) or OTHERS[intent]
    if not case.needs_silence:
        return None
    longest = max(
        c.at_s + c.within_s for c in (*CASES.values(), *OTHERS.values())
         if c.scene is case.scene and c.needs_silence
    )
    return _task(case, number, first_seed, (), "silence", longest)


def _task(
    case: Case, number: int, first_seed: int, words: tuple[tuple[float, str], ...], name: str,
    for_s: float = 0.0,
) -> Task:
    seed = first_seed + SEEDS_A_VARIANT * (number % VARIANTS)
    return Task(
        "stack", "instructions", case.scene(seed), words, for_s or case.at_s + case.within_s,
        name, turn=case.turn,
    )


SEEDS_A_VARIANT = SEEDS_TRIED


WALKING = 5.0 / 3.6
_NUMBERS = {
    "ten": 10, "twelve": 12, "fifteen": 15, "eighteen": 18, "twenty": 20, "thirty": 30,
    "thirty five": 35, "twenty five": 25, "forty": 40, "forty five": 45, "fifty": 50,
}
_UNITS = (
    (r"m(?:et(?:er|re)s?)?(?: ?/ ?s| per second| a second|ps)\b", 1.0),
    (r"(?:mph|miles?(?: per hour| an hour)?)\b", 0.44704), (r"", 1.0 / 3.6),
)


def wished_speed(text: str) -> float | None:
    """The speed that a text names, m/s; km/h where no unit stands, infinite for the limit.

    None where none is named.

    Read here on its own, so that a number misheard by the car is not followed by being misheard.
    """
    plain = re.sub(r"[- ]+", " ", text.lower())
    for words in sorted(_NUMBERS, key=len, reverse=True):
        plain = re.sub(rf"\b{words}\b", str(_NUMBERS[words]), plain)
    for unit, factor in _UNITS:
        if found := re.search(rf"(\d+(?:\.\d+)?) ?{unit}", plain):
            return float(found[1]) * factor
    if "walking" in plain:
        return WALKING
    return math.inf if re.search(r"\blimit|\ballowed|\bpermitted", plain) else None


def _gap(track: Track) -> float | None:
    """Mean time gap in s to the one ahead; None where there is none or the car stands."""
    gaps = [
        gap / speed for gap, speed in zip(track.gap, track.speed, strict=True)
        if gap != NO_LEAD and speed > 1.0
    ]
    return mean(gaps) if gaps else None


def mean(values: Sequence[float]) -> float:
    """NaN, which no rule takes, where there is nothing."""
    return float(np.mean(values)) if len(values) else float("nan")


def longest(flags: Sequence[bool]) -> int:
    """The longest run of True."""
    best = run = 0
    for flag in flags:
        run = run + 1 if flag else 0
        best = max(best, run)
    return best


def rules() -> list[tuple[str, str]]:
    """Intent and rule of each case."""
    return [
        (intent.name.lower().replace("_", " "), case.rule)
        for intent, case in {**CASES, **OTHERS}.items()
    ]
