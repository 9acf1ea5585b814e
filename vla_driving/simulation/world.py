"""One drive in MetaDrive: physics at 50 Hz, frames on demand, truth for scores and teaching.

Typical use, once in 0.02 s::

    world.step(command, 0.02)
    state = world.vehicle_state(stamp_ns)

and once in 0.1 s `world.render()`, `world.radar()` and `world.truth()`.
"""

from __future__ import annotations

import atexit
import dataclasses
import math
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from vla_driving.contract.checksum import vehicle_state_checksum
from vla_driving.contract.clock import Nanoseconds
from vla_driving.contract.navigation import MAX_ROUTE_POINTS, Route, Turn
from vla_driving.contract.scene import SceneObject
from vla_driving.contract.vehicle import ControlCommand, Gear, VehicleParameters, VehicleState
from vla_driving.simulation.drive_by_wire import ActuatorDemand, DriveByWire, DriverInputs
from vla_driving.simulation.ego import Ego
from vla_driving.simulation.metadrive import (
    DECISION_STEPS,
    PHYSICS_STEP_S,
    SimulatorError,
    make_environment,
)
from vla_driving.simulation.renderer import Renderer
from vla_driving.simulation.road import LanePath, RouteMap, surfaces
from vla_driving.simulation.scenario import Scenario
from vla_driving.simulation.surroundings import Body, Placed, Radar, touching, traffic_body
from vla_driving.simulation.truth import AHEAD, BEHIND, Truth, lane_lines, to_base

_SETTLING_STEPS = 100
_GOAL_REACHED = 8.0
_ROUTE_SPACING = 10.0
_ROUTE_ERROR = 1.5
"""m, standard deviation of a navigation receiver's error."""
_ROUTE_ERROR_LENGTH = 150.0
_NO_DRIVER = DriverInputs()
_STANDSTILL = 0.03


class Actuators(Protocol):
    """ActuatorMap or LinearMap."""

    def steering(self, speed: float, angle: float) -> float:
        """Steering input for a road-wheel angle in rad."""

    def throttle(self, speed: float, acceleration: float) -> float:
        """Throttle or brake input for m/s²."""


