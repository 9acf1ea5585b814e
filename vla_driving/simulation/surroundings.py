"""Everybody and everything around the car: traffic, placed objects, and what a radar sees of them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from vla_driving.contract.scene import ObjectClass, SceneObject
from vla_driving.simulation.renderer import Actor
from vla_driving.simulation.scenario import BOX_SIZES, PlacedObject

_STEP_LENGTH = 1.4
"""m a pedestrian goes in one cycle of the four drawn poses."""
_MODELS = {"SVehicle": "s", "MVehicle": "m", "LVehicle": "l", "XLVehicle": "xl"}
_CLASSES = {
    "pedestrian": ObjectClass.PEDESTRIAN, "car": ObjectClass.CAR, "truck": ObjectClass.TRUCK,
    "cone": ObjectClass.OBSTACLE, "barrier": ObjectClass.OBSTACLE,
}


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

    def seen_from(self, x: float, y: float, heading: float) -> SceneObject:
        """The same in the base_link that stands at (x, y, heading) in the map."""
        c, s = math.cos(heading), math.sin(heading)
        dx, dy = self.x - x, self.y - y
        return SceneObject(
            classification=self.classification, probability=1.0,
            x=c * dx + s * dy, y=-s * dx + c * dy, heading=_wrapped(self.heading - heading),
            velocity_x=c * self.velocity_x + s * self.velocity_y,
            velocity_y=-s * self.velocity_x + c * self.velocity_y,
            length=self.length, width=self.width, height=self.height,
        )


def traffic_body(key: str, vehicle: Any) -> Body:
    """A MetaDrive vehicle as it is now."""
    matrix = vehicle.origin.getMat()
    velocity = vehicle.body.getLinearVelocity()
    kind = type(vehicle).__name__
    return Body(
        key=key,
        classification=ObjectClass.TRUCK if kind == "XLVehicle" else ObjectClass.CAR,
        model=_MODELS.get(kind, "sedan"), x=float(matrix.getCell(3, 0)), y=float(matrix.getCell(3, 1)),
        # MetaDrive's bodies look along y, the second row of panda3d's matrix.
        heading=math.atan2(matrix.getCell(1, 1), matrix.getCell(1, 0)),
        velocity_x=float(velocity[0]), velocity_y=float(velocity[1]),
        length=float(vehicle.LENGTH), width=float(vehicle.WIDTH), height=float(vehicle.HEIGHT),
    )


class Placed:
    """One thing put down by the scenario; a pedestrian starts to cross when the car comes near."""

    def __init__(self, key: str, wish: PlacedObject, x: float, y: float, road_heading: float) -> None:
        self._wish = wish
        self._road = road_heading
        self._key = key
        self._x, self._y = x, y
        self._walked = 0.0
        self._walking = False
        self._node: Any = None

    def step(self, ego_x: float, ego_y: float, dt_s: float) -> None:
        """Move on by `dt_s` s, seen by a car at (ego_x, ego_y)."""
        speed = self._wish.crossing_speed
        near = math.hypot(ego_x - self._x, ego_y - self._y) < self._wish.trigger_distance
        self._walking = speed != 0.0 and (self._walking or near)
        if self._walking:
            self._x -= math.sin(self._road) * speed * dt_s
            self._y += math.cos(self._road) * speed * dt_s
            self._walked += abs(speed) * dt_s
            if self._node is not None:
                self._node.setPos(self._x, self._y, self._node.getZ())

    def attach(self, engine: Any) -> None:
        """Give it a body in MetaDrive's physics, which traffic sees and the car can hit."""
        from panda3d.bullet import BulletBoxShape
        from panda3d.core import Vec3

        from metadrive.base_class.base_object import BaseObject
        from metadrive.constants import BodyName, CollisionGroup
        from metadrive.engine.physics_node import BaseRigidBodyNode

        body = self.body()

        class _Thing(BaseObject):  # type: ignore[misc]
            MASS = None
            COLLISION_MASK = CollisionGroup.TrafficObject
            LENGTH, WIDTH, HEIGHT = body.length, body.width, body.height
            crashed = False
            COST_ONCE = False
            lane: Any = None

            def __init__(self, random_seed: int) -> None:
                super().__init__(random_seed=random_seed)
                self.add_body(BaseRigidBodyNode(self.name, BodyName.Traffic_object))
                self.body.addShape(
                    BulletBoxShape(Vec3(body.length / 2, body.width / 2, body.height / 2))
                )
                self.body.setKinematic(True)

        thing = engine.spawn_object(_Thing, force_spawn=True)
        thing.origin.setPosHpr(body.x, body.y, body.height / 2, math.degrees(body.heading), 0, 0)
        self._node = thing.origin

    def body(self) -> Body:
        """As it is now."""
        kind = self._wish.kind
        length, width, height = BOX_SIZES[kind]
        speed = self._wish.crossing_speed if self._walking else 0.0
        heading = self._road + self._wish.heading
        model = {"car": "m", "truck": "xl"}.get(kind, kind)
        if kind == "pedestrian":
            model = f"pedestrian_{int(4.0 * self._walked / _STEP_LENGTH) % 4}"
            if self._wish.crossing_speed:
                heading = self._road + math.copysign(math.pi / 2, self._wish.crossing_speed)
        return Body(
            key=self._key, classification=_CLASSES[kind], model=model, x=self._x, y=self._y,
            heading=_wrapped(heading), velocity_x=-math.sin(self._road) * speed,
            velocity_y=math.cos(self._road) * speed, length=length, width=width, height=height,
        )


