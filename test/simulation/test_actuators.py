"""The actuator map between its measured points, and broken files of it."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sim_setup import ACTUATORS

from vla_driving.contract.settings import SettingsError
from vla_driving.simulation.actuators import ActuatorMap, ActuatorTables, load_actuators

TABLES = ActuatorTables(
    speeds=(0.0, 10.0), angles=(0.0, 0.1, 0.5), steering=((0.0, 0.2, 0.9), (0.0, 0.3, 1.0)),
    accelerations=(-5.0, 0.0, 2.0), throttle=((-0.5, 0.0, 0.6), (-0.4, 0.0, 1.0)),
)
speeds = st.floats(-1.0, 30.0)


def test_measured_points_come_back() -> None:
    table = ActuatorMap(TABLES)
    for row, speed in enumerate(TABLES.speeds):
        for column, angle in enumerate(TABLES.angles):
            assert table.steering(speed, angle) == pytest.approx(TABLES.steering[row][column])
        for column, a in enumerate(TABLES.accelerations):
            assert table.throttle(speed, a) == pytest.approx(TABLES.throttle[row][column])


def test_between_them_it_is_straight() -> None:
    assert ActuatorMap(TABLES).steering(5.0, 0.3) == pytest.approx((0.2 + 0.9 + 0.3 + 1.0) / 4)


@given(speeds, st.floats(-1.0, 1.0), st.floats(-1.0, 1.0))
def test_more_angle_never_turns_less(speed: float, a: float, b: float) -> None:
    low, high = sorted((a, b))
    assert ACTUATORS.steering(speed, low) <= ACTUATORS.steering(speed, high)
    assert ACTUATORS.steering(speed, -low) == -ACTUATORS.steering(speed, low)


@given(speeds, st.floats(-12.0, 5.0), st.floats(-12.0, 5.0))
def test_more_acceleration_never_pushes_less(speed: float, a: float, b: float) -> None:
    low, high = sorted((a, b))
    assert -1.0 <= ACTUATORS.throttle(speed, low) <= ACTUATORS.throttle(speed, high) <= 1.0


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"speeds": (10.0, 0.0)}, "speeds"),
        ({"steering": ((0.0, 0.2), (0.0, 0.3))}, "steering: needs 2 rows of 3"),
        ({"throttle": ((-0.5, 0.0, 0.6), (-0.4, 0.0, 1.7))}, "throttle: 1.7"),
    ],
)
def test_tables_that_cannot_be_are_refused(change: dict[str, object], words: str) -> None:
    with pytest.raises(SettingsError, match=words):
        ActuatorMap(replace(TABLES, **change))  # type: ignore[arg-type]


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=r"nowhere\.yaml: no such file"):
        load_actuators(tmp_path / "nowhere.yaml")


def test_coasting_is_neither_brake_nor_gas() -> None:
    # MetaDrive drags its brakes at a throttle of exactly 0.
    assert 0.0 < ACTUATORS.throttle(10.0, 0.0) < 0.001
    assert np.isclose(ACTUATORS.throttle(10.0, 0.0), 0.0, atol=1e-3)
