"""MetaDrive's own drivers at the wheel of our car, and what makes a drive go wrong on purpose.

The Intelligent Driver Model with MetaDrive's lane keeping, and its reinforcement-learning expert,
both see the simulator's truth. Their inputs go through `World.act`, ten times a second.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from vla_driving.simulation.metadrive import DECISION_STEPS, PHYSICS_STEP_S
from vla_driving.simulation.world import World

DECISION_S = DECISION_STEPS * PHYSICS_STEP_S

Decision = Callable[[], tuple[float, float]]


def idm_driver(world: World, speed: float | None = None) -> Decision:
    """The Intelligent Driver Model, wishing for `speed` m/s (the scenario's limit).

    Each call gives MetaDrive's steering and throttle, -1 to 1, for the coming DECISION_S.
    """
    from metadrive.policy.idm_policy import IDMPolicy

    policy: Any = IDMPolicy(world.ego.vehicle, world.scenario.seed)
    policy.NORMAL_SPEED = policy.target_speed = 3.6 * (speed or world.scenario.speed_limit)

    def decide() -> tuple[float, float]:
        steering, throttle = policy.act()
        return float(steering), float(throttle)

    return decide


def expert_driver(world: World) -> Decision:
    """MetaDrive's expert, a network trained by PPO that sees lidar and route, as `idm_driver`."""
    from metadrive.examples import expert

    def decide() -> tuple[float, float]:
        steering, throttle = expert(world.ego.vehicle, deterministic=True)
        return float(steering), float(throttle)

    return decide


class SteeringBursts:
    """Pushes on the wheel now and then, which bring the car off its path to be recovered from.

    Bursts of half a sine, `strongest` rad at most, begin once in `every_s` on average.
    """

    def __init__(self, seed: int, strongest: float = 0.05, every_s: float = 6.0) -> None:
        self._random = np.random.default_rng([seed, 11])
        self._strongest = strongest
        self._every_s = every_s
        self._begin_s = float(self._random.exponential(every_s))
        self._length_s = 1.0
        self._height = self._draw()

    def step(self, now_s: float) -> float:
        """Road-wheel angle in rad to add at simulated time `now_s`; times must not go back."""
        if now_s >= self._begin_s + self._length_s:
            self._begin_s = now_s + float(self._random.exponential(self._every_s))
            self._length_s = float(self._random.uniform(0.5, 1.5))
            self._height = self._draw()
        share = (now_s - self._begin_s) / self._length_s
        return self._height * math.sin(math.pi * share) if 0.0 <= share <= 1.0 else 0.0

    def _draw(self) -> float:
        return self._strongest * float(self._random.uniform(-1.0, 1.0))
