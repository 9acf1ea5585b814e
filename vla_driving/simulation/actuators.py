"""From road-wheel angle and acceleration to MetaDrive's steering and throttle: a measured map.

The map is fitted by `python -m vla_driving.simulation.calibrate` and kept in
config/vehicles/<name>_actuators.yaml.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from vla_driving.contract.settings import SettingsError, described, load

FloatArray = npt.NDArray[np.float64]


@dataclass(frozen=True)
class ActuatorTables:
    """The file's content: inputs found to give each angle and acceleration at each speed."""

    speeds: tuple[float, ...] = described("m/s, increasing")
    angles: tuple[float, ...] = described("rad, increasing from 0; the car is symmetric")
    steering: tuple[tuple[float, ...], ...] = described("input 0 to 1, one row a speed")
    accelerations: tuple[float, ...] = described("m/s^2, increasing")
    throttle: tuple[tuple[float, ...], ...] = described("input -1 to 1, one row a speed")


class ActuatorMap:
    """Bilinear interpolation in the tables; outside of them the nearest entry counts.

    Raises SettingsError for tables of the wrong shape or order.
    """

    def __init__(self, tables: ActuatorTables, where: str = "actuator map") -> None:
        self._speeds = _axis(tables.speeds, where, "speeds")
        self._angles = _axis(tables.angles, where, "angles")
        self._accelerations = _axis(tables.accelerations, where, "accelerations")
        self._steering = _table(tables.steering, self._speeds, self._angles, where, "steering")
        self._throttle = _table(
            tables.throttle, self._speeds, self._accelerations, where, "throttle"
        )

    def steering(self, speed: float, angle: float) -> float:
        """MetaDrive's steering input, -1 to 1, for a road-wheel angle in rad."""
        value = _bilinear(self._speeds, self._angles, self._steering, speed, abs(angle))
        return math.copysign(value, angle)

    def throttle(self, speed: float, acceleration: float) -> float:
        """MetaDrive's throttle (positive) or brake (negative), -1 to 1, for m/s²."""
        return _bilinear(
            self._speeds, self._accelerations, self._throttle, speed, acceleration
        )


class LinearMap:
    """The plain map: inputs in proportion to full steering, full throttle and full brake.

    Kept as the yardstick of the calibration.
    """

    def __init__(self, largest_angle: float, full_throttle: float, full_brake: float) -> None:
        self._angle = largest_angle
        self._throttle = full_throttle
        self._brake = full_brake

    def steering(self, speed: float, angle: float) -> float:
        """As in ActuatorMap."""
        return float(np.clip(angle / self._angle, -1.0, 1.0))

    def throttle(self, speed: float, acceleration: float) -> float:
        """As in ActuatorMap."""
        full = self._throttle if acceleration >= 0.0 else self._brake
        return float(np.clip(acceleration / full, -1.0, 1.0))


def load_actuators(path: Path) -> ActuatorMap:
    """Read config/vehicles/<name>_actuators.yaml. Raises SettingsError."""
    return ActuatorMap(load(ActuatorTables, path), str(path))


def _axis(values: tuple[float, ...], where: str, name: str) -> FloatArray:
    axis = np.array(values, np.float64)
    if len(axis) < 2 or not (np.diff(axis) > 0.0).all():
        raise SettingsError(f"{where}: {name}: needs two or more increasing numbers, got {values}")
    return axis


def _table(
    rows: tuple[tuple[float, ...], ...], speeds: FloatArray, columns: FloatArray,
    where: str, name: str,
) -> FloatArray:
    shape = (len(speeds), len(columns))
    if len(rows) != shape[0] or any(len(row) != shape[1] for row in rows):
        raise SettingsError(f"{where}: {name}: needs {shape[0]} rows of {shape[1]} numbers")
    table = np.array(rows, np.float64)
    if np.abs(table).max() > 1.0:
        raise SettingsError(f"{where}: {name}: {np.abs(table).max()} is outside -1 to 1")
    return table


def _bilinear(
    rows: FloatArray, columns: FloatArray, table: FloatArray, row: float, column: float
) -> float:
    i, u = _cell(rows, row)
    j, v = _cell(columns, column)
    top = (1.0 - v) * table[i, j] + v * table[i, j + 1]
    bottom = (1.0 - v) * table[i + 1, j] + v * table[i + 1, j + 1]
    return float((1.0 - u) * top + u * bottom)


def _cell(axis: FloatArray, value: float) -> tuple[int, float]:
    k = int(np.clip(np.searchsorted(axis, value) - 1, 0, len(axis) - 2))
    return k, float(np.clip((value - axis[k]) / (axis[k + 1] - axis[k]), 0.0, 1.0))
