"""A closed loop for the controller: a road, a planner along it and a car that answers late.

The car is a kinematic bicycle: pure delay, then a first-order lag, in steering and acceleration.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

from vla_driving.contract.checksum import approved_plan_checksum, vehicle_state_checksum
from vla_driving.contract.clock import SECOND, nanoseconds
from vla_driving.contract.plan import ApprovedPlan, PlanSource
from vla_driving.contract.rates import Rates
from vla_driving.contract.settings import from_mapping, read_yaml
from vla_driving.contract.trajectory import PERIOD_S, POINTS, Trajectory, integrate
from vla_driving.contract.vehicle import ControlCommand, Gear, VehicleParameters, VehicleState
from vla_driving.control.bridge import ControllerBridge, Inputs, Outcome
from vla_driving.control.settings import ControllerBridgeSettings

STEP_NS = SECOND // 100
STATE_EVERY = 2
PLAN_EVERY = 10
APPROVED_EVERY = 2

VEHICLE = VehicleParameters(
    name="test car", wheelbase=2.8, front_overhang=0.9, rear_overhang=1.0, width=1.85, height=1.5,
    max_steering_angle=0.6, max_steering_rate=0.5, steering_delay=0.12, acceleration_delay=0.15,
    max_speed=40.0, max_lateral_acceleration=3.0, max_lateral_jerk=5.0, max_acceleration=2.0,
    max_deceleration=3.5, emergency_deceleration=7.0, comfort_deceleration=2.0, max_jerk=4.0,
    emergency_jerk=15.0,
)

_STACK = read_yaml(Path(__file__).parents[2] / "config" / "stack.yaml")
SETTINGS = from_mapping(
    ControllerBridgeSettings, _STACK["controller_bridge"]["ros__parameters"], "config/stack.yaml"
)
RATES = from_mapping(Rates, _STACK["/**"]["ros__parameters"]["rates"], "config/stack.yaml")


@dataclass
class Road:
    """Centre line at 0.5 m steps from its curvature over arc length; speed over arc length."""

    curvature: Callable[[float], float]
    speed: Callable[[float], float]
    length: float = 600.0
    x: np.ndarray = field(init=False)
    y: np.ndarray = field(init=False)
    heading: np.ndarray = field(init=False)

    def __post_init__(self) -> None:
        s = np.arange(0.0, self.length, 0.5)
        bend = np.array([self.curvature(float(v)) for v in s])
        self.heading = np.concatenate(([0.0], np.cumsum(bend[:-1] * 0.5)))
        middle = self.heading[:-1] + 0.25 * bend[:-1]
        self.x = np.concatenate(([0.0], np.cumsum(0.5 * np.cos(middle))))
        self.y = np.concatenate(([0.0], np.cumsum(0.5 * np.sin(middle))))

    def locate(self, x: float, y: float, heading: float) -> tuple[float, float, float]:
        """Arc length, offset to the left and heading error of a pose."""
        k = int(np.argmin((self.x - x) ** 2 + (self.y - y) ** 2))
        c, s = math.cos(self.heading[k]), math.sin(self.heading[k])
        dx, dy = x - self.x[k], y - self.y[k]
        return k * 0.5 + c * dx + s * dy, -s * dx + c * dy, heading - float(self.heading[k])


@dataclass
class Car:
    """State of the plant and the commands on their way to it."""

    x: float = 0.0
    y: float = 0.0
    heading: float = 0.0
    speed: float = 0.0
    angle: float = 0.0
    acceleration: float = 0.0
    lag_s: float = 0.05
    gain: float = 1.0
    steering: deque[float] = field(default_factory=deque)
    pedals: deque[float] = field(default_factory=deque)

    def move(self, command: ControlCommand, dt: float = 0.01) -> None:
        wanted_angle = _delayed(self.steering, command.steering_angle, VEHICLE.steering_delay)
        wanted = _delayed(self.pedals, command.acceleration, VEHICLE.acceleration_delay)
        share = min(dt / self.lag_s, 1.0)
        self.angle += share * (wanted_angle - self.angle)
        self.acceleration += share * (self.gain * wanted - self.acceleration)
        after = max(0.0, self.speed + self.acceleration * dt)
        if after == 0.0 and self.acceleration < 0.0:
            self.acceleration = 0.0
        distance = 0.5 * (self.speed + after) * dt
        turn = distance * math.tan(self.angle) / VEHICLE.wheelbase
        self.x += distance * math.cos(self.heading + 0.5 * turn)
        self.y += distance * math.sin(self.heading + 0.5 * turn)
        self.heading += turn
        self.speed = after

    def state(self, now_ns: int, sequence: int, **overrides: object) -> VehicleState:
        state = VehicleState(
            stamp_ns=now_ns, sequence=sequence, speed=self.speed, wheel_speed=self.speed,
            acceleration=self.acceleration,
            lateral_acceleration=self.speed**2 * math.tan(self.angle) / VEHICLE.wheelbase,
            yaw_rate=self.speed * math.tan(self.angle) / VEHICLE.wheelbase,
            steering_angle=self.angle, steering_rate=0.0, gear=Gear.DRIVE,
            standstill=self.speed < 0.05,
        )
        state = replace(state, **overrides)  # type: ignore[arg-type]
        return replace(state, checksum=vehicle_state_checksum(state))


def _delayed(queue: deque[float], value: float, delay_s: float) -> float:
    queue.append(value)
    return queue.popleft() if len(queue) > round(delay_s * 100) else 0.0


def plan_along(road: Road, car: Car, preview_s: float = 1.0) -> Trajectory:
    """What a good model would propose: from the car back onto the road within a few seconds."""
    x, y, heading, speed = car.x, car.y, car.heading, car.speed
    bends, pushes = np.zeros(POINTS), np.zeros(POINTS)
    for k in range(POINTS):
        s, offset, turned = road.locate(x, y, heading)
        ahead = max(4.0, preview_s * speed)
        bends[k] = road.curvature(s) - 2.0 / ahead**2 * (offset + ahead * math.sin(turned))
        pushes[k] = np.clip((road.speed(s + speed * PERIOD_S) - speed) / 0.7, -2.5, 1.5)
        after = max(0.0, speed + pushes[k] * PERIOD_S)
        step = 0.5 * (speed + after) * PERIOD_S
        turn = bends[k] * step
        x += step * math.cos(heading + 0.5 * turn)
        y += step * math.sin(heading + 0.5 * turn)
        heading, speed = heading + turn, after
    return integrate(car.speed, pushes, bends)


def sealed(plan: ApprovedPlan) -> ApprovedPlan:
    """The plan with the checksum that fits it."""
    return replace(plan, checksum=approved_plan_checksum(plan))


def approved(
    trajectory: Trajectory, stamp_ns: int, now_ns: int, sequence: int, **changes: object
) -> ApprovedPlan:
    """An approved plan as the safety monitor would send it."""
    plan = ApprovedPlan(
        stamp_ns=stamp_ns, sequence=sequence, plan_sequence=sequence, frame_stamp_ns=stamp_ns,
        valid_until_ns=now_ns + nanoseconds(0.3), source=PlanSource.MODEL, engaged=True,
        hold=False, hazard_lights=False, speed_cap=VEHICLE.max_speed, trajectory=trajectory,
    )
    return sealed(replace(plan, **changes))  # type: ignore[arg-type]


@dataclass
class Loop:
    """Runs bridge, car, planner and monitor at their rates: plans at 10 Hz from a past instant."""

    road: Road
    car: Car
    latency_s: float = 0.12
    now_ns: int = 1_000 * SECOND
    plans_come: bool = True
    publishers: int = 1
    states_come: bool = True
    plan_changes: dict[str, object] = field(default_factory=dict)
    state_changes: dict[str, object] = field(default_factory=dict)
    spoil: Callable[[ApprovedPlan], ApprovedPlan] = staticmethod(lambda plan: plan)
    log: list[tuple[Car, Outcome]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.bridge = ControllerBridge(SETTINGS, VEHICLE, RATES)
        self.tick = 0
        self._state: VehicleState | None = None
        self._pending: deque[tuple[int, Trajectory]] = deque()
        self._newest: tuple[int, Trajectory] | None = None
        self._plan: ApprovedPlan | None = None

    def run(self, seconds: float) -> Outcome:
        for _ in range(round(seconds * 100)):
            outcome = self._step()
        return outcome

    def _step(self) -> Outcome:
        if self.tick % STATE_EVERY == 0 and self.states_come:
            self._state = self.car.state(self.now_ns, self.tick, **self.state_changes)
        if self.tick % PLAN_EVERY == 0:
            self._pending.append((self.now_ns, plan_along(self.road, self.car)))
        while self._pending and self._pending[0][0] + self.latency_s * SECOND <= self.now_ns:
            self._newest = self._pending.popleft()
        if self.tick % APPROVED_EVERY == 0 and self._newest and self.plans_come:
            stamp_ns, trajectory = self._newest
            self._plan = self.spoil(
                approved(trajectory, stamp_ns, self.now_ns, self.tick, **self.plan_changes)
            )
        outcome = self.bridge.step(Inputs(self._plan, self._state, self.publishers), self.now_ns)
        command = outcome.command
        if not command.engaged:  # the driver keeps wheel and speed
            command = replace(command, steering_angle=self.car.angle, acceleration=0.0)
        self.car.move(command)
        self.log.append((replace(self.car), outcome))
        self.now_ns += STEP_NS
        self.tick += 1
        return outcome

    def offsets(self, after_s: float = 0.0) -> np.ndarray:
        """Offsets from the road in m, from some time after the start."""
        cars = [car for car, _ in self.log[round(after_s * 100):]]
        return np.array([self.road.locate(c.x, c.y, c.heading)[1] for c in cars])

    def speeds(self) -> np.ndarray:
        return np.array([car.speed for car, _ in self.log])
