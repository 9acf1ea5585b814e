"""Encodings that hold colours at half the resolution, straight to a smaller rgb image.

Converting all pixels and averaging them then gives the same picture and takes several times as
long. Here the last halving alone comes after the conversion: until then no colour is lost. Each
takes (rows, bytes of a row), with height and width multiples of `reduction`, which is 2, 4 or 8.
"""

from __future__ import annotations

import cv2
import numpy as np
import numpy.typing as npt

from vla_driving.camera.reduction import reduced
from vla_driving.contract.frames import Image

Pixels = npt.NDArray[np.uint8]


def two_planes(rows: Pixels, reduction: int, convert: int) -> Image:
    """nv12 or nv21; `convert` is OpenCV's code for it."""
    height, before = rows.shape[0] * 2 // 3, reduction // 2
    # OpenCV averages one channel by itself fast, two at once slowly.
    colours = cv2.split(rows[height:].reshape(height // 2, -1, 2))
    pairs = cv2.merge([reduced(np.asarray(colour, np.uint8), before) for colour in colours])
    rgb = cv2.cvtColorTwoPlane(reduced(rows[:height], before), pairs, convert)
    return reduced(np.asarray(rgb, np.uint8), 2)


def interleaved(rows: Pixels, reduction: int, convert: int) -> Image:
    """uyvy or yuyv; `convert` is OpenCV's code for it.

    Two pixels share four bytes. Averaging each of the four over neighbouring pairs leaves a pair
    whose first brightness is that of all first pixels; the last halving takes in the second.
    """
    height, before = rows.shape[0], reduction // 2
    pairs = reduced(rows.reshape(height, -1, 4), before)
    pixels = pairs.reshape(height // before, -1, 2)
    return reduced(np.asarray(cv2.cvtColor(pixels, convert), np.uint8), 2)


def mosaic(rows: Pixels, reduction: int, colours: str) -> Image:
    """Bayer's; `colours` are those of a block of 2 x 2 pixels, such as rggb.

    Each block becomes one pixel, the way cameras bin: red and blue lie half a pixel of the mosaic
    beside the block's centre.
    """
    height, width = rows.shape[0] // 2, rows.shape[1] // 2
    pixels = [
        channel for start in (0, 1)
        for channel in cv2.split(rows[start::2].reshape(height, width, 2))
    ]
    first, second = (k for k, colour in enumerate(colours) if colour == "g")
    green = cv2.addWeighted(pixels[first], 0.5, pixels[second], 0.5, 0.0)
    rgb = cv2.merge([pixels[colours.index("r")], green, pixels[colours.index("b")]])
    return reduced(np.asarray(rgb, np.uint8), reduction // 2)
