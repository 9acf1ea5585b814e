"""What can go wrong with a camera on the way, on cue from the scenario."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from vla_driving.contract.frames import Image
from vla_driving.simulation.scenario import Disturbance


class CameraDisturbances:
    """Applies the disturbances of a scenario to each frame, in the order of the file."""

    def __init__(self, disturbances: Sequence[Disturbance]) -> None:
        self._disturbances = tuple(disturbances)
        self._last: Image | None = None

    def apply(self, image: Image, now_s: float) -> Image | None:
        """The frame as the camera would deliver it at simulated time `now_s`; None: no frame."""
        result: Image | None = image
        for disturbance in self._disturbances:
            if result is None:
                break
            if disturbance.start <= now_s < disturbance.start + disturbance.duration:
                result = self._disturbed(result, disturbance.kind)
        if result is not None:
            self._last = result
        return result

    def _disturbed(self, image: Image, kind: str) -> Image | None:
        match kind:
            case "missing":
                return None
            case "frozen":
                return image if self._last is None else self._last
            case "dark":
                return (image * 0.04).astype(np.uint8)
            case "overexposed":
                return np.clip(image.astype(np.float32) * 3.0 + 120.0, 0, 255).astype(np.uint8)
            case "covered":
                return np.full_like(image, 40)
            case _:
                return _blurred(image)


def _blurred(image: Image) -> Image:
    """Mean over 15 pixels along rows and columns: dirt or rain on the glass."""
    size = 15
    margin = (size // 2, size // 2)
    padded = np.pad(image.astype(np.float64), (margin, margin, (0, 0)), "edge")
    for axis in (0, 1):
        total = np.cumsum(padded, axis)
        zero = np.zeros_like(np.take(total, [0], axis))
        total = np.concatenate([zero, total], axis)
        length = total.shape[axis]
        upper = np.take(total, np.arange(size, length), axis)
        padded = (upper - np.take(total, np.arange(length - size), axis)) / size
    return padded.round().astype(np.uint8)
