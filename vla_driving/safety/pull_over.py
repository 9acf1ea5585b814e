"""A stop beside the lane: the last approved path, shifted towards a road edge that is known.

Known means: an edge of the plan approved last, along the whole stop, and so near that no other lane
lies between. Whether something stands there the object lists tell; both must be fresh, and the car
must stand before the end of its trajectory, for further on nothing is foreseen. Where any of this
is missing, the car stops in its lane.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import numpy.typing as npt

from vla_driving.contract.motion import PoseChange
from vla_driving.contract.scene import MAX_LANE_LINES, LaneLine, LaneLineKind
from vla_driving.contract.trajectory import HORIZON_S
from vla_driving.contract.vehicle import VehicleParameters
from vla_driving.safety.braking import Braking
from vla_driving.safety.lanes import MAX_LINE_POINTS, is_usable
from vla_driving.safety.manoeuvres import EXTENSION_STEP_M, StopPath, abreast
from vla_driving.safety.settings import PullOverSettings

FloatArray = npt.NDArray[np.float64]

_PEAK_BEND = 10.0 / np.sqrt(3.0)
"""Largest second derivative of the quintic below, at 21 % of its length: 5.77 · D / L²."""
_PEAK_JERK = 60.0
"""Largest third derivative, at both ends: 60 · D / L³."""
_SHARE_OF_STOP = 0.9
"""The shift is over before the car stands."""


def shifted(
    path: StopPath,
    lines: tuple[LaneLine, ...],
    change: PoseChange,
    braking: Braking,
    speed: float,
    vehicle: VehicleParameters,
    settings: PullOverSettings,
    min_probability: float,
) -> StopPath | None:
    """The path of a stop from `speed` in m/s at the edge of the road, or None where there is none.

    `path` is in base_link now; `change` leads there from the base_link that `lines` are in.
    """
    edge = _edge(lines, settings, min_probability)
    if edge is None or speed < settings.min_speed or braking.longest_s(speed) > HORIZON_S:
        return None
    begin, length = abreast(path), braking.longest_m(speed)
    reach = begin + length + vehicle.length + EXTENSION_STEP_M
    ahead = (path.arc >= begin) & (path.arc <= reach)
    x, y = change.to_second(edge.x[:MAX_LINE_POINTS], edge.y[:MAX_LINE_POINTS])
    sign = -1.0 if settings.side == "right" else 1.0
    beside = sign * _distances(path, ahead, x, y)
    # A comparison with NaN is false: an edge that does not reach so far is not known.
    if not (len(beside) and beside.max() <= settings.max_edge_distance):
        return None
    room = float(beside.min()) - 0.5 * vehicle.width - settings.edge_margin
    over = _SHARE_OF_STOP * length
    bend = float(np.abs(path.curvature[ahead]).max())
    offset = min(room, _drivable(over, speed, bend, vehicle, settings))
    return _moved(path, begin, over, sign * offset) if offset >= settings.min_offset else None


def _edge(
    lines: tuple[LaneLine, ...], settings: PullOverSettings, min_probability: float
) -> LaneLine | None:
    right = settings.side == "right"
    kind = LaneLineKind.ROAD_EDGE_RIGHT if right else LaneLineKind.ROAD_EDGE_LEFT
    for line in lines[:MAX_LANE_LINES]:
        if line.kind == kind and is_usable(line, min_probability):
            return line
    return None


def _distances(
    path: StopPath, at: npt.NDArray[np.bool_], x: FloatArray, y: FloatArray
) -> FloatArray:
    """How far left of each point of the path the line through x, y is, m; NaN where it is not."""
    cos, sin = np.cos(path.heading[at])[:, None], np.sin(path.heading[at])[:, None]
    away_x, away_y = x - path.x[at][:, None], y - path.y[at][:, None]
    along, left = cos * away_x + sin * away_y, cos * away_y - sin * away_x
    after = np.clip((along < 0.0).sum(axis=1), 1, along.shape[1] - 1)
    rows = np.arange(len(along))
    low, high = along[rows, after - 1], along[rows, after]
    share = -low / np.where(high > low, high - low, np.nan)
    between = left[rows, after - 1] + share * (left[rows, after] - left[rows, after - 1])
    return np.where((share >= 0.0) & (share <= 1.0), between, np.nan)


def _drivable(
    length: float,
    speed: float,
    bend: float,
    vehicle: VehicleParameters,
    settings: PullOverSettings,
) -> float:
    """Largest shift over a length within a share of the car's lateral limits, m.

    And within what the curvature of the path itself, `bend` in 1/m at most, leaves of them.
    """
    left = vehicle.max_lateral_acceleration - speed * speed * bend
    acceleration = min(settings.lateral_share * vehicle.max_lateral_acceleration, left)
    jerk = settings.lateral_share * vehicle.max_lateral_jerk
    by_acceleration = acceleration / _PEAK_BEND * (length / speed) ** 2
    return float(min(by_acceleration, jerk / _PEAK_JERK * (length / speed) ** 3))


def _moved(path: StopPath, begin: float, length: float, offset: float) -> StopPath:
    """The path `offset` m to the left, from `begin` on and over `length` m: a quintic."""
    u = np.clip((path.arc - begin) / length, 0.0, 1.0)
    left = offset * u**3 * (10.0 - 15.0 * u + 6.0 * u**2)
    slope = offset / length * 30.0 * u**2 * (1.0 - u) ** 2
    bend = offset / length**2 * 60.0 * u * (1.0 - u) * (1.0 - 2.0 * u)
    x, y = path.x - left * np.sin(path.heading), path.y + left * np.cos(path.heading)
    steps = np.hypot(np.diff(x), np.diff(y))
    return replace(
        path, arc=path.arc[0] + np.concatenate([[0.0], np.cumsum(steps)]), x=x, y=y,
        heading=path.heading + np.arctan(slope), curvature=path.curvature + bend,
    )
