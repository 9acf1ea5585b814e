"""Measures what MetaDrive's steering and throttle inputs do, and fits the actuator map to it.

`python -m vla_driving.simulation.calibrate` drives the car over speeds, angles and accelerations on
an open plane, prints the errors of the map on manoeuvres that were not fitted, beside those of the
plain linear map, and writes the map with --write.
"""

from __future__ import annotations

import argparse
import math
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from vla_driving import paths
from vla_driving.contract.settings import SettingsError
from vla_driving.contract.vehicle import VehicleParameters, load_vehicle
from vla_driving.simulation.actuators import ActuatorMap, ActuatorTables, LinearMap, load_actuators
from vla_driving.simulation.ego import Ego
from vla_driving.simulation.metadrive import (
    PHYSICS_STEP_S,
    SimulatorError,
    close_environment,
    make_environment,
)

FloatArray = npt.NDArray[np.float64]

SPEEDS = (0.5, 2.0, 4.0, 6.0, 9.0, 12.0, 15.0, 18.0)
ANGLES = (0.0, 0.01, 0.03, 0.06, 0.1, 0.15, 0.22, 0.32, 0.45, 0.6)
ACCELERATIONS = (-8.5, -6.0, -4.0, -2.0, -1.0, -0.4, -0.1, 0.0, 0.1, 0.4, 1.0, 2.0, 2.8)
_STEERING_INPUTS = np.array([0.01, 0.03, 0.06, 0.1, 0.16, 0.24, 0.34, 0.46, 0.6, 0.75, 0.9])
_THROTTLE_INPUTS = np.array(
    [-0.4, -0.3, -0.2, -0.12, -0.06, -0.03, -0.012, -0.004, 1e-6, 0.03, 0.1, 0.25, 0.5, 0.75, 1.0]
)
_LARGEST_LATERAL = 6.0
"""m/s²: tyres slide beyond; what is asked beyond is taken in proportion."""
_AWAY = -500.0
_TYRE_STEPS = 3


@dataclass(frozen=True)
class Errors:
    """Absolute errors over the held-out manoeuvres: median and 95th percentile, m/s² and 1/m."""

    acceleration: tuple[float, float]
    curvature: tuple[float, float]


class Bench:
    """The car alone on a plane. Close it before another world is opened. Raises SimulatorError."""

    def __init__(self) -> None:
        self._environment = make_environment({
            "map": "S", "traffic_density": 0.0,
            "vehicle_config": {"vehicle_model": "static_default"},
        })
        self._environment.reset(force_seed=0)
        self.ego = Ego(self._environment.vehicle)
        for _ in range(100):
            self.step(0.0, 0.0)
        self.ego.settled()

    def close(self) -> None:
        """Free MetaDrive."""
        close_environment(self._environment)

    def step(self, steering: float, throttle: float) -> None:
        """One physics step under MetaDrive's inputs."""
        self.ego.actuate(steering, throttle)
        self._environment.engine.step_physics_world()
        self.ego.measure()

    def steady_curvature(self, speed: float, steering: float) -> float:
        """1/m while the speed is kept at `speed` m/s."""
        self.ego.place(0.0, _AWAY, 0.0, speed)
        curvature = []
        for i in range(100):
            self.step(steering, 1e-6 + 0.3 * (speed - self.ego.motion.speed))
            if i >= 70:
                curvature.append(self.ego.motion.yaw_rate / self.ego.motion.speed)
        return float(np.mean(curvature))

    def steady_acceleration(self, speed: float, throttle: float) -> float:
        """m/s² around `speed`, after the springs have answered; NaN where the car stops first."""
        self.ego.place(0.0, _AWAY, 0.0, speed)
        speeds = []
        for _ in range(20):
            self.step(0.0, throttle)
            speeds.append(self.ego.motion.speed)
        if min(speeds) < 0.2:
            return math.nan
        return (speeds[-1] - speeds[4]) / (15 * PHYSICS_STEP_S)


