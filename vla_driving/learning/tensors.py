"""Tensors of the pilot network: names, sizes and order, the same in data, training and export."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from vla_driving.contract.cameras import Camera, Mount
from vla_driving.contract.navigation import Turn
from vla_driving.contract.scene import LaneLineKind, ObjectClass
from vla_driving.contract.trajectory import POINTS

HEIGHT = 128
WIDTH = 256
VIRTUAL_CAMERA = Camera(
    name="front", width=WIDTH, height=HEIGHT, fx=198.0, fy=198.0, cx=127.5, cy=55.5,
    mount=Mount(x=1.75, y=0.0, z=1.35, roll=0.0, pitch=0.07, yaw=0.0),
    distortion_model="none", distortion=(),
)
"""What the pilot looks through; 66° wide, a strip of the simulated car's camera."""
MODES = 3
STATIONS_M: tuple[float, ...] = (5.0, 10.0, 15.0, 20.0, 25.0, 30.0, 40.0)
LANE_LINES = len(LaneLineKind)
OBJECTS = 2
OBJECT_CLASSES = len(ObjectClass)
OBJECT_NUMBERS = 7
"""Probability, x, y, velocity_x, velocity_y, length, width; the class follows."""
NAVIGATION = len(Turn) + 2

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
