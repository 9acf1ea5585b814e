"""A front radar: an object source that shares nothing with the camera."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from vla_driving.contract.scene import SceneObject

REACH = 80.0
HALF_OPENING = math.radians(60.0)
POSITION_ERROR = 0.15
VELOCITY_ERROR = 0.10
"""Standard deviations in m and m/s along each axis."""
_HIDDEN_SHARE = 0.7
_BEARINGS = np.linspace(-HALF_OPENING, HALF_OPENING, 361)


class Radar:
    """Objects ahead with small errors, without those that hide behind nearer ones.

    The errors are drawn from a generator seeded by the scenario.
    """

    def __init__(self, seed: int) -> None:
        self._random = np.random.default_rng([seed, 3])

    def measure(self, objects: Sequence[SceneObject], front: float) -> tuple[SceneObject, ...]:
        """What a sensor `front` m before base_link sees of `objects`, nearest first."""
        return tuple(self._with_errors(objects[i]) for i in in_sight(objects, front))

    def _with_errors(self, item: SceneObject) -> SceneObject:
        x, y, vx, vy = (float(e) for e in self._random.normal(size=4))
        return dataclasses.replace(
            item, x=item.x + POSITION_ERROR * x, y=item.y + POSITION_ERROR * y,
            velocity_x=item.velocity_x + VELOCITY_ERROR * vx,
            velocity_y=item.velocity_y + VELOCITY_ERROR * vy,
        )


def in_sight(objects: Sequence[SceneObject], front: float) -> list[int]:
    """Which of `objects` a sensor `front` m before base_link can see, nearest first.

    Left out are those beyond REACH or HALF_OPENING and those that hide behind nearer ones.
    """
    distance = [math.hypot(o.x - front, o.y) for o in objects]
    hidden = np.zeros(len(_BEARINGS), bool)
    seen = []
    for i in sorted(range(len(objects)), key=distance.__getitem__):
        if distance[i] > REACH:
            break
        covered = _covered(objects[i], front)
        if not covered.any():
            continue
        if hidden[covered].mean() < _HIDDEN_SHARE:
            seen.append(i)
        hidden |= covered
    return seen


def _covered(item: SceneObject, front: float) -> npt.NDArray[np.bool_]:
    """Which bearings an object takes up, seen from the sensor."""
    c, s = math.cos(item.heading), math.sin(item.heading)
    angles = [
        math.atan2(item.y + s * a + c * b, item.x - front + c * a - s * b)
        for a in (-item.length / 2, item.length / 2) for b in (-item.width / 2, item.width / 2)
    ]
    if max(angles) - min(angles) > math.pi:  # behind the sensor, or around it
        return np.zeros(len(_BEARINGS), bool)
    first, last = np.searchsorted(_BEARINGS, (min(angles), max(angles)))
    covered = np.zeros(len(_BEARINGS), bool)
    covered[first:last] = True
    return covered
