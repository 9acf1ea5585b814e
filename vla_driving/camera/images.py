"""Images on their way in: as a driver sends them, with the camera they came from."""

from __future__ import annotations

from array import array
from dataclasses import dataclass
from typing import TypeAlias

import av
import numpy as np
import numpy.typing as npt

from vla_driving.contract.clock import Nanoseconds
from vla_driving.contract.frames import Image

Bytes: TypeAlias = "bytes | bytearray | memoryview | array[int] | npt.NDArray[np.uint8]"


class DecodeError(ValueError):
    """One line: what is wrong with an image, the value and what it must be."""


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
    """As sensor_msgs/CompressedImage: a jpeg or png file and what its format field says of it."""

    data: Bytes
    format: str = ""


@dataclass(frozen=True, eq=False)
class VideoPacket:
    """As foxglove_msgs/CompressedVideo: the bytes of one image (Annex B) and their format."""

    data: Bytes
    format: str


Picture: TypeAlias = RawImage | CompressedImage | av.VideoFrame | Image
"""What stands for itself; decoded frames are turned into rgb only where they are used."""
Payload: TypeAlias = Picture | VideoPacket


@dataclass(frozen=True, eq=False)
class CameraImage:
    """One image of one camera; `stamp_ns` is the start of its exposure. Arrays are rgb already."""

    camera: str
    stamp_ns: Nanoseconds
    payload: Payload


def as_bytes(data: Bytes) -> npt.NDArray[np.uint8]:
    """The same memory as a row of uint8. Raises DecodeError."""
    try:
        return np.frombuffer(data, np.uint8)
    except (TypeError, ValueError, BufferError) as error:
        kind = type(data).__name__
        raise DecodeError(f"data of type {kind} is no row of bytes: {error}") from None
