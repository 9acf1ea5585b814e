"""The simulated car on a straight road: actuators, reports and truth."""

import itertools
import math
from collections.abc import Iterator

import numpy as np
import pytest
from sim_setup import VEHICLE, command, needs_metadrive, world

from vla_driving.contract.checksum import vehicle_state_checksum
from vla_driving.contract.clock import SECOND
from vla_driving.contract.navigation import Turn
from vla_driving.contract.scene import LaneLineKind
from vla_driving.simulation.drive_by_wire import COMMAND_TIMEOUT, DriverInputs
from vla_driving.simulation.metadrive import PHYSICS_STEP_S, SimulatorError
from vla_driving.simulation.world import World

pytestmark = needs_metadrive


@pytest.fixture(scope="module")
def straight() -> Iterator[World]:
    """One world for all tests that put the car where they want it."""
    with world(map="SSSS") as made:
        yield made


NUMBERS = itertools.count()
"""Of the commands: the gateway refuses one that does not follow the one before."""


def obey(made: World, seconds: float, **values: object) -> None:
    """Fresh commands at 50 Hz."""
    for _ in range(round(seconds / PHYSICS_STEP_S)):
        made.step(command(next(NUMBERS), **values))


class TestActuators:
    @pytest.mark.parametrize("acceleration", [-3.0, -1.0, 0.0, 1.5])
    def test_acceleration_is_what_was_asked_for(self, straight: World, acceleration: float) -> None:
        straight.place(speed=10.0)
        obey(straight, 0.2, acceleration=acceleration)
        before = straight.ego.motion.speed
        obey(straight, 1.0, acceleration=acceleration)
        assert straight.ego.motion.speed - before == pytest.approx(acceleration, abs=0.1)
        assert straight.vehicle_state(0).acceleration == pytest.approx(acceleration, abs=0.15)

    @pytest.mark.parametrize("angle", [-0.04, 0.02])
    def test_curvature_is_that_of_the_road_wheel_angle(self, straight: World, angle: float) -> None:
        straight.place(speed=8.0)
        obey(straight, 1.0, steering_angle=angle)
        state = straight.vehicle_state(0)
        assert state.steering_angle == pytest.approx(angle)
        assert state.yaw_rate / state.speed == pytest.approx(
            math.tan(angle) / VEHICLE.wheelbase, rel=0.03
        )
        assert state.lateral_acceleration == pytest.approx(state.yaw_rate * state.speed, rel=0.1)
        assert state.wheel_speed == pytest.approx(state.speed, rel=0.02)

    def test_the_newest_command_works_at_the_next_step(self, straight: World) -> None:
        straight.place(speed=10.0)
        straight.step(command(next(NUMBERS), steering_angle=0.1, acceleration=-2.0))
        assert straight.vehicle_state(0).steering_angle == pytest.approx(
            VEHICLE.max_steering_rate * PHYSICS_STEP_S
        )
        speed = straight.ego.motion.speed
        straight.step(command(next(NUMBERS), acceleration=-2.0))
        assert straight.ego.motion.speed < speed - 0.02

    def test_braking_ends_in_standing_not_in_reversing(self, straight: World) -> None:
        straight.place(speed=6.0)
        slowest = math.inf
        for _ in range(200):
            straight.step(command(next(NUMBERS), acceleration=-4.0))
            slowest = min(slowest, straight.ego.motion.speed)
        assert slowest > -0.02
        assert straight.vehicle_state(0).standstill
        place = straight.truth().x, straight.truth().y
        obey(straight, 3.0, acceleration=-1.0, hold=True)
        assert straight.truth().x == pytest.approx(place[0], abs=0.005)
        assert straight.truth().y == pytest.approx(place[1], abs=0.005)

    def test_silence_brings_it_to_a_stop_with_hazard_lights(self, straight: World) -> None:
        straight.place(speed=8.0)
        straight.step(command(next(NUMBERS)))
        for _ in range(150):
            straight.step(None)
        state = straight.vehicle_state(0)
        assert state.faults == (COMMAND_TIMEOUT,)
        assert state.hazard_lights and state.standstill
        straight.step(command(next(NUMBERS), engaged=False))
        assert straight.vehicle_state(0).faults == ()

    def test_driver_inputs_show_in_the_state(self, straight: World) -> None:
        straight.place(speed=8.0)
        driver = DriverInputs(engage_button=True, cancel_button=True, steering_angle=0.1, brake=2.0)
        straight.step(command(next(NUMBERS)), driver=driver)
        state = straight.vehicle_state(5)
        assert state.engage_button and state.cancel_button
        assert state.steering_override and state.brake_override and not state.accelerator_override
        assert state.stamp_ns == 5 and state.checksum == vehicle_state_checksum(state)

    def test_time_left_over_is_carried_on(self, straight: World) -> None:
        before = straight.time_s
        for _ in range(4):
            straight.step(None, dt_s=0.025)
        assert straight.time_s - before == pytest.approx(0.1)


