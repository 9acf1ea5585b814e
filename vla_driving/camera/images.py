"""Images on their way in: as a driver sends them, with the camera they came from."""

from __future__ import annotations

from array import array
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from vla_driving.contract.clock import Nanoseconds
from vla_driving.contract.frames import Image

Bytes: TypeAlias = "bytes | bytearray | memoryview | array[int] | npt.NDArray[np.uint8]"


@dataclass(frozen=True, eq=False)
class RawImage:
    """As sensor_msgs/Image: `height` rows of `step` bytes."""

    height: int
    width: int
    encoding: str
    step: int
    data: Bytes


@dataclass(frozen=True, eq=False)
class CompressedImage:
    """As sensor_msgs/CompressedImage: a jpeg or png file."""

    data: Bytes


Payload: TypeAlias = RawImage | CompressedImage | Image


@dataclass(frozen=True, eq=False)
class CameraImage:
    """One image of one camera; `stamp_ns` is the start of its exposure. Arrays are rgb already."""

    camera: str
    stamp_ns: Nanoseconds
    payload: Payload