class World:
    """One scenario being driven. MetaDrive allows one World at a time in a process.

    Everything follows from the scenario, the seed and the calls made. Raises SimulatorError.
    """

    def __init__(
        self,
        scenario: Scenario,
        vehicle: VehicleParameters,
        actuators: Actuators,
        renderer: Renderer | None = None,
    ) -> None:
        self.scenario = scenario
        self.vehicle = vehicle
        self._actuators = actuators
        self._renderer = renderer
        self._environment = make_environment(_configuration(scenario))
        atexit.register(self.close)
        self._open = True
        self._environment.reset(force_seed=scenario.seed)
        self._engine = self._environment.engine
        self._start()

    def _start(self) -> None:
        scenario = self.scenario
        self._traffic = _traffic(self._engine, scenario.traffic_speed)
        metadrive_car = self._environment.vehicle
        self.ego = Ego(metadrive_car)
        self.route_map = RouteMap(self._engine.current_map, metadrive_car.navigation.checkpoints)
        self._gateway = DriveByWire(self.vehicle)
        self._demand = ActuatorDemand(0.0, 0.0, True, False, (), False)
        self._driver = _NO_DRIVER
        self._radar = Radar(scenario.seed)
        self._ticks = 0
        self._pending_s = 0.0
        self._states = 0
        self._distance = 0.0
        self._touched: set[str] = set()
        self._collisions = 0
        self._angle_before = self._steering_rate = 0.0
        for _ in range(_SETTLING_STEPS):
            self.ego.actuate(0.0, 0.0)
            self._engine.step_physics_world()
        self.ego.settled()
        self._placed = self._put_down()
        self._road, self._lane = 0, scenario.start_lane
        self._path: LanePath = self.route_map.path(0, self._lane)
        self._station = self._along = self._offset = 0.0
        self._localise()
        self._route_error = _route_error(scenario.seed, self.route_map.length)
        self._start_station = self._station
        if scenario.start_speed:
            motion = self.ego.motion
            self.ego.place(motion.x, motion.y, motion.heading, scenario.start_speed)
        if self._renderer is not None:
            self._renderer.load_road(surfaces(self._engine.current_map))

    def close(self) -> None:
        """Free MetaDrive for another World. Closing twice does no harm."""
        if self._open:
            self._open = False
            atexit.unregister(self.close)
            self._environment.close()

    def __enter__(self) -> World:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def time_s(self) -> float:
        """Simulated time since the start, s."""
        return self._ticks * PHYSICS_STEP_S

    # Driving

    def step(
        self, command: ControlCommand | None, dt_s: float = PHYSICS_STEP_S,
        driver: DriverInputs = _NO_DRIVER,
    ) -> None:
        """Go on by `dt_s` s; `command` is the newest received, None where there was none yet.

        What is left of a physics step is carried over to the next call.
        """
        self._driver = driver
        for _ in range(self._steps(dt_s)):
            self._demand = self._gateway.step(
                command, driver, self.ego.motion.speed, PHYSICS_STEP_S
            )
            self._tick(self._demand.acceleration, self._demand.hold)

    def drive(self, steering_angle: float, acceleration: float, dt_s: float = PHYSICS_STEP_S) -> None:
        """Go on by `dt_s` s under a road-wheel angle in rad and m/s², past gateway and watchdog.

        The steering actuator's rate limit holds here too.
        """
        for _ in range(self._steps(dt_s)):
            self._gateway.steer(steering_angle, PHYSICS_STEP_S)
            self._tick(acceleration, acceleration <= 0.0 and self.ego.motion.speed < 0.1)

    def act(self, steering: float, throttle: float, dt_s: float = PHYSICS_STEP_S) -> None:
        """Go on by `dt_s` s under MetaDrive's own inputs, -1 to 1, as its policies give them."""
        for _ in range(self._steps(dt_s)):
            self._gateway.place(float(np.clip(steering, -1.0, 1.0)) * self.ego.largest_angle)
            self._advance(float(np.clip(steering, -1.0, 1.0)), float(np.clip(throttle, -1.0, 1.0)),
                          throttle < 0.0 and abs(self.ego.motion.speed) < 0.1)

    def place(
        self, left: float = 0.0, heading: float = 0.0, speed: float | None = None,
        ahead: float = 0.0, lane: int | None = None,
    ) -> None:
        """Put the car `left` m beside its lane's centre, turned by `heading` rad against the lane.

        `ahead` m moves it along the route, `lane` changes its lane; the wheels point straight on
        and the speed in m/s stays unless given.
        """
        if lane is not None:
            self._lane = min(lane, len(self.route_map.lanes[self._road]) - 1)
            self._path = self.route_map.path(self._road, self._lane)
            self._along, _ = self._path.locate(self.ego.motion.x, self.ego.motion.y, self._along)
        s = min(max(self._along + ahead, 0.0), self._path.length)
        x, y, lane_direction = self._path.point(s, left)
        self.ego.place(
            x, y, lane_direction + heading, self.ego.motion.speed if speed is None else speed
        )
        self._gateway.place(0.0)
        self._localise(reach=abs(ahead) + 15.0)
        self._update_metadrive()

    def _steps(self, dt_s: float) -> int:
        self._pending_s += dt_s
        count = int(self._pending_s / PHYSICS_STEP_S + 1e-6)
        self._pending_s -= count * PHYSICS_STEP_S
        return count

    def _tick(self, acceleration: float, hold: bool) -> None:
        speed = self.ego.motion.speed
        angle = self._gateway.steering_angle
        self._advance(
            self._actuators.steering(speed, angle), self._actuators.throttle(speed, acceleration), hold
        )

    def _advance(self, steering: float, throttle: float, hold: bool) -> None:
        if not self._open:
            raise SimulatorError("this World is closed")
        if self._ticks % DECISION_STEPS == 0:
            self._traffic_manager.before_step()
        before = self.ego.motion
        angle = self._gateway.steering_angle
        self._steering_rate = (angle - self._angle_before) / PHYSICS_STEP_S
        self._angle_before = angle
        self.ego.actuate(steering, throttle)
        if hold:
            self.ego.hold()
        for thing in self._placed:
            thing.step(before.x, before.y, PHYSICS_STEP_S)
        self._engine.step_physics_world()
        motion = self.ego.measure()
        self._ticks += 1
        self._distance += math.hypot(motion.x - before.x, motion.y - before.y)
        self._localise()
        self._count_collisions()
        if self._ticks % DECISION_STEPS == 0:
            self._update_metadrive()
            self._traffic_manager.after_step()

    @property
    def _traffic_manager(self) -> Any:
        return self._engine.traffic_manager

    def _update_metadrive(self) -> None:
        self.ego.vehicle._init_step_info()
        self.ego.vehicle.after_step()

    def _localise(self, reach: float = 15.0) -> None:
        motion = self.ego.motion
        self._road, self._lane, s, self._offset = self.route_map.locate(
            motion.x, motion.y, self._road
        )
        path = self.route_map.path(self._road, self._lane)
        near = self._along
        if path is not self._path:
            near = path.start_of(self._road) + s
            self._path = path
        self._along, _ = path.locate(motion.x, motion.y, near, reach)
        road_length = self.route_map.starts[self._road + 1] - self.route_map.starts[self._road]
        self._station = float(self.route_map.starts[self._road]) + min(max(s, 0.0), road_length)

    def _count_collisions(self) -> None:
        motion = self.ego.motion
        touched = set()
        for body in self.bodies():
            if abs(body.x - motion.x) + abs(body.y - motion.y) > 15.0:
                continue
            seen = body.seen_from(motion.x, motion.y, motion.heading)
            if touching(seen, self.vehicle.length, self.vehicle.width, self.vehicle.centre_offset):
                touched.add(body.key)
        self._collisions += len(touched - self._touched)
        self._touched = touched

    # What the car and its sensors report

    def vehicle_state(self, stamp_ns: Nanoseconds) -> VehicleState:
        """What the vehicle says of itself, measured now and stamped `stamp_ns`."""
        motion, demand, driver = self.ego.motion, self._demand, self._driver
        angle = self._gateway.steering_angle
        state = VehicleState(
            stamp_ns=stamp_ns, sequence=self._states, speed=motion.speed,
            wheel_speed=motion.wheel_speed, acceleration=motion.acceleration,
            lateral_acceleration=motion.lateral_acceleration, yaw_rate=motion.yaw_rate,
            steering_angle=angle, steering_rate=self._steering_rate, gear=Gear.DRIVE,
            standstill=abs(motion.speed) < _STANDSTILL,
            steering_override=driver.steering_angle is not None,
            brake_override=driver.brake is not None,
            accelerator_override=driver.accelerator is not None,
            engage_button=driver.engage_button, cancel_button=driver.cancel_button,
            hazard_lights=demand.hazard_lights, faults=demand.faults,
        )
        self._states += 1
        return dataclasses.replace(state, checksum=vehicle_state_checksum(state))

    def render(self) -> npt.NDArray[np.uint8]:
        """(H, W, 3) rgb8 of the windscreen camera now."""
        if self._renderer is None:
            raise SimulatorError("this World was made without a renderer")
        return self._renderer.render(self.ego.camera_base(), [b.actor() for b in self.bodies()])

    def radar(self) -> tuple[SceneObject, ...]:
        """What the front radar measures now, in base_link."""
        front = self.vehicle.wheelbase + self.vehicle.front_overhang
        return self._radar.measure(self._objects(), front)

    def route(self, stamp_ns: Nanoseconds) -> Route:
        """The way ahead as a navigation map and receiver would give it: metres off, no lanes."""
        truth = self.truth()
        path = self._path
        s = self._along + _ROUTE_SPACING * np.arange(1, MAX_ROUTE_POINTS + 1)
        s = s[s <= path.length] if path.length - self._along > _ROUTE_SPACING else np.array([path.length])
        k = np.minimum(np.searchsorted(path.s, s), len(path.s) - 1)
        middle = 0.5 * (path.edge_left[k] - path.edge_right[k])
        error = self._route_error(self._station)
        x = path.x[k] - middle * np.sin(path.heading[k]) + error[0]
        y = path.y[k] + middle * np.cos(path.heading[k]) + error[1]
        motion = self.ego.motion
        x, y = to_base(x, y, (motion.x, motion.y, motion.heading))
        return Route(
            stamp_ns, x.astype(np.float32), y.astype(np.float32), truth.next_turn,
            truth.distance_to_turn, truth.distance_to_goal, self.scenario.speed_limit,
        )

    # What only the simulator knows

    def bodies(self) -> list[Body]:
        """Everybody and everything around the car, in the map."""
        bodies = [
            traffic_body(str(i), vehicle) for i, vehicle in enumerate(self._traffic)
            if vehicle.id in self._engine.get_objects()
        ]
        return bodies + [thing.body() for thing in self._placed]

    def truth(self) -> Truth:
        """Everything about this instant; see Truth."""
        motion, path = self.ego.motion, self._path
        base = (motion.x, motion.y, motion.heading)
        first, last = np.searchsorted(path.s, (self._along - BEHIND, self._along + AHEAD))
        k = np.arange(first, last)
        x, y = to_base(path.x[k], path.y[k], base)
        turn, turn_distance = self._next_turn()
        goal = max(0.0, path.length - self._along)
        here = min(int(np.searchsorted(path.s, self._along)), len(path.s) - 1)
        return Truth(
            time_s=self.time_s, x=motion.x, y=motion.y, heading=motion.heading, speed=motion.speed,
            distance=self._distance, route_completion=self._completion(),
            station=self._station, lane=self._lane, lane_offset=self._offset,
            heading_error=_wrapped(motion.heading - float(path.heading[here])),
            lane_width=2.0 * float(path.half_width[here]), off_road=self._off_road(here),
            collisions=self._collisions, arrived=goal < _GOAL_REACHED,
            speed_limit=self.scenario.speed_limit, next_turn=turn, distance_to_turn=turn_distance,
            distance_to_goal=goal, path_s=path.s[k] - self._along, path_x=x, path_y=y,
            path_heading=path.heading[k] - motion.heading, path_curvature=path.curvature[k],
            lane_lines=lane_lines(path, self._along, base), objects=tuple(self._objects()),
        )

    def _objects(self) -> list[SceneObject]:
        motion = self.ego.motion
        return [b.seen_from(motion.x, motion.y, motion.heading) for b in self.bodies()]

    def _completion(self) -> float:
        whole = self.route_map.length - self._start_station - _GOAL_REACHED
        return float(np.clip((self._station - self._start_station) / whole, 0.0, 1.0))

    def _next_turn(self) -> tuple[Turn, float]:
        for junction in self.route_map.junctions:
            if junction.end > self._station:
                return junction.turn, max(0.0, junction.start - self._station)
        return Turn.ARRIVE, max(0.0, self.route_map.length - self._station)

    def _off_road(self, here: int) -> bool:
        """Whether a side of the body is beyond the carriageway."""
        path = self._path
        _, left = path.locate(self.ego.motion.x, self.ego.motion.y, self._along)
        half = self.vehicle.width / 2.0
        return bool(left + half > path.edge_left[here] + _EDGE_MARGIN
                    or left - half < -path.edge_right[here] - _EDGE_MARGIN)

    def _put_down(self) -> list[Placed]:
        start = self.route_map.path(0, self.scenario.start_lane)
        here, _ = start.locate(self.ego.motion.x, self.ego.motion.y, 0.0)
        placed = []
        for i, wish in enumerate(self.scenario.objects):
            if here + wish.distance > start.length:
                raise SimulatorError(
                    f"scenario {self.scenario.name}: objects[{i}]: distance: {wish.distance} is "
                    f"beyond the end of the route, {start.length - here:.0f} m ahead of the start"
                )
            x, y, heading = start.point(here + wish.distance, wish.lateral)
            thing = Placed(f"placed {i}", wish, x, y, heading)
            thing.attach(self._engine)
            placed.append(thing)
        return placed


