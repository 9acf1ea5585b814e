"""What would happen if: the planned drive rolled on through a changed scene.

A planner after the Intelligent Driver Model (Treiber, Hennecke and Helbing 2000) follows the plan's
path; somebody else does something; how near it gets, and how hard the car has to brake, is what
comes out. Pure functions over numbers.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

from vla_driving.contract.plan import Plan
from vla_driving.contract.scene import ObjectClass, SceneObject
from vla_driving.contract.vehicle import VehicleParameters
from vla_driving.vla.reasoning import CORRIDOR, object_in_the_way

STEP_S, HORIZON_S = 0.05, 15.0
ANSWER_S = 0.3
"""From something happening to the brakes: exposure, plan, approval, command."""
LEAD_BRAKES = 8.0
"""m/s^2 of the one ahead: a dry road (UN R152 tests with 6.0)."""
ACCELERATION = 1.6
RESERVE = 1.2
MARGIN, TIME_GAP_S = 2.0, 1.5
"""m at standstill and s at speed that the planner wants to the one ahead."""
CUT_IN_GAP = 8.0
"""m before the bumper, where a car that is not beside us would come in."""
BESIDE, BEHIND, BEFORE = 6.0, -8.0, 25.0
"""m: whoever is as far to the side and between these ahead may cut in."""


@dataclass(frozen=True)
class Other:
    """Somebody in the way: m from bumper to bumper, m/s along the path, and how hard it brakes from
    now on, m/s^2. It is not there before `after_s`."""

    gap: float
    speed: float
    braking: float = 0.0
    after_s: float = 0.0


@dataclass(frozen=True)
class Outcome:
    """What comes of it: smallest gap in m, strongest braking in m/s^2 the planner uses, speed of an
    impact in m/s (0 for none), m driven until standing (None where it never stands)."""

    smallest_gap: float
    strongest_braking: float
    impact_speed: float
    stopped_after: float | None


def roll(speed: float, wanted_speed: float, other: Other, vehicle: VehicleParameters) -> Outcome:
    """The car at `speed` m/s that would like `wanted_speed`, with somebody else in its way.

    For ANSWER_S it keeps its speed; then it brakes as its planner asks, at most as hard as it can.
    """
    driven, own, gap, ahead = 0.0, max(0.0, speed), other.gap, max(0.0, other.speed)
    smallest, strongest = math.inf, 0.0
    steps = round(HORIZON_S / STEP_S)
    for k in range(steps):
        now_s = k * STEP_S
        there = now_s >= other.after_s
        acceleration = 0.0
        if now_s >= ANSWER_S:
            acceleration = _planned(own, wanted_speed, gap if there else math.inf, ahead)
            # It brakes gently where that does, else with some reserve over what is needed.
            needed = needed_deceleration(own, replace(other, gap=gap - MARGIN, speed=ahead))
            hardest = max(vehicle.comfort_deceleration, RESERVE * needed if there else 0.0)
            acceleration = max(acceleration, -min(hardest, vehicle.emergency_deceleration))
        strongest = max(strongest, -acceleration)
        after = max(0.0, own + acceleration * STEP_S)
        ahead_after = max(0.0, ahead - (other.braking * STEP_S if there else 0.0))
        way = 0.5 * (own + after) * STEP_S
        driven += way
        gap += 0.5 * (ahead + ahead_after) * STEP_S - way
        own, ahead = after, ahead_after
        if there:
            smallest = min(smallest, gap)
            if gap <= 0.0:
                return Outcome(gap, strongest, max(0.0, own - ahead), None)
        if own == 0.0 and ahead == 0.0 and there:
            break
    return Outcome(smallest, strongest, 0.0, driven if own == 0.0 else None)


def needed_deceleration(speed: float, other: Other) -> float:
    """Steady m/s^2 that just avoids an impact if begun after ANSWER_S; inf where nothing does.

    Ours stops within v²/2a of where it began to brake; the other within v²/2b of where it is now,
    or, where it does not brake, only the difference of the speeds has to go.
    """
    reserve = other.gap - max(0.0, speed - (0.0 if other.braking else other.speed)) * ANSWER_S
    if other.braking > 0.0 or other.speed <= 0.0:
        reserve += other.speed**2 / (2.0 * other.braking) if other.braking else 0.0
        faster = speed
    else:
        faster = max(0.0, speed - other.speed)
    if faster == 0.0:
        return 0.0
    return math.inf if reserve <= 0.0 else faster**2 / (2.0 * reserve)


def stopping_distance(speed: float, deceleration: float) -> float:
    """m from seeing something to standing."""
    return speed * ANSWER_S + speed**2 / (2.0 * deceleration)


def lead_of(plan: Plan) -> SceneObject | None:
    """Whom the model reports in the way of its plan."""
    return object_in_the_way(plan.candidates[0], plan.objects) if plan.candidates else None


def beside_of(plan: Plan, left: bool) -> SceneObject | None:
    """The nearest vehicle that the model reports beside the plan's path, on one side."""
    sides = (o for o in plan.objects if o.classification != ObjectClass.PEDESTRIAN)
    near = [
        o for o in sides
        if BEHIND < o.x < BEFORE and 0.5 * CORRIDOR < (o.y if left else -o.y) < BESIDE
    ]
    return min(near, key=lambda o: abs(o.x), default=None)


def gap_to(thing: SceneObject, vehicle: VehicleParameters) -> float:
    """m from our front bumper to the nearer end of something ahead."""
    return max(0.0, thing.x - 0.5 * thing.length - (vehicle.length - vehicle.rear_overhang))


def lateral_acceleration(plan: Plan, speed: float) -> float:
    """Strongest sideways m/s^2 on the plan's path at a steady speed."""
    if not plan.candidates:
        return 0.0
    return speed**2 * float(abs(plan.candidates[0].curvature).max())


def _planned(speed: float, wanted: float, gap: float, ahead: float) -> float:
    free = ACCELERATION * (1.0 - (speed / max(wanted, 0.1)) ** 4)
    if math.isinf(gap):
        return free
    closing = speed - ahead
    desired = MARGIN + max(
        0.0, TIME_GAP_S * speed + speed * closing / (2.0 * math.sqrt(ACCELERATION * 2.0))
    )
    return free - ACCELERATION * (desired / max(gap, 0.1)) ** 2
