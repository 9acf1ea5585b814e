"""How far the outline of the car would leave its lane or the road."""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

from vla_driving.contract.scene import MAX_LANE_LINES, LaneLine, LaneLineKind
from vla_driving.contract.vehicle import VehicleParameters
from vla_driving.safety.candidates import Batch
from vla_driving.safety.settings import WorldSettings

FloatArray = npt.NDArray[np.float64]

MAX_LINE_POINTS = 256

_EDGES = (LaneLineKind.ROAD_EDGE_LEFT, LaneLineKind.ROAD_EDGE_RIGHT)
_LEFT = (LaneLineKind.LANE_LEFT, LaneLineKind.ROAD_EDGE_LEFT)


def departures(
    batch: Batch,
    lines: tuple[LaneLine, ...],
    now_s: float,
    vehicle: VehicleParameters,
    settings: WorldSettings,
) -> tuple[FloatArray, FloatArray]:
    """Largest distance (C,) beyond lane lines and (C,) beyond road edges, m; 0 for none.

    Looks at the front corners and the corners over the rear axle from `now_s` after the stamp for
    `lane_horizon`; where a line does not reach, nothing is said. `lines` are in the batch's frame.
    """
    lane, edge = np.zeros(len(batch)), np.zeros(len(batch))
    usable = [line for line in lines[:MAX_LANE_LINES] if is_usable(line, settings.min_probability)]
    if not usable:
        return lane, edge
    left, right = _outline(batch, now_s, vehicle, settings.lane_horizon)
    for line in usable:
        at_left = line.kind in _LEFT
        x, y = left if at_left else right
        # Where the line does not reach, NaN, which fmax leaves out.
        line_y = np.interp(
            x, line.x[:MAX_LINE_POINTS], line.y[:MAX_LINE_POINTS], left=np.nan, right=np.nan
        )
        worst = np.fmax.reduce((y - line_y) if at_left else (line_y - y), axis=1)
        target = edge if line.kind in _EDGES else lane
        np.fmax(target, worst, out=target)
    return lane, edge


def is_usable(line: LaneLine, min_probability: float) -> bool:
    """Whether a line is likely enough, finite, and runs forward in at least two points."""
    # A NaN probability compares false and drops the line, too.
    if not line.probability >= min_probability:
        return False
    x, y = line.x[:MAX_LINE_POINTS], line.y[:MAX_LINE_POINTS]
    if len(x) < 2 or len(x) != len(y):
        return False
    # The comparison holds for no NaN, and a sum is finite where all its parts are.
    increasing = (x[1:] > x[:-1]).all() and math.isfinite(x[0] - x[-1])
    return bool(increasing) and math.isfinite(np.add.reduce(y))


def _outline(
    batch: Batch, now_s: float, vehicle: VehicleParameters, horizon_s: float
) -> tuple[tuple[FloatArray, FloatArray], tuple[FloatArray, FloatArray]]:
    """x and y of the left and of the right corners, (C, 2·T) each."""
    first = min(max(int(now_s * 10.0), 0), batch.x.shape[1] - 1)
    at = slice(first, first + int(horizon_s * 10.0) + 1, 2)
    x, y, heading = batch.x[:, at], batch.y[:, at], batch.heading[:, at]
    cos, sin = np.cos(heading), np.sin(heading)
    half = 0.5 * vehicle.width
    front = vehicle.wheelbase + vehicle.front_overhang
    xs = np.concatenate([x + front * cos, x], axis=1)
    ys = np.concatenate([y + front * sin, y], axis=1)
    cos, sin = np.concatenate([cos, cos], axis=1), np.concatenate([sin, sin], axis=1)
    return (xs - half * sin, ys + half * cos), (xs + half * sin, ys - half * cos)
