"""What the tests of this room share."""

from __future__ import annotations

import pytest

from vla_driving.contract.vehicle import VehicleParameters


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
