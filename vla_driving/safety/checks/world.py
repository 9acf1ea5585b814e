"""Checks of a plan against what is around: objects of two sources, lines, edges, signals."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from vla_driving.contract.events import Severity
from vla_driving.contract.plan import LateralAction
from vla_driving.contract.scene import MAX_TRAFFIC_CONTROLS, SignalState, TrafficControlKind
from vla_driving.contract.supervision import Level, Verdict
from vla_driving.contract.trajectory import PERIOD_S, POINTS
from vla_driving.safety.checks.table import (
    CandidateCheck,
    Candidates,
    FloatArray,
    Group,
    Limits,
    Measured,
    Row,
    Situation,
    StateCheck,
)
from vla_driving.safety.compiled import compiled, least, most, part
from vla_driving.safety.speed_cap import CREEP

_SIGNAL_AT = 29
"""Index of the point at 3 s: a red light must be respected by then."""
_SOON_S = 1.0
"""Within it a plan that gives way must have begun to."""

_ACROSS = (
    LateralAction.CHANGE_LEFT, LateralAction.CHANGE_RIGHT, LateralAction.TURN_LEFT,
    LateralAction.TURN_RIGHT, LateralAction.PULL_OVER,
)


def _scene_collision(c: Candidates) -> FloatArray:
    return c.near.scene_s


def _sensor_collision(c: Candidates) -> FloatArray:
    return c.near.sensor_s


def _lead_braking(c: Candidates) -> FloatArray:
    return c.near.worst_slack


def _cut_in(c: Candidates) -> FloatArray:
    return c.near.cut_in_impact


def _lane_departure(c: Candidates) -> FloatArray:
    if c.plan.lateral_action in _ACROSS:
        return np.zeros(len(c.batch))
    return c.lane_departure


def _edge_departure(c: Candidates) -> FloatArray:
    return c.edge_departure


class _Now(NamedTuple):
    """What the measures below are held against; s, m/s, m/s², m.

    `standstill` and `falls` are standstill_speed and cap_deceleration; `line` is how far the front
    is from the stop line of a red light, infinite where there is none.
    """

    now_s: float
    speed: float
    limit: float
    horizon: float
    standstill: float
    falls: float
    line: float


@part
def _stopping_distance(collision_s: float, slack: float, now: _Now) -> float:
    # A plan that keeps clear by itself brakes in time already; the last moment is for the others.
    return slack if collision_s <= now.horizon else most(slack, 0.0)


@part
def _headway(slack: float, speed: FloatArray, now: _Now) -> float:
    # A car that stands keeps no distance: who comes near it does so by himself.
    excused = now.speed <= now.standstill or _gives_way(speed, now)
    return most(slack, 0.0) if excused else slack


@part
def _gives_way(speed: FloatArray, now: _Now) -> bool:
    """Whether the plan by itself slows as the cap would, which then adds nothing.

    RSS asks of who is too near no more than the proper response: to brake.
    """
    at = min(max(round((now.now_s + _SOON_S) / PERIOD_S) - 1, 0), POINTS - 1)
    return speed[at] <= max(now.speed - now.falls * _SOON_S, CREEP)


@part
def _above_limit(speed: FloatArray, now: _Now) -> float:
    """How far the plan gets above the limit, which it may come down to as the cap does, m/s."""
    above = -np.inf
    for k in range(POINTS):
        since = max((k + 1) * PERIOD_S - now.now_s, 0.0)
        above = most(above, speed[k] - max(now.limit, now.speed - now.falls * since))
    return above


@part
def _past_line(x: FloatArray, y: FloatArray, now: _Now) -> float:
    """How far the front gets past the stop line of a red light within 3 s, m."""
    if now.line == np.inf:
        return 0.0
    return most(np.hypot(x[_SIGNAL_AT], y[_SIGNAL_AT]) - now.line, 0.0)


_COLLISION, _STOPPING, _HEADWAY, _FASTEST, _LIMIT, _LIGHT = range(6)
"""Rows of `_measure`."""


@compiled(np.zeros((7, 1, POINTS)), *[np.zeros(1)] * 4, _Now(*[0.0] * 7))
def _measure(
    values: FloatArray, scene_s: FloatArray, sensor_s: FloatArray, stop_slack: FloatArray,
    rss_slack: FloatArray, now: _Now,
) -> FloatArray:
    """(6, C) from the (7, C, 64) of a batch and the (C,) of its `Approach`."""
    found = np.empty((6, values.shape[1]))
    for c in range(values.shape[1]):
        _, x, y, _, speed, _, _ = values[:, c]
        collision_s = least(scene_s[c], sensor_s[c])
        found[_COLLISION, c] = collision_s
        found[_STOPPING, c] = _stopping_distance(collision_s, stop_slack[c], now)
        found[_HEADWAY, c] = _headway(rss_slack[c], speed, now)
        found[_FASTEST, c] = speed.max()
        found[_LIMIT, c] = _above_limit(speed, now)
        found[_LIGHT, c] = _past_line(x, y, now)
    return found


def _around(c: Candidates) -> FloatArray:
    settings, near = c.limits.settings, c.near
    now = _Now(
        c.now_s, float(c.measured_speed), float(c.speed_limit), settings.world.collision_horizon,
        settings.reaction.standstill_speed, settings.reaction.cap_deceleration, _stop_line(c),
    )
    return _measure(
        c.batch.values, near.scene_s, near.sensor_s, near.stop_slack, near.rss_slack, now
    )


def _stop_line(c: Candidates) -> float:
    """Distance to the nearest red light where the car can still stop, from its front, m."""
    vehicle, settings = c.limits.vehicle, c.limits.settings.world
    front = vehicle.wheelbase + vehicle.front_overhang
    can_stop = c.measured_speed**2 / (2.0 * vehicle.max_deceleration)
    nearest = math.inf
    for control in c.plan.traffic_controls[:MAX_TRAFFIC_CONTROLS]:
        red = (
            control.kind == TrafficControlKind.TRAFFIC_LIGHT
            and control.state == SignalState.RED
            and control.probability >= settings.min_probability
        )
        if red and control.distance - front >= can_stop:
            nearest = min(nearest, control.distance - front)
    return nearest


def _speed_limit(situation: Situation) -> Measured:
    """The limit of route and signs; the cap on the approved plan keeps to it as well."""
    state, highest = situation.state, situation.speed_limit
    tolerance = situation.settings.world.speed_tolerance
    if state is None:
        return Measured(0.0, Verdict.NOT_INITIALISED, says="vehicle state has never come")
    return Measured(state.speed, limit=highest + tolerance)


def _unseen(situation: Situation) -> Measured:
    """Nearest sensor object on the approved path that the model's scene does not hold, m."""
    return _lacking(situation, situation.unseen_m)


