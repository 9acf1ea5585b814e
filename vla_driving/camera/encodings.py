"""Raw images in the encodings of sensor_msgs to rgb, straight from their own layout."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

from vla_driving.camera.images import DecodeError, RawImage, as_bytes
from vla_driving.camera.reduction import reduced
from vla_driving.contract.frames import Image

Pixels = npt.NDArray[np.uint8]


@dataclass(frozen=True)
class Layout:
    """How the bytes of an encoding lie and how they become rgb.

    A row of `width` pixels holds `width * channels` bytes; `planes` is the number of rows for each
    row of the image (1.5 where a plane of colours of half the size follows); width and height are
    multiples of `block`. `convert` is OpenCV's code, None for rgb as it is.
    """

    channels: int
    convert: int | None
    planes: float = 1.0
    block: tuple[int, int] = (1, 1)

    @property
    def averages(self) -> bool:
        """Whether neighbouring bytes of a channel may be averaged before they become rgb."""
        return self.planes == 1.0 and self.block == (1, 1)


_UYVY = Layout(2, cv2.COLOR_YUV2RGB_UYVY, block=(2, 1))
_YUYV = Layout(2, cv2.COLOR_YUV2RGB_YUY2, block=(2, 1))

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
    "nv12": Layout(1, cv2.COLOR_YUV2RGB_NV12, 1.5, (2, 2)),
    "nv21": Layout(1, cv2.COLOR_YUV2RGB_NV21, 1.5, (2, 2)),
    # OpenCV's older names (BayerBG for rggb) start at the second row and column.
    "bayer_rggb8": Layout(1, cv2.COLOR_BayerRGGB2RGB, block=(2, 2)),
    "bayer_bggr8": Layout(1, cv2.COLOR_BayerBGGR2RGB, block=(2, 2)),
    "bayer_gbrg8": Layout(1, cv2.COLOR_BayerGBRG2RGB, block=(2, 2)),
    "bayer_grbg8": Layout(1, cv2.COLOR_BayerGRBG2RGB, block=(2, 2)),
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
    if layout.channels > 1:
        rows = rows.reshape(rows.shape[0], image.width, layout.channels)
    # Averaged first where the layout allows it: colour then costs nothing.
    if layout.averages:
        return convert(reduced(rows, reduction))
    return reduced(convert(rows), reduction)


def demosaiced(mosaic: Pixels, encoding: str) -> Image:
    """rgb of a (height, width) mosaic in one of the Bayer encodings. Raises DecodeError."""
    layout = LAYOUTS.get(encoding)
    if layout is None or not encoding.startswith("bayer_"):
        raise DecodeError(f"encoding {encoding!r} is no mosaic that is supported")
    _check_blocks(encoding, layout, mosaic.shape[1], mosaic.shape[0])
    return _converter(layout)(mosaic)


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
