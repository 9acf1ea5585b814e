"""How far the wheels of the car would leave its lane or the road.

Lanes are left by the outside of a wheel, as ISO 17361 and UN R130 measure it: round a tight bend
the corner of the bumper swings over the line while the wheels keep to their lane.
"""

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

    Looks at the outsides of the front and of the rear wheels from `now_s` after the stamp for
    `lane_horizon`, square to the line; where a line does not reach, nothing is said. `lines` are in
    the batch's frame.
    """
    lane, edge = np.zeros(len(batch)), np.zeros(len(batch))
    usable = [line for line in lines[:MAX_LANE_LINES] if is_usable(line, settings.min_probability)]
    if not usable:
        return lane, edge
    left, right = _outline(batch, now_s, vehicle, settings.lane_horizon)
    for line in usable:
        at_left = line.kind in _LEFT
        x, y = left if at_left else right
        beyond = _left_of(line, x, y) if at_left else -_left_of(line, x, y)
        # Where the line does not reach, NaN, which fmax leaves out.
        worst = np.fmax.reduce(beyond, axis=1)
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


def _left_of(line: LaneLine, x: FloatArray, y: FloatArray) -> FloatArray:
    """Distance of points to the left of a line, square to it, m; NaN where it does not reach."""
    along, across = line.x[:MAX_LINE_POINTS], line.y[:MAX_LINE_POINTS]
    at = np.minimum(np.searchsorted(along[1:-1], x), len(along) - 2)
    slope = (across[1:] - across[:-1]) / (along[1:] - along[:-1])
    offset = y - np.interp(x, along, across, left=np.nan, right=np.nan)
    square: FloatArray = offset / np.sqrt(1.0 + slope[at] ** 2)
    return square


def _outline(
    batch: Batch, now_s: float, vehicle: VehicleParameters, horizon_s: float
) -> tuple[tuple[FloatArray, FloatArray], tuple[FloatArray, FloatArray]]:
    """x and y of the outsides of the left and of the right wheels, (C, 2·T) each."""
    first = min(max(int(now_s * 10.0), 0), batch.x.shape[1] - 1)
    at = slice(first, first + int(horizon_s * 10.0) + 1, 2)
    x, y, heading = batch.x[:, at], batch.y[:, at], batch.heading[:, at]
    cos, sin = np.cos(heading), np.sin(heading)
    half = 0.5 * vehicle.width
    xs = np.concatenate([x + vehicle.wheelbase * cos, x], axis=1)
    ys = np.concatenate([y + vehicle.wheelbase * sin, y], axis=1)
    cos, sin = np.concatenate([cos, cos], axis=1), np.concatenate([sin, sin], axis=1)
    return (xs - half * sin, ys + half * cos), (xs + half * sin, ys - half * cos)
