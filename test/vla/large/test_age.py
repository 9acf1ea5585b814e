"""Plans of a while ago, moved on by the car's own motion."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from vla_driving.contract.motion import PoseChange
from vla_driving.contract.trajectory import POINTS, Trajectory, integrate
from vla_driving.vla.large.age import moved_on

HERE = PoseChange(0.0, 0.0, 0.0)


def bend(speed: float = 10.0, curvature: float = 0.01) -> Trajectory:
    """At constant speed round a bend."""
    return integrate(speed, np.zeros(POINTS), np.full(POINTS, curvature), 0.7)


def along(planned: Trajectory, point: int) -> PoseChange:
    """The pose of one of its points: where a car is that follows it exactly."""
    return PoseChange(*(float(a[point]) for a in (planned.x, planned.y, planned.heading)))


def test_a_plan_of_now_stays_what_it_is() -> None:
    planned = bend()
    moved = moved_on(planned, HERE, 0.0, 10.0)
    assert moved is not None and moved.probability == pytest.approx(0.7)
    assert np.hypot(moved.x - planned.x, moved.y - planned.y).max() < 0.05


@pytest.mark.parametrize("curvature", [-0.05, 0.0, 0.01])
@pytest.mark.parametrize("point", [4, 9, 29])
def test_a_car_on_its_path_gets_the_rest_of_it(point: int, curvature: float) -> None:
    planned = bend(8.0, curvature)
    change = along(planned, point)
    moved = moved_on(planned, change, float(planned.time[point]), 8.0)
    assert moved is not None
    x, y = change.to_second(planned.x[point + 1:], planned.y[point + 1:])
    left = POINTS - point - 1
    assert np.hypot(moved.x[:left] - x, moved.y[:left] - y).max() < 0.1
    assert moved.speed == pytest.approx(np.full(POINTS, 8.0), abs=1e-3)


def test_between_two_points_the_grid_is_made_anew() -> None:
    planned = integrate(10.0, np.full(POINTS, -1.0), np.zeros(POINTS))
    moved = moved_on(planned, PoseChange(0.5 * (10.0 + 9.53) * 0.47, 0.0, 0.0), 0.47, 9.53)
    assert moved is not None
    assert moved.speed[:50] == pytest.approx(9.53 - 0.1 * np.arange(1, 51), abs=0.02)


@given(st.floats(-1.0, 1.0), st.floats(-0.1, 0.1), st.floats(3.0, 20.0))
def test_a_car_beside_its_path_comes_back_to_it(beside: float, turned: float, speed: float) -> None:
    planned = integrate(speed, np.zeros(POINTS), np.zeros(POINTS))
    change = PoseChange(speed * 0.8, beside, turned)
    moved = moved_on(planned, change, 0.8, speed)
    assert moved is not None
    _, y = change.inverse().to_second(moved.x, moved.y)
    assert abs(y[-1]) < 0.25 * (abs(beside) + abs(turned) * 6.0) + 0.02
    assert math.hypot(moved.x[0], moved.y[0]) < 0.1 * speed + 0.02, "it starts at the car"


@given(
    st.floats(0.0, 6.3), st.floats(-50, 50), st.floats(-50, 50), st.floats(-3, 3), st.floats(0, 40)
)
def test_whatever_the_car_did_the_answer_is_finite(
    age: float, x: float, y: float, yaw: float, speed: float
) -> None:
    moved = moved_on(bend(), PoseChange(x, y, yaw), age, speed)
    assert moved is not None
    assert all(np.isfinite(a).all() for a in moved.arrays())
    assert (moved.speed >= 0.0).all()


def test_a_standing_plan_stands() -> None:
    planned = integrate(0.0, np.zeros(POINTS), np.zeros(POINTS))
    moved = moved_on(planned, HERE, 1.0, 0.0)
    assert moved is not None and moved.x.max() == 0.0


@pytest.mark.parametrize("age", [-0.1, 6.4, 100.0])
def test_nothing_is_left_of_a_plan_that_is_over_or_from_the_future(age: float) -> None:
    assert moved_on(bend(), HERE, age, 10.0) is None


def test_a_car_whose_thoughts_are_a_second_old_stays_in_its_bend() -> None:
    """Radius 50 m at 10 m/s, steering that is 10 % weak and off: thoughts at 1 Hz, 1 s each."""
    radius, speed = 50.0, 10.0

    def step(pose: tuple[float, float, float], curvature: float) -> tuple[float, float, float]:
        x, y, yaw = pose
        way, middle = speed * 0.1, yaw + 0.05 * curvature * speed
        return x + way * math.cos(middle), y + way * math.sin(middle), yaw + curvature * way

    def beside(pose: tuple[float, float, float]) -> float:
        return radius - math.hypot(pose[0], pose[1] - radius)  # left of the bend is positive

    def think(pose: tuple[float, float, float]) -> Trajectory:
        """Back to the middle of the road within about 15 m, from wherever the car is."""
        curvatures = []
        for _ in range(POINTS):
            along_road = math.atan2(pose[0], radius - pose[1])
            error = math.remainder(pose[2] - along_road, math.tau)
            curvatures.append(1.0 / radius - beside(pose) / 15.0**2 - 2.0 * error / 15.0)
            pose = step(pose, curvatures[-1])
        return integrate(speed, np.zeros(POINTS), curvatures)

    pose, worst = (0.0, 0.0, 0.0), 0.0
    asked = [(0, pose, think(pose))]
    for tick in range(200):
        if tick % 10 == 0:
            asked.append((tick, pose, think(pose)))
        ready = max(0, tick - 10)
        told, (x0, y0, yaw0), planned = next(a for a in reversed(asked) if a[0] <= ready)
        cos, sin = math.cos(yaw0), math.sin(yaw0)
        dx, dy = pose[0] - x0, pose[1] - y0
        change = PoseChange(cos * dx + sin * dy, cos * dy - sin * dx, pose[2] - yaw0)
        moved = moved_on(planned, change, (tick - told) * 0.1, speed)
        assert moved is not None
        pose = step(pose, 0.9 * float(moved.curvature[0]) + 0.001)
        worst = max(worst, abs(beside(pose)))
    assert worst < 0.3