def fit(bench: Bench, vehicle: VehicleParameters) -> ActuatorTables:
    """Tables that turn angles and accelerations into the inputs that were seen to give them."""
    steering = [_steering_row(bench, vehicle, speed) for speed in SPEEDS]
    measured = np.array([
        [bench.steady_acceleration(speed, u) for u in _THROTTLE_INPUTS] for speed in SPEEDS
    ])
    # At walking pace hard braking ends before it can be measured: take the next faster row.
    first_known = measured[np.argmax(~np.isnan(measured), 0), np.arange(measured.shape[1])]
    throttle = []
    for row in range(len(SPEEDS)):
        known = ~np.isnan(measured[row])
        values = np.where(known, measured[row], first_known)
        values = np.maximum.accumulate(values + 1e-6 * np.arange(len(values)))
        throttle.append(tuple(_rounded(np.interp(ACCELERATIONS, values, _THROTTLE_INPUTS))))
    return ActuatorTables(
        speeds=SPEEDS, angles=ANGLES, steering=tuple(steering), accelerations=ACCELERATIONS,
        throttle=tuple(throttle),
    )


def _steering_row(bench: Bench, vehicle: VehicleParameters, speed: float) -> tuple[float, ...]:
    largest = bench.ego.largest_angle
    inputs, angles = [0.0], [0.0]
    for value in _STEERING_INPUTS:
        if speed**2 * math.tan(value * largest) / vehicle.wheelbase > _LARGEST_LATERAL:
            break
        curvature = bench.steady_curvature(speed, float(value))
        inputs.append(float(value))
        angles.append(math.atan(vehicle.wheelbase * curvature))
    row = np.interp(ANGLES, angles, inputs)
    beyond = np.array(ANGLES) > angles[-1]
    row[beyond] = np.array(ANGLES)[beyond] * inputs[-1] / angles[-1]
    return tuple(_rounded(np.minimum(row, 1.0)))


def _rounded(values: FloatArray) -> list[float]:
    return [round(float(v), 7) for v in values]


Inputs = Callable[[float, float], float]


def held_out_errors(
    bench: Bench, vehicle: VehicleParameters, steering: Inputs, throttle: Inputs,
    drives: int = 12, seed: int = 1,
) -> Errors:
    """Drive random smooth manoeuvres open loop under a map and compare with what was asked.

    Each lasts 10 s at 2 to 16 m/s, with both actuators at work and below 4 m/s² of lateral
    acceleration. Acceleration is compared over 0.1 s, curvature (yaw rate over speed) with that of
    the road-wheel angle 0.06 s earlier: the tyres answer with that lag.
    """
    random = np.random.default_rng(seed)
    longitudinal: list[float] = []
    lateral: list[float] = []
    for _ in range(drives):
        speed = float(random.uniform(4.0, 14.0))
        bench.ego.place(0.0, _AWAY, 0.0, speed)
        wish_a, wish_k = (_smooth(random, 500) for _ in range(2))
        angles, speeds, asked = [], [speed], []
        for i in range(500):
            now = bench.ego.motion.speed
            top = min(0.15, 4.0 / max(now, 1.0) ** 2)
            angle = math.atan(vehicle.wheelbase * float(np.clip(wish_k[i], -1.0, 1.0)) * top)
            a = 2.2 * wish_a[i] if wish_a[i] > 0.0 else 4.0 * wish_a[i]
            a = float(np.clip(a, 2.5 * (2.0 - now), 2.5 * (16.0 - now)))
            a = float(np.clip(a, -6.0, 2.5))
            bench.step(steering(now, angle), throttle(now, a))
            angles.append(angle)
            asked.append(a)
            speeds.append(bench.ego.motion.speed)
            if i >= 10 and i % 5 == 0:
                longitudinal.append((speeds[-1] - speeds[-6]) / 0.1 - float(np.mean(asked[-5:])))
                reached = bench.ego.motion.yaw_rate / max(bench.ego.motion.speed, 0.5)
                lateral.append(reached - math.tan(angles[-1 - _TYRE_STEPS]) / vehicle.wheelbase)
    return Errors(_summary(longitudinal), _summary(lateral))


