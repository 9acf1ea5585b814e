"""The actuator map against the car it was fitted to."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from sim_setup import ACTUATORS, VEHICLE, needs_metadrive

from vla_driving.simulation.actuators import ActuatorTables, LinearMap, load_actuators
from vla_driving.simulation.calibrate import Bench, held_out_errors, response_times, write_tables

pytestmark = needs_metadrive


@pytest.fixture(scope="module")
def bench() -> Iterator[Bench]:
    made = Bench()
    yield made
    made.close()


def test_the_shipped_map_is_better_than_the_plain_one_on_new_manoeuvres(bench: Bench) -> None:
    full = bench.steady_acceleration(10.0, 1.0)
    hard = -bench.steady_acceleration(10.0, -1.0)
    plain = LinearMap(bench.ego.largest_angle, full, hard)
    errors, linear = (
        held_out_errors(bench, VEHICLE, table.steering, table.throttle, drives=3, seed=5)
        for table in (ACTUATORS, plain)
    )
    assert errors.acceleration[0] < 0.06 and errors.acceleration[1] < 0.4
    assert errors.curvature[0] < 0.0006 and errors.curvature[1] < 0.005
    assert errors.acceleration[1] < 0.3 * linear.acceleration[1]
    assert errors.curvature[0] < 0.7 * linear.curvature[0]


def test_the_vehicle_file_tells_the_delays_that_are_measured(bench: Bench) -> None:
    turn, brake = response_times(bench, ACTUATORS)
    assert turn == pytest.approx(VEHICLE.steering_delay, abs=0.03)
    assert brake == pytest.approx(VEHICLE.acceleration_delay, abs=0.03)


def test_what_is_written_can_be_read(tmp_path: Path) -> None:
    tables = ActuatorTables(
        speeds=(0.0, 10.0), angles=(0.0, 0.5), steering=((0.0, 0.9), (0.0, 1.0)),
        accelerations=(-5.0, 2.0), throttle=((-0.5, 0.6), (-0.4, 1.0)),
    )
    write_tables(tables, tmp_path / "map.yaml")
    assert load_actuators(tmp_path / "map.yaml").steering(10.0, -0.5) == -1.0
