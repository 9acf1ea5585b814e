"""What a large model is asked and what it answers."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from vla_driving.contract.clock import Nanoseconds

FloatArray = npt.NDArray[np.float64]


class ThoughtError(RuntimeError):
    """One line: why a request was not answered."""


@dataclass(frozen=True, eq=False)
class Request:
    """Everything about one instant, the exposure of the newest frames.

    `images` (cameras, frames, H, W, 3) uint8 rgb, oldest frame first; `poses` (poses, 3) x, y, yaw
    in base_link at the instant, oldest first, the last one zeros; `speed` m/s; `navigation` in
    words, empty for none.
    """

    stamp_ns: Nanoseconds
    frame_sequence: int
    images: npt.NDArray[np.uint8]
    poses: FloatArray
    speed: float
    navigation: str


@dataclass(frozen=True, eq=False)
class Answer:
    """K samples: (K, 64) acceleration in m/s² and curvature in 1/m; `text` says why."""

    acceleration: FloatArray
    curvature: FloatArray
    text: str
