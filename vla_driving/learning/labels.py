"""The truth about one frame as the tensors that the pilot is taught."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

import numpy as np

from vla_driving.contract.scene import LaneLine, SceneObject
from vla_driving.learning.teacher import Reference, beside_path
from vla_driving.learning.tensors import SHAPES, SLOTS, STATIONS_M, VIRTUAL_CAMERA, FloatArray
from vla_driving.simulation.radar import in_sight

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


def object_slots(
    objects: Sequence[SceneObject], reference: Reference
) -> tuple[FloatArray, list[int]]:
    """(SLOTS, 8): the nearest thing in the car's way, then the nearest others, of those in view.

    Also which of `objects` each slot holds, -1 for none. What hides behind others is left out.
    """
    tensor = np.zeros(SHAPES["objects"], np.float32)
    held = [-1] * SLOTS
    for i in in_sight(objects, VIRTUAL_CAMERA.mount.x):
        thing = objects[i]
        if not _in_view(thing):
            continue
        left, half_width = beside_path(reference, thing)
        in_way = abs(left) - half_width < IN_PATH_M and held[0] < 0
        free = [k for k in range(1, SLOTS) if held[k] < 0]
        if not in_way and not free:
            continue
        slot = 0 if in_way else free[0]
        held[slot] = i
        tensor[slot] = _row(thing)
    return tensor, held


def _in_view(thing: SceneObject) -> bool:
    distance = math.hypot(thing.x, thing.y)
    bearing = math.atan2(thing.y, thing.x - 1.0)
    return distance <= SIGHT_M and abs(bearing) <= HALF_VIEW_RAD and thing.x >= 3.0


def _row(thing: SceneObject) -> tuple[float, ...]:
    return (
        1.0, thing.x, thing.y, thing.velocity_x, thing.velocity_y, thing.length, thing.width,
        float(thing.classification),
    )
