"""Envelope: whatever is asked for, every limit of the car is kept."""

import math
from dataclasses import astuple, replace

import pytest
from bicycle_plant import STEP_NS, VEHICLE
from hypothesis import given, settings
from hypothesis import strategies as st

from vla_driving.control.envelope import Actuation, Envelope

pytestmark = pytest.mark.requirement("SR-01")

ANY = st.floats(allow_nan=True, allow_infinity=True)
STEP = st.tuples(ANY, ANY, ANY, st.integers(-(2**62), 2**62), st.booleans())
CALM = st.tuples(
    st.floats(-1.0, 1.0), st.floats(-10.0, 5.0), st.floats(0.0, 45.0), st.just(STEP_NS),
    st.booleans(),
)
TINY = 1e-9


@given(st.lists(STEP | CALM, max_size=40), st.none() | st.tuples(ANY, ANY))
def test_never_outside_whatever_comes(
    steps: list[tuple[float, float, float, int, bool]], follow: tuple[float, float] | None
) -> None:
    envelope = Envelope(VEHICLE, 0.01)
    now = 0
    if follow is not None:
        envelope.follow(*follow, now)
    for angle, acceleration, speed, elapsed, stopping in steps:
        before = envelope.last
        now += elapsed
        out = envelope.step(angle, acceleration, speed, now, stopping)
        assert all(map(math.isfinite, (out.steering_angle, out.acceleration)))
        assert all(map(math.isfinite, (out.steering_rate, out.jerk)))
        assert abs(out.steering_angle) <= VEHICLE.max_steering_angle + TINY
        assert -VEHICLE.emergency_deceleration - TINY <= out.acceleration
        assert out.acceleration <= VEHICLE.max_acceleration + TINY
        assert abs(out.steering_rate) <= VEHICLE.max_steering_rate + 1e-6
        jerk = VEHICLE.emergency_jerk if stopping else VEHICLE.max_jerk
        assert abs(out.jerk) <= jerk + 1e-6
        if not stopping and before.acceleration >= -VEHICLE.max_deceleration:
            assert out.acceleration >= -VEHICLE.max_deceleration - TINY


@given(st.lists(CALM, min_size=1, max_size=60))
def test_lateral_acceleration_and_jerk_at_speed(
    steps: list[tuple[float, float, float, int, bool]],
) -> None:
    envelope = Envelope(VEHICLE, 0.01)
    now = 0
    for angle, acceleration, speed, elapsed, stopping in steps:
        before = math.tan(envelope.last.steering_angle) / VEHICLE.wheelbase * speed**2
        now += elapsed
        out = envelope.step(angle, acceleration, speed, now, stopping)
        lateral = math.tan(out.steering_angle) / VEHICLE.wheelbase * speed**2
        assert abs(lateral - before) <= VEHICLE.max_lateral_jerk * 0.01 + 1e-6
        assert abs(lateral) <= max(VEHICLE.max_lateral_acceleration, abs(before)) + 1e-6


@given(st.floats(0.0, 40.0), st.floats(-0.6, 0.6))
@settings(max_examples=30)
def test_a_steady_demand_within_the_limits_is_reached(speed: float, angle: float) -> None:
    bound = math.atan(VEHICLE.wheelbase * VEHICLE.max_lateral_acceleration / max(speed, 1.0) ** 2)
    wanted = max(-bound, min(bound, angle))
    envelope = Envelope(VEHICLE, 0.01)
    for k in range(1500):
        out = envelope.step(wanted, 1.0, min(speed, 30.0), k * STEP_NS, stopping=False)
    assert math.isclose(out.steering_angle, wanted, abs_tol=1e-9)
    assert out.acceleration == 1.0


def test_an_angle_outside_its_bound_returns_at_the_lateral_jerk_limit() -> None:
    envelope = Envelope(VEHICLE, 0.01)
    envelope.follow(0.3, 0.0, 0)
    angles = [
        envelope.step(0.0, 0.0, 15.0, k * STEP_NS, stopping=False).steering_angle
        for k in range(1, 200)
    ]
    assert all(a > b for a, b in zip([0.3, *angles], angles, strict=False) if b > 0.0)
    lateral = [math.tan(a) / VEHICLE.wheelbase * 225.0 for a in angles]
    assert abs((lateral[1] - lateral[0]) / 0.01) <= VEHICLE.max_lateral_jerk + 1e-6


