"""The monitor's own stop in numbers: the shift to the edge, the path carried along, the braking."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from drive import SETTINGS, START, STATE, STEP, VEHICLE, constant, plan_of, profile

from vla_driving.contract.clock import nanoseconds
from vla_driving.contract.motion import EgoMotion, PoseChange
from vla_driving.contract.scene import LaneLine, LaneLineKind
from vla_driving.contract.trajectory import POINTS, integrate
from vla_driving.safety.braking import Braking, comfortable
from vla_driving.safety.fallback import Fallback
from vla_driving.safety.manoeuvres import StopPath, abreast, path_of, path_of_wheels
from vla_driving.safety.pull_over import shifted

pytestmark = pytest.mark.requirement("SR-16")

ASIDE = SETTINGS.pull_over
HERE = PoseChange(0.0, 0.0, 0.0)
BRAKING = comfortable(VEHICLE, 0.0, 0)
SPEED = 12.0
LENGTH = BRAKING.longest_m(SPEED)
ROOM = -3.0 + 0.5 * VEHICLE.width + ASIDE.edge_margin


def edge(y: float = -3.0, first: float = -5.0, last: float = 120.0, **changes: Any) -> LaneLine:
    x = np.linspace(first, last, 60, dtype=np.float32)
    line = LaneLine(LaneLineKind.ROAD_EDGE_RIGHT, 0.9, x, np.full(60, y, np.float32))
    return replace(line, **changes)


def around(radius: float, off: float, first: float, last: float) -> LaneLine:
    """An edge `off` m to the right of a left bend, from one angle to another."""
    angles, r = np.linspace(first, last, 60), radius + off
    return LaneLine(
        LaneLineKind.ROAD_EDGE_RIGHT, 0.9, (r * np.sin(angles)).astype("f4"),
        (radius - r * np.cos(angles)).astype("f4"),
    )


def straight() -> StopPath:
    return path_of(constant(SPEED), 0)


def aside(path: StopPath, *lines: LaneLine, **changes: Any) -> StopPath | None:
    how: dict[str, Any] = {"change": HERE, "speed": SPEED, "settings": ASIDE, **changes}
    return shifted(
        path, lines, how["change"], BRAKING, how["speed"], VEHICLE, how["settings"], 0.5
    )


def sure(path: StopPath | None) -> StopPath:
    assert path is not None
    return path


# -- beside the lane ---------------------------------------------------------------------------


def test_the_shift_is_a_quintic_over_nine_tenths_of_the_stop() -> None:
    path = sure(aside(straight(), edge()))
    u = np.clip(straight().arc / (0.9 * LENGTH), 0.0, 1.0)
    left = ROOM * (10.0 * u**3 - 15.0 * u**4 + 6.0 * u**5)
    assert path.x == pytest.approx(straight().x)
    assert path.y == pytest.approx(left)
    # Slope and bend as the differences of the points say.
    assert np.gradient(path.y, path.x)[2:60] == pytest.approx(
        np.tan(path.heading[2:60]), abs=2e-3
    )
    turned = np.gradient(path.heading, path.x)
    assert turned[3:60] == pytest.approx(path.curvature[3:60], abs=3e-3)
    assert np.diff(path.arc) == pytest.approx(np.hypot(np.diff(path.x), np.diff(path.y)))
    assert path.arc[0] == 0.0
    assert path.stamp_ns == 0


def test_the_shift_begins_abreast_of_the_car() -> None:
    moved = straight().moved(PoseChange(6.0, 0.0, 0.0), 5)
    path = sure(aside(moved, edge(first=-20.0)))
    u = np.clip(moved.x / (0.9 * LENGTH), 0.0, 1.0)
    assert path.y == pytest.approx(ROOM * (10.0 * u**3 - 15.0 * u**4 + 6.0 * u**5))
    assert path.stamp_ns == 5
    assert path.arc[0] == 0.0


def test_a_path_that_has_a_heading_and_a_bend_keeps_them() -> None:
    bent = path_of(constant(SPEED, 0.0, 0.004), 0)
    path = sure(aside(bent, around(250.0, 3.0, -0.02, 0.5)))
    u = np.clip(bent.arc / (0.9 * LENGTH), 0.0, 1.0)
    off = ROOM * (10.0 * u**3 - 15.0 * u**4 + 6.0 * u**5)
    here = np.hypot(path.x, path.y - 250.0)
    assert here == pytest.approx(250.0 - off, abs=0.02)
    slope = ROOM / (0.9 * LENGTH) * 30.0 * u**2 * (1.0 - u) ** 2
    assert path.heading == pytest.approx(bent.heading + np.arctan(slope), abs=1e-3)
    bend = ROOM / (0.9 * LENGTH) ** 2 * 60.0 * u * (1.0 - u) * (1.0 - 2.0 * u)
    assert path.curvature == pytest.approx(bent.curvature + bend, abs=3e-5)


@pytest.mark.parametrize("speed", [6.0, 9.0, 12.0])
@pytest.mark.parametrize("share", [0.05, 0.3, 0.8])
def test_how_far_is_drivable(speed: float, share: float) -> None:
    over = 0.9 * BRAKING.longest_m(speed)
    lateral, jerk = VEHICLE.max_lateral_acceleration, VEHICLE.max_lateral_jerk
    wanted = min(
        4.0 - 0.5 * VEHICLE.width - ASIDE.edge_margin,
        share * lateral * (over / speed) ** 2 / (10.0 / math.sqrt(3.0)),
        share * jerk * (over / speed) ** 3 / 60.0,
    )
    some = replace(ASIDE, lateral_share=share, min_offset=0.01)
    path = sure(aside(straight(), edge(-4.0, last=300.0), speed=speed, settings=some))
    assert path.y[-1] == pytest.approx(-wanted)


def test_a_bend_leaves_less_for_the_shift() -> None:
    bend = 0.0203
    bent = path_of(constant(SPEED, 0.0, bend), 0)
    line = around(1.0 / bend, 4.0, -0.1, 1.4)
    short = replace(ASIDE, min_offset=0.01)
    path = sure(aside(bent, line, settings=short))
    over = 0.9 * LENGTH
    left = VEHICLE.max_lateral_acceleration - SPEED**2 * bend
    wanted = left * (over / SPEED) ** 2 / (10.0 / math.sqrt(3.0))
    off = np.hypot(path.x[-1] - bent.x[-1], path.y[-1] - bent.y[-1])
    assert off == pytest.approx(wanted, rel=1e-3)


def test_as_much_as_is_least_is_enough_and_less_is_not() -> None:
    room = -sure(aside(straight(), edge())).y[-1]
    assert aside(straight(), edge(), settings=replace(ASIDE, min_offset=float(room)))
    more = replace(ASIDE, min_offset=float(np.nextafter(room, 9.0)))
    assert aside(straight(), edge(), settings=more) is None


def test_the_speed_that_is_least_is_enough() -> None:
    assert aside(straight(), edge(), speed=ASIDE.min_speed, settings=replace(
        ASIDE, min_offset=0.01
    ))
    assert aside(straight(), edge(), speed=ASIDE.min_speed - 1e-9) is None


def test_an_edge_as_far_as_is_most_is_near_enough() -> None:
    assert aside(straight(), edge(), settings=replace(ASIDE, max_edge_distance=3.0))
    near = replace(ASIDE, max_edge_distance=2.999)
    assert aside(straight(), edge(), settings=near) is None


def test_the_edge_has_to_reach_to_the_end_of_the_stop_and_a_car_beyond() -> None:
    reach = LENGTH + VEHICLE.length + 2.0
    last = straight().arc[straight().arc <= reach][-1]
    assert aside(straight(), edge(last=float(last) + 0.01))
    assert aside(straight(), edge(last=float(last) - 0.01)) is None
    assert aside(straight(), edge(first=0.0))
    assert aside(straight(), edge(first=0.01)) is None


def test_the_first_edge_of_use_counts() -> None:
    near, far = edge(-2.8), edge(-4.0)
    lane = edge(-2.0, kind=LaneLineKind.LANE_RIGHT)
    path = sure(aside(straight(), lane, edge(-2.5, probability=0.49), near, far))
    assert path.y[-1] == pytest.approx(-2.8 + 0.5 * VEHICLE.width + ASIDE.edge_margin)
    assert aside(straight(), *(lane,) * 8, near) is None
    assert aside(straight(), *(lane,) * 7, near)


def test_no_more_points_of_an_edge_than_are_read() -> None:
    x = np.linspace(-5.0, 250.0, 257, dtype=np.float32)
    y = np.where(np.arange(257) < 256, -3.0, np.nan).astype("f4")
    jumping = LaneLine(LaneLineKind.ROAD_EDGE_RIGHT, 0.9, x, y)
    assert sure(aside(straight(), jumping)).y[-1] == pytest.approx(ROOM)


def test_the_edge_is_taken_to_where_the_car_is_now() -> None:
    change = PoseChange(10.0, -0.5, 0.02)
    path = sure(aside(straight(), edge(-3.4, first=-40.0, last=200.0), change=change))
    # Seen from here the edge runs away to the right: nearest where the stop begins.
    beside = (3.4 - 0.5) / math.cos(0.02)
    assert path.y[-1] == pytest.approx(
        -(beside - 0.5 * VEHICLE.width - ASIDE.edge_margin), abs=2e-3
    )


# -- the path and the braking of the stop under way --------------------------------------------


MOVING = replace(STATE, speed=10.0, standstill=False)


def begun(yaw_rate: float = 0.0) -> tuple[Fallback, EgoMotion]:
    motion = EgoMotion()
    for k in range(50):
        motion.add(replace(MOVING, stamp_ns=START + k * STEP, yaw_rate=yaw_rate))
    return Fallback(VEHICLE, motion), motion


def test_the_path_moves_and_turns_with_the_car() -> None:
    stop, motion = begun(0.3)
    trajectory = constant(10.0, 0.0, 0.01)
    now_ns = START + 20 * STEP
    stop.follow(plan_of((trajectory,), START), trajectory, replace(MOVING, stamp_ns=now_ns))
    change = motion.change(START, now_ns)
    assert change is not None
    assert change.dyaw == pytest.approx(0.12)
    path, whole = stop.path, path_of(trajectory, START)
    assert path is not None
    assert path.heading == pytest.approx(whole.heading - change.dyaw)
    x, y = change.to_second(whole.x, whole.y)
    assert path.x == pytest.approx(x)
    assert path.y == pytest.approx(y)
    assert path.stamp_ns == stop.stamp_ns == now_ns


def test_at_the_instant_of_the_plan_its_path_is_kept_as_it_is() -> None:
    stop, _ = begun()
    trajectory = constant(10.0, 0.0, 0.01)
    stop.follow(plan_of((trajectory,), START), trajectory, MOVING)
    path = stop.path
    stop.follow(None, None, MOVING)
    assert stop.path is path
    assert path is not None
    assert path.curvature[5] == pytest.approx(0.01)


@pytest.mark.parametrize("missing", ["plan", "trajectory"])
def test_without_plan_or_trajectory_the_wheels_lead(missing: str) -> None:
    stop, _ = begun()
    trajectory = constant(10.0, 0.0, 0.01)
    plan = plan_of((trajectory,), START)
    turned = replace(MOVING, steering_angle=0.1)
    stop.follow(
        None if missing == "plan" else plan, None if missing == "trajectory" else trajectory,
        turned,
    )
    assert stop.path is not None
    assert stop.path.curvature == pytest.approx(path_of_wheels(turned, VEHICLE).curvature)
    assert stop.stamp_ns == START


def test_where_the_clock_ran_back_braking_goes_on_from_what_it_had_reached() -> None:
    stop, _ = begun()
    trajectory = constant(10.0)
    later = replace(MOVING, stamp_ns=START + nanoseconds(0.2))
    braking = stop.brake(MOVING, START)
    stop.follow(plan_of((trajectory,), START), trajectory, later)
    reached = braking.at(later.stamp_ns)
    assert -2.0 < reached < 0.0
    stop.rebase(START - nanoseconds(5.0))
    assert stop.braking == Braking(
        START - nanoseconds(5.0), reached, VEHICLE.comfort_deceleration, VEHICLE.max_jerk
    )
    assert stop.path is None


def test_another_path_takes_the_place_of_the_one_before_and_release_drops_both() -> None:
    stop, _ = begun()
    path = path_of(constant(5.0), 77)
    stop.turn_to(path)
    assert stop.path is path
    assert stop.stamp_ns == 77
    stop.brake_fully(MOVING, START)
    stop.release()
    assert stop.path is None
    assert stop.braking is None


def test_braking_begins_at_what_is_measured() -> None:
    state = replace(MOVING, acceleration=-1.5)
    soft, _ = begun()
    assert soft.brake(state, 9) == comfortable(VEHICLE, -1.5, 9)
    hard, _ = begun()
    braking = hard.brake_fully(state, 9)
    assert (braking.since_ns, braking.acceleration) == (9, -1.5)
    assert braking.deceleration == VEHICLE.emergency_deceleration
    assert soft.brake_fully(state, START).acceleration == -2.0


def test_what_cannot_be_done_says_so_plainly() -> None:
    stop, _ = begun()
    with pytest.raises(RuntimeError) as refused:
        stop.trajectory(comfortable(VEHICLE, 0.0, 0), 5.0)
    assert str(refused.value) == "no path to stop along"


# -- braking -----------------------------------------------------------------------------------


def test_what_has_come_to_rest_stays_at_rest() -> None:
    distance, speeds = profile(Braking(0, 2.0, 2.0, 4.0), -0.2, 0)
    assert not speeds.any()
    assert not distance.any()


def test_what_just_begins_to_roll_is_braked_from_there() -> None:
    """1 m/s^2 that fall by 5 m/s^3, summed up every 25 ms."""
    distance, speeds = profile(Braking(START, 1.0, 2.0, 5.0), 0.0, START)
    steps = np.cumsum([(1.0 - 5.0 * (k + 0.5) * 0.025) * 0.025 for k in range(4)])
    assert speeds[0] == pytest.approx(steps[-1])
    assert distance[0] == pytest.approx(0.025 * (steps.sum() - 0.5 * steps[-1]))


def test_at_its_deceleration_a_stop_keeps_it() -> None:
    braking = Braking(0, -2.0, 2.0, 4.0)
    assert braking.at(nanoseconds(0.3)) == -2.0
    _, speeds = profile(braking, 9.0, 0)
    assert speeds[:4] == pytest.approx([8.8, 8.6, 8.4, 8.2], abs=1e-6)


def test_the_nearest_point_is_that_by_distance() -> None:
    """Not by one coordinate: the path comes back beside the car."""
    bend = np.full(POINTS, 1.0 / 8.0)
    path = path_of(integrate(8.0, np.zeros(POINTS), bend), 0)
    for angle in (0.5, 1.5, 2.5, 4.0):
        x, y = 8.0 * math.sin(angle), 8.0 - 8.0 * math.cos(angle)
        at = path.moved(PoseChange(x * 1.05, 8.0 + (y - 8.0) * 1.05, 0.3), 0)
        assert abreast(at) == pytest.approx(8.0 * angle, abs=0.1)
