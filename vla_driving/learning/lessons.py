"""What is driven for teaching: everyday scenes and, made on purpose, those that are rare.

A lesson (scene, look, things that happen, what the passenger says) follows from its seed alone.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum

import numpy as np

from vla_driving.learning.scenes import scene
from vla_driving.simulation.scenario import Look, PlacedObject, Scenario

Chance = np.random.Generator


class Talk(Enum):
    """What the passenger asks for in a lesson."""

    SPEED = "speed"
    GAP = "gap"
    STOP_AND_GO = "stop and go"
    CHANGE = "change"
    TURN = "turn"
    PULL_OVER = "pull over"


@dataclass(frozen=True)
class Lesson:
    """One drive for teaching; `talk` in the order in which it is said."""

    seed: int
    kind: str
    scenario: Scenario
    talk: tuple[Talk, ...]


EVERYDAY, FOLLOW = "everyday", "follow"
_EVERYDAY_SHARE, _FOLLOW_SHARE = 0.42, 0.12
_TALK_SHARE = 0.5
_CROSSROADS = frozenset("XTO")


def lesson(seed: int) -> Lesson:
    """The lesson of a seed."""
    chance = np.random.default_rng([seed, 21])
    luck = chance.random()
    if luck < _EVERYDAY_SHARE:
        return lesson_of(EVERYDAY, seed, chance)
    if luck < _EVERYDAY_SHARE + _FOLLOW_SHARE:
        return lesson_of(FOLLOW, seed, chance)
    rare = [kind for kind in KINDS if kind != FOLLOW]
    return lesson_of(str(chance.choice(rare)), seed, chance)


def lesson_of(kind: str, seed: int, chance: Chance | None = None) -> Lesson:
    """A lesson of one kind. Raises KeyError for a kind that is not in KINDS."""
    chance = chance or np.random.default_rng([seed, 22])
    plain = scene(seed).replace(name=f"{kind}_{seed}")
    if kind == EVERYDAY:
        return Lesson(seed, kind, plain, _talk(chance, plain))
    scenario = KINDS[kind](chance, plain)
    talk = (Talk.GAP, Talk.GAP) if kind == FOLLOW else _talk(chance, scenario)
    return Lesson(seed, kind, scenario, talk)


def _talk(chance: Chance, scenario: Scenario) -> tuple[Talk, ...]:
    if chance.random() >= _TALK_SHARE:
        return ()
    if any(o.drives for o in scenario.objects):
        # What happens there is the lesson; a change of lane would drive away from it.
        return (Talk.GAP if chance.random() < 0.6 else Talk.SPEED,)
    usual = [Talk.SPEED, Talk.STOP_AND_GO, Talk.PULL_OVER]
    if scenario.traffic_density > 0.05:
        usual.append(Talk.GAP)
    if scenario.lanes > 1:
        usual += [Talk.CHANGE] * 3
    if _CROSSROADS & set(scenario.map) or scenario.map.isdigit():
        usual += [Talk.TURN] * 4
    count = 1 + int(chance.random() < 0.5)
    return tuple(usual[int(chance.integers(len(usual)))] for _ in range(count))


def _under_way(chance: Chance, plain: Scenario, maps: tuple[str, ...], lanes: int = 1) -> Scenario:
    """An empty road of at least `lanes` lanes, entered at speed."""
    count = max(lanes, plain.lanes)
    limit = float(chance.uniform(8.0, 14.0))
    return plain.replace(
        map=str(chance.choice(maps)), traffic_density=0.0, objects=(), lanes=count,
        start_lane=int(chance.integers(count)), speed_limit=limit,
        start_speed=float(chance.uniform(0.6, 1.0)) * limit,
        traffic_speed=float(np.clip(chance.uniform(0.7, 1.0) * limit, 5.0, 12.0)),
    )


def _cut_in(chance: Chance, plain: Scenario) -> Scenario:
    road = _under_way(chance, plain, ("SSS", "SCS", "SSC", "CSS"), lanes=2)
    from_left = road.start_lane > 0 and (
        road.start_lane == road.lanes - 1 or chance.random() < 0.5
    )
    kind = str(chance.choice(["car", "car", "truck"]))
    return road.replace(objects=(PlacedObject(
        kind, distance=float(chance.uniform(13.0, 22.0)),
        lateral=(1.0 if from_left else -1.0) * road.lane_width, behaviour="cuts_in",
        acts_after=float(chance.uniform(2.5, 7.0)), deceleration=float(chance.uniform(1.0, 3.0)),
        final_speed=float(chance.uniform(0.4, 0.8)) * road.speed_limit,
        manoeuvre_time=float(chance.uniform(2.0, 3.5)), rests=float(chance.uniform(3.0, 8.0)),
    ),))


def _hard_brake(chance: Chance, plain: Scenario) -> Scenario:
    road = _under_way(chance, plain, ("SSS", "SCS", "CSS", "SSC"))
    stops = chance.random() < 0.6
    return road.replace(objects=(PlacedObject(
        str(chance.choice(["car", "car", "truck"])), distance=float(chance.uniform(19.0, 32.0)),
        behaviour="brakes", acts_after=float(chance.uniform(2.5, 8.0)),
        deceleration=float(chance.uniform(4.2, 7.5)),
        final_speed=0.0 if stops else float(chance.uniform(1.0, 4.0)),
        rests=float(chance.uniform(2.0, 5.0)),
    ),))


def _follow(chance: Chance, plain: Scenario) -> Scenario:
    """Somebody slower ahead at a steady speed: what a wish for a distance is about."""
    road = _under_way(chance, plain, ("SSS", "SCS", "CSS", "SSC"))
    return road.replace(objects=(PlacedObject(
        str(chance.choice(["car", "car", "truck"])), distance=float(chance.uniform(14.0, 32.0)),
        behaviour="brakes", acts_after=1.0, deceleration=1.0,
        final_speed=float(chance.uniform(0.4, 0.8)) * road.speed_limit, rests=600.0,
    ),))


def _stopped_car(chance: Chance, plain: Scenario) -> Scenario:
    road = _under_way(chance, plain, ("SSS", "SCS", "CS"))
    return road.replace(
        traffic_density=float(chance.choice([0.0, 0.0, 0.05])),
        objects=(PlacedObject(
            str(chance.choice(["car", "car", "truck"])), float(chance.uniform(45.0, 120.0)),
            lateral=float(chance.normal(0.0, 0.3)), heading=float(chance.normal(0.0, 0.1)),
        ),),
    )


def _pedestrian(chance: Chance, plain: Scenario) -> Scenario:
    """Somebody steps out from the side, two times in three from behind a standing vehicle."""
    road = _under_way(chance, plain, ("SS", "SSS", "SC", "CS"))
    road = road.replace(start_lane=road.lanes - 1)
    distance = float(chance.uniform(40.0, 100.0))
    walker = PlacedObject(
        "pedestrian", distance, -float(chance.uniform(0.75, 1.1)) * road.lane_width - 0.6,
        crossing_speed=float(chance.uniform(0.9, 2.2)),
        trigger_distance=float(chance.uniform(18.0, 34.0)),
    )
    things = [walker]
    if chance.random() < 0.66:
        kind = str(chance.choice(["car", "truck"]))
        things.append(PlacedObject(
            kind, distance - float(chance.uniform(3.6, 4.6)), -0.5 * road.lane_width - 1.9,
        ))
    return road.replace(objects=tuple(things))


def _past_bend(chance: Chance, plain: Scenario) -> Scenario:
    road = _under_way(chance, plain, ("CS", "SCS", "CSS"))
    thing = str(chance.choice(["car", "truck", "barrier", "cone", "pedestrian"]))
    return road.replace(objects=(PlacedObject(
        thing, float(chance.uniform(5.0, 16.0)), lateral=float(chance.normal(0.0, 0.3)),
        measured_from="bend",
    ),))


def _dense_merge(chance: Chance, plain: Scenario) -> Scenario:
    lanes = int(chance.integers(2, 4))
    return plain.replace(
        map=str(chance.choice(["rS", "Sr", "ry", "Sry", "SyS", "ySr"])), objects=(), lanes=lanes,
        start_lane=int(chance.choice([lanes - 1, int(chance.integers(lanes))])),
        traffic_density=float(chance.uniform(0.25, 0.38)),
        traffic_speed=float(chance.uniform(5.0, 9.0)),
    )


def _roundabout(chance: Chance, plain: Scenario) -> Scenario:
    return plain.replace(
        map=str(chance.choice(["O", "SO", "OC", "OS"])), objects=(),
        traffic_density=float(chance.choice([0.0, 0.05, 0.1, 0.15])),
    )


def _faint_markings(chance: Chance, plain: Scenario) -> Scenario:
    return plain.replace(look=Look(paint=float(chance.uniform(0.12, 0.4))))


def _glare(chance: Chance, plain: Scenario) -> Scenario:
    return plain.replace(look=Look("glare", paint=float(chance.uniform(0.7, 1.0))))


def _night(chance: Chance, plain: Scenario) -> Scenario:
    wet = float(chance.uniform(0.2, 0.6)) if chance.random() < 0.25 else 0.0
    return plain.replace(look=Look("night", rain=wet))


def _rain(chance: Chance, plain: Scenario) -> Scenario:
    return plain.replace(look=Look(rain=float(chance.uniform(0.35, 1.0))))


def _knocked(chance: Chance, plain: Scenario) -> Scenario:
    """The camera sits 2° off about one of its axes."""
    off = float(chance.choice([-2.0, 2.0]))
    axis = int(chance.integers(3))
    roll, pitch, yaw = (off if axis == k else 0.0 for k in range(3))
    return plain.replace(look=Look(camera_roll=roll, camera_pitch=pitch, camera_yaw=yaw))


KINDS: dict[str, Callable[[Chance, Scenario], Scenario]] = {
    "cut_in": _cut_in,
    "hard_brake": _hard_brake,
    FOLLOW: _follow,
    "stopped_car": _stopped_car,
    "pedestrian_steps_out": _pedestrian,
    "obstacle_past_bend": _past_bend,
    "dense_merge": _dense_merge,
    "roundabout": _roundabout,
    "faint_markings": _faint_markings,
    "glare": _glare,
    "night": _night,
    "rain_on_lens": _rain,
    "knocked_camera": _knocked,
}
"""What is made on purpose, by name."""
