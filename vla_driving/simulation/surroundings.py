"""Everybody and everything around the car: MetaDrive's traffic and what the scenario puts down."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from vla_driving.contract.scene import ObjectClass, SceneObject
from vla_driving.simulation.body import Body
from vla_driving.simulation.ego import Motion
from vla_driving.simulation.placed import put_down
from vla_driving.simulation.progress import Progress
from vla_driving.simulation.scenario import Scenario

_MODELS = {"SVehicle": "s", "MVehicle": "m", "LVehicle": "l", "XLVehicle": "xl"}
_NEAR = 15.0


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
        self.rerouted(progress.route.nodes)
        self._placed = [
            put_down(
                engine, scenario.name, i, wish, progress, scenario.traffic_speed,
                scenario.start_speed,
            )
            for i, wish in enumerate(scenario.objects)
        ]

    def rerouted(self, nodes: Sequence[str]) -> None:
        """The car goes over other nodes from now on."""
        self._roads = list(itertools.pairwise(nodes))

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
        return cars + [thing.body() for thing in self._placed if thing.present]

    def _present(self) -> list[tuple[int, Any]]:
        there = self._engine.get_objects()
        return [(i, v) for i, v in enumerate(self._traffic) if v.id in there]

    def _close_to(self, ego: Motion) -> list[Body]:
        cars = [
            _car(f"car {i}", v) for i, v in self._present()
            if abs(v.origin.getX() - ego.x) + abs(v.origin.getY() - ego.y) < _NEAR
        ]
        return cars + [thing.body() for thing in self._placed if thing.present]

    def touching(self, ego: Motion, length: float, width: float, centre: float) -> set[str]:
        """Keys of what meets the car's footprint, which is centred `centre` m before base_link."""
        return {
            body.key for body in self._close_to(ego)
            if overlapping(body.seen_from(ego), length, width, centre)
        }


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
