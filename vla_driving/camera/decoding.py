"""From the bytes of a driver to an rgb image."""

from __future__ import annotations

import cv2
import numpy as np
import numpy.typing as npt

from vla_driving.camera.images import Bytes, CompressedImage, Payload, RawImage
from vla_driving.contract.frames import Image

_CHANNELS = {"rgb8": 3, "bgr8": 3, "rgba8": 4, "bgra8": 4, "mono8": 1}
_TO_RGB = {
    "bgr8": cv2.COLOR_BGR2RGB, "rgba8": cv2.COLOR_RGBA2RGB, "bgra8": cv2.COLOR_BGRA2RGB,
    "mono8": cv2.COLOR_GRAY2RGB,
}


class DecodeError(ValueError):
    """One line: what is wrong with an image, the value and what it must be."""


def decode(payload: Payload) -> Image:
    """(height, width, 3) rgb8 of any payload; may share its memory. Raises DecodeError."""
    if isinstance(payload, RawImage):
        return decode_raw(payload)
    if isinstance(payload, CompressedImage):
        return decode_compressed(payload)
    if payload.ndim != 3 or payload.shape[2] != 3 or payload.dtype != np.uint8:
        raise DecodeError(f"array {payload.dtype} {payload.shape} is no (height, width, 3) uint8")
    return payload


def decode_raw(image: RawImage) -> Image:
    """Rows of one of the encodings above, padding at their ends dropped. Raises DecodeError."""
    channels = _CHANNELS.get(image.encoding)
    if channels is None:
        raise DecodeError(
            f"encoding {image.encoding!r} is not supported; supported: {', '.join(_CHANNELS)}"
        )
    if image.width < 1 or image.height < 1:
        raise DecodeError(f"size {image.width}x{image.height} is empty")
    row, expected = image.width * channels, image.step * image.height
    if image.step < row:
        raise DecodeError(
            f"step {image.step} is below {row} bytes of {image.width} pixels {image.encoding}"
        )
    pixels = _bytes(image.data)
    if pixels.size != expected:
        raise DecodeError(
            f"{pixels.size} bytes instead of {expected} ({image.height} rows of {image.step})"
        )
    rows = pixels.reshape(image.height, image.step)[:, :row]
    picture = rows.reshape(image.height, image.width, channels)
    if image.encoding == "rgb8":
        return picture
    return np.asarray(cv2.cvtColor(picture, _TO_RGB[image.encoding]), np.uint8)


def decode_compressed(image: CompressedImage) -> Image:
    """A whole jpeg or png. Raises DecodeError."""
    data = _bytes(image.data)
    if data.size == 0:
        raise DecodeError("compressed image is empty")
    if not _is_whole(data[:8].tobytes(), data[-4096:].tobytes().rstrip(b"\0")):
        raise DecodeError(f"compressed image of {data.size} bytes is truncated or no jpeg or png")
    try:
        picture = cv2.imdecode(data, cv2.IMREAD_COLOR)
    except cv2.error as error:
        raise DecodeError(f"compressed image cannot be read: {error.err}") from None
    if picture is None:
        raise DecodeError(f"compressed image of {data.size} bytes cannot be read")
    return np.asarray(cv2.cvtColor(picture, cv2.COLOR_BGR2RGB), np.uint8)


def _bytes(data: Bytes) -> npt.NDArray[np.uint8]:
    try:
        return np.frombuffer(data, np.uint8)
    except (TypeError, ValueError, BufferError) as error:
        kind = type(data).__name__
        raise DecodeError(f"data of type {kind} is no row of bytes: {error}") from None


def _is_whole(head: bytes, tail: bytes) -> bool:
    # OpenCV fills what is missing with grey and says nothing, so the end marks are looked for.
    if head.startswith(b"\xff\xd8"):
        return tail.endswith(b"\xff\xd9")
    return head.startswith(b"\x89PNG\r\n\x1a\n") and tail[-8:-4] == b"IEND"