def _smooth(random: np.random.Generator, count: int) -> FloatArray:
    """A wandering signal around ±1 that changes over about a second and a half."""
    knots = random.normal(size=count // 75 + 2)
    return np.interp(np.arange(count) / 75.0, np.arange(len(knots)), knots)


def _summary(errors: list[float]) -> tuple[float, float]:
    size = np.abs(errors)
    return float(np.median(size)), float(np.percentile(size, 95.0))


def response_times(bench: Bench, table: ActuatorMap) -> tuple[float, float]:
    """s from a step of the wheels, and of the acceleration, to 63 % of the answer at 10 m/s."""
    bench.ego.place(0.0, _AWAY, 0.0, 10.0)
    yaw = []
    for _ in range(50):
        bench.step(table.steering(10.0, 0.05), 1e-6)
        yaw.append(bench.ego.motion.yaw_rate)
    bench.ego.place(0.0, _AWAY, 0.0, 10.0)
    speeds = [10.0]
    for _ in range(50):
        bench.step(0.0, table.throttle(10.0, -2.0))
        speeds.append(bench.ego.motion.speed)
    braking = -np.diff(speeds)
    return tuple(  # type: ignore[return-value]
        float((np.argmax(np.array(v) >= 0.63 * np.mean(v[-10:])) + 1) * PHYSICS_STEP_S)
        for v in (yaw, braking)
    )


def write_tables(tables: ActuatorTables, path: Path) -> None:
    """Write config/vehicles/<name>_actuators.yaml."""
    lines = [
        "# Made by python -m vla_driving.simulation.calibrate --write: the inputs of MetaDrive's",
        "# car (-1 to 1) that give each road-wheel angle (rad) and acceleration (m/s^2), one row",
        "# a speed (m/s).",
        f"speeds: {list(tables.speeds)}",
        f"angles: {list(tables.angles)}",
        "steering:",
        *(f"  - {list(row)}" for row in tables.steering),
        f"accelerations: {list(tables.accelerations)}",
        "throttle:",
        *(f"  - {list(row)}" for row in tables.throttle),
    ]
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")


def main(arguments: list[str] | None = None) -> int:
    """Command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--vehicle", default="metadrive_sedan", help="name in config/vehicles")
    parser.add_argument("--write", action="store_true", help="write the fitted map")
    parser.add_argument("--check", action="store_true", help="do not fit: judge the map as it is")
    options = parser.parse_args(arguments)
    folder = paths.config("vehicles")
    file = folder / f"{options.vehicle}_actuators.yaml"
    try:
        vehicle = load_vehicle(folder / f"{options.vehicle}.yaml")
        bench = Bench()
    except (SettingsError, SimulatorError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    try:
        if options.check:
            fitted = load_actuators(file)
        else:
            tables = fit(bench, vehicle)
            fitted = ActuatorMap(tables)
        full = bench.steady_acceleration(10.0, 1.0)
        hard = -bench.steady_acceleration(10.0, -1.0)
        plain = LinearMap(bench.ego.largest_angle, full, hard)
        print("absolute error on held-out manoeuvres     median    p95")
        for name, table in (("fitted map", fitted), ("plain linear", plain)):
            errors = held_out_errors(bench, vehicle, table.steering, table.throttle)
            print(f"  {name:13s} acceleration, m/s^2  {errors.acceleration[0]:9.4f} "
                  f"{errors.acceleration[1]:8.4f}")
            print(f"  {name:13s} curvature, 1/m       {errors.curvature[0]:9.5f} "
                  f"{errors.curvature[1]:8.5f}")
        turn, brake = response_times(bench, fitted)
        print(f"answer to a step (63 %): steering {turn:.2f} s, acceleration {brake:.2f} s")
        if options.write and not options.check:
            write_tables(tables, file)
            print(f"written: {file}")
    except SettingsError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    finally:
        bench.close()
    return 0


if __name__ == "__main__":
    sys.exit(main())
