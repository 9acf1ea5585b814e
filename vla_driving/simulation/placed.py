"""What the scenario puts on the road: things that stand, people who cross, cars that act on cue."""

from __future__ import annotations

import functools
import math
from typing import Any, Protocol

import numpy as np

from vla_driving.contract.scene import ObjectClass
from vla_driving.simulation.body import Body
from vla_driving.simulation.ego import Motion
from vla_driving.simulation.metadrive import DECISION_STEPS, SimulatorError
from vla_driving.simulation.progress import Progress
from vla_driving.simulation.road import LanePath, RouteMap
from vla_driving.simulation.scenario import BOX_SIZES, PlacedObject

_STEP_LENGTH = 1.4
"""m a pedestrian goes in one cycle of the four drawn poses."""
_CLASSES = {
    "pedestrian": ObjectClass.PEDESTRIAN, "car": ObjectClass.CAR, "truck": ObjectClass.TRUCK,
    "cone": ObjectClass.OBSTACLE, "barrier": ObjectClass.OBSTACLE,
}
_DRAWN = {"car": "m", "truck": "xl"}
_BEND = 0.005
"""1/m; a stretch that turns more is a bend."""


class PlacedThing(Protocol):
    """Anything that the scenario put down."""

    def step(self, ego: Motion, dt_s: float) -> None:
        """Move on by `dt_s` s while the car is at `ego`."""

    def body(self) -> Body:
        """As it is now."""

    @property
    def present(self) -> bool:
        """Whether it is still on the road."""


def put_down(
    engine: Any, scenario: str, i: int, wish: PlacedObject, progress: Progress, pace: float,
    start_speed: float,
) -> PlacedThing:
    """Place thing `i` of a scenario; traffic wishes to go at `pace` m/s,
    our car starts at `start_speed`.

    Raises SimulatorError where it lies beyond the end of the route.
    """
    path, station = progress.path, progress.along
    if wish.measured_from == "bend":
        station = _end_of_bend(path, station)
    at = station + wish.distance
    if at > path.length:
        raise SimulatorError(
            f"scenario {scenario}: objects[{i}]: distance: {wish.distance} is beyond the end of "
            f"the route, {path.length - station:.0f} m ahead of the start"
        )
    key = f"placed {i}"
    road = path.first_road + int(np.searchsorted(path.road_starts, at, side="right")) - 1
    if wish.drives:
        return ScriptedCar(
            key, wish, path, at, pace, start_speed, engine, progress.route, road
        )
    x, y, heading = path.point(at, wish.lateral)
    thing = Placed(key, wish, x, y, heading)
    thing.attach(engine, progress.route, road)
    return thing


def _end_of_bend(path: LanePath, station: float) -> float:
    """Where the first bend ahead ends, m along the path; `station` where there is none."""
    ahead = path.s > station
    bends = np.abs(path.curvature) > _BEND
    if not (bends & ahead).any():
        return station
    first = int(np.argmax(bends & ahead))
    return float(path.s[first + int(np.argmin(np.append(bends[first:], False))) - 1])


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

    @property
    def present(self) -> bool:
        """Always."""
        return True

    def _tell_traffic(self) -> None:
        """MetaDrive's drivers ask every object for the lane it is on."""
        if self._route is not None:
            self._road_index = _tell_lane(
                self._thing, self._route, self._x, self._y, self._road_index
            )

    def body(self) -> Body:
        """As it is now."""
        wish = self._wish
        length, width, height = BOX_SIZES[wish.kind]
        speed = wish.crossing_speed if self._walking else 0.0
        heading = self._road + wish.heading
        model = _DRAWN.get(wish.kind, wish.kind)
        if wish.kind == "pedestrian":
            model = f"pedestrian_{int(4.0 * self._walked / _STEP_LENGTH) % 4}"
            if wish.crossing_speed:
                heading = self._road + math.copysign(math.pi / 2, wish.crossing_speed)
        return Body(
            key=self._key, classification=_CLASSES[wish.kind], model=model, x=self._x, y=self._y,
            heading=math.atan2(math.sin(heading), math.cos(heading)),
            velocity_x=-math.sin(self._road) * speed, velocity_y=math.cos(self._road) * speed,
            length=length, width=width, height=height,
        )


