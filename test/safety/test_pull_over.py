"""A stop at the edge of the road: only where the edge is known, near and free, and drivable."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from drive import SETTINGS, VEHICLE, World, car, constant, signed_plan
from hypothesis import given
from hypothesis import strategies as st

from vla_driving.contract.motion import PoseChange
from vla_driving.contract.plan import Plan
from vla_driving.contract.scene import LaneLine, LaneLineKind, SceneObject
from vla_driving.contract.supervision import Engagement, Manoeuvre
from vla_driving.contract.trajectory import HORIZON_S
from vla_driving.safety.braking import comfortable
from vla_driving.safety.manoeuvres import StopPath, path_of, stop
from vla_driving.safety.pull_over import shifted

pytestmark = pytest.mark.requirement("SR-16")

ASIDE = SETTINGS.pull_over
HERE = PoseChange(0.0, 0.0, 0.0)
BRAKING = comfortable(VEHICLE, 0.0, 0)


def edge(
    y: float = -4.0, last: float = 120.0, kind: LaneLineKind = LaneLineKind.ROAD_EDGE_RIGHT,
    first: float = -5.0, probability: float = 0.9,
) -> LaneLine:
    x = np.linspace(first, last, 60, dtype=np.float32)
    return LaneLine(kind, probability, x, np.full(60, y, np.float32))


def aside(
    *lines: LaneLine, speed: float = 12.0, change: PoseChange = HERE, curvature: float = 0.0,
    **settings: Any,
) -> StopPath | None:
    path = path_of(constant(max(speed, 5.0), 0.0, curvature), 0)
    return shifted(
        path, lines, change, BRAKING, speed, VEHICLE, replace(ASIDE, **settings), 0.5
    )


def test_the_stop_ends_beside_the_edge() -> None:
    path = aside(edge(-2.4))
    assert path is not None
    # The right side of the car keeps its margin from the edge.
    assert path.y[-1] == pytest.approx(-(2.4 - 0.5 * VEHICLE.width - ASIDE.edge_margin))
    assert path.heading[-1] == pytest.approx(0.0, abs=1e-6)
    assert (np.diff(path.arc) > 0.0).all()
    trajectory = stop(path, BRAKING, 12.0)
    assert trajectory.speed[-1] == 0.0
    assert trajectory.y[-1] == pytest.approx(path.y[-1], abs=0.01)


def test_traffic_on_the_left_pulls_over_to_the_left() -> None:
    path = aside(edge(2.4, kind=LaneLineKind.ROAD_EDGE_LEFT), side="left")
    assert path is not None
    assert path.y[-1] == pytest.approx(2.4 - 0.5 * VEHICLE.width - ASIDE.edge_margin)
    assert aside(edge(2.4, kind=LaneLineKind.ROAD_EDGE_LEFT)) is None


@pytest.mark.parametrize(
    ("lines", "speed"),
    [
        ((), 12.0),
        ((edge(kind=LaneLineKind.LANE_RIGHT),), 12.0),
        ((edge(kind=LaneLineKind.ROAD_EDGE_LEFT),), 12.0),
        ((edge(probability=0.4),), 12.0),
        ((edge(last=30.0),), 12.0),
        ((edge(first=3.0),), 12.0),
        ((edge(-4.5),), 12.0),
        ((edge(-1.5),), 12.0),
        ((edge(4.0),), 12.0),
        ((edge(-2.4),), 2.9),
        ((edge(-2.4),), 0.0),
    ],
    ids=[
        "nothing known", "no edge", "the other edge", "unlikely", "too short", "begins ahead",
        "a lane between", "no room", "on the wrong side", "slow", "standing",
    ],
)
def test_otherwise_the_car_stays_in_its_lane(lines: tuple[LaneLine, ...], speed: float) -> None:
    assert aside(*lines, speed=speed) is None


def test_an_edge_that_comes_nearer_bounds_the_shift() -> None:
    x = np.linspace(-5.0, 120.0, 60, dtype=np.float32)
    narrowing = LaneLine(
        LaneLineKind.ROAD_EDGE_RIGHT, 0.9, x, np.interp(x, [20, 35], [-3.0, -2.0]).astype("f4")
    )
    path = aside(narrowing)
    assert path is not None
    assert path.y[-1] == pytest.approx(-(2.0 - 0.5 * VEHICLE.width - ASIDE.edge_margin), abs=0.01)


def test_lines_are_taken_where_they_were_seen() -> None:
    """Seen 10 m further back, from a car that stood 1 m further left."""
    path = aside(edge(-3.4), change=PoseChange(10.0, -1.0, 0.0))
    assert path is not None
    assert path.y[-1] == pytest.approx(-(2.4 - 0.5 * VEHICLE.width - ASIDE.edge_margin))


def test_a_bend_that_takes_all_of_the_limits_leaves_none_for_a_shift() -> None:
    bend = VEHICLE.max_lateral_acceleration / 12.0**2
    radius, angles = 1.0 / bend, np.linspace(-0.1, 1.5, 60)
    r = radius + 2.4
    bent = LaneLine(
        LaneLineKind.ROAD_EDGE_RIGHT, 0.9, (r * np.sin(angles)).astype("f4"),
        (radius - r * np.cos(angles)).astype("f4"),
    )
    assert aside(bent, curvature=bend) is None
    assert aside(bent, curvature=bend, speed=9.0) is not None


def test_in_a_bend_the_edge_bends_too() -> None:
    radius, angles = 100.0, np.linspace(-0.05, 1.2, 60)
    r = radius + 2.4
    bent = LaneLine(
        LaneLineKind.ROAD_EDGE_RIGHT, 0.9, (r * np.sin(angles)).astype("f4"),
        (radius - r * np.cos(angles)).astype("f4"),
    )
    path = aside(bent, curvature=1.0 / radius)
    assert path is not None
    at = np.searchsorted(path.arc, 40.0)
    outside = np.hypot(path.x[at], path.y[at] - radius) - radius
    assert outside == pytest.approx(2.4 - 0.5 * VEHICLE.width - ASIDE.edge_margin, abs=0.05)


def test_no_shift_where_the_car_still_rolls_when_nothing_is_foreseen_any_more() -> None:
    """At 2 m/s^2, built up within 0.4 s, 12 m/s are 6.4 s."""
    assert BRAKING.longest_s(12.0) == HORIZON_S
    assert aside(edge(-2.4), speed=12.0) is not None
    assert aside(edge(-2.4), speed=12.001) is None
    assert aside(edge(-2.4, last=400.0), speed=20.0) is None


@given(st.floats(3.0, 30.0), st.floats(-9.0, 3.0))
def test_where_there_is_a_shift_the_car_stands_at_the_end_of_its_trajectory(
    speed: float, acceleration: float
) -> None:
    braking = comfortable(VEHICLE, acceleration, 0)
    path = shifted(
        path_of(constant(speed), 0), (edge(-2.4, last=400.0),), HERE, braking, speed, VEHICLE,
        ASIDE, 0.5,
    )
    assert path is None or stop(path, braking, speed).speed[-1] == 0.0


@given(st.floats(3.0, 12.0), st.floats(1.7, 4.4))
def test_the_shift_stays_within_its_share_of_the_lateral_limits(speed: float, off: float) -> None:
    path = aside(edge(-off, last=400.0), speed=speed, min_offset=0.1)
    if path is None:
        return
    trajectory = stop(path, BRAKING, speed)
    lateral = trajectory.speed.astype(float) ** 2 * trajectory.curvature
    assert np.abs(lateral).max() <= ASIDE.lateral_share * VEHICLE.max_lateral_acceleration + 0.01
    jerk = (lateral[5:] - lateral[:-5]) / 0.5
    assert np.abs(jerk).max() <= ASIDE.lateral_share * VEHICLE.max_lateral_jerk + 0.01
    assert (-path.y).max() <= off - 0.5 * VEHICLE.width - ASIDE.edge_margin + 1e-6


# -- in the whole monitor ------------------------------------------------------------------------


def drive_to_a_stop(*objects: SceneObject, known: bool = True) -> World:
    """Drive beside an edge, then lose the model."""

    def with_edge(plan: Plan, world: World) -> Plan:
        if not known:
            return plan
        return signed_plan(plan, lane_lines=(edge(-2.4 - world.y),))

    world = World(speed=10.0, on_plan=with_edge).engage().run(1.2)
    start = world.x
    world.objects = lambda world: tuple(
        world.ahead(start + item.x, item.y) for item in objects
    )
    world.run(0.3)
    world.on_plan = lambda plan, world: None
    return world.run(12.0)


def manoeuvres(world: World) -> list[Manoeuvre]:
    seen = [o.safety_state.manoeuvre for o in world.outputs if o.safety_state is not None]
    return [m for k, m in enumerate(seen) if k == 0 or seen[k - 1] != m]


def test_without_the_model_the_car_stops_at_a_free_edge() -> None:
    world = drive_to_a_stop()
    assert manoeuvres(world) == [Manoeuvre.NONE, Manoeuvre.PULL_OVER, Manoeuvre.HOLD]
    assert world.safety is not None and world.safety.engagement == Engagement.STOPPED
    assert world.y == pytest.approx(-(2.4 - 0.5 * VEHICLE.width - ASIDE.edge_margin), abs=0.1)
    assert world.yaw == pytest.approx(0.0, abs=0.03)
    assert world.lowest_acceleration >= -VEHICLE.comfort_deceleration - 0.01
    assert world.approved is not None and world.approved.hazard_lights


def test_without_an_edge_it_stops_in_its_lane() -> None:
    world = drive_to_a_stop(known=False)
    assert manoeuvres(world) == [Manoeuvre.NONE, Manoeuvre.COMFORTABLE_STOP, Manoeuvre.HOLD]
    assert world.y == pytest.approx(0.0, abs=0.01)


def test_what_stands_at_the_edge_keeps_the_car_in_its_lane() -> None:
    parked = replace(car(32.0, -2.5), width=1.0)
    world = drive_to_a_stop(parked)
    assert Manoeuvre.PULL_OVER not in manoeuvres(world)
    assert world.y == pytest.approx(0.0, abs=0.01)


def test_without_the_sensor_the_edge_is_not_known_to_be_free() -> None:
    short = replace(SETTINGS, pull_over=replace(SETTINGS.pull_over, max_age=0.4))
    world = World(
        settings=short, speed=10.0,
        on_plan=lambda plan, world: signed_plan(plan, lane_lines=(edge(-2.4 - world.y),)),
    ).engage().run(1.2)
    world.on_inputs = lambda inputs, world: replace(inputs, objects=())
    world.run(9.0)
    assert manoeuvres(world) == [Manoeuvre.NONE, Manoeuvre.COMFORTABLE_STOP, Manoeuvre.HOLD]
    assert world.y == pytest.approx(0.0, abs=0.01)


def test_a_source_that_never_spoke_vouches_for_nothing() -> None:
    alone = replace(SETTINGS, inputs=replace(SETTINGS.inputs, objects_required=False))
    world = World(
        settings=alone, speed=10.0,
        on_plan=lambda plan, world: signed_plan(plan, lane_lines=(edge(-2.4 - world.y),)),
    )
    world.on_inputs = lambda inputs, world: replace(inputs, objects=())
    world.engage().run(1.2)
    world.on_plan = lambda plan, world: None
    world.run(9.0)
    assert manoeuvres(world) == [Manoeuvre.NONE, Manoeuvre.COMFORTABLE_STOP, Manoeuvre.HOLD]


def test_what_comes_into_the_way_at_the_edge_is_met_with_full_braking() -> None:
    world = World(
        speed=10.0,
        on_plan=lambda plan, world: signed_plan(plan, lane_lines=(edge(-2.4 - world.y),)),
    ).engage().run(1.2)
    world.on_plan = lambda plan, world: None
    world.run(1.2)
    place = world.x + 18.0
    world.objects = lambda world: (world.ahead(place, -1.2),)
    world.run(6.0)
    order = manoeuvres(world)
    assert order == [
        Manoeuvre.NONE, Manoeuvre.PULL_OVER, Manoeuvre.EMERGENCY_STOP, Manoeuvre.HOLD
    ]
    assert world.x + VEHICLE.wheelbase + VEHICLE.front_overhang < place - 2.25
    assert world.safety is not None and "ends the planned stop" in world.safety.alert_text
