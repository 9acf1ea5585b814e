"""Everybody and everything around the car: MetaDrive's traffic and what the scenario puts down."""

from __future__ import annotations

import functools
import itertools
import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from vla_driving.contract.scene import ObjectClass, SceneObject
from vla_driving.simulation.ego import Motion
from vla_driving.simulation.metadrive import SimulatorError
from vla_driving.simulation.progress import Progress
from vla_driving.simulation.renderer import Actor
from vla_driving.simulation.road import RouteMap
from vla_driving.simulation.scenario import BOX_SIZES, PlacedObject, Scenario

_STEP_LENGTH = 1.4
"""m a pedestrian goes in one cycle of the four drawn poses."""
_MODELS = {"SVehicle": "s", "MVehicle": "m", "LVehicle": "l", "XLVehicle": "xl"}
_CLASSES = {
    "pedestrian": ObjectClass.PEDESTRIAN, "car": ObjectClass.CAR, "truck": ObjectClass.TRUCK,
    "cone": ObjectClass.OBSTACLE, "barrier": ObjectClass.OBSTACLE,
}
_NEAR = 15.0


@dataclass(frozen=True)
class Body:
    """One thing in the map: centre in m, heading in rad, velocity in m/s, size in m."""

    key: str
    classification: ObjectClass
    model: str
    x: float
    y: float
    heading: float
    velocity_x: float
    velocity_y: float
    length: float
    width: float
    height: float

    def actor(self) -> Actor:
        """What the renderer draws of it."""
        return Actor(
            self.key, self.model, self.x, self.y, self.heading, self.length, self.width, self.height
        )

    def seen_from(self, motion: Motion) -> SceneObject:
        """The same in the base_link of a car."""
        c, s = math.cos(motion.heading), math.sin(motion.heading)
        dx, dy = self.x - motion.x, self.y - motion.y
        return SceneObject(
            classification=self.classification, probability=1.0,
            x=c * dx + s * dy, y=-s * dx + c * dy, heading=_wrapped(self.heading - motion.heading),
            velocity_x=c * self.velocity_x + s * self.velocity_y,
            velocity_y=-s * self.velocity_x + c * self.velocity_y,
            length=self.length, width=self.width, height=self.height,
        )


class Surroundings:
    """All of them. Made once MetaDrive has been reset and the car stands at its start.

    Raises SimulatorError for a thing placed beyond the end of the route.
    """

    def __init__(self, engine: Any, scenario: Scenario, progress: Progress) -> None:
        self._engine = engine
        self._traffic = list(engine.traffic_manager.spawned_objects.values())
        for vehicle in self._traffic:
            policy = engine.get_policy(vehicle.name)
            policy.NORMAL_SPEED = policy.target_speed = scenario.traffic_speed * 3.6
        self._roads = list(itertools.pairwise(progress.route.nodes))
        self._placed = [
            _put_down(engine, scenario.name, i, wish, progress)
            for i, wish in enumerate(scenario.objects)
        ]

    def decide(self, road: int) -> None:
        """Let traffic choose its steering and throttle.

        Cars of a block start when the car comes onto the road before it: `road` or one it has
        passed, which MetaDrive would miss after a leap.
        """
        manager = self._engine.traffic_manager
        waiting = manager.block_triggered_vehicles
        while waiting and _name(waiting[-1].trigger_road) in self._roads[:road + 1]:
            manager._traffic_vehicles += list(manager.get_objects(waiting.pop().vehicles).values())
        manager.before_step()

    def decided(self) -> None:
        """Let traffic look where it has come to; cars at the end of their road disappear."""
        self._engine.traffic_manager.after_step()

    def step(self, ego: Motion, dt_s: float) -> None:
        """Move what walks; cars are moved by physics."""
        for thing in self._placed:
            thing.step(ego, dt_s)

    def bodies(self) -> list[Body]:
        """Everybody and everything now, in the map."""
        cars = [_car(f"car {i}", v) for i, v in self._present()]
        return cars + [thing.body() for thing in self._placed]

    def _present(self) -> list[tuple[int, Any]]:
        there = self._engine.get_objects()
        return [(i, v) for i, v in enumerate(self._traffic) if v.id in there]

    def _close_to(self, ego: Motion) -> list[Body]:
        cars = [
            _car(f"car {i}", v) for i, v in self._present()
            if abs(v.origin.getX() - ego.x) + abs(v.origin.getY() - ego.y) < _NEAR
        ]
        return cars + [thing.body() for thing in self._placed]

    def touching(self, ego: Motion, length: float, width: float, centre: float) -> set[str]:
        """Keys of what meets the car's footprint, which is centred `centre` m before base_link."""
        return {
            body.key for body in self._close_to(ego)
            if overlapping(body.seen_from(ego), length, width, centre)
        }