_EDGE_MARGIN = 0.1


def _configuration(scenario: Scenario) -> dict[str, Any]:
    """MetaDrive's settings for a scenario."""
    number = scenario.map.isdigit()
    lane = {"spawn_lane_index": (">", ">>", scenario.start_lane)}
    return {
        "map_config": {
            "type": "block_num" if number else "block_sequence",
            "config": int(scenario.map) if number else scenario.map,
            "lane_num": scenario.lanes, "lane_width": scenario.lane_width,
        },
        "start_seed": scenario.seed,
        "traffic_density": scenario.traffic_density,
        "vehicle_config": {"vehicle_model": "static_default", "spawn_longitude": 5.0, **lane},
        "target_vehicle_configs": {"default_agent": lane},
    }


def _traffic(engine: Any, speed: float) -> list[Any]:
    """All traffic vehicles, made to wish for a speed in m/s."""
    vehicles = []
    for vehicle in engine.traffic_manager.spawned_objects.values():
        policy = engine.get_policy(vehicle.name)
        policy.NORMAL_SPEED = policy.target_speed = speed * 3.6
        vehicles.append(vehicle)
    return vehicles


def _route_error(seed: int, length: float) -> Any:
    """Slowly wandering error of a navigation receiver over the station, (2,) m."""
    random = np.random.default_rng([seed, 7])
    knots = np.arange(0.0, length + 2 * _ROUTE_ERROR_LENGTH, _ROUTE_ERROR_LENGTH)
    values = _ROUTE_ERROR * random.normal(size=(2, len(knots)))
    return lambda station: np.array([np.interp(station, knots, v) for v in values])


def _wrapped(angle: float) -> float:
    return math.atan2(math.sin(angle), math.cos(angle))
