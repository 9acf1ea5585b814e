import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import settings as effort
from hypothesis import strategies as st

from vla_driving.contract.scene import ObjectClass, SceneObject
from vla_driving.contract.trajectory import integrate
from vla_driving.learning.teacher import Manner, Reference, plan


def road(offset=0.0, curvature=0.0, bend_at=0.0, limit=10.0, length=120.0, goal=False):
    """A lane whose centre lies `offset` m to the left of the car and bends from `bend_at` m on."""
    s = np.arange(-5.0, length + 0.5)
    kappa = np.where(s >= bend_at, curvature, 0.0)
    heading = np.concatenate([[0.0], np.cumsum(kappa[:-1])])
    middle = heading[:-1] + 0.5 * kappa[:-1]
    x = np.concatenate([[0.0], np.cumsum(np.cos(middle))])
    y = np.concatenate([[0.0], np.cumsum(np.sin(middle))])
    return Reference(s, x - x[5], y - y[5] + offset, heading, kappa, goal, limit)


def thing(kind, x, y, vx=0.0, vy=0.0, length=4.5, width=1.9):
    heading = math.atan2(vy, vx) if vx or vy else 0.0
    return SceneObject(kind, 1.0, x, y, heading, vx, vy, length, width)


@given(st.floats(-2.0, 2.0), st.floats(3.0, 12.0))
@effort(max_examples=30, deadline=None)
def test_it_comes_back_to_the_lane(vehicle, offset, speed):
    trajectory = integrate(speed, *plan(speed, road(offset), (), vehicle))
    assert abs(trajectory.y[-1] - offset) < 0.25 * abs(offset) + 0.02
    # Critically damped: it does not swing far to the other side.
    assert np.all((trajectory.y - offset) * np.sign(offset) < 0.15)


@given(st.floats(-0.04, 0.04))
@effort(max_examples=20, deadline=None)
def test_bends_are_followed_at_a_comfortable_speed(vehicle, curvature):
    trajectory = integrate(8.0, *plan(8.0, road(curvature=curvature, bend_at=25.0), (), vehicle))
    lateral = trajectory.speed**2 * np.abs(trajectory.curvature)
    assert lateral.max() < 1.3 * Manner().lateral_acceleration


def test_it_stops_behind_a_standing_car(vehicle):
    trajectory = integrate(8.0, *plan(8.0, road(), [thing(ObjectClass.CAR, 32.0, 0.3)], vehicle))
    front = vehicle.length - vehicle.rear_overhang
    assert trajectory.x[-1] + front < 32.0 - 2.25 - 2.0
    assert trajectory.speed[-1] < 0.5


def test_it_waits_for_a_person_who_steps_out_and_then_goes_on(vehicle):
    person = thing(ObjectClass.PEDESTRIAN, 25.0, -4.0, vy=1.5, length=0.6, width=0.6)
    trajectory = integrate(8.0, *plan(8.0, road(), [person], vehicle))
    assert trajectory.speed.min() < 3.0
    assert trajectory.speed[-1] > trajectory.speed.min()


@pytest.mark.parametrize(
    ("x", "y", "vx"), [(12.0, 3.6, 8.0), (40.0, 3.6, -8.0), (20.0, -8.0, 0.0)]
)
def test_what_is_beside_the_lane_is_left_alone(vehicle, x, y, vx):
    beside = thing(ObjectClass.CAR, x, y, vx=vx)
    alone = plan(8.0, road(), (), vehicle)
    np.testing.assert_allclose(plan(8.0, road(), [beside], vehicle), alone)


def test_it_stops_at_the_goal(vehicle):
    trajectory = integrate(8.0, *plan(8.0, road(length=30.0, goal=True), (), vehicle))
    assert 24.0 < trajectory.x[-1] < 32.0
    assert trajectory.speed[-1] < 1.5


def test_a_standing_start(vehicle):
    trajectory = integrate(0.0, *plan(0.0, road(), (), vehicle))
    assert trajectory.speed[9] > 1.0 and trajectory.speed[-1] < 10.0
