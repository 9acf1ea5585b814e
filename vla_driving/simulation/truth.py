"""What the simulator knows and no vehicle does: for scores, teaching and tests."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from vla_driving.contract.navigation import Turn
from vla_driving.contract.scene import LaneLine, LaneLineKind, SceneObject
from vla_driving.simulation.road import LanePath

FloatArray = npt.NDArray[np.float64]

BEHIND = 5.0
AHEAD = 120.0
LINE_AHEAD = 60.0
LINE_STEP = 2


@dataclass(frozen=True, eq=False)
class Truth:
    """One instant. `x`, `y`, `heading`: base_link in the map, m, rad; all arrays in base_link.

    `path_*`: (N,) centre of the lane to follow, one point a metre, from BEHIND to AHEAD m: `path_s`
    in m from the car's own station, curvature in 1/m; it ends earlier at the goal. `lane_offset`
    m: rear axle left of its lane's centre; `heading_error` rad against the lane; `object_keys` name
    the objects, each the same throughout a drive.
    """

    time_s: float
    x: float
    y: float
    heading: float
    speed: float
    distance: float
    route_completion: float
    station: float
    lane: int
    lane_offset: float
    heading_error: float
    lane_width: float
    off_road: bool
    collisions: int
    arrived: bool
    speed_limit: float
    next_turn: Turn
    distance_to_turn: float
    distance_to_goal: float
    path_s: FloatArray
    path_x: FloatArray
    path_y: FloatArray
    path_heading: FloatArray
    path_curvature: FloatArray
    lane_lines: tuple[LaneLine, ...]
    objects: tuple[SceneObject, ...]
    object_keys: tuple[str, ...]


def to_base(
    x: FloatArray, y: FloatArray, base: tuple[float, float, float]
) -> tuple[FloatArray, FloatArray]:
    """Map points seen from base_link at (x, y, heading)."""
    c, s = np.cos(base[2]), np.sin(base[2])
    dx, dy = x - base[0], y - base[1]
    return c * dx + s * dy, -s * dx + c * dy


def lane_lines(
    path: LanePath, station: float, base: tuple[float, float, float]
) -> tuple[LaneLine, ...]:
    """Lines of the ego lane and borders of the carriageway on ahead, as far as they are painted."""
    first, last = np.searchsorted(path.s, (station - BEHIND, station + LINE_AHEAD))
    k = np.arange(first, last, LINE_STEP)
    if len(k) < 2:
        return ()
    always = np.ones(len(k), bool)
    lines = (
        (LaneLineKind.LANE_LEFT, path.half_width[k], path.marked_left[k]),
        (LaneLineKind.LANE_RIGHT, -path.half_width[k], path.marked_right[k]),
        (LaneLineKind.ROAD_EDGE_LEFT, path.edge_left[k], always),
        (LaneLineKind.ROAD_EDGE_RIGHT, -path.edge_right[k], always),
    )
    found = []
    for kind, left, painted in lines:
        x = path.x[k] - left * np.sin(path.heading[k])
        y = path.y[k] + left * np.cos(path.heading[k])
        x, y = to_base(x, y, base)
        good = _first_run(painted & np.append(True, np.diff(x) > 0.0))
        if good.sum() >= 2:
            found.append(
                LaneLine(kind, 1.0, x[good].astype(np.float32), y[good].astype(np.float32))
            )
    return tuple(found)


def _first_run(flags: npt.NDArray[np.bool_]) -> npt.NDArray[np.bool_]:
    """The first unbroken run of True."""
    start = int(np.argmax(flags))
    stop = start + int(np.argmin(np.append(flags[start:], False)))
    result = np.zeros(len(flags), bool)
    result[start:stop] = True
    return result
