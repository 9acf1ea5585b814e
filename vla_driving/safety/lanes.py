"""How far the wheels of the car would leave its lane or the road.

Lanes are left by the outside of a wheel, as ISO 17361 and UN R130 measure it: round a tight bend
the corner of the bumper swings over the line while the wheels keep to their lane.
"""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

from vla_driving.contract.scene import MAX_LANE_LINES, LaneLine, LaneLineKind
from vla_driving.contract.trajectory import POINTS
from vla_driving.contract.vehicle import VehicleParameters
from vla_driving.safety.candidates import Batch
from vla_driving.safety.compiled import compiled, part
from vla_driving.safety.settings import WorldSettings

FloatArray = npt.NDArray[np.float64]

MAX_LINE_POINTS = 256

_SAMPLE = 2
"""Every second point, 0.2 s apart."""
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

    A plan that comes back into its lane has not left it, where it only comes nearer to it: the lane
    may have changed, where one ends in another. Beyond a road edge nothing is forgiven.
    Looks at the outsides of the front and of the rear wheels from `now_s` after the stamp for
    `lane_horizon`, square to the line; where a line does not reach, nothing is said. `lines` are in
    the batch's frame.
    """
    likely = [line for line in lines[:MAX_LANE_LINES] if _is_likely(line, settings.min_probability)]
    if not likely:
        return np.zeros(len(batch)), np.zeros(len(batch))
    first = min(max(int(now_s * 10.0), 0), POINTS - 1)
    last = min(first + int(settings.lane_horizon * 10.0) + 1, POINTS)
    x = np.concatenate([line.x[:MAX_LINE_POINTS] for line in likely], dtype=np.float64)
    y = np.concatenate([line.y[:MAX_LINE_POINTS] for line in likely], dtype=np.float64)
    kinds = np.array([
        (min(len(line.x), MAX_LINE_POINTS), line.kind in _EDGES, line.kind in _LEFT)
        for line in likely
    ], np.int64)
    lane, edge = _beyond(
        batch.values, first, last, x, y, kinds, vehicle.wheelbase, 0.5 * vehicle.width
    )
    return lane, edge


def is_usable(line: LaneLine, min_probability: float) -> bool:
    """Whether a line is likely enough, finite, and runs forward in at least two points."""
    if not _is_likely(line, min_probability):
        return False
    return bool(
        _runs_forward(_points(line.x[:MAX_LINE_POINTS]), _points(line.y[:MAX_LINE_POINTS]))
    )


def _is_likely(line: LaneLine, min_probability: float) -> bool:
    """What of `is_usable` can be said without a look at every point."""
    # A NaN probability compares false and drops the line, too.
    if not line.probability >= min_probability:
        return False
    x, y = line.x[:MAX_LINE_POINTS], line.y[:MAX_LINE_POINTS]
    if len(x) < 2 or len(x) != len(y):
        return False
    # So far apart that single precision cannot say how far is no line.
    return math.isfinite(x[0] - x[-1])


def _points(values: npt.ArrayLike) -> FloatArray:
    return np.array(values, np.float64)


@part
def _forward(x: FloatArray, y: FloatArray) -> bool:
    """Whether x increases, which what is no number never does, and all of y is finite."""
    sound = np.isfinite(y[0])
    for k in range(1, len(x)):
        sound = sound and x[k] > x[k - 1] and np.isfinite(y[k])
    return sound


@compiled(np.zeros(1), np.zeros(1))
def _runs_forward(x: FloatArray, y: FloatArray) -> bool:
    return _forward(x, y)


@part
def _left_of(line_x: FloatArray, line_y: FloatArray, x: float, y: float) -> float:
    """Distance of a point to the left of a line, square to it, m; NaN where it does not reach."""
    if not line_x[0] <= x <= line_x[-1]:
        return np.nan
    k = max(int(np.searchsorted(line_x, x)), 1)
    slope = (line_y[k] - line_y[k - 1]) / (line_x[k] - line_x[k - 1])
    offset = y - (line_y[k - 1] + slope * (x - line_x[k - 1]))
    return offset / np.sqrt(1.0 + slope * slope)


@part
def _widen(
    worst: FloatArray, values: FloatArray, first: int, last: int, line_x: FloatArray,
    line_y: FloatArray, side: float, wheelbase: float, half: float, back: bool,
) -> None:
    """Raise `worst` (C,) to the largest distance beyond one line, of the wheels on its side.

    `values` (7, C, 64) are those of the batch, looked at from point `first` to before `last`;
    `side` is 1 for a line on the left, -1 on the right. With `back` a distance that only shrinks
    counts as far as it is left in the end: such a plan comes back over the line.
    """
    for c in range(len(worst)):
        before = np.inf
        for k in range(first, last, _SAMPLE):
            most = -np.inf
            heading = values[3, c, k]
            cos, sin = np.cos(heading), np.sin(heading)
            for ahead in (wheelbase, 0.0):
                x = values[1, c, k] + ahead * cos - side * half * sin
                y = values[2, c, k] + ahead * sin + side * half * cos
                beyond = side * _left_of(line_x, line_y, x, y)
                if beyond > most:
                    most = beyond
            if most == -np.inf:
                continue
            if most > before or not back:
                worst[c] = max(worst[c], most)
            before = most
        if before < np.inf:
            worst[c] = max(worst[c], before)


@compiled(
    np.zeros((7, 1, POINTS)), 0, 0, np.zeros(1), np.zeros(1), np.zeros((1, 3), np.int64), 0.0, 0.0
)
def _beyond(
    values: FloatArray, first: int, last: int, x: FloatArray, y: FloatArray,
    kinds: npt.NDArray[np.int64], wheelbase: float, half: float,
) -> FloatArray:
    """(2, C): what `departures` says of lanes and of edges, for lines whose points follow on.

    `kinds` has a row a line: its number of points, whether it is an edge, whether on the left. One
    that does not run forward is none.
    """
    worst, begin = np.zeros((2, values.shape[1])), 0
    for n in range(len(kinds)):
        end, is_edge = begin + kinds[n, 0], kinds[n, 1] == 1
        line_x, line_y = x[begin:end], y[begin:end]
        begin = end
        if _forward(line_x, line_y):
            _widen(
                worst[1] if is_edge else worst[0], values, first, last, line_x, line_y,
                1.0 if kinds[n, 2] == 1 else -1.0, wheelbase, half, not is_edge,
            )
    return worst
