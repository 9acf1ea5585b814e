"""Bridge, car and planner together: how well the road is kept."""

import math
from itertools import pairwise

import numpy as np
import pytest
from bicycle_plant import VEHICLE, Car, Loop, Road

from vla_driving.contract.vehicle import CommandSource


def constant(value: float):
    return lambda s: value


@pytest.mark.parametrize("speed", [5.0, 15.0, 30.0])
def test_straight_from_half_a_metre_aside(speed: float) -> None:
    loop = Loop(Road(constant(0.0), constant(speed)), Car(speed=speed, y=0.5))
    loop.run(8.0)
    assert np.abs(loop.offsets(after_s=6.0)).max() < 0.02
    assert loop.offsets().min() > -0.05, "no overshoot to speak of"
    assert np.abs(loop.speeds() - speed).max() < 0.1


@pytest.mark.parametrize(("radius", "speed"), [(50.0, 10.0), (200.0, 20.0)])
def test_into_and_through_a_curve(radius: float, speed: float) -> None:
    road = Road(lambda s: 1.0 / radius if s > 3.0 * speed else 0.0, constant(speed))
    loop = Loop(road, Car(speed=speed))
    loop.run(12.0)
    # The road bends at once, which no steering can: most of the error is there.
    assert np.abs(loop.offsets()).max() < 0.25
    assert np.abs(loop.offsets(after_s=8.0)).max() < 0.05
    lateral = [car.speed**2 * math.tan(car.angle) / VEHICLE.wheelbase for car, _ in loop.log]
    assert max(lateral) <= VEHICLE.max_lateral_acceleration + 0.05


def test_through_bends_left_and_right() -> None:
    loop = Loop(Road(lambda s: 0.01 * math.sin(s / 15.0), constant(15.0)), Car(speed=15.0))
    loop.run(12.0)
    assert np.abs(loop.offsets(after_s=2.0)).max() < 0.12


def test_lane_change() -> None:
    # 3.5 m to the left over 60 m: curvature is one period of a sine, integrated twice.
    amplitude = 2.0 * math.pi * 3.5 / 60.0**2
    road = Road(
        lambda s: amplitude * math.sin(2.0 * math.pi * (s - 40.0) / 60.0) if 40 < s < 100 else 0.0,
        constant(15.0),
    )
    assert road.y[-1] == pytest.approx(3.5, abs=0.1)
    loop = Loop(road, Car(speed=15.0))
    loop.run(10.0)
    assert loop.car.y == pytest.approx(3.5, abs=0.1)
    assert np.abs(loop.offsets()).max() < 0.12


def test_start_cruise_stop_and_hold() -> None:
    loop = Loop(Road(constant(0.0), lambda s: 8.0 if s < 50.0 else 0.0), Car())
    last = loop.run(20.0)
    assert loop.speeds().max() == pytest.approx(8.0, abs=0.3)
    assert loop.car.speed == 0.0
    assert last.command.hold
    assert last.command.source == CommandSource.PLAN
    held = [outcome.command.hold for _, outcome in loop.log]
    assert sum(a != b for a, b in pairwise(held)) <= 2, "held once, at the end"
    assert abs(_acceleration_at_rest(loop)) < 1.0, "it lands gently"


def test_a_weak_engine_is_made_up_for() -> None:
    loop = Loop(Road(constant(0.0), constant(10.0)), Car(gain=0.8))
    loop.run(14.0)
    assert loop.car.speed == pytest.approx(10.0, abs=0.2)


def test_the_speed_cap_is_kept() -> None:
    loop = Loop(
        Road(constant(0.0), constant(15.0)), Car(speed=12.0), plan_changes={"speed_cap": 8.0}
    )
    loop.run(8.0)
    assert loop.car.speed == pytest.approx(8.0, abs=0.3)
    assert loop.speeds()[-200:].max() < 8.3


def test_the_age_of_a_plan_is_compensated() -> None:
    """Half a second late, plans of a bend still lead through it."""
    road = Road(lambda s: 0.01 * math.sin(s / 20.0), constant(10.0))
    loop = Loop(road, Car(speed=10.0), latency_s=0.4, plan_changes={})
    loop.run(12.0)
    assert np.abs(loop.offsets(after_s=3.0)).max() < 0.15


def _acceleration_at_rest(loop: Loop) -> float:
    """Acceleration just before the car came to its last standstill, m/s²."""
    moving = [k for k, (car, _) in enumerate(loop.log) if car.speed > 0.02]
    return loop.log[moving[-1]][0].acceleration