class Placed:
    """One thing put down by the scenario; a pedestrian starts to cross when the car comes near."""

    def __init__(self, key: str, wish: PlacedObject, x: float, y: float, road: float) -> None:
        self._key = key
        self._wish = wish
        self._x, self._y = x, y
        self._road = road
        self._walked = 0.0
        self._walking = False
        self._thing: Any = None
        self._route: RouteMap | None = None
        self._road_index = 0

    def attach(self, engine: Any, route: RouteMap, road_index: int) -> None:
        """Give it a body in MetaDrive's physics, which traffic sees and the car can hit."""
        self._thing = _kinematic_box(engine, self.body())
        self._route = route
        self._road_index = road_index
        self._tell_traffic()

    def step(self, ego: Motion, dt_s: float) -> None:
        """Move on by `dt_s` s, approached by a car."""
        speed = self._wish.crossing_speed
        near = math.hypot(ego.x - self._x, ego.y - self._y) < self._wish.trigger_distance
        self._walking = speed != 0.0 and (self._walking or near)
        if self._walking:
            self._x -= math.sin(self._road) * speed * dt_s
            self._y += math.cos(self._road) * speed * dt_s
            self._walked += abs(speed) * dt_s
            if self._thing is not None:
                self._thing.origin.setPos(self._x, self._y, self._thing.origin.getZ())
                self._tell_traffic()

    def _tell_traffic(self) -> None:
        """MetaDrive's drivers ask every object for the lane it is on."""
        if self._route is not None:
            road, lane, _, left = self._route.locate(self._x, self._y, self._road_index)
            on = self._route.lanes[road][lane]
            self._thing.lane = on if abs(left) < on.width_at(0) / 2 + 0.3 else _nowhere()

    def body(self) -> Body:
        """As it is now."""
        wish = self._wish
        length, width, height = BOX_SIZES[wish.kind]
        speed = wish.crossing_speed if self._walking else 0.0
        heading = self._road + wish.heading
        model = {"car": "m", "truck": "xl"}.get(wish.kind, wish.kind)
        if wish.kind == "pedestrian":
            model = f"pedestrian_{int(4.0 * self._walked / _STEP_LENGTH) % 4}"
            if wish.crossing_speed:
                heading = self._road + math.copysign(math.pi / 2, wish.crossing_speed)
        return Body(
            key=self._key, classification=_CLASSES[wish.kind], model=model, x=self._x, y=self._y,
            heading=_wrapped(heading), velocity_x=-math.sin(self._road) * speed,
            velocity_y=math.cos(self._road) * speed, length=length, width=width, height=height,
        )


def overlapping(item: SceneObject, length: float, width: float, centre: float) -> bool:
    """Whether an object's footprint meets a car's, which is centred `centre` m before base_link.

    Separating-axis test of the two rectangles.
    """
    dx, dy = item.x - centre, item.y
    c, s = math.cos(item.heading), math.sin(item.heading)
    theirs = np.array([item.length, item.width]) / 2.0
    ours = np.array([length, width]) / 2.0
    turned = np.abs(np.array([[c, s], [s, c]]))
    own_axes = np.abs([dx, dy]) <= ours + turned @ theirs
    other_axes = np.abs([c * dx + s * dy, -s * dx + c * dy]) <= theirs + turned @ ours
    return bool(own_axes.all() and other_axes.all())


def _put_down(
    engine: Any, scenario: str, i: int, wish: PlacedObject, progress: Progress
) -> Placed:
    start, station = progress.path, progress.along
    if station + wish.distance > start.length:
        raise SimulatorError(
            f"scenario {scenario}: objects[{i}]: distance: {wish.distance} is beyond the end of "
            f"the route, {start.length - station:.0f} m ahead of the start"
        )
    x, y, heading = start.point(station + wish.distance, wish.lateral)
    thing = Placed(f"placed {i}", wish, x, y, heading)
    road = int(np.searchsorted(start.road_starts, station + wish.distance, side="right")) - 1
    thing.attach(engine, progress.route, start.first_road + road)
    return thing


@functools.cache
def _nowhere() -> Any:
    """A lane that no car is on: that of things beside the road."""
    from metadrive.component.lane.straight_lane import StraightLane

    lane = StraightLane([-1e6, -1e6], [-1e6 + 1.0, -1e6])
    lane.index = ("", "", 0)
    return lane


def _kinematic_box(engine: Any, body: Body) -> Any:
    from metadrive.base_class.base_object import BaseObject
    from metadrive.constants import BodyName, CollisionGroup
    from metadrive.engine.physics_node import BaseRigidBodyNode
    from panda3d.bullet import BulletBoxShape
    from panda3d.core import Vec3

    class Thing(BaseObject):
        """A box that moves only as it is told to."""

        COLLISION_MASK = CollisionGroup.TrafficObject
        COST_ONCE = False
        crashed = False
        lane: Any = None

        def __init__(self, random_seed: int) -> None:
            super().__init__(random_seed=random_seed)
            self.add_body(BaseRigidBodyNode(self.name, BodyName.Traffic_object))
            size = Vec3(body.length / 2, body.width / 2, body.height / 2)
            self.body.addShape(BulletBoxShape(size))
            self.body.setKinematic(True)

    thing = engine.spawn_object(Thing, force_spawn=True)
    thing.origin.setPosHpr(body.x, body.y, body.height / 2, math.degrees(body.heading), 0.0, 0.0)
    return thing


def _car(key: str, vehicle: Any) -> Body:
    """A MetaDrive vehicle as it is now."""
    matrix = vehicle.origin.getMat()
    velocity = vehicle.body.getLinearVelocity()
    kind = type(vehicle).__name__
    return Body(
        key=key,
        classification=ObjectClass.TRUCK if kind == "XLVehicle" else ObjectClass.CAR,
        model=_MODELS.get(kind, "sedan"), x=matrix.getCell(3, 0), y=matrix.getCell(3, 1),
        # MetaDrive's bodies look along y, the second row of panda3d's matrix.
        heading=math.atan2(matrix.getCell(1, 1), matrix.getCell(1, 0)),
        velocity_x=velocity[0], velocity_y=velocity[1],
        length=vehicle.LENGTH, width=vehicle.WIDTH, height=vehicle.HEIGHT,
    )


def _name(road: Any) -> tuple[str, str]:
    return road.start_node, road.end_node


def _wrapped(angle: float) -> float:
    return math.atan2(math.sin(angle), math.cos(angle))
