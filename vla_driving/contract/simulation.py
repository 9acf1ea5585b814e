"""What the simulator tells of the truth, for scores alone."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from vla_driving.contract.clock import Nanoseconds
from vla_driving.contract.scene import LaneLine, SceneObject


@dataclass(frozen=True)
class SimulationState:
    """Truth at `stamp_ns`: pose of base_link in the map (m, rad), distance in m, counts so far.

    `lane_offset` is the rear axle left of its lane's centre in m; objects and lane lines are in
    base_link; `real_time_factor` is simulated over elapsed time in the last second.
    """

    FRAME_ID: ClassVar[str] = "map"

    stamp_ns: Nanoseconds
    x: float
    y: float
    heading: float
    distance: float
    route_completion: float
    collisions: int
    off_road: bool
    lane_offset: float
    real_time_factor: float
    objects: tuple[SceneObject, ...]
    lane_lines: tuple[LaneLine, ...]