class ScriptedCar:
    """A car that keeps `distance` m ahead of ours and then brakes hard, or cuts in and slows down.

    It moves along the path of the lane that our car starts in, `lateral` m beside it, as a body of
    its own pace: physics neither holds nor pushes it.
    """

    def __init__(
        self, key: str, wish: PlacedObject, path: LanePath, along: float, pace: float,
        speed: float, engine: Any, route: RouteMap, road: int,
    ) -> None:
        self._key, self._wish, self._path = key, wish, path
        self._along, self._left = along, wish.lateral
        self._speed, self._aside = speed, 0.0
        self._pace = pace
        self._ego_along = along - wish.distance
        self._time_s = self._rested_s = 0.0
        self._resumed = False
        self._ticks = 0
        self._route, self._road = route, road
        self._thing = _kinematic_box(engine, self.body())
        self._road = _tell_lane(self._thing, route, *self._place()[:2], road)

    @property
    def present(self) -> bool:
        """Until the end of its path."""
        return self._along < self._path.length - 1.0

    def step(self, ego: Motion, dt_s: float) -> None:
        """See PlacedThing."""
        if not self.present:
            self._thing.origin.setPos(0.0, 0.0, -1000.0)
            return
        self._ego_along, _ = self._path.locate(ego.x, ego.y, self._ego_along)
        self._time_s += dt_s
        before = self._speed
        change = self._acceleration(ego.speed, dt_s)
        self._speed = max(0.0, before + change * dt_s)
        if self._acts and not self._resumed:
            self._speed = max(self._speed, min(before, self._wish.final_speed))
        self._along += 0.5 * (before + self._speed) * dt_s
        left = self._beside()
        self._aside, self._left = (left - self._left) / dt_s, left
        self._move()

    @property
    def _acts(self) -> bool:
        return self._time_s >= self._wish.acts_after

    def _acceleration(self, ego_speed: float, dt_s: float) -> float:
        wish = self._wish
        if not self._acts:
            gap = self._along - self._ego_along
            wanted = ego_speed + 0.6 * (wish.distance - gap)
            return float(np.clip((min(wanted, 1.5 * self._pace) - self._speed) / 0.5, -3.0, 2.5))
        if not self._resumed:
            if self._speed > wish.final_speed + 0.01:
                return -wish.deceleration
            self._rested_s += dt_s
            self._resumed = self._rested_s > wish.rests
            return 0.0
        return float(np.clip(self._pace - self._speed, -1.5, 1.5))

    def _beside(self) -> float:
        """m left of the path: a cut-in is a quintic of least jerk from its lane into ours."""
        if self._wish.behaviour != "cuts_in" or not self._acts:
            return self._wish.lateral
        u = min(1.0, (self._time_s - self._wish.acts_after) / self._wish.manoeuvre_time)
        return self._wish.lateral * (1.0 - u**3 * (10.0 - 15.0 * u + 6.0 * u * u))

    def _place(self) -> tuple[float, float, float]:
        x, y, heading = self._path.point(self._along, self._left)
        return x, y, heading + math.atan2(self._aside, max(self._speed, 1.0))

    def _move(self) -> None:
        x, y, heading = self._place()
        height = BOX_SIZES[self._wish.kind][2]
        self._thing.origin.setPosHpr(x, y, height / 2, math.degrees(heading), 0.0, 0.0)
        self._ticks += 1
        if self._ticks % DECISION_STEPS == 0:
            self._road = _tell_lane(self._thing, self._route, x, y, self._road)

    def body(self) -> Body:
        """See PlacedThing."""
        x, y, heading = self._place()
        length, width, height = BOX_SIZES[self._wish.kind]
        lane = heading - math.atan2(self._aside, max(self._speed, 1.0))
        c, s = math.cos(lane), math.sin(lane)
        return Body(
            key=self._key, classification=_CLASSES[self._wish.kind],
            model=_DRAWN[self._wish.kind], x=x, y=y,
            heading=math.atan2(math.sin(heading), math.cos(heading)),
            velocity_x=c * self._speed - s * self._aside,
            velocity_y=s * self._speed + c * self._aside,
            length=length, width=width, height=height,
        )


def _tell_lane(thing: Any, route: RouteMap, x: float, y: float, near: int) -> int:
    """Tell MetaDrive's drivers, who ask, which lane a thing is on; returns its road."""
    road, lane, _, left = route.locate(x, y, near)
    on = route.lanes[road][lane]
    thing.lane = on if abs(left) < on.width_at(0) / 2 + 0.3 else _nowhere()
    return road


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
