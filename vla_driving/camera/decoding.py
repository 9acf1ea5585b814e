"""From what a driver sends to an rgb image."""

from __future__ import annotations

import av
import numpy as np

from vla_driving.camera.compressed import compressed_size, decode_compressed
from vla_driving.camera.encodings import decode_raw
from vla_driving.camera.images import CompressedImage, DecodeError, Picture, RawImage
from vla_driving.camera.reduction import reduced, reduced_size
from vla_driving.contract.frames import Image


def size_of(picture: Picture) -> tuple[int, int]:
    """(width, height) in pixels as stated, before anything is decoded. Raises DecodeError."""
    if isinstance(picture, RawImage | av.VideoFrame):
        return picture.width, picture.height
    if isinstance(picture, CompressedImage):
        return compressed_size(picture)
    if picture.ndim != 3 or picture.shape[2] != 3 or picture.dtype != np.uint8:
        raise DecodeError(f"array {picture.dtype} {picture.shape} is no (height, width, 3) uint8")
    return picture.shape[1], picture.shape[0]


def decode(picture: Picture, reduction: int = 1) -> Image:
    """(ceil(height / n), ceil(width / n), 3) rgb8, each pixel the mean of n = `reduction` squared.

    n is 1, 2, 4 or 8. May share the picture's memory. Raises DecodeError.
    """
    if isinstance(picture, RawImage):
        return decode_raw(picture, reduction)
    if isinstance(picture, CompressedImage):
        return decode_compressed(picture, reduction)
    if isinstance(picture, av.VideoFrame):
        return _frame_to_rgb(picture, reduction)
    size_of(picture)
    return reduced(picture, reduction)


def _frame_to_rgb(frame: av.VideoFrame, reduction: int) -> Image:
    width, height = (reduced_size(s, reduction) for s in (frame.width, frame.height))
    try:
        return np.asarray(
            frame.to_ndarray(format="rgb24", width=width, height=height, interpolation="AREA"),
            np.uint8,
        )
    except (av.FFmpegError, ValueError) as error:
        line = " ".join(str(error).split())
        raise DecodeError(f"video image {frame.format.name} cannot be converted: {line}") from None
