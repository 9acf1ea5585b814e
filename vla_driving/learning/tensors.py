"""Tensors of the pilot network: names, sizes and order, the same in data, training and export."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from vla_driving.contract.navigation import Turn
from vla_driving.contract.scene import LaneLineKind, ObjectClass
from vla_driving.contract.trajectory import POINTS

HEIGHT = 128
WIDTH = 256
MODES = 3
STATIONS_M: tuple[float, ...] = (5.0, 10.0, 15.0, 20.0, 25.0, 30.0, 40.0)
LANE_LINES = len(LaneLineKind)
OBJECTS = 2
OBJECT_CLASSES = len(ObjectClass)
OBJECT_NUMBERS = 7
"""Probability, x, y, velocity_x, velocity_y, length, width; the class follows."""
NAVIGATION = len(Turn) + 2
TURN_RANGE_M = 100.0
SPEED_LIMIT_SCALE = 30.0

INPUTS = ("images", "ego", "navigation")
OUTPUTS = ("acceleration", "curvature", "probability", "lane_lines", "objects", "uncertainty")

FloatArray = npt.NDArray[np.float32]

SHAPES: dict[str, tuple[int, ...]] = {
    "images": (1, HEIGHT, WIDTH, 3),
    "ego": (1,),
    "navigation": (NAVIGATION,),
    "acceleration": (MODES, POINTS),
    "curvature": (MODES, POINTS),
    "probability": (MODES,),
    "lane_lines": (LANE_LINES, 1 + len(STATIONS_M)),
    "objects": (OBJECTS, OBJECT_NUMBERS + 1),
    "uncertainty": (),
}
"""Shape of each tensor behind the batch axis."""


def encode_navigation(turn: Turn, distance_to_turn: float, speed_limit: float) -> FloatArray:
    """(8,) float32: one-hot next turn, min(distance, 100 m)/100, speed limit/30 m/s."""
    encoded = np.zeros(NAVIGATION, np.float32)
    encoded[int(turn)] = 1.0
    encoded[-2] = min(max(distance_to_turn, 0.0), TURN_RANGE_M) / TURN_RANGE_M
    encoded[-1] = speed_limit / SPEED_LIMIT_SCALE
    return encoded