def test_no_acceleration_at_the_speed_of_the_domain() -> None:
    envelope = Envelope(VEHICLE, 0.01)
    for k in range(100):
        out = envelope.step(0.0, 2.0, VEHICLE.max_speed, k * STEP_NS, stopping=False)
    assert out.acceleration == 0.0


def test_an_unknown_speed_counts_as_the_highest() -> None:
    known, unknown = (Envelope(VEHICLE, 0.01) for _ in range(2))
    for k in range(300):
        a = known.step(0.5, 0.0, VEHICLE.max_speed, k * STEP_NS, stopping=False)
        b = unknown.step(0.5, 0.0, math.nan, k * STEP_NS, stopping=False)
    assert a == b


def test_following_the_driver_is_not_rate_limited_but_bounded() -> None:
    envelope = Envelope(VEHICLE, 0.01)
    assert envelope.follow(-0.4, 1.0, 0).steering_angle == -0.4
    wild = envelope.follow(3.0, -50.0, STEP_NS)
    assert wild.steering_angle == VEHICLE.max_steering_angle
    assert wild.acceleration == -VEHICLE.emergency_deceleration
    assert envelope.follow(math.nan, math.inf, 2 * STEP_NS) == replace(
        wild, acceleration=0.0
    )


def test_it_begins_at_rest() -> None:
    assert Envelope(VEHICLE, 0.01).last == Actuation(0.0, 0.0, 0.0, 0.0)


def test_the_first_step_counts_as_one_period_and_says_its_rates() -> None:
    out = Envelope(VEHICLE, 0.01).step(1.0, 2.0, 0.0, 5 * STEP_NS, stopping=False)
    rate, jerk = VEHICLE.max_steering_rate, VEHICLE.max_jerk
    assert astuple(out) == pytest.approx((rate * 0.01, rate, jerk * 0.01, jerk))


def test_what_the_driver_does_is_taken_over_without_a_rate() -> None:
    envelope = Envelope(VEHICLE, 0.01)
    assert envelope.follow(0.2, -1.5, 7 * STEP_NS) == Actuation(0.2, 0.0, -1.5, 0.0)


def test_time_counts_from_what_the_driver_did_last() -> None:
    envelope = Envelope(VEHICLE, 0.01)
    envelope.follow(0.0, 0.0, 10 * STEP_NS)
    out = envelope.step(1.0, 0.0, 0.0, 12 * STEP_NS, stopping=False)
    assert out.steering_angle == pytest.approx(VEHICLE.max_steering_rate * 0.02)


@pytest.mark.parametrize(
    ("periods", "counted"), [(1, 1.0), (2, 2.0), (3, 3.0), (4, 3.0), (90, 3.0)]
)
def test_a_pause_counts_for_three_periods_at_most(periods: int, counted: float) -> None:
    envelope = Envelope(VEHICLE, 0.01)
    envelope.step(0.0, 0.0, 0.0, 0, stopping=False)
    out = envelope.step(1.0, 0.0, 0.0, periods * STEP_NS, stopping=False)
    assert out.steering_angle == pytest.approx(counted * VEHICLE.max_steering_rate * 0.01)


@pytest.mark.parametrize("now_ns", [5 * STEP_NS, 4 * STEP_NS])
def test_without_time_nothing_moves(now_ns: int) -> None:
    envelope = Envelope(VEHICLE, 0.01)
    before = envelope.step(0.1, 1.0, 0.0, 5 * STEP_NS, stopping=False)
    out = envelope.step(-0.4, -3.0, 0.0, now_ns, stopping=False)
    assert out == Actuation(before.steering_angle, 0.0, before.acceleration, 0.0)


def test_slow_driving_is_bound_by_the_wheels_alone() -> None:
    envelope = Envelope(VEHICLE, 0.01)
    envelope.follow(0.4, 0.0, 0)
    out = envelope.step(1.0, 0.0, 0.5, STEP_NS, stopping=False)
    assert out.steering_angle == pytest.approx(0.4 + VEHICLE.max_steering_rate * 0.01)


