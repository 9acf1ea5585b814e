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
from collections.abc import Sequence
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from vla_driving.contract.checksum import vehicle_state_checksum
from vla_driving.contract.clock import Nanoseconds
from vla_driving.contract.frames import Image
from vla_driving.contract.language import Command
from vla_driving.contract.navigation import Route
from vla_driving.contract.scene import SceneObject
from vla_driving.contract.vehicle import ControlCommand, Gear, VehicleParameters, VehicleState
from vla_driving.simulation.body import Body
from vla_driving.simulation.drive_by_wire import ActuatorDemand, DriveByWire, DriverInputs
from vla_driving.simulation.ego import Ego
from vla_driving.simulation.metadrive import (
    DECISION_STEPS,
    PHYSICS_STEP_S,
    SimulatorError,
    close_environment,
    make_environment,
)
from vla_driving.simulation.progress import Progress
from vla_driving.simulation.radar import Radar
from vla_driving.simulation.renderer import Actor, Renderer
from vla_driving.simulation.road import RouteMap, surfaces
from vla_driving.simulation.scenario import Scenario
from vla_driving.simulation.surroundings import Surroundings
from vla_driving.simulation.truth import AHEAD, BEHIND, Truth, lane_lines, to_base
from vla_driving.simulation.wishes import Obedience, Wishes

_SETTLING_STEPS = 100
_STANDSTILL = 0.03
_CREEP = 0.1
_NO_DRIVER = DriverInputs()
_DEMAND_AT_START = ActuatorDemand(0.0, 0.0, True, False, (), False)


class Actuators(Protocol):
    """ActuatorMap or LinearMap."""

    def steering(self, speed: float, angle: float) -> float:
        """Steering input for a road-wheel angle in rad."""

    def throttle(self, speed: float, acceleration: float) -> float:
        """Throttle or brake input for m/s²."""