def touching(a: SceneObject, length: float, width: float, centre: float, margin: float = 0.0) -> bool:
    """Whether an object's footprint meets the car's, which is centred `centre` m before base_link.

    Separating-axis test of the two rectangles.
    """
    dx, dy = a.x - centre, a.y
    c, s = math.cos(a.heading), math.sin(a.heading)
    half_a = np.array([a.length, a.width]) / 2.0
    half_b = np.array([length, width]) / 2.0 + margin
    overlap = np.abs(np.array([[c, s], [s, c]]))
    if abs(dx) > half_b[0] + overlap[0] @ half_a or abs(dy) > half_b[1] + overlap[1] @ half_a:
        return False
    along, across = c * dx + s * dy, -s * dx + c * dy
    return bool(
        abs(along) <= half_a[0] + overlap[0] @ half_b and abs(across) <= half_a[1] + overlap[1] @ half_b
    )


class Radar:
    """Objects ahead with small errors, without those that hide behind others.

    Reach and opening of a long-range radar; the errors (standard deviations) are drawn from a
    generator seeded by the scenario.
    """

    REACH = 80.0
    HALF_OPENING = math.radians(60.0)
    POSITION_ERROR = 0.15
    VELOCITY_ERROR = 0.10
    HIDDEN_SHARE = 0.7

    def __init__(self, seed: int) -> None:
        self._random = np.random.default_rng(seed)

    def measure(self, objects: Sequence[SceneObject], front: float) -> tuple[SceneObject, ...]:
        """What a sensor `front` m before base_link sees of `objects`, nearest first."""
        seen: list[SceneObject] = []
        hidden = np.zeros(361, bool)
        bearings = np.linspace(-self.HALF_OPENING, self.HALF_OPENING, len(hidden))
        for item in sorted(objects, key=lambda o: math.hypot(o.x - front, o.y)):
            low, high = _bearings(item, front)
            covered = (bearings >= low) & (bearings <= high)
            near = math.hypot(item.x - front, item.y) <= self.REACH
            if not near or not covered.any():
                continue
            if hidden[covered].mean() < self.HIDDEN_SHARE:
                seen.append(self._noisy(item))
            hidden |= covered
        return tuple(seen)

    def _noisy(self, item: SceneObject) -> SceneObject:
        x, y, vx, vy = self._random.normal(size=4)
        return SceneObject(
            item.classification, 1.0, item.x + self.POSITION_ERROR * x,
            item.y + self.POSITION_ERROR * y, item.heading,
            item.velocity_x + self.VELOCITY_ERROR * vx, item.velocity_y + self.VELOCITY_ERROR * vy,
            item.length, item.width, item.height,
        )


def _bearings(item: SceneObject, front: float) -> tuple[float, float]:
    """Smallest and largest bearing of an object's corners from the sensor, rad."""
    c, s = math.cos(item.heading), math.sin(item.heading)
    corners = [
        (item.x - front + c * a - s * b, item.y + s * a + c * b)
        for a in (-item.length / 2, item.length / 2) for b in (-item.width / 2, item.width / 2)
    ]
    angles = [math.atan2(y, x) for x, y in corners]
    if max(angles) - min(angles) > math.pi:
        return math.pi, -math.pi  # behind the sensor
    return min(angles), max(angles)


def _wrapped(angle: float) -> float:
    return math.atan2(math.sin(angle), math.cos(angle))
