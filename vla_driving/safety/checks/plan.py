"""Checks of a plan by itself: sound numbers, drivable by this car, in keeping with those before.

Each measure takes all C candidates and gives (C,) values; NaN anywhere makes the value NaN, which
fails. The car's own limits hold at every point of the 6.4 s, not only at the next ones.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

from vla_driving.contract.clock import age_s
from vla_driving.contract.events import Severity
from vla_driving.contract.plan import LateralAction, LongitudinalAction
from vla_driving.contract.supervision import Level, Verdict
from vla_driving.contract.trajectory import PERIOD_S, POINTS
from vla_driving.safety.checks.table import (
    CandidateCheck,
    Candidates,
    FloatArray,
    Group,
    Limit,
    Limits,
    Measure,
    Measured,
    Row,
    Situation,
    StateCheck,
)
from vla_driving.safety.compiled import compiled, least, most, part

_SLOW = 1.5
"""m/s. Below it the angle of the wheels moves nothing worth limiting."""
_HALF_SECOND = 5
"""Periods over which lateral jerk is averaged (UN R79 5.6.2.1.3)."""
_ACTION_AT = 29
"""Index of the point at 3 s, where the stated action must show."""
_ACCELERATE, _DECELERATE, _STOP, _WAIT = map(int, (
    LongitudinalAction.ACCELERATE, LongitudinalAction.DECELERATE, LongitudinalAction.STOP,
    LongitudinalAction.WAIT,
))
_SIDES = {LateralAction.TURN_LEFT: 1.0, LateralAction.TURN_RIGHT: -1.0}
_TURNS = 0.1
"""rad. A plan that turns by less does not turn."""


(_NOT_FINITE, _TIME, _STEP, _SLIP, _TURN, _SPEED_ERROR, _REVERSE, _CURVATURE, _STEERING_RATE,
 _LATERAL, _LATERAL_JERK, _HIGHEST, _BRAKES) = range(13)
"""Rows of `_measure`."""


@compiled(np.zeros((7, 1, POINTS)), 0.0)
def _measure(values: FloatArray, wheelbase: float) -> FloatArray:
    """(13, C): the largest of what the checks below look for along the (7, C, 64) of a batch."""
    found = np.zeros((13, values.shape[1]))
    for c in range(values.shape[1]):
        time, x, y, heading, speed, acceleration, curvature = values[:, c]
        row = found[:, c]
        row[_REVERSE], row[_HIGHEST], row[_BRAKES] = -np.inf, -np.inf, -np.inf
        lateral = speed * speed * curvature
        angle = np.arctan(wheelbase * curvature)
        for k in range(POINTS):
            row[_TIME] = most(row[_TIME], abs(time[k] - (k + 1) * PERIOD_S))
            row[_REVERSE] = most(row[_REVERSE], -speed[k])
            row[_CURVATURE] = most(row[_CURVATURE], abs(curvature[k]))
            row[_LATERAL] = most(row[_LATERAL], abs(lateral[k]))
            row[_HIGHEST] = most(row[_HIGHEST], acceleration[k])
            row[_BRAKES] = most(row[_BRAKES], -acceleration[k])
            for channel in range(7):
                row[_NOT_FINITE] += not np.isfinite(values[channel, c, k])
            # The first point follows the car itself, which is at the origin.
            before = max(k - 1, 0)
            dx, dy, turn = x[k], y[k], heading[k]
            if k > 0:
                dx, dy, turn = dx - x[before], dy - y[before], turn - heading[before]
            middle = heading[k] - 0.5 * turn
            slip = abs(dy * np.cos(middle) - dx * np.sin(middle))
            row[_SLIP] = most(row[_SLIP], slip)
            if k == 0:
                continue
            mean_speed = 0.5 * (speed[k] + speed[before])
            way = mean_speed * PERIOD_S
            row[_STEP] = most(row[_STEP], abs(np.hypot(dx, dy) - way))
            row[_TURN] = most(row[_TURN], abs(turn - curvature[k] * way))
            gained = speed[k] - speed[before] - acceleration[k] * PERIOD_S
            row[_SPEED_ERROR] = most(row[_SPEED_ERROR], abs(gained))
            if not mean_speed < _SLOW:
                rate = abs(angle[k] - angle[before]) / PERIOD_S
                row[_STEERING_RATE] = most(row[_STEERING_RATE], rate)
            if k >= _HALF_SECOND:
                change = abs(lateral[k] - lateral[k - _HALF_SECOND])
                jerk = change / (_HALF_SECOND * PERIOD_S)
                row[_LATERAL_JERK] = most(row[_LATERAL_JERK], jerk)
    return found


def _by_itself(c: Candidates) -> FloatArray:
    return _measure(c.batch.values, c.limits.vehicle.wheelbase)


def _left(c: Candidates) -> FloatArray:
    """Time until the plan is over, s."""
    horizon = age_s(c.plan.stamp_ns, c.plan.valid_until_ns)
    longest = min(horizon, c.limits.settings.inputs.plan_max_age)
    return np.full(len(c.batch), longest - c.now_s)


def _shift(c: Candidates) -> FloatArray:
    return c.shift


_START, _START_SPEED, _ACTION_SPEED, _ACTION_HEADING = range(4)
"""Rows of `_compare`."""


@part
def _start_position(x: float, y: float, speed: float, start_speed: float) -> float:
    return np.hypot(x - 0.5 * (start_speed + speed) * PERIOD_S, y)


@part
def _action_speed(speed: FloatArray, action: int, first: bool) -> float:
    change = speed[_ACTION_AT] - speed[0]
    if action == _ACCELERATE:
        # That is the first choice; one behind it may give way.
        return -change if first else 0.0
    if action == _DECELERATE:
        return change
    if action == _STOP:
        # By the end it stands; before, it may go on to where it stops.
        return speed[-1]
    if action == _WAIT:
        return speed[_ACTION_AT]
    return 0.0


@part
def _action_heading(heading: FloatArray, side: float) -> float:
    """How far the plan turns against its stated turn, rad.

    Bends the other way may come before and after it, as in a roundabout: a plan that somewhere
    turns as stated contradicts nothing.
    """
    if side == 0.0:
        return 0.0
    lowest, turned = side * heading[0], 0.0
    for k in range(1, POINTS):
        lowest = least(lowest, side * heading[k])
        turned = most(turned, side * heading[k] - lowest)
    return 0.0 if turned >= _TURNS else -side * heading[-1]


@compiled(np.zeros((7, 1, POINTS)), 0.0, 0, 0.0)
def _compare(values: FloatArray, start_speed: float, action: int, side: float) -> FloatArray:
    """(4, C): a batch's (7, C, 64) against the car's speed at its stamp and its stated action.

    `side` is that of the stated turn: 1 left, -1 right, 0 none.
    """
    found = np.empty((4, values.shape[1]))
    for c in range(values.shape[1]):
        _, x, y, heading, speed, _, _ = values[:, c]
        found[_START, c] = _start_position(x[0], y[0], speed[0], start_speed)
        found[_START_SPEED, c] = abs(speed[0] - start_speed)
        found[_ACTION_SPEED, c] = _action_speed(speed, action, c == 0)
        found[_ACTION_HEADING, c] = _action_heading(heading, side)
    return found


def _compared(c: Candidates) -> FloatArray:
    # Unknown only until the first second has passed; freshness of the state is a check of its own.
    start_speed = c.measured_speed if math.isnan(c.start_speed) else c.start_speed
    return _compare(
        c.batch.values, float(start_speed), int(c.plan.longitudinal_action),
        _SIDES.get(c.plan.lateral_action, 0.0),
    )


def _uncertainty(situation: Situation) -> Measured:
    if situation.plan is None:
        return Measured(0.0, Verdict.NOT_INITIALISED, says="plan has never come")
    return Measured(float(situation.plan.uncertainty))


def _validity(situation: Situation) -> Measured:
    if situation.approved_until_ns is None:
        return Measured(0.0, Verdict.NOT_INITIALISED, says="no plan has been approved yet")
    watch = situation.intake.plan
    why = f"no plan for {watch.age_s(situation.now_ns):.2f} s"
    if watch.last_malformed:
        why = f"newer plans are invalid ({watch.reason})"
    left = age_s(situation.now_ns, situation.approved_until_ns)
    return Measured(left, says=f"{why}, the last approved one holds for {{value}}")


def _stretched(limit: Callable[[Limits], float]) -> Limit:
    return lambda limits: limit(limits) * (1.0 + limits.settings.plan.limit_tolerance)


def _tightest(limits: Limits) -> float:
    return math.tan(limits.vehicle.max_steering_angle) / limits.vehicle.wheelbase


def _row(
    name: str,
    unit: str,
    limit: Limit,
    says: str,
    source: str,
    measure: Measure,
    reaction: Level = Level.MINIMAL_RISK,
    inputs: str = "vla/plan",
    at_least: bool = False,
) -> CandidateCheck:
    severity = Severity.WARNING if reaction <= Level.DEGRADED else Severity.ERROR
    return CandidateCheck(
        name, Group.PLAN, inputs, limit, unit, severity, reaction, says, source, measure=measure,
        at_least=at_least,
    )


CHECKS: tuple[CandidateCheck, ...] = (
    _row("plan_finite", "numbers", lambda _: 0.0, "{value} of the plan are not finite",
         "not a number is no position", Row(_by_itself, _NOT_FINITE)),
    _row("plan_in_time", "s", lambda k: k.settings.plan.min_left,
         "plan has {value} left when it comes", "valid_until and plan_max_age", _left,
         at_least=True),
    _row("plan_time", "s", lambda _: 1e-3, "times of the plan are off by {value}",
         "0.1 s grid of the contract", Row(_by_itself, _TIME)),
    _row("plan_start", "m", lambda k: k.settings.plan.max_start_distance,
         "plan starts {value} from the car", "a plan starts at the car", Row(_compared, _START),
         inputs="vla/plan, vehicle/state"),
    _row("plan_start_speed", "m/s", lambda k: k.settings.plan.max_start_speed,
         "plan starts {value} from the car's speed", "a plan starts at the car",
         Row(_compared, _START_SPEED), inputs="vla/plan, vehicle/state"),
    _row("plan_steps", "m", lambda k: k.settings.plan.max_step_error,
         "positions of the plan do not fit its speed by {value} a step", "unicycle model",
         Row(_by_itself, _STEP)),
    _row("plan_slip", "m", lambda k: k.settings.plan.max_slip,
         "plan moves sideways by {value} a step", "unicycle model", Row(_by_itself, _SLIP)),
    _row("plan_turns", "rad", lambda k: k.settings.plan.max_turn_error,
         "headings of the plan do not fit its curvature by {value} a step", "unicycle model",
         Row(_by_itself, _TURN)),
    _row("plan_speeds", "m/s", lambda k: k.settings.plan.max_speed_error,
         "speeds of the plan do not fit its acceleration by {value} a step", "unicycle model",
         Row(_by_itself, _SPEED_ERROR)),
    _row("plan_forward", "m/s", lambda k: k.settings.plan.max_reverse_speed,
         "plan reverses at {value}", "the stack drives forward only", Row(_by_itself, _REVERSE)),
    _row("plan_curvature", "1/m", _stretched(_tightest), "plan turns as tight as {value}",
         "max_steering_angle of the car", Row(_by_itself, _CURVATURE)),
    _row("plan_steering_rate", "rad/s", _stretched(lambda k: k.vehicle.max_steering_rate),
         "plan steers at {value}", "max_steering_rate of the car", Row(_by_itself, _STEERING_RATE)),
    _row("plan_lateral_acceleration", "m/s^2",
         _stretched(lambda k: k.vehicle.max_lateral_acceleration),
         "plan corners at {value}", "ISO 11270: 3.0", Row(_by_itself, _LATERAL)),
    _row("plan_lateral_jerk", "m/s^3", _stretched(lambda k: k.vehicle.max_lateral_jerk),
         "plan jerks sideways at {value}", "ISO 11270, UN R79: 5.0, mean over 0.5 s",
         Row(_by_itself, _LATERAL_JERK)),
    _row("plan_acceleration", "m/s^2", _stretched(lambda k: k.vehicle.max_acceleration),
         "plan accelerates at {value}", "ISO 15622: 2.0", Row(_by_itself, _HIGHEST)),
    _row("plan_deceleration", "m/s^2", _stretched(lambda k: k.vehicle.max_deceleration),
         "plan brakes at {value}", "ISO 15622: 3.5", Row(_by_itself, _BRAKES)),
    _row("plan_shift", "m", lambda k: k.settings.plan.max_shift,
         "plan jumps sideways by {value}", "Autoware planning_validator: 0.5", _shift,
         inputs="vla/plan, vehicle/state"),
    _row("plan_action_speed", "m/s", lambda k: k.settings.plan.max_action_speed,
         "plan's speed contradicts its stated action by {value}", "plan and words must agree",
         Row(_compared, _ACTION_SPEED), Level.DEGRADED),
    _row("plan_action_heading", "rad", lambda k: k.settings.plan.max_action_heading,
         "plan's turn contradicts its stated action by {value}", "plan and words must agree",
         Row(_compared, _ACTION_HEADING), Level.DEGRADED),
)

STATE_CHECKS: tuple[StateCheck, ...] = (
    StateCheck(
        "plan_uncertainty", Group.PLAN, "vla/plan", lambda k: k.settings.plan.max_uncertainty, "m",
        Severity.WARNING, Level.DEGRADED, "plan is uncertain by {value} at 2 s",
        "stated by the model", measure=_uncertainty, reads=lambda situation: situation.plan,
    ),
    StateCheck(
        "plan_validity", Group.PLAN, "vla/plan", lambda k: k.settings.plan.min_left, "s",
        Severity.ERROR, Level.MINIMAL_RISK, "the last approved plan holds for {value}",
        "valid_until of the plan", measure=_validity, at_least=True,
    ),
)
