"""The control laws by themselves."""

import math

import pytest
from bicycle_plant import SETTINGS, VEHICLE
from hypothesis import given
from hypothesis import strategies as st

from vla_driving.control.compensation import Pose, SteeringInFlight
from vla_driving.control.path import PathPoint
from vla_driving.control.tracking import LateralTracker, LongitudinalTracker, landing

LATERAL = LateralTracker(SETTINGS.lateral, VEHICLE)


@given(st.floats(-0.2, 0.2), st.floats(0.0, 40.0))
def test_on_the_path_the_angle_is_the_bicycle_s(curvature: float, speed: float) -> None:
    angle = LATERAL.angle(PathPoint(0.0, 0.0, 0.0, curvature), speed)
    assert math.tan(angle) / VEHICLE.wheelbase == pytest.approx(curvature)


@given(st.floats(-3.0, 3.0), st.floats(-1.0, 1.0), st.floats(0.0, 40.0))
def test_feedback_steers_back_and_stays_in_its_bound(
    offset: float, turned: float, speed: float
) -> None:
    straight = LATERAL.angle(PathPoint(0.0, offset, 0.0, 0.0), speed)
    assert straight * offset <= 0.0
    both = LATERAL.angle(PathPoint(0.0, offset, turned, 0.0), speed)
    lateral = abs(math.tan(both)) / VEHICLE.wheelbase * max(speed, 1.0) ** 2
    assert lateral <= SETTINGS.lateral.max_correction + 1e-9


def test_the_integral_does_not_wind_up() -> None:
    tracker = LongitudinalTracker(SETTINGS.longitudinal)
    for _ in range(1000):
        tracker.acceleration(0.0, 10.0, 5.0, withheld=1.0, dt=0.01)
    assert tracker.integral == 0.0
    for _ in range(10_000):
        tracker.acceleration(0.0, 10.0, 5.0, withheld=0.0, dt=0.01)
    assert tracker.integral == SETTINGS.longitudinal.max_integral
    tracker.acceleration(0.0, 5.0, 10.0, withheld=1.0, dt=0.01)
    assert tracker.integral < SETTINGS.longitudinal.max_integral


@given(st.floats(-8.0, 2.0), st.floats(0.0, 40.0))
def test_landing_only_eases_braking_and_never_ends_it(acceleration: float, speed: float) -> None:
    eased = landing(SETTINGS.longitudinal, acceleration, speed)
    assert eased >= acceleration
    assert eased <= max(acceleration, -SETTINGS.longitudinal.landing_deceleration)
    if speed >= SETTINGS.longitudinal.landing_speed:
        assert eased == acceleration


def test_the_pose_is_carried_over_the_angles_in_flight() -> None:
    flight = SteeringInFlight(VEHICLE)
    step_ns = 10_000_000
    for k in range(30):
        flight.commanded(0.05, k * step_ns)
    expected = Pose(1.0, 2.0, 0.3)
    for _ in range(12):
        expected = expected.moved(10.0, math.tan(0.05) / VEHICLE.wheelbase, 0.01)
    found = flight.predict(Pose(1.0, 2.0, 0.3), 10.0, 30 * step_ns)
    assert (found.x, found.y, found.heading) == pytest.approx(
        (expected.x, expected.y, expected.heading), abs=1e-9
    )


def test_without_commands_the_pose_goes_straight_on() -> None:
    found = SteeringInFlight(VEHICLE).predict(Pose(0.0, 0.0, 0.0), 10.0, 0)
    assert (found.x, found.y) == pytest.approx((10.0 * VEHICLE.steering_delay, 0.0))
