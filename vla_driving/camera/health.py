"""What is wrong with one camera's images, measured on what the model is to see of them."""

from __future__ import annotations

import math
from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

from vla_driving.camera.settings import HealthSettings
from vla_driving.contract.frames import FrameStatus, Image

GRID = 128
"""Pixels along the longer side that everything but equality is measured on."""
SATURATED = 250
WELL_LIT = 64.0
"""Mean level from which contrast counts as it is; what is darker is lit up to it first."""
STEEPEST = 4 * 255
"""What the Laplacian of levels can be at most."""
EDGES = 0.995
"""The strongest edges of a picture: its 99.5th percentile."""

Pixels = npt.NDArray[np.uint8]
Mask = npt.NDArray[np.uint8]


@dataclass(frozen=True)
class Finding:
    """A status with the quantity behind it and its limit, in the unit of that check."""

    status: FrameStatus
    value: float
    limit: float


@dataclass(frozen=True)
class Measures:
    """What was measured on an image; NaN where there was none.

    `brightness` is the 95th percentile in levels, `saturated` the share of pixels at 250 levels and
    more, `contrast` the standard deviation in levels of what is coarse (4 x 4 pixels of the grid),
    as if its mean were at least 64 levels: then grain is not contrast and night is not a cover.
    `sharpness` is how steep the steepest edges are against how bright the brightest things are:
    99.5th percentile of the absolute Laplacian over 99th percentile less median of the levels.
    It hardly changes with the light and falls below 0.2 where edges are blurred over 3 pixels.
    """

    brightness: float
    saturated: float
    contrast: float
    sharpness: float


FINE = Finding(FrameStatus.OK, 0.0, 0.0)
UNMEASURED = Measures(math.nan, math.nan, math.nan, math.nan)


class CameraHealth:
    """The checks of one camera, from image to image."""

    def __init__(self, settings: HealthSettings, seen: npt.NDArray[np.bool_] | None = None) -> None:
        """`seen` (H, W): the pixels that the camera fills; None where it fills all."""
        self._settings = settings
        self._seen = None if seen is None else _inner(seen)
        self._last: Image | None = None
        self._equal = 0
        self._bad = 0
        self.measures = UNMEASURED

    def look(self, image: Image, moving: bool) -> Finding:
        """Finding for the newest (H, W, 3) image; it is kept, so it must not change afterwards.

        While the car stands, equal images are no fault.
        """
        self.measures = measure(image, self._seen)
        same = self._last is not None and np.array_equal(image, self._last)
        self._last = image
        self._equal = self._equal + 1 if same and moving else 0
        finding = self._content(self.measures)
        self._bad = self._bad + 1 if finding.status != FrameStatus.OK else 0
        if self._bad >= self._settings.confirm:
            return finding
        limit = self._settings.frozen_after
        if self._equal + 1 >= limit:
            return Finding(FrameStatus.FROZEN, float(self._equal + 1), float(limit))
        return FINE

    def nothing(self) -> None:
        """There is no image this time."""
        self.measures = UNMEASURED

    def _content(self, found: Measures) -> Finding:
        limits = self._settings
        if found.brightness < limits.dark_level:
            return Finding(FrameStatus.DARK, found.brightness, limits.dark_level)
        if found.saturated > limits.overexposed_share:
            return Finding(FrameStatus.OVEREXPOSED, found.saturated, limits.overexposed_share)
        if found.contrast < limits.covered_contrast:
            return Finding(FrameStatus.COVERED, found.contrast, limits.covered_contrast)
        if found.sharpness < limits.blurred_sharpness:
            return Finding(FrameStatus.BLURRED, found.sharpness, limits.blurred_sharpness)
        return FINE


def measure(image: Image, seen: Mask | None = None) -> Measures:
    """Measures of an (H, W, 3) image; `seen` as of the small grid, 0 where there is no picture."""
    small = cv2.cvtColor(_at_most(image, GRID), cv2.COLOR_RGB2GRAY)
    levels = _distribution(small, seen)
    middle, bright, brightest = np.searchsorted(levels, [0.5, 0.95, 0.99])
    edges = np.abs(cv2.Laplacian(small, cv2.CV_16S)).astype(np.uint16)
    steepest = int(np.searchsorted(_distribution(edges, seen, STEEPEST), EDGES))
    coarse = _at_most(np.asarray(small, np.uint8), GRID // 4)
    mean, deviation = cv2.meanStdDev(coarse, mask=None if seen is None else _shrunk(seen, coarse))
    return Measures(
        brightness=float(bright),
        saturated=1.0 - float(levels[SATURATED - 1]),
        contrast=float(deviation[0, 0]) * max(1.0, WELL_LIT / max(1.0, float(mean[0, 0]))),
        sharpness=steepest / (int(brightest) - int(middle) + 1.0),
    )


def _at_most(image: Pixels, side: int) -> Pixels:
    height, width = image.shape[:2]
    scale = min(1.0, side / max(height, width))
    size = max(1, round(width * scale)), max(1, round(height * scale))
    return np.asarray(cv2.resize(image, size, interpolation=cv2.INTER_AREA), np.uint8)


def _distribution(
    values: npt.NDArray[np.uint8] | npt.NDArray[np.uint16], mask: Mask | None, most: int = 255
) -> npt.NDArray[np.float64]:
    """Share of the values up to each of 0 to `most`."""
    counts = cv2.calcHist([values], [0], mask, [most + 1], [0.0, most + 1.0])[:, 0]
    counts = counts.astype(np.float64)
    shares: npt.NDArray[np.float64] = counts.cumsum() / max(1.0, counts.sum())
    return shares


def _inner(seen: npt.NDArray[np.bool_]) -> Mask:
    """The same on the grid, without the rim: the edge of the picture is no edge in it."""
    small = _at_most(seen.astype(np.uint8) * 255, GRID)
    whole = np.where(small == 255, 255, 0).astype(np.uint8)
    eroded = cv2.erode(whole, np.ones((3, 3), np.uint8), borderType=cv2.BORDER_REPLICATE)
    return np.asarray(eroded, np.uint8)


def _shrunk(seen: Mask, like: Pixels) -> Mask:
    size = like.shape[1], like.shape[0]
    return np.where(cv2.resize(seen, size, interpolation=cv2.INTER_AREA) == 255, 255, 0).astype(
        np.uint8
    )