class TestTruth:
    def test_left_is_positive(self, straight: World) -> None:
        straight.place(left=0.8, heading=0.1, speed=5.0)
        truth = straight.truth()
        assert truth.lane_offset == pytest.approx(0.8, abs=0.01)
        assert truth.heading_error == pytest.approx(0.1, abs=0.01)
        near = int(np.argmin(np.abs(truth.path_s)))
        assert truth.path_y[near] == pytest.approx(-0.8, abs=0.05)
        assert truth.path_heading[near] == pytest.approx(-0.1, abs=0.01)

    def test_lines_lie_half_a_lane_beside_the_car(self, straight: World) -> None:
        straight.place(left=0.3, speed=0.0)
        lines = {line.kind: line for line in straight.truth().lane_lines}
        at = {kind: float(np.interp(5.0, line.x, line.y)) for kind, line in lines.items()}
        assert at[LaneLineKind.LANE_LEFT] == pytest.approx(1.75 - 0.3, abs=0.02)
        assert at[LaneLineKind.LANE_RIGHT] == pytest.approx(-1.75 - 0.3, abs=0.02)
        assert at[LaneLineKind.ROAD_EDGE_LEFT] == pytest.approx(5.25 - 0.3, abs=0.02)
        assert at[LaneLineKind.ROAD_EDGE_RIGHT] == pytest.approx(-5.25 - 0.3, abs=0.02)

    def test_another_lane_can_be_taken(self, straight: World) -> None:
        straight.place(lane=2, speed=5.0)
        assert straight.truth().lane == 2
        assert straight.truth().lane_offset == pytest.approx(0.0, abs=0.01)
        straight.place(lane=1)
        assert straight.truth().lane == 1

    @pytest.mark.parametrize(("left", "off"), [(0.0, False), (-4.0, False), (-4.8, True)])
    def test_off_the_road_is_a_side_beyond_its_edge(
        self, straight: World, left: float, off: bool
    ) -> None:
        straight.place(lane=1, speed=0.0)
        straight.place(left=left, speed=0.0)
        assert straight.truth().off_road is off
        straight.place(lane=1, speed=0.0)

    def test_the_route_is_coarse_and_leads_ahead(self, straight: World) -> None:
        straight.place(lane=1, speed=5.0)
        route = straight.route(7 * SECOND)
        assert route.stamp_ns == 7 * SECOND and len(route.x) == len(route.y) <= 16
        assert (np.diff(route.x) > 5.0).all() and np.abs(route.y).max() < 8.0
        assert route.next_turn == Turn.ARRIVE
        assert route.distance_to_goal == pytest.approx(straight.truth().distance_to_goal)

    def test_distance_and_completion_grow(self, straight: World) -> None:
        before = straight.truth()
        straight.place(speed=10.0)
        straight.drive(0.0, 0.0, 1.0)
        after = straight.truth()
        assert after.distance - before.distance == pytest.approx(10.0, abs=0.2)
        assert after.route_completion > before.route_completion
        assert after.station - before.station == pytest.approx(10.0, abs=0.5)


def test_one_world_at_a_time(straight: World) -> None:
    with pytest.raises(SimulatorError, match="one world a process"):
        world()
    straight.drive(0.0, 0.0)
