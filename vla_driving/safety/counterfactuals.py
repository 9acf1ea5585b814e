"""What if? Two worst cases that constant velocity does not foresee, as closed formulas.

The one ahead brakes as hard as it can; a neighbour cuts in now. Asked is whether a safe answer of
this car remains: full braking, after the time it takes to see the other's move and to build the
brakes up. Arrays are (C, N): C paths, N objects; distances in m, speeds along the path in m/s.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from vla_driving.contract.vehicle import VehicleParameters
from vla_driving.safety.settings import WorldSettings

FloatArray = npt.NDArray[np.float32]

_STEEPEST = 0.35
"""A car moves sideways at most this share of its speed: 20 degrees of heading; one that stands
cannot cut in."""
_SMALL = np.float32(1e-3)


@dataclass(frozen=True)
class Answer:
    """What this car can do: brake with `deceleration` in m/s², `delay_s` after the other's move."""

    delay_s: float
    deceleration: float


def answer_of(vehicle: VehicleParameters, settings: WorldSettings) -> Answer:
    """Full braking after the time to notice, the brakes' delay and half of their build-up."""
    build_up = vehicle.emergency_deceleration / vehicle.emergency_jerk
    delay = settings.answer_time + vehicle.acceleration_delay + 0.5 * build_up
    return Answer(delay, vehicle.emergency_deceleration)


def needed_gap(
    speed: FloatArray, lead_speed: FloatArray, lead_deceleration: float, answer: Answer
) -> FloatArray:
    """Gap behind one that may brake fully: RSS, v·t + v²/(2·a) - v_l²/(2·a_l), not below 0.

    Shalev-Shwartz et al., On a Formal Model of Safe and Scalable Self-driving Cars, definition 1,
    with no acceleration during the response: the monitor follows plans that it knows.
    """
    ours = speed * answer.delay_s + speed * speed / (2.0 * answer.deceleration)
    forward = np.maximum(lead_speed, np.float32(0.0))
    theirs = forward * forward / np.float32(2.0 * lead_deceleration)
    return np.maximum(ours - theirs, np.float32(0.0)).astype(np.float32)


def speed_for_gap(
    gap: FloatArray, lead_speed: FloatArray, lead_deceleration: float, answer: Answer
) -> FloatArray:
    """Highest speed for which `gap` is enough: `needed_gap` solved for ours."""
    forward = np.maximum(lead_speed, np.float32(0.0))
    room = np.maximum(gap + forward * forward / np.float32(2.0 * lead_deceleration), 0.0)
    lost = answer.deceleration * answer.delay_s
    return (np.sqrt(lost * lost + 2.0 * answer.deceleration * room) - lost).astype(np.float32)


def time_to_cut_in(
    beside: FloatArray, other_speed: FloatArray, lateral_speed: float
) -> FloatArray:
    """Time in s a neighbour needs across the `beside` m that are free between us."""
    possible = np.minimum(np.float32(lateral_speed), np.float32(_STEEPEST) * other_speed)
    across = np.maximum(beside, np.float32(0.0)) / np.maximum(possible, _SMALL)
    return across.astype(np.float32)


def braking_distance(closing: FloatArray, answer: Answer) -> FloatArray:
    """What is lost, m, on one that is slower by `closing` m/s until braking has made us as slow."""
    return closing * np.float32(answer.delay_s) + closing * closing / (2.0 * answer.deceleration)


def cut_in_impact(
    gap: FloatArray,
    length: FloatArray,
    closing: FloatArray,
    cut_in_s: FloatArray,
    answer: Answer,
) -> FloatArray:
    """Speed difference in m/s at which we would touch one that starts to cut in now; 0 for never.

    `gap` to its rear, negative abreast; `length` of both cars together; `closing` speed;
    `cut_in_s` until it is in our way. We brake fully, or drive on where that passes it in time.
    """
    a, delay = answer.deceleration, answer.delay_s
    closing = np.maximum(closing, np.float32(0.0))
    braked = np.clip(cut_in_s - delay, 0.0, closing / a)
    by_then = closing * np.minimum(cut_in_s, delay + closing / a) - 0.5 * a * braked * braked
    farthest = braking_distance(closing, answer)
    left = np.maximum(farthest - np.maximum(gap, by_then), 0.0)
    impact = np.minimum(closing, np.sqrt(2.0 * a * left))
    passed = (gap <= -length) | (gap + length < closing * cut_in_s)
    return np.where(passed, 0.0, impact).astype(np.float32)


def speed_for_cut_in(
    other_speed: FloatArray, cut_in_s: FloatArray, allowed: float, answer: Answer
) -> FloatArray:
    """Highest speed at which one that cuts in is touched at no more than `allowed` m/s."""
    braked_s = np.minimum(np.maximum(cut_in_s - answer.delay_s, 0.0), 10.0)
    return (other_speed + allowed + answer.deceleration * braked_s).astype(np.float32)
