"""Truths, objects and tracks to judge."""

from __future__ import annotations

from functools import cache

import numpy as np

from vla_driving import paths
from vla_driving.contract.navigation import Turn
from vla_driving.contract.scene import ObjectClass, SceneObject
from vla_driving.contract.vehicle import VehicleParameters, load_vehicle
from vla_driving.score.track import NO_LEAD, Track
from vla_driving.simulation.truth import Truth

_AHEAD = np.arange(-5.0, 120.0)
TRUTH = Truth(
    time_s=3.0, x=0.0, y=0.0, heading=0.0, speed=8.0, distance=30.0, route_completion=0.2,
    station=40.0, lane=1, lane_offset=0.0, heading_error=0.0, lane_width=3.5, off_road=False,
    collisions=0, arrived=False, speed_limit=12.0, next_turn=Turn.ARRIVE, distance_to_turn=150.0,
    distance_to_goal=150.0, path_s=_AHEAD, path_x=_AHEAD, path_y=np.zeros_like(_AHEAD),
    path_heading=np.zeros_like(_AHEAD), path_curvature=np.zeros_like(_AHEAD), lane_lines=(),
    objects=(), object_keys=(),
)


@cache
def vehicle() -> VehicleParameters:
    """The simulated car."""
    return load_vehicle(paths.config("vehicles/metadrive_sedan.yaml"))


def thing(x: float, y: float, speed: float, kind: ObjectClass = ObjectClass.CAR) -> SceneObject:
    """A car of 4.4 m that drives the same way."""
    return SceneObject(kind, 1.0, x, y, 0.0, speed, 0.0, 4.4, 1.85, 1.4)


def track(
    seconds: float = 20.0, speed: float = 10.0, lane: int = 1, left: float = 0.0, edge: float = 5.0,
    gap: float = NO_LEAD, lead: float = 0.0,
) -> Track:
    """A steady drive straight on along x."""
    count = round(seconds * 10)
    times = [round(0.1 * k, 1) for k in range(1, count + 1)]
    way = [speed * t for t in times]
    return Track(
        time=times, x=list(way), y=[left] * count, heading=[0.0] * count, speed=[speed] * count,
        acceleration=[0.0] * count, lateral=[0.0] * count, along=list(way), lane=[lane] * count,
        left=[left] * count, edge=[edge] * count, gap=[gap] * count, lead=[lead] * count,
    )