class World:
    """One scenario being driven. MetaDrive allows one World at a time in a process.

    Everything follows from the scenario and the calls made. Raises SimulatorError.
    """

    def __init__(
        self, scenario: Scenario, vehicle: VehicleParameters, actuators: Actuators,
        renderer: Renderer | None = None,
    ) -> None:
        self.scenario = scenario
        self.vehicle = vehicle
        self._actuators = actuators
        self._renderer = renderer
        self.environment = make_environment(_configuration(scenario))
        self._open = True
        atexit.register(self.close)
        try:
            self.environment.reset(force_seed=scenario.seed)
            self._engine = self.environment.engine
            self._start()
        except SimulatorError:
            self.close()
            raise

    def _start(self) -> None:
        scenario = self.scenario
        self.ego = Ego(self.environment.vehicle)
        self._gateway = DriveByWire(self.vehicle)
        self._demand = _DEMAND_AT_START
        self._driver = _NO_DRIVER
        self._radar = Radar(scenario.seed)
        self._ticks = self._states = self._collisions = 0
        self._pending_s = self._distance = self._angle_before = self._steering_rate = 0.0
        self._touched: set[str] = set()
        for _ in range(_SETTLING_STEPS):
            self.ego.actuate(0.0, 0.0)
            self._engine.step_physics_world()
        self.ego.settled()
        route = RouteMap(self._engine.current_map, self.ego.vehicle.navigation.checkpoints)
        self.progress = Progress(route, scenario.start_lane, scenario.seed)
        self.progress.begin(self.ego.motion)
        self.wishes = Wishes(self.vehicle.width)
        self._surroundings = Surroundings(self._engine, scenario, self.progress)
        if scenario.start_speed:
            motion = self.ego.motion
            self.ego.place(motion.x, motion.y, motion.heading, scenario.start_speed)
        if self._renderer is not None:
            self._renderer.dress(scenario.look, scenario.seed, self.ego.motion.heading)
            self._renderer.load_road(surfaces(self._engine.current_map))

    def close(self) -> None:
        """Free MetaDrive for another World. Closing twice does no harm."""
        if self._open:
            self._open = False
            atexit.unregister(self.close)
            close_environment(self.environment)

    def __enter__(self) -> World:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def time_s(self) -> float:
        """Simulated time since the start, s."""
        return self._ticks * PHYSICS_STEP_S

    # Driving

    def hear(self, command: ControlCommand, at_ns: Nanoseconds) -> None:
        """Hand a command to the gateway at the time of its arrival, before the next step."""
        self._gateway.receive(command, at_ns)

    def step(
        self, command: ControlCommand | None, dt_s: float = PHYSICS_STEP_S,
        driver: DriverInputs = _NO_DRIVER, now_ns: Nanoseconds | None = None,
    ) -> None:
        """Go on by `dt_s` s; `command` is the newest received, None where all were `hear`d.

        What is left of a physics step is carried over to the next call. `now_ns`: the instant that
        the step ends at, by which the gateway's watchdog goes then.
        """
        self._driver = driver
        for _ in range(self._steps(dt_s)):
            speed = self.ego.motion.speed
            self._demand = self._gateway.step(command, driver, speed, PHYSICS_STEP_S, now_ns)
            self._push(self._demand.acceleration, self._demand.hold)

    def drive(
        self, steering_angle: float, acceleration: float, dt_s: float = PHYSICS_STEP_S
    ) -> None:
        """Go on by `dt_s` s under a road-wheel angle in rad and m/s², past gateway and watchdog.

        The steering actuator's rate limit holds here too.
        """
        for _ in range(self._steps(dt_s)):
            self._gateway.steer(steering_angle, PHYSICS_STEP_S)
            self._push(acceleration, acceleration <= 0.0 and self.ego.motion.speed < _CREEP)

    def act(self, steering: float, throttle: float, dt_s: float = PHYSICS_STEP_S) -> None:
        """Go on by `dt_s` s under MetaDrive's own inputs, -1 to 1, as its policies give them."""
        steering, throttle = (float(np.clip(v, -1.0, 1.0)) for v in (steering, throttle))
        for _ in range(self._steps(dt_s)):
            self._gateway.place(steering * self.ego.largest_angle)
            self._tick(steering, throttle, throttle < 0.0 and self.ego.motion.speed < _CREEP)

    def place(
        self, left: float = 0.0, heading: float = 0.0, speed: float | None = None,
        ahead: float = 0.0, lane: int | None = None,
    ) -> None:
        """Put the car `left` m beside its lane's centre, turned by `heading` rad against the lane.

        `ahead` m moves it along the route, `lane` changes its lane; the wheels point straight on
        and the speed in m/s stays unless given.
        """
        progress, motion = self.progress, self.ego.motion
        if lane is not None:
            progress.change_lane(motion, lane)
        s = float(np.clip(progress.along + ahead, 0.0, progress.path.length))
        x, y, lane_heading = progress.path.point(s, left)
        self.ego.place(x, y, lane_heading + heading, motion.speed if speed is None else speed)
        self._gateway.place(0.0)
        progress.jump(self.ego.motion, s)
        self._update_metadrive()

    def obey(self, command: Command | None) -> None:
        """Tell the world the newest command, None for no wish; again and again does no harm.

        A way wished for at the next junction becomes the route; the rest is the driver's to do.
        See `obedience`.
        """
        motion = self.ego.motion
        self.progress.update(motion)
        route = self.wishes.hear(command, motion, self.progress, self.time_s)
        if route is not None:
            self.progress.reroute(motion, route)
            self._surroundings.rerouted(route.nodes)
            self._tell_metadrive(route.nodes[-1])

    def obedience(self) -> Obedience:
        """Whether what was commanded has come about, or cannot on this map."""
        return self.wishes.report(self.ego.motion, self.scenario.speed_limit)

    def _steps(self, dt_s: float) -> int:
        self._pending_s += dt_s
        count = int(self._pending_s / PHYSICS_STEP_S + 1e-6)
        self._pending_s -= count * PHYSICS_STEP_S
        return count

    def _push(self, acceleration: float, hold: bool) -> None:
        speed = self.ego.motion.speed
        steering = self._actuators.steering(speed, self._gateway.steering_angle)
        self._tick(steering, self._actuators.throttle(speed, acceleration), hold)

    def _tick(self, steering: float, throttle: float, hold: bool) -> None:
        """One physics step."""
        if not self._open:
            raise SimulatorError("this World is closed")
        if self._ticks % DECISION_STEPS == 0:
            self._surroundings.decide(self.progress.road)
        before = self.ego.motion
        self.ego.actuate(steering, throttle)
        self.ego.hold(hold)
        self._surroundings.step(before, PHYSICS_STEP_S)
        self._engine.step_physics_world()
        motion = self.ego.measure()
        self._ticks += 1
        self._distance += math.hypot(motion.x - before.x, motion.y - before.y)
        angle = self._gateway.steering_angle
        self._steering_rate = (angle - self._angle_before) / PHYSICS_STEP_S
        self._angle_before = angle
        self._count_collisions()
        if self._ticks % DECISION_STEPS == 0:
            self.progress.update(motion)
            self.wishes.update(motion, self.progress, self.time_s)
            self._update_metadrive()
            self._surroundings.decided()

    def _tell_metadrive(self, goal: str) -> None:
        """Lead MetaDrive's own drivers the new way, where it finds one from the lane we are on."""
        lane, navigation = self.ego.vehicle.lane_index, self.ego.vehicle.navigation
        if lane[0] != goal and len(navigation.map.road_network.shortest_path(lane, goal)) > 1:
            navigation.set_route(lane, goal)

    def _update_metadrive(self) -> None:
        # Where MetaDrive believes the car to be decides which traffic starts to move.
        self.ego.vehicle._init_step_info()
        self.ego.vehicle.after_step()

    def _count_collisions(self) -> None:
        car = self.vehicle
        touched = self._surroundings.touching(
            self.ego.motion, car.length, car.width, car.centre_offset
        )
        self._collisions += len(touched - self._touched)
        self._touched = touched

    # What the car and its sensors report

    def vehicle_state(self, stamp_ns: Nanoseconds) -> VehicleState:
        """What the vehicle says of itself, measured now and stamped `stamp_ns`."""
        motion, demand, driver = self.ego.motion, self._demand, self._driver
        state = VehicleState(
            stamp_ns=stamp_ns, sequence=self._states, speed=motion.speed,
            wheel_speed=motion.wheel_speed, acceleration=motion.acceleration,
            lateral_acceleration=motion.lateral_acceleration, yaw_rate=motion.yaw_rate,
            steering_angle=self._gateway.steering_angle, steering_rate=self._steering_rate,
            gear=Gear.DRIVE, standstill=abs(motion.speed) < _STANDSTILL,
            steering_override=driver.steering_angle is not None,
            brake_override=driver.brake is not None,
            accelerator_override=driver.accelerator is not None,
            engage_button=driver.engage_button, cancel_button=driver.cancel_button,
            hazard_lights=demand.hazard_lights, faults=demand.faults,
        )
        self._states += 1
        return dataclasses.replace(state, checksum=vehicle_state_checksum(state))

    def view(self) -> tuple[npt.NDArray[np.float64], list[Actor]]:
        """What `Renderer.render` takes: all that it draws, copied, so that another thread may."""
        return self.ego.camera_base(), [b.actor() for b in self._surroundings.bodies()]

    def render(self) -> Image:
        """(H, W, 3) rgb8 of the windscreen camera now."""
        if self._renderer is None:
            raise SimulatorError("this World was made without a renderer")
        return self._renderer.render(*self.view(), self.time_s)

    def radar(self) -> tuple[SceneObject, ...]:
        """What the front radar measures now, in base_link."""
        front = self.vehicle.wheelbase + self.vehicle.front_overhang
        return self._radar.measure(self._objects(), front)

    def route(self, stamp_ns: Nanoseconds) -> Route:
        """The way ahead as a navigation device would give it: metres off, no lanes."""
        motion = self.ego.motion
        self.progress.update(motion)
        return self.progress.navigation(motion, stamp_ns, self.scenario.speed_limit)

    # What only the simulator knows

    def bodies(self) -> Sequence[Body]:
        """Everybody and everything around the car, in the map."""
        return self._surroundings.bodies()

    @property
    def touching(self) -> frozenset[str]:
        """Keys of the bodies that the car's footprint meets now."""
        return frozenset(self._touched)

    def truth(self) -> Truth:
        """Everything about this instant; see Truth."""
        motion, progress = self.ego.motion, self.progress
        progress.update(motion)
        path, along, here = progress.path, progress.along, progress.here()
        base = (motion.x, motion.y, motion.heading)
        k = np.arange(*np.searchsorted(path.s, (along - BEHIND, along + AHEAD)))
        x, y = to_base(path.x[k], path.y[k], base)
        turn, turn_distance = progress.next_turn()
        bodies = self._surroundings.bodies()
        heading_error = motion.heading - float(path.heading[here])
        return Truth(
            time_s=self.time_s, x=motion.x, y=motion.y, heading=motion.heading, speed=motion.speed,
            distance=self._distance, route_completion=progress.completion,
            station=progress.station, lane=progress.lane, lane_offset=progress.offset,
            heading_error=math.atan2(math.sin(heading_error), math.cos(heading_error)),
            lane_width=2.0 * float(path.half_width[here]),
            off_road=progress.off_road(motion, self.vehicle.width), collisions=self._collisions,
            arrived=progress.arrived, speed_limit=self.scenario.speed_limit,
            next_turn=turn, distance_to_turn=turn_distance, distance_to_goal=progress.to_goal,
            path_s=path.s[k] - along, path_x=x, path_y=y,
            path_heading=path.heading[k] - motion.heading, path_curvature=path.curvature[k],
            lane_lines=lane_lines(path, along, base),
            objects=tuple(body.seen_from(motion) for body in bodies),
            object_keys=tuple(body.key for body in bodies),
        )

    def _objects(self) -> list[SceneObject]:
        return [body.seen_from(self.ego.motion) for body in self._surroundings.bodies()]


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
