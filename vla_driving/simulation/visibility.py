"""How clearly lane lines stand out from the asphalt in a frame."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from vla_driving.contract.cameras import Camera
from vla_driving.contract.frames import Image
from vla_driving.contract.scene import LaneLine

FloatArray = npt.NDArray[np.float64]

_WINDOW = 3.0
"""m along a line that is looked at on both sides of a distance: half of a dash and its gap."""
_BESIDE = (0.7, 1.2)
"""m beside the line's centre where there is asphalt and nothing else."""


@dataclass(frozen=True)
class Contrast:
    """Luminance (0 to 255) of the line and of the asphalt beside it."""

    line: float
    asphalt: float

    @property
    def michelson(self) -> float:
        """(line − asphalt) / (line + asphalt), 0 to 1."""
        return (self.line - self.asphalt) / max(1e-9, self.line + self.asphalt)


def line_contrast(
    image: Image, camera: Camera, line: LaneLine, distance: float
) -> Contrast:
    """Contrast of a line (its own paint, at the brightest within a dash) `distance` m ahead.

    Raises ValueError where the line does not reach so far or is out of sight there.
    """
    x = np.linspace(distance - _WINDOW, distance + _WINDOW, 61)
    x = x[(x >= line.x[0]) & (x <= line.x[-1])]
    if len(x) < 10:
        raise ValueError(f"the line is not known {distance} m ahead")
    y = np.interp(x, line.x, line.y)
    paint = luminance_at(image, camera, x, y)
    asphalt = np.concatenate([
        luminance_at(image, camera, x, y + side * offset) for side in (-1.0, 1.0)
        for offset in _BESIDE
    ])
    if np.isnan(paint).all() or np.isnan(asphalt).all():
        raise ValueError(f"the line is out of sight {distance} m ahead")
    return Contrast(float(np.nanmax(paint)), float(np.nanmedian(asphalt)))


def luminance_at(image: Image, camera: Camera, x: FloatArray, y: FloatArray) -> FloatArray:
    """Rec. 601 luminance of the pixel that shows each point on the ground, NaN where none does."""
    pixels, ahead = camera.project(np.column_stack([x, y, np.zeros(len(x))]))
    column, row = np.rint(pixels).astype(int).T
    seen = ahead & (column >= 0) & (column < camera.width) & (row >= 0) & (row < camera.height)
    rgb = image[np.where(seen, row, 0), np.where(seen, column, 0)].astype(np.float64)
    return np.where(seen, rgb @ [0.299, 0.587, 0.114], np.nan)