@pytest.mark.parametrize("speed", [0.9, 10.0, 20.0])
@pytest.mark.parametrize("way", [1.0, -1.0])
@pytest.mark.parametrize("angle", [0.0, 0.05, -0.05])
def test_lateral_jerk_bounds_the_step_to_both_sides(speed: float, way: float, angle: float) -> None:
    envelope = Envelope(VEHICLE, 0.01)
    envelope.follow(angle, 0.0, 0)
    out = envelope.step(way * 0.6, 0.0, speed, STEP_NS, stopping=False)
    bends = VEHICLE.max_lateral_jerk * 0.01 / speed**2
    bend = math.tan(angle) / VEHICLE.wheelbase
    gentle = min(
        abs(math.atan(VEHICLE.wheelbase * (bend + side * bends)) - angle) for side in (1.0, -1.0)
    )
    step = min(gentle, VEHICLE.max_steering_rate * 0.01)
    bound = math.atan(VEHICLE.wheelbase * VEHICLE.max_lateral_acceleration / speed**2)
    wanted = way * min(bound, VEHICLE.max_steering_angle)
    expected = min(max(wanted, angle - step), angle + step)
    assert out.steering_angle == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize(("stopping", "lowest"), [
    (False, VEHICLE.max_deceleration), (True, VEHICLE.emergency_deceleration),
])
def test_it_brakes_as_hard_as_it_may_and_no_harder(stopping: bool, lowest: float) -> None:
    envelope = Envelope(VEHICLE, 0.01)
    for k in range(200):
        out = envelope.step(0.0, -50.0, 10.0, k * STEP_NS, stopping=stopping)
    assert out.acceleration == -lowest


def test_just_below_the_speed_of_the_domain_it_may_accelerate() -> None:
    envelope = Envelope(VEHICLE, 0.01)
    for k in range(100):
        out = envelope.step(0.0, 50.0, VEHICLE.max_speed - 0.01, k * STEP_NS, stopping=False)
    assert out.acceleration == VEHICLE.max_acceleration


def test_the_way_a_car_reverses_does_not_matter() -> None:
    ahead, back = (Envelope(VEHICLE, 0.01) for _ in range(2))
    for k in range(20):
        a = ahead.step(0.5, 0.0, 12.0, k * STEP_NS, stopping=False)
        b = back.step(0.5, 0.0, -12.0, k * STEP_NS, stopping=False)
    assert a == b


def test_at_a_walk_lateral_limits_are_those_of_the_walk() -> None:
    """Not of 1 m/s: a car of weak limits shows it."""
    weak = replace(VEHICLE, max_lateral_jerk=0.005, max_lateral_acceleration=0.004)
    envelope = Envelope(weak, 0.01)
    out = envelope.step(0.5, 0.0, 0.2, 0, False)
    assert out.steering_angle == pytest.approx(math.atan(weak.wheelbase * 0.005 / 0.2**2 * 0.01))
    for k in range(1, 200):
        out = envelope.step(0.5, 0.0, 0.2, k * STEP_NS, False)
    assert out.steering_angle == pytest.approx(math.atan(weak.wheelbase * 0.004 / 0.2**2))


@pytest.mark.parametrize("periods", [1, 2, 3])
def test_rates_are_told_over_the_time_that_passed(periods: int) -> None:
    envelope = Envelope(VEHICLE, 0.01)
    envelope.follow(0.0, 0.0, 0)
    out = envelope.step(1.0, 9.0, 0.0, periods * STEP_NS, False)
    assert out.steering_rate == pytest.approx(VEHICLE.max_steering_rate)
    assert out.jerk == pytest.approx(VEHICLE.max_jerk)
    assert out.steering_angle == pytest.approx(VEHICLE.max_steering_rate * 0.01 * periods)


def test_where_no_time_passed_nothing_moves() -> None:
    envelope = Envelope(VEHICLE, 0.01)
    envelope.follow(0.1, 1.0, 5)
    assert astuple(envelope.step(1.0, 9.0, 0.0, 5, False)) == (0.1, 0.0, 1.0, 0.0)
