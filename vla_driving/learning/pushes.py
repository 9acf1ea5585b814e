"""What brings the driver of a lesson off course on purpose, to be recovered from."""

from __future__ import annotations

import math

import numpy as np

from vla_driving.learning.driving import CONTROL_S
from vla_driving.simulation.truth import Truth
from vla_driving.simulation.world import World

_FIRST_S, _BETWEEN_S = (1.0, 6.0), (5.0, 11.0)
_JUMP_SHARE = 0.3
_PULL_S = (0.4, 1.1)
_SETTLING_S = 2.0


class Pushes:
    """Jumps to the side, where `jumps`, and pulls at wheel and pedals, where `pulls`."""

    def __init__(self, chance: np.random.Generator, jumps: bool, pulls: bool) -> None:
        self._chance = chance
        self._jumps, self._pulls = jumps, pulls
        self._next_s = float(chance.uniform(*_FIRST_S))
        self._until_s = 0.0
        self._pushed_s = -math.inf
        self._bend = self._demand = 0.0

    def step(self, world: World, truth: Truth) -> bool:
        """Begin what is due; True where the car was put somewhere else."""
        now = truth.time_s
        if now < self._next_s:
            return False
        self._next_s = now + float(self._chance.uniform(*_BETWEEN_S))
        jump = self._chance.random() < _JUMP_SHARE
        if jump and self._jumps:
            self._pushed_s = now
            _jump(self._chance, world, truth)
            return True
        if self._pulls:
            self._until_s = now + float(self._chance.uniform(*_PULL_S))
            self._bend = float(self._chance.normal(0.0, 0.16)) / max(truth.speed, 4.0)
            self._demand = float(self._chance.normal(0.0, 1.2))
        return False

    def disturb(self, now_s: float, bend: float, demand: float) -> tuple[float, float]:
        """Curvature and acceleration with the pull, while there is one."""
        if now_s >= self._until_s - 0.5 * CONTROL_S:
            return bend, demand
        self._pushed_s = now_s
        return bend + self._bend, demand + self._demand

    def settled(self, now_s: float) -> bool:
        """Whether the last push is long enough ago for the driving to be the driver's own."""
        return now_s - self._pushed_s > _SETTLING_S


def _jump(chance: np.random.Generator, world: World, truth: Truth) -> None:
    """Beside the lane's centre, askew, at another speed; not into or close behind others."""
    room = 0.5 * truth.lane_width
    left = float(np.clip(chance.normal(0.0, 0.45 * room), -0.8 * room, 0.8 * room))
    askew = float(np.clip(chance.normal(0.0, 0.1), -0.25, 0.25))
    speed = float(chance.uniform(0.2, 1.15)) * truth.speed_limit
    bend = np.abs(truth.path_curvature[:40]).max(initial=0.0)
    speed = min(speed, math.sqrt(3.5 / max(bend, 0.01)))
    ahead = [o.x for o in truth.objects if 0.0 < o.x < 60.0 and abs(o.y) < 6.0]
    if ahead:
        speed = min(speed, math.sqrt(max(0.0, 2.0 * 2.0 * (min(ahead) - 14.0))))
    if any(abs(o.x) < 8.0 and abs(o.y) < 6.0 for o in truth.objects):
        left = 0.3 * left
    world.place(left=left, heading=askew, speed=speed)
