"""A car, a driver and a model in a few lines, to drive the monitor in closed loop without ROS."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from vla_driving.contract.checksum import plan_checksum, signed, vehicle_state_checksum
from vla_driving.contract.clock import Nanoseconds, age_s, nanoseconds
from vla_driving.contract.frames import CameraHealth, CameraReport, FrameStatus
from vla_driving.contract.plan import (
    ApprovedPlan,
    LateralAction,
    LongitudinalAction,
    Plan,
)
from vla_driving.contract.rates import Rates
from vla_driving.contract.scene import ObjectClass, ObjectList, SceneObject
from vla_driving.contract.settings import from_mapping, read_yaml
from vla_driving.contract.supervision import CheckResult, Engagement, Level, SafetyState
from vla_driving.contract.trajectory import POINTS, Trajectory, integrate
from vla_driving.contract.vehicle import (
    DriverState,
    Gear,
    VehicleParameters,
    VehicleState,
    load_vehicle,
)
from vla_driving.safety.braking import Braking
from vla_driving.safety.intake import MonitorInputs
from vla_driving.safety.monitor import MonitorOutputs, SafetyMonitor
from vla_driving.safety.settings import SafetyMonitorSettings
from vla_driving.safety.speed_profile import FloatArray, speed_profile

CONFIG = Path(__file__).resolve().parents[2] / "config"
_STACK = read_yaml(CONFIG / "stack.yaml")
SETTINGS = from_mapping(
    SafetyMonitorSettings, _STACK["safety_monitor"]["ros__parameters"], "stack.yaml"
)
RATES = from_mapping(Rates, _STACK["/**"]["ros__parameters"]["rates"], "stack.yaml")
VEHICLE: VehicleParameters = load_vehicle(CONFIG / "vehicles" / "default.yaml")

START: Nanoseconds = nanoseconds(1000.0)
STEP = nanoseconds(0.02)
LATENCY = nanoseconds(0.08)

STATE = VehicleState(
    stamp_ns=START, sequence=1, speed=0.0, wheel_speed=0.0, acceleration=0.0,
    lateral_acceleration=0.0, yaw_rate=0.0, steering_angle=0.0, steering_rate=0.0,
    gear=Gear.DRIVE, standstill=True,
)


def signed_state(state: VehicleState, **changes: object) -> VehicleState:
    """A vehicle state with its checksum."""
    changed = replace(state, **changes)  # type: ignore[arg-type]
    return replace(changed, checksum=vehicle_state_checksum(changed))


def signed_plan(plan: Plan, **changes: object) -> Plan:
    """A plan with its checksum."""
    changed = replace(plan, **changes)  # type: ignore[arg-type]
    return replace(changed, checksum=plan_checksum(changed))


def constant(speed: float, acceleration: float = 0.0, curvature: float = 0.0) -> Trajectory:
    """Trajectory with constant acceleration and curvature."""
    return integrate(speed, np.full(POINTS, acceleration), np.full(POINTS, curvature))


def profile(
    braking: Braking, speed: float, stamp_ns: Nanoseconds
) -> tuple[FloatArray, FloatArray]:
    """Distances in m and speeds in m/s, (64,), of a stop from `speed` on, as it is driven."""
    return speed_profile(
        max(age_s(braking.since_ns, stamp_ns), 0.0), speed, braking.acceleration,
        braking.deceleration, braking.jerk,
    )


def plan_of(
    trajectories: tuple[Trajectory, ...],
    stamp_ns: Nanoseconds = START,
    sequence: int = 1,
    **changes: object,
) -> Plan:
    """A sound plan around trajectories."""
    plan = Plan(
        stamp_ns=stamp_ns, sequence=sequence, frame_sequence=sequence,
        valid_until_ns=stamp_ns + nanoseconds(0.6), model_name="test", model_version="1",
        runtime="none", candidates=trajectories, objects=(), lane_lines=(), traffic_controls=(),
        lateral_action=LateralAction.KEEP_LANE, longitudinal_action=LongitudinalAction.CRUISE,
        reasoning="", evidence=(), uncertainty=0.2, instruction_id=0, stages=(),
    )
    return signed_plan(plan, **changes)


def car(x: float, y: float = 0.0, speed: float = 0.0, heading: float = 0.0) -> SceneObject:
    """A car whose centre is at x, y in m."""
    return SceneObject(
        ObjectClass.CAR, 0.9, x, y, heading, speed * float(np.cos(heading)),
        speed * float(np.sin(heading)), 4.5, 1.8, 1.5,
    )


@dataclass
class World:
    """A point on a plane that follows approved plans at once; 50 Hz, plans at 10 Hz.

    The model wants `target_speed` m/s and `curvature` 1/m; the hooks change what arrives.
    """

    settings: SafetyMonitorSettings = SETTINGS
    vehicle: VehicleParameters = VEHICLE
    speed: float = 0.0
    curvature: float = 0.0
    target_speed: float = 10.0
    objects: Callable[[World], tuple[SceneObject, ...]] = lambda world: ()
    on_state: Callable[[VehicleState, World], VehicleState | None] = lambda state, world: state
    on_plan: Callable[[Plan, World], Plan | None] = lambda plan, world: plan
    on_inputs: Callable[[MonitorInputs, World], MonitorInputs] = lambda inputs, world: inputs
    now_ns: Nanoseconds = START
    x: float = 0.0
    y: float = 0.0
    yaw: float = 0.0
    acceleration: float = 0.0
    outputs: list[MonitorOutputs] = field(default_factory=list)
    safety: SafetyState | None = None
    approved: ApprovedPlan | None = None
    driver: dict[str, bool] = field(default_factory=dict)
    lowest_acceleration: float = 0.0
    camera: FrameStatus = FrameStatus.OK
    cameras: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        self.monitor = SafetyMonitor(self.settings, self.vehicle, RATES, self.cameras)
        self._count = 0
        self._pending: list[tuple[Nanoseconds, Plan]] = []

    @property
    def elapsed_s(self) -> float:
        """Since the start."""
        return (self.now_ns - START) * 1e-9

    def run(self, duration_s: float, **driver: bool) -> World:
        """Drive on; `driver` sets fields of the vehicle state meanwhile."""
        self.driver = driver
        for _ in range(round(duration_s / 0.02)):
            self.run_step()
        self.driver = {}
        return self

    def engage(self) -> World:
        """Let the inputs come in, then press the button."""
        self.run(0.5)
        self.run(0.04, engage_button=True)
        return self

    def check(self, name: str) -> CheckResult:
        """The last report of one check."""
        assert self.safety is not None
        return next(c for c in self.safety.checks if c.name == name)

    def run_step(self) -> None:
        """One step of everything."""
        self._move()
        self._count += 1
        self.now_ns += STEP
        state = signed_state(
            STATE, stamp_ns=self.now_ns, sequence=self._count, speed=self.speed,
            wheel_speed=self.speed, acceleration=self.acceleration,
            yaw_rate=self.speed * self._curvature_now(),
            lateral_acceleration=self.speed**2 * self._curvature_now(),
            steering_angle=float(np.arctan(self.vehicle.wheelbase * self._curvature_now())),
            standstill=self.speed < 0.01, **self.driver,
        )
        seen = self.on_state(state, self)
        inputs = MonitorInputs(
            vehicle_states=() if seen is None else (seen,),
            plans=self._plans(),
            objects=self._objects(),
            driver_states=self._driver_states(),
            frames=self._frames(),
        )
        output = self.monitor.step(self.on_inputs(inputs, self), self.now_ns)
        self.outputs.append(output)
        self.approved = output.approved or self.approved
        self.safety = output.safety_state or self.safety

    def _plans(self) -> tuple[Plan, ...]:
        if self._count % 5 == 0:
            demand = np.clip((self.target_speed - self.speed) / 3.0, -2.0, 1.5)
            ramp = np.clip(np.abs(self.target_speed - self.speed) / max(abs(demand), 0.1), 0, 6.4)
            pull = np.where(np.arange(POINTS) * 0.1 < ramp, demand, 0.0)
            trajectory = integrate(self.speed, pull, np.full(POINTS, self.curvature))
            plan: Plan | None = plan_of(
                (trajectory,), self.now_ns, self._count // 5,
            )
            plan = self.on_plan(plan, self) if plan is not None else None
            if plan is not None:
                self._pending.append((self.now_ns + LATENCY, plan))
        due = tuple(plan for at, plan in self._pending if at <= self.now_ns)
        self._pending = [entry for entry in self._pending if entry[0] > self.now_ns]
        return due

    def _objects(self) -> tuple[ObjectList, ...]:
        if self._count % 5:
            return ()
        number = self._count // 5
        return (signed(ObjectList(self.now_ns, number, "radar", self.objects(self))),)

    def _driver_states(self) -> tuple[DriverState, ...]:
        if self._count % 5:
            return ()
        return (signed(DriverState(self.now_ns, True, True, True, 0.0, 0.0, self._count // 5)),)

    def _frames(self) -> tuple[CameraHealth, ...]:
        if self._count % 5:
            return ()
        report = CameraReport("front", self.now_ns, self.camera, 0.31, 0.2)
        return (signed(CameraHealth(self.now_ns, self._count // 5, "test/1", (report,))),)

    def _curvature_now(self) -> float:
        plan = self.approved
        if plan is None or not plan.engaged:
            return self.curvature
        at = min(max(int((self.now_ns - plan.stamp_ns) * 1e-8), 0), POINTS - 1)
        return float(plan.trajectory.curvature[at])

    def _move(self) -> None:
        plan = self.approved
        self.acceleration = 0.0
        if plan is not None and plan.engaged and not plan.hold:
            at = min(max(int((self.now_ns - plan.stamp_ns) * 1e-8), 0), POINTS - 1)
            self.acceleration = float(plan.trajectory.acceleration[at])
            if self.speed > plan.speed_cap:
                self.acceleration = min(self.acceleration, -1.0)
        if self.driver.get("brake_override"):
            self.acceleration = -3.0
        speed = max(self.speed + self.acceleration * 0.02, 0.0)
        if plan is not None and plan.engaged and plan.hold:
            speed = 0.0
        self.acceleration = (speed - self.speed) / 0.02
        if plan is None or not plan.hold:
            self.lowest_acceleration = min(self.lowest_acceleration, self.acceleration)
        distance, curvature = 0.5 * (speed + self.speed) * 0.02, self._curvature_now()
        self.x += distance * float(np.cos(self.yaw + 0.5 * curvature * distance))
        self.y += distance * float(np.sin(self.yaw + 0.5 * curvature * distance))
        self.yaw += curvature * distance
        self.speed = speed

    def ahead(self, x: float, y: float, speed: float = 0.0) -> SceneObject:
        """A car at a place of the plane, as the sensor on this car sees it."""
        cos, sin = float(np.cos(self.yaw)), float(np.sin(self.yaw))
        dx, dy = x - self.x, y - self.y
        return car(cos * dx + sin * dy, cos * dy - sin * dx, speed, -self.yaw)


def engaged(seconds: float = 1.2, **kwargs: Any) -> World:
    """A car that drives itself, at 10 m/s unless told otherwise."""
    world = World(**{"speed": 10.0, **kwargs}).engage().run(seconds)
    assert status(world) == (Level.NOMINAL, Engagement.ENABLED), world.safety
    return world


def status(world: World) -> tuple[Level, Engagement]:
    """Level and engagement as last said."""
    assert world.safety is not None
    return world.safety.level, world.safety.engagement


def text(world: World) -> str:
    """The alert line as last said."""
    assert world.safety is not None
    return world.safety.alert_text
