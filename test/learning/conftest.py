"""Synthetic frames with a lane whose offset can be seen, and their labels."""

from __future__ import annotations

import numpy as np
import pytest

from vla_driving.contract.trajectory import POINTS
from vla_driving.contract.vehicle import VehicleParameters
from vla_driving.learning.dataset import Sample
from vla_driving.learning.tensors import HEIGHT, SHAPES, WIDTH


def synthetic_sample(rng: np.random.Generator) -> Sample:
    """A grey picture with one white line whose column tells the curvature to drive."""
    side = rng.uniform(-1.0, 1.0)
    image = np.full((HEIGHT, WIDTH, 3), 90, np.uint8)
    column = int(WIDTH / 2 * (1.0 - 0.8 * side))
    image[HEIGHT // 2:, column - 3:column + 3] = 230
    lines = np.zeros(SHAPES["lane_lines"], np.float32)
    lines[0, 0], lines[0, 1:] = 1.0, 1.5 + side
    return Sample(
        image=image,
        speed=float(rng.uniform(2.0, 12.0)),
        navigation=np.eye(SHAPES["navigation"][0], dtype=np.float32)[0],
        acceleration=np.zeros(POINTS, np.float32),
        curvature=np.full(POINTS, 0.05 * side, np.float32),
        lane_lines=lines,
        objects=np.zeros(SHAPES["objects"], np.float32),
    )


@pytest.fixture
def samples() -> list[Sample]:
    rng = np.random.default_rng(3)
    return [synthetic_sample(rng) for _ in range(24)]


@pytest.fixture(scope="session")
def vehicle() -> VehicleParameters:
    """A middle-sized car."""
    return VehicleParameters(
        name="test", wheelbase=2.5, front_overhang=0.9, rear_overhang=1.0, width=1.9, height=1.5,
        max_steering_angle=0.6, max_steering_rate=0.6, steering_delay=0.1, acceleration_delay=0.1,
        max_speed=30.0, max_lateral_acceleration=3.0, max_lateral_jerk=5.0, max_acceleration=2.0,
        max_deceleration=3.5, emergency_deceleration=6.0, comfort_deceleration=2.0, max_jerk=4.0,
        emergency_jerk=20.0,
    )
