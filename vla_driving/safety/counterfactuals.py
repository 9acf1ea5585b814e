"""What if? Two worst cases that constant velocity does not foresee, as closed formulas.

The one ahead brakes as hard as it can; a neighbour cuts in now. Asked is whether a safe answer of
this car remains: full braking, after the time it takes to see the other's move and to build the
brakes up. One path and one object; distances in m, speeds along the path in m/s.
"""

from __future__ import annotations

import math
from typing import NamedTuple

from vla_driving.contract.vehicle import VehicleParameters
from vla_driving.safety.compiled import part
from vla_driving.safety.measures import measures
from vla_driving.safety.settings import WorldSettings

_STEEPEST = 0.35
"""A car moves sideways at most this share of its speed: 20 degrees of heading; one that stands
cannot cut in."""
_SMALL = 1e-3


class Answer(NamedTuple):
    """What this car can do: brake with `deceleration` in m/s², `delay_s` after the other's move."""

    delay_s: float
    deceleration: float


def answer_of(vehicle: VehicleParameters, settings: WorldSettings) -> Answer:
    """Full braking after the time to notice, the brakes' delay and half of their build-up."""
    car = measures(vehicle, settings)
    return Answer(car.answer_time + car.brake_delay, car.emergency_deceleration)


@part
def needed_gap(
    speed: float, lead_speed: float, lead_deceleration: float, answer: Answer
) -> float:
    """Gap behind one that may brake fully: RSS, v·t + v²/(2·a) - v_l²/(2·a_l), not below 0.

    Shalev-Shwartz et al., On a Formal Model of Safe and Scalable Self-driving Cars, definition 1,
    with no acceleration during the response: the monitor follows plans that it knows.
    """
    ours = braking_distance(speed, answer)
    forward = max(lead_speed, 0.0)
    theirs = forward * forward / (2.0 * lead_deceleration)
    return max(ours - theirs, 0.0)


@part
def speed_for_gap(
    gap: float, lead_speed: float, lead_deceleration: float, answer: Answer
) -> float:
    """Highest speed for which `gap` is enough: `needed_gap` solved for ours."""
    forward = max(lead_speed, 0.0)
    room = max(gap + forward * forward / (2.0 * lead_deceleration), 0.0)
    lost = answer.deceleration * answer.delay_s
    return math.sqrt(lost * lost + 2.0 * answer.deceleration * room) - lost


@part
def time_to_cut_in(beside: float, other_speed: float, lateral_speed: float) -> float:
    """Time in s a neighbour needs across the `beside` m that are free between us."""
    possible = min(lateral_speed, _STEEPEST * other_speed)
    return max(beside, 0.0) / max(possible, _SMALL)


@part
def braking_distance(speed: float, answer: Answer) -> float:
    """Way in m until braking has taken `speed` m/s off, v·t + v²/(2·a)."""
    return speed * answer.delay_s + speed * speed / (2.0 * answer.deceleration)


@part
def cut_in_impact(
    gap: float, length: float, closing: float, cut_in_s: float, answer: Answer
) -> float:
    """Speed difference in m/s at which we would touch one that starts to cut in now; 0 for never.

    `gap` to its rear, negative abreast; `length` of both cars together; `closing` speed;
    `cut_in_s` until it is in our way. We brake fully, or drive on where that passes it in time.
    """
    if gap <= -length or gap + length < closing * cut_in_s:
        return 0.0
    a, delay = answer.deceleration, answer.delay_s
    longest = closing / a
    braked = min(max(cut_in_s - delay, 0.0), longest)
    by_then = closing * min(cut_in_s, delay + longest) - 0.5 * a * braked * braked
    left = max(braking_distance(closing, answer) - max(gap, by_then), 0.0)
    return min(closing, math.sqrt(2.0 * a * left))


@part
def speed_for_cut_in(
    other_speed: float, cut_in_s: float, allowed: float, answer: Answer
) -> float:
    """Highest speed at which one that cuts in is touched at no more than `allowed` m/s."""
    braked_s = min(max(cut_in_s - answer.delay_s, 0.0), 10.0)
    return other_speed + allowed + answer.deceleration * braked_s
