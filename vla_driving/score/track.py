"""What a drive was like, sampled ten times a second from the simulator's truth."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import numpy as np

from vla_driving.contract.vehicle import VehicleParameters
from vla_driving.simulation.truth import Truth
from vla_driving.simulation.world import World

NO_LEAD = -1.0


@dataclass
class Track:
    """Columns of equal length; m, s, rad in the map.

    `left` is the offset from the lane's centre, `edge` what is free between the car's right side
    and the border of the carriageway, `lane` 0 the leftmost, `along` m along the route, `gap` m to
    the one ahead in the lane (NO_LEAD: none) and `lead` its speed.
    """

    time: list[float] = field(default_factory=list)
    x: list[float] = field(default_factory=list)
    y: list[float] = field(default_factory=list)
    heading: list[float] = field(default_factory=list)
    speed: list[float] = field(default_factory=list)
    acceleration: list[float] = field(default_factory=list)
    lateral: list[float] = field(default_factory=list)
    along: list[float] = field(default_factory=list)
    lane: list[int] = field(default_factory=list)
    left: list[float] = field(default_factory=list)
    edge: list[float] = field(default_factory=list)
    gap: list[float] = field(default_factory=list)
    lead: list[float] = field(default_factory=list)

    def __len__(self) -> int:
        return len(self.time)

    def add(self, world: World, truth: Truth) -> None:
        """Take a sample of this instant."""
        motion, progress = world.ego.motion, world.progress
        gap, lead = lead_of(truth, world.vehicle)
        k = progress.here()
        row = (
            truth.time_s, truth.x, truth.y, truth.heading, truth.speed, motion.acceleration,
            motion.lateral_acceleration, truth.station, truth.lane, truth.lane_offset,
            float(progress.path.edge_right[k]) + truth.lane_offset - world.vehicle.width / 2.0,
            gap, lead,
        )
        for column, value in zip(vars(self).values(), row, strict=True):
            column.append(value if isinstance(value, int) else round(float(value), 4))

    def after(self, time_s: float) -> slice:
        """The samples from an instant on."""
        return slice(int(np.searchsorted(self.time, time_s - 1e-6)), len(self.time))


def lead_of(truth: Truth, vehicle: VehicleParameters) -> tuple[float, float]:
    """Gap in m to the nearest thing ahead in the car's lane, and its speed; NO_LEAD, 0 if none."""
    front = vehicle.wheelbase + vehicle.front_overhang
    best = (math.inf, 0.0)
    for item in truth.objects:
        if item.x <= front or not len(truth.path_x):
            continue
        away = np.hypot(truth.path_x - item.x, truth.path_y - item.y)
        k = int(np.argmin(away))
        if away[k] > truth.lane_width / 2.0:
            continue
        gap = float(truth.path_s[k]) - front - item.length / 2.0
        if gap < best[0]:
            best = (gap, math.hypot(item.velocity_x, item.velocity_y))
    return (NO_LEAD, 0.0) if math.isinf(best[0]) else (max(0.0, best[0]), best[1])


def along_at(track: Track, time_s: float) -> float:
    """Metres driven along the route by an instant; after the end, those at the end."""
    driven = np.asarray(track.along) - track.along[0]
    return float(np.interp(time_s, track.time, driven))


