"""What is wrong with one camera's images, measured on a few of their pixels."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

from vla_driving.camera.settings import HealthSettings
from vla_driving.contract.frames import FrameStatus, Image

SATURATED = 250
GRID = 96
"""Pixels along the longer side that brightness is measured on."""
FINE_GRID = 384
"""The same for telling two images apart: a creeping car changes few pixels."""
WINDOW = 192
"""Side in pixels of the cut-out that sharpness is measured on, at full resolution."""

Grey = npt.NDArray[np.uint8]


@dataclass(frozen=True)
class Finding:
    """A status with the quantity behind it and its limit, in the unit of that check."""

    status: FrameStatus
    value: float
    limit: float


FINE = Finding(FrameStatus.OK, 0.0, 0.0)


class CameraHealth:
    """The checks of one camera, from image to image."""

    def __init__(self, settings: HealthSettings) -> None:
        self._settings = settings
        self._last: npt.NDArray[np.uint8] | None = None
        self._equal = 0
        self._bad = 0

    def look(self, image: Image, moving: bool) -> Finding:
        """Finding for the newest image; while the car stands, equal images are no fault."""
        finding = self._frozen(image, moving)
        if finding.status != FrameStatus.OK:
            return finding
        finding = self._content(image)
        self._bad = self._bad + 1 if finding.status != FrameStatus.OK else 0
        return finding if self._bad >= self._settings.confirm else FINE

    def _frozen(self, image: Image, moving: bool) -> Finding:
        stride = _stride(image, FINE_GRID)
        sample = image[::stride, ::stride].copy()
        same = self._last is not None and np.array_equal(sample, self._last)
        self._last = sample
        self._equal = self._equal + 1 if same and moving else 0
        limit = self._settings.frozen_after
        if self._equal + 1 >= limit:
            return Finding(FrameStatus.FROZEN, float(self._equal + 1), float(limit))
        return FINE

    def _content(self, image: Image) -> Finding:
        limits = self._settings
        stride = _stride(image, GRID)
        grey = _grey(image[::stride, ::stride])
        level = float(grey.mean())
        if level < limits.dark_level:
            return Finding(FrameStatus.DARK, level, limits.dark_level)
        saturated = float(np.count_nonzero(grey >= SATURATED)) / grey.size
        if saturated > limits.overexposed_share:
            return Finding(FrameStatus.OVEREXPOSED, saturated, limits.overexposed_share)
        contrast = float(grey.std())
        if contrast < limits.covered_contrast:
            return Finding(FrameStatus.COVERED, contrast, limits.covered_contrast)
        sharpness = sharpness_of(image)
        if sharpness < limits.blurred_sharpness:
            return Finding(FrameStatus.BLURRED, sharpness, limits.blurred_sharpness)
        return FINE


def sharpness_of(image: Image) -> float:
    """Standard deviation of the Laplacian in the middle of the lower half, in levels."""
    height, width = image.shape[:2]
    rows, columns = min(height, WINDOW), min(width, WINDOW)
    top = min(height - rows, max(0, height // 2 - rows // 4))
    left = (width - columns) // 2
    window = _grey(image[top : top + rows, left : left + columns])
    return float(cv2.Laplacian(window, cv2.CV_16S).std())


def _grey(image: npt.NDArray[np.uint8]) -> Grey:
    return np.asarray(cv2.cvtColor(np.ascontiguousarray(image), cv2.COLOR_RGB2GRAY), np.uint8)


def _stride(image: Image, grid: int) -> int:
    return max(1, max(image.shape[:2]) // grid)
