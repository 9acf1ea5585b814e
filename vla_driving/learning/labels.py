"""The truth about one frame as the tensors that the pilot is taught."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

import numpy as np

from vla_driving.contract.scene import LaneLine, SceneObject
from vla_driving.learning.teacher import Reference, beside_path
from vla_driving.learning.tensors import SHAPES, STATIONS_M, FloatArray

SIGHT_M = 60.0
HALF_VIEW_RAD = math.radians(32.0)
FARTHEST_LINE_M = 12.0
IN_PATH_M = 1.6
"""m between the lane's centre and the nearest side of what counts as in the car's way."""


def lane_line_tensor(lines: Iterable[LaneLine]) -> FloatArray:
    """(4, 1 + S): whether there is such a line, and its y in m at the stations."""
    tensor = np.zeros(SHAPES["lane_lines"], np.float32)
    for line in lines:
        if len(line.x) < 2 or line.x[-1] < STATIONS_M[1]:
            continue
        tensor[line.kind, 0] = 1.0
        offsets = np.interp(STATIONS_M, line.x, line.y)
        tensor[line.kind, 1:] = np.clip(offsets, -FARTHEST_LINE_M, FARTHEST_LINE_M)
    return tensor


def object_tensor(objects: Sequence[SceneObject], reference: Reference) -> FloatArray:
    """(2, 8): the nearest thing in the car's way, then the nearest beside it, as far as in view."""
    tensor = np.zeros(SHAPES["objects"], np.float32)
    nearest = [math.inf, math.inf]
    for thing in objects:
        distance = math.hypot(thing.x, thing.y)
        bearing = math.atan2(thing.y, thing.x - 1.0)
        if distance > SIGHT_M or abs(bearing) > HALF_VIEW_RAD or thing.x < 3.0:
            continue
        left, half_width = beside_path(reference, thing)
        slot = 0 if abs(left) - half_width < IN_PATH_M else 1
        if distance < nearest[slot]:
            nearest[slot] = distance
            tensor[slot] = (
                1.0, thing.x, thing.y, thing.velocity_x, thing.velocity_y,
                thing.length, thing.width, float(thing.classification),
            )
    return tensor
