"""Raw images in the encodings of sensor_msgs to rgb, straight from their own layout."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import cv2
import numpy as np
import numpy.typing as npt

from vla_driving.camera.images import DecodeError, RawImage, as_bytes
from vla_driving.camera.reduction import reduced
from vla_driving.camera.subsampled import interleaved, mosaic, two_planes
from vla_driving.contract.frames import Image

Pixels = npt.NDArray[np.uint8]


@dataclass(frozen=True)
class Layout:
    """How the bytes of an encoding lie and how they become rgb.

    A row of `width` pixels holds `width * channels` bytes; `planes` is the number of rows for each
    row of the image (1.5 where a plane of colours of half the size follows); width and height are
    multiples of `block`. `convert` is OpenCV's code, None for rgb as it is. `smaller`, for images
    whose sides are multiples of the reduction, stands where the bytes of a channel cannot just be
    averaged before they become rgb.
    """

    channels: int
    convert: int | None
    planes: float = 1.0
    block: tuple[int, int] = (1, 1)
    smaller: Callable[[Pixels, int], Image] | None = None


def _two_planes(code: int) -> Layout:
    return Layout(1, code, 1.5, (2, 2), partial(two_planes, convert=code))


def _bayer(code: int, colours: str) -> Layout:
    return Layout(1, code, block=(2, 2), smaller=partial(mosaic, colours=colours))


def _interleaved(code: int) -> Layout:
    return Layout(2, code, block=(2, 1), smaller=partial(interleaved, convert=code))


_UYVY = _interleaved(cv2.COLOR_YUV2RGB_UYVY)
_YUYV = _interleaved(cv2.COLOR_YUV2RGB_YUY2)

LAYOUTS: dict[str, Layout] = {
    "rgb8": Layout(3, None),
    "bgr8": Layout(3, cv2.COLOR_BGR2RGB),
    "rgba8": Layout(4, cv2.COLOR_RGBA2RGB),
    "bgra8": Layout(4, cv2.COLOR_BGRA2RGB),
    "mono8": Layout(1, cv2.COLOR_GRAY2RGB),
    "yuv422": _UYVY,
    "uyvy": _UYVY,
    "yuv422_yuy2": _YUYV,
    "yuyv": _YUYV,
    "nv12": _two_planes(cv2.COLOR_YUV2RGB_NV12),
    "nv21": _two_planes(cv2.COLOR_YUV2RGB_NV21),
    # OpenCV's older names (BayerBG for rggb) start at the second row and column.
    "bayer_rggb8": _bayer(cv2.COLOR_BayerRGGB2RGB, "rggb"),
    "bayer_bggr8": _bayer(cv2.COLOR_BayerBGGR2RGB, "bggr"),
    "bayer_gbrg8": _bayer(cv2.COLOR_BayerGBRG2RGB, "gbrg"),
    "bayer_grbg8": _bayer(cv2.COLOR_BayerGRBG2RGB, "grbg"),
}
"""Encodings by their name in sensor_msgs/image_encodings; `yuv422` is its older name of uyvy."""


def decode_raw(image: RawImage, reduction: int = 1) -> Image:
    """(ceil(height / n), ceil(width / n), 3) rgb8, with n = `reduction`, see reduction.py.

    Padding at the ends of the rows is dropped. Raises DecodeError.
    """
    layout = LAYOUTS.get(image.encoding)
    if layout is None:
        raise DecodeError(
            f"encoding {image.encoding!r} is not supported; supported: {', '.join(LAYOUTS)}"
        )
    rows = _rows(image, layout)
    convert = _converter(layout)
    divides = image.height % reduction == 0 and image.width % reduction == 0
    if layout.smaller and reduction > 1 and divides:
        return layout.smaller(rows, reduction)
    if layout.channels > 1:
        rows = rows.reshape(rows.shape[0], image.width, layout.channels)
    if layout.smaller:
        return reduced(convert(rows), reduction)
    # Averaged first: colour then costs nothing.
    return convert(reduced(rows, reduction))


def demosaiced(rows: Pixels, encoding: str) -> Image:
    """rgb of the (height, width) mosaic in one of the Bayer encodings. Raises DecodeError."""
    layout = LAYOUTS.get(encoding)
    if layout is None or not encoding.startswith("bayer_"):
        raise DecodeError(f"encoding {encoding!r} is no mosaic that is supported")
    _check_blocks(encoding, layout, rows.shape[1], rows.shape[0])
    return _converter(layout)(rows)


def _converter(layout: Layout) -> Callable[[Pixels], Image]:
    if layout.convert is None:
        return lambda pixels: pixels
    code = layout.convert
    return lambda pixels: np.asarray(cv2.cvtColor(pixels, code), np.uint8)


def _rows(image: RawImage, layout: Layout) -> Pixels:
    """(rows, bytes of a row) without padding. Raises DecodeError where the figures disagree."""
    if image.width < 1 or image.height < 1:
        raise DecodeError(f"size {image.width}x{image.height} is empty")
    _check_blocks(image.encoding, layout, image.width, image.height)
    row = image.width * layout.channels
    if image.step < row:
        raise DecodeError(
            f"step {image.step} is below {row} bytes of {image.width} pixels {image.encoding}"
        )
    count = int(image.height * layout.planes)
    pixels = as_bytes(image.data)
    if pixels.size != image.step * count:
        raise DecodeError(
            f"{pixels.size} bytes instead of {image.step * count} ({count} rows of {image.step})"
        )
    return pixels.reshape(count, image.step)[:, :row]


def _check_blocks(encoding: str, layout: Layout, width: int, height: int) -> None:
    across, down = layout.block
    if width % across or height % down:
        raise DecodeError(
            f"size {width}x{height} does not divide into the {across}x{down} pixels of {encoding}"
        )
