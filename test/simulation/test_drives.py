"""Whole drives: things on the road, MetaDrive's own drivers, the same again."""

import gc
import math

import numpy as np
import pytest
from sim_setup import CAMERA, VEHICLE, command, needs_metadrive, open_renderer, world

from vla_driving.contract.scene import ObjectClass
from vla_driving.contract.vehicle import ControlCommand
from vla_driving.simulation.metadrive import SimulatorError
from vla_driving.simulation.scenario import PlacedObject
from vla_driving.simulation.teacher import DECISION_S, SteeringBursts, expert_driver, idm_driver

pytestmark = needs_metadrive


class TestThings:
    def test_a_stopped_car_is_where_it_was_put_and_can_be_hit_once(self) -> None:
        things = (PlacedObject("car", 40.0, lateral=0.5),)
        with world(objects=things, start_speed=10.0) as made:
            item = made.truth().objects[0]
            assert item.classification == ObjectClass.CAR
            assert (item.x, item.y) == (pytest.approx(40.0, abs=0.1), pytest.approx(0.5, abs=0.05))
            assert made.radar()[0].x == pytest.approx(item.x, abs=1.0)
            for _ in range(60):
                made.drive(0.0, 0.0, 0.1)
                if made.truth().collisions:
                    break
            gap = made.truth().objects[0].x - 2.2 - VEHICLE.wheelbase - VEHICLE.front_overhang
            assert gap == pytest.approx(0.0, abs=1.5)
            made.drive(0.0, -5.0, 1.0)
            assert made.truth().collisions == 1

    def test_a_pedestrian_crosses_in_front_of_the_car(self) -> None:
        things = (
            PlacedObject("pedestrian", 30.0, -6.0, crossing_speed=1.5, trigger_distance=50.0),
        )
        with world(objects=things) as made:
            made.drive(0.0, -1.0, 2.0)
            item = made.truth().objects[0]
            assert item.classification == ObjectClass.PEDESTRIAN
            assert item.y == pytest.approx(-3.0, abs=0.1)
            assert item.velocity_y == pytest.approx(1.5, abs=0.01)

    def test_what_lies_beyond_the_route_is_refused_by_name(self) -> None:
        with pytest.raises(SimulatorError, match=r"objects\[0\]: distance: 9000"):
            world(objects=(PlacedObject("cone", 9000.0),))
        world().close()


class TestDriving:
    @pytest.mark.parametrize(("map_", "driver"), [("CS", idm_driver), ("X", expert_driver)])
    def test_metadrives_own_drivers_finish(self, map_: str, driver: object) -> None:
        assert callable(driver)
        with world(map=map_, seed=4, speed_limit=8.0) as made:
            decide = driver(made)
            worst = 0.0
            while not made.truth().arrived and made.time_s < 60.0:
                made.act(*decide(), dt_s=DECISION_S)
                worst = max(worst, abs(made.truth().lane_offset))
            truth = made.truth()
            assert truth.arrived and truth.collisions == 0 and not truth.off_road
            assert truth.route_completion == 1.0
            assert worst < 1.8

    def test_pushes_stay_small_and_come_and_go(self) -> None:
        bursts = SteeringBursts(3, strongest=0.05)
        angles = np.array([bursts.step(0.02 * k) for k in range(3000)])
        assert 0.01 < np.abs(angles).max() <= 0.05
        assert 0.02 < (angles != 0.0).mean() < 0.5


def test_the_same_scenario_and_commands_give_the_same_drive_and_frames() -> None:
    renderer = open_renderer()

    def drive() -> list[object]:
        seen: list[object] = []
        things = (PlacedObject("pedestrian", 40.0, -6.0, crossing_speed=1.2),)
        with world(renderer, map="SC", traffic_density=0.15, objects=things) as made:
            for k in range(100):
                order: ControlCommand = command(
                    k, acceleration=1.5, steering_angle=0.02 * math.sin(0.1 * k)
                )
                made.step(order, 0.04)
                seen.append((made.vehicle_state(k), tuple(made.bodies()), made.radar()))
                if k % 20 == 0:
                    seen.append(made.render().tobytes())
        return seen

    first = drive()
    world(map="T", seed=9, traffic_density=0.1).close()  # what was driven between must not matter
    assert drive() == first
    renderer.close()


def test_other_cars_are_seen_where_the_truth_has_them() -> None:
    eye = open_renderer()
    found = 0
    with world(eye, map="SSS", traffic_density=0.3, seed=3) as made:
        made.place(ahead=40.0, speed=0.0)
        base, actors = made.view()
        with_all = eye.render(base, actors).astype(int)
        for body in made.bodies():
            seen = body.seen_from(made.ego.motion)
            without = eye.render(base, [a for a in actors if a.key != body.key])
            rows, columns = np.nonzero(np.abs(with_all - without).max(2) > 40)
            if not 5.0 < seen.x < 60.0 or len(rows) < 20:
                continue
            centre, size = [seen.x, seen.y, 0.4 * seen.height], [seen.length, seen.width, 0.0]
            (u, v), (edge, _) = CAMERA.project([centre, np.add(centre, np.multiply(size, 0.5))])[0]
            if 10 < u < CAMERA.width - 10:
                assert columns.mean() == pytest.approx(u, abs=2.0 + abs(edge - u))
                assert rows.mean() == pytest.approx(v, abs=2.0 + abs(edge - u))
                found += 1
    eye.close()
    assert found >= 2


def test_traffic_moves_at_the_wished_speed() -> None:
    with world(map="SSSS", traffic_density=0.1, traffic_speed=6.0) as made:
        made.place(ahead=60.0, speed=0.0)  # past the road that sets the first cars going
        made.drive(0.0, -1.0, 12.0)
        speeds = [math.hypot(b.velocity_x, b.velocity_y) for b in made.bodies()]
        going = [s for s in speeds if s > 1.0]
        assert len(going) >= 2 and max(going) < 7.0 and np.median(going) > 4.0


def test_closed_worlds_leave_nothing_behind() -> None:
    def lanes() -> int:
        gc.collect()
        return sum(type(o).__name__ == "BaseRigidBodyNode" for o in gc.get_objects())

    world(map="SC").close()
    before = lanes()
    for seed in range(2):
        world(map="SX", seed=seed, traffic_density=0.1).close()
    assert lanes() == before


def test_a_closed_world_says_so() -> None:
    made = world()
    made.close()
    made.close()
    with pytest.raises(SimulatorError, match="closed"):
        made.drive(0.0, 0.0)
