"""jpeg and png files to rgb; what their headers say is checked before anything is decoded."""

from __future__ import annotations

import cv2
import numpy as np
import numpy.typing as npt

from vla_driving.camera.encodings import demosaiced
from vla_driving.camera.images import CompressedImage, DecodeError, as_bytes
from vla_driving.camera.reduction import reduced
from vla_driving.contract.frames import Image

MAX_SIDE = 8192
"""Pixels, the largest camera there may be: a header that says more would cost memory for naught."""
_JPEG, _PNG = b"\xff\xd8", b"\x89PNG\r\n\x1a\n"
_REDUCED = {
    1: cv2.IMREAD_COLOR_BGR,
    2: cv2.IMREAD_REDUCED_COLOR_2,
    4: cv2.IMREAD_REDUCED_COLOR_4,
    8: cv2.IMREAD_REDUCED_COLOR_8,
}
_SIZED = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
"""jpeg markers of a frame header."""


def compressed_size(image: CompressedImage) -> tuple[int, int]:
    """(width, height) in pixels as the header of a whole jpeg or png has it. Raises DecodeError."""
    data = as_bytes(image.data)
    if data.size == 0:
        raise DecodeError("compressed image is empty")
    head, tail = data[:32].tobytes(), data[-4096:].tobytes().rstrip(b"\0")
    # OpenCV fills what is missing with grey and says nothing, so the end marks are looked for.
    if head.startswith(_JPEG) and tail.endswith(b"\xff\xd9"):
        size = _jpeg_size(data)
    elif head.startswith(_PNG) and tail[-8:-4] == b"IEND":
        size = int.from_bytes(head[16:20], "big"), int.from_bytes(head[20:24], "big")
    else:
        named = f" (format {image.format!r})" if image.format else ""
        raise DecodeError(
            f"compressed image{named} of {data.size} bytes is truncated or no jpeg or png"
        )
    if not 0 < min(size) <= max(size) <= MAX_SIDE:
        raise DecodeError(
            f"compressed image says it has {size[0]}x{size[1]} pixels, 1 to {MAX_SIDE} a side are"
            " possible"
        )
    return size


def decode_compressed(image: CompressedImage, reduction: int = 1) -> Image:
    """(ceil(height / n), ceil(width / n), 3) rgb8 with n = `reduction`. Raises DecodeError.

    The format field counts as image_transport writes it, "<encoding>; jpeg compressed <target>":
    the channels of a target rgb lie swapped in the file, and without a target the file of a Bayer
    encoding is its mosaic.
    """
    compressed_size(image)
    original, _, target = image.format.partition(";")
    if original.startswith("bayer_") and not target.rstrip().endswith(("bgr8", "rgb8")):
        mosaic = _read(image, cv2.IMREAD_GRAYSCALE)
        return reduced(demosaiced(mosaic, original.strip()), reduction)
    is_png = as_bytes(image.data)[0] == _PNG[0]
    if is_png:  # jpeg alone is made smaller while it is decoded
        picture = reduced(_read(image, cv2.IMREAD_COLOR_BGR), reduction)
    else:
        picture = _read(image, _REDUCED[reduction])
    if "compressed rgb" in target:
        return picture
    return np.asarray(cv2.cvtColor(picture, cv2.COLOR_BGR2RGB), np.uint8)


def _read(image: CompressedImage, flags: int) -> npt.NDArray[np.uint8]:
    # A calibration belongs to the sensor's rows and columns, whatever a tag says of turning them.
    flags |= cv2.IMREAD_IGNORE_ORIENTATION
    data = as_bytes(image.data)
    try:
        picture = cv2.imdecode(data, flags)
    except cv2.error as error:
        raise DecodeError(f"compressed image cannot be read: {error.err}") from None
    if picture is None:
        raise DecodeError(f"compressed image of {data.size} bytes cannot be read")
    return np.asarray(picture, np.uint8)


def _jpeg_size(data: npt.NDArray[np.uint8]) -> tuple[int, int]:
    """(width, height) of the frame header; segments before it are passed over by their length."""
    at, view = 2, data.data
    while at + 9 <= len(view):
        if view[at] != 0xFF:
            break
        marker = view[at + 1]
        if marker == 0xFF:  # fill
            at += 1
            continue
        if marker in _SIZED:
            height, width = (int.from_bytes(view[at + k : at + k + 2], "big") for k in (5, 7))
            return width, height
        at += 2 + int.from_bytes(view[at + 2 : at + 4], "big")
    raise DecodeError(f"compressed image of {len(view)} bytes is a jpeg without a frame header")
