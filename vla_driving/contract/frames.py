"""What camera_ingest hands to the model: images of all cameras that belong together."""

from __future__ import annotations

import math
from dataclasses import dataclass
from enum import IntEnum

import numpy as np
import numpy.typing as npt

from vla_driving.contract.clock import Nanoseconds

Image = npt.NDArray[np.uint8]
"""(height, width, 3) rgb8."""


class FrameStatus(IntEnum):
    """Health of one camera's image; values as in CameraFrame.msg."""

    OK = 0
    STALE = 1
    MISSING = 2
    FROZEN = 3
    DARK = 4
    OVEREXPOSED = 5
    COVERED = 6
    BLURRED = 7


@dataclass(frozen=True, eq=False)
class CameraFrame:
    """One camera's image at the model's size; `image` is None where there is none, never black.

    `status_value` and `status_limit` are the measured quantity behind a status that is not OK and
    the limit it was held against, in the unit of that check.
    """

    name: str
    stamp_ns: Nanoseconds
    status: FrameStatus
    status_value: float
    status_limit: float
    image: Image | None


@dataclass(frozen=True, eq=False)
class FrameSet:
    """Frames in the manifest's order; `stamp_ns` is the reference camera's exposure."""

    stamp_ns: Nanoseconds
    sequence: int
    model: str
    frames: tuple[CameraFrame, ...]


@dataclass(frozen=True)
class CameraReport:
    """Health of one camera; status, value and limit as in its `CameraFrame`.

    `rate` is that of its stamps of late in Hz; `brightness`, `saturated`, `contrast` and
    `sharpness` are the Measures of camera/health.py. NaN where there was nothing to measure.
    """

    name: str
    stamp_ns: Nanoseconds
    status: FrameStatus
    status_value: float
    status_limit: float
    rate: float = math.nan
    brightness: float = math.nan
    saturated: float = math.nan
    contrast: float = math.nan
    sharpness: float = math.nan


@dataclass(frozen=True)
class CameraHealth:
    """Health of all cameras; stamp, number and model are those of the FrameSet it goes with."""

    stamp_ns: Nanoseconds
    sequence: int
    model: str
    cameras: tuple[CameraReport, ...]
    checksum: int = 0


def camera_health(frames: FrameSet) -> CameraHealth:
    """What a set itself says of its cameras, with nothing measured besides; not signed."""
    reports = tuple(
        CameraReport(f.name, f.stamp_ns, f.status, f.status_value, f.status_limit)
        for f in frames.frames
    )
    return CameraHealth(frames.stamp_ns, frames.sequence, frames.model, reports)