def _unlisted(situation: Situation) -> Measured:
    """Nearest object of the scene on the approved path that the sensor does not hold, m."""
    return _lacking(situation, situation.unlisted_m)


def _lacking(situation: Situation, distance: float | None) -> Measured:
    """It matters within the distance of a comfortable stop, and where both sources see."""
    if distance is None or situation.state is None:
        return _AGREE
    speed = situation.state.speed
    stop = speed + speed * speed / (2.0 * situation.limits.vehicle.comfort_deceleration)
    return Measured(distance, limit=min(situation.settings.world.max_unseen, stop))


_AGREE = Measured(math.inf, Verdict.PASS, says="scene and sensor agree on the path")


def _confirm(limits: Limits) -> float:
    return limits.settings.operation.confirm


_OBJECTS = "vla/plan, vehicle/objects, vehicle/state"

CHECKS: tuple[CandidateCheck, ...] = (
    CandidateCheck(
        "collision_scene", Group.WORLD, "vla/plan, vehicle/state",
        lambda k: k.settings.world.collision_horizon, "s", Severity.ERROR, Level.MINIMAL_RISK,
        "collision with an object of the scene in {value}", "constant velocity along the path",
        measure=_scene_collision, at_least=True, always=True,
    ),
    CandidateCheck(
        "collision_sensor", Group.WORLD, "vla/plan, vehicle/objects, vehicle/state",
        lambda k: k.settings.world.collision_horizon, "s", Severity.ERROR, Level.MINIMAL_RISK,
        "collision with an object of the sensor in {value}", "constant velocity along the path",
        measure=_sensor_collision, at_least=True, always=True,
    ),
    CandidateCheck(
        "time_to_collision", Group.WORLD, _OBJECTS, lambda k: k.settings.world.emergency_time, "s",
        Severity.CRITICAL, Level.EMERGENCY, "collision in {value}", "NAVSIM: 0.9 s",
        measure=Row(_around, _COLLISION), at_least=True, always=True,
    ),
    CandidateCheck(
        "stopping_distance", Group.WORLD, _OBJECTS, lambda _: 0.0, "m", Severity.CRITICAL,
        Level.EMERGENCY, "full braking leaves {value} to the object ahead",
        "closing speed, emergency_deceleration of the car",
        measure=Row(_around, _STOPPING), at_least=True, always=True,
    ),
    CandidateCheck(
        "headway", Group.WORLD, _OBJECTS, lambda _: 0.0, "m", Severity.WARNING, Level.DEGRADED,
        "gap to the object ahead is {value} against the safe one",
        "RSS distance as in Autoware's emergency brake",
        measure=Row(_around, _HEADWAY), at_least=True, always=True,
    ),
    CandidateCheck(
        "lead_braking", Group.WORLD, _OBJECTS, lambda _: 0.0, "m", Severity.WARNING,
        Level.DEGRADED, "should the one ahead brake fully, {value} are left",
        "RSS, both braking fully, worst_case_preview from now on the plan",
        measure=_lead_braking, at_least=True, always=True,
    ),
    CandidateCheck(
        "cut_in", Group.WORLD, _OBJECTS, lambda k: k.settings.world.max_cut_in_impact, "m/s",
        Severity.WARNING, Level.DEGRADED, "should a neighbour cut in, it is hit at {value}",
        "full braking against a neighbour that starts now", measure=_cut_in, always=True,
    ),
    CandidateCheck(
        "lane_departure", Group.WORLD, "vla/plan", lambda k: k.settings.world.max_lane_departure,
        "m", Severity.WARNING, Level.DEGRADED, "plan leaves its lane by {value} unannounced",
        "lane lines of the plan", measure=_lane_departure,
    ),
    CandidateCheck(
        "road_edge", Group.WORLD, "vla/plan", lambda k: k.settings.world.max_edge_departure, "m",
        Severity.ERROR, Level.MINIMAL_RISK, "plan leaves the road by {value}",
        "road edges of the plan", measure=_edge_departure,
    ),
    CandidateCheck(
        "plan_speed", Group.WORLD, "vla/plan",
        lambda k: k.vehicle.max_speed + k.settings.world.speed_tolerance, "m/s", Severity.ERROR,
        Level.MINIMAL_RISK, "plan drives at {value}", "max_speed of the car",
        measure=Row(_around, _FASTEST),
    ),
    CandidateCheck(
        "plan_limit", Group.WORLD, "vla/plan, vla/route, vehicle/state",
        lambda k: k.settings.world.speed_tolerance, "m/s", Severity.WARNING, Level.DEGRADED,
        "plan is {value} above the speed limit or the instruction's cap",
        "route, signs, speed_cap of the plan, max_speed of the car", measure=Row(_around, _LIMIT),
    ),
    CandidateCheck(
        "red_light", Group.WORLD, "vla/plan", lambda k: k.settings.world.max_stop_line_overrun,
        "m", Severity.ERROR, Level.MINIMAL_RISK, "plan passes a red light by {value}",
        "traffic controls of the plan", measure=Row(_around, _LIGHT),
    ),
)

STATE_CHECKS: tuple[StateCheck, ...] = (
    StateCheck(
        "speed_limit", Group.WORLD, "vla/route, vla/plan, vehicle/state",
        lambda k: k.vehicle.max_speed + k.settings.world.speed_tolerance, "m/s", Severity.WARNING,
        Level.DEGRADED, "driving at {value}", "route, signs and max_speed of the car",
        measure=_speed_limit,
    ),
    StateCheck(
        "scene_agreement", Group.WORLD, "vla/plan, vehicle/objects",
        lambda k: k.settings.world.max_unseen, "m", Severity.WARNING, Level.DEGRADED,
        "the scene lacks a sensor object {value} ahead on the path", "two independent sources",
        measure=_unseen, at_least=True, confirm=_confirm,
    ),
    StateCheck(
        "sensor_agreement", Group.WORLD, "vla/plan, vehicle/objects",
        lambda k: k.settings.world.max_unseen, "m", Severity.WARNING, Level.DEGRADED,
        "the sensor lacks an object of the scene {value} ahead on the path",
        "two independent sources", measure=_unlisted, at_least=True, confirm=_confirm,
    ),
)
