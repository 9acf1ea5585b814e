"""Pictures of a still world seen from a moving camera: a road of marks, and hills far away."""

from __future__ import annotations

import numpy as np

from vla_driving.camera.warp import FloatArray
from vla_driving.contract.cameras import Camera
from vla_driving.contract.frames import Image

_TILE = 256


class StillWorld:
    """A textured road's plane below the horizon, textured hills above it."""

    def __init__(self, camera: Camera, directions: FloatArray) -> None:
        """`directions` (H * W, 3) in base_link that the camera's pixels look in."""
        self._camera = camera
        self._directions = directions
        random = np.random.default_rng(7)
        self._ground = np.where(_blobs(random, 4.0, 40.0) > 140.0, 200.0, 90.0)
        self._far = _blobs(random, 2.0, 50.0)

    def picture(self, travelled: float, left: float = 0.0, heading: float = 0.0) -> Image:
        """rgb8 after so many metres ahead, aside, and turned by `heading` rad."""
        cosine, sine = np.cos(heading), np.sin(heading)
        dx, dy, dz = self._directions.T
        x, y = cosine * dx - sine * dy, sine * dx + cosine * dy
        below = dz < -0.01
        range_ = np.where(below, self._camera.mount.z / np.maximum(-dz, 0.01), 0.0)
        mount = self._camera.mount
        from_x = travelled + mount.x * cosine
        from_y = left + mount.x * sine + mount.y
        at = from_x + x * range_, from_y + y * range_
        ground = self._look(self._ground, at[0] * 16.0, at[1] * 24.0)
        azimuth, elevation = np.arctan2(y, x), np.arctan2(dz, np.hypot(x, y))
        far = self._look(self._far, azimuth * 200.0, elevation * 200.0)
        # Far away the road is grey, as a real one: its marks are smaller than a pixel.
        fade = np.clip(range_ / 25.0, 0.0, 1.0)
        grey = np.where(below, ground * (1 - fade) + 100.0 * fade, far)
        size = self._camera.height, self._camera.width
        return np.repeat(grey.astype(np.uint8).reshape(*size, 1), 3, axis=2)

    @staticmethod
    def _look(texture: np.ndarray, u: FloatArray, v: FloatArray) -> FloatArray:
        """Bilinear, repeated without end."""
        i, j = np.floor(u).astype(int), np.floor(v).astype(int)
        a, b = u - i, v - j
        rows, columns = texture.shape
        return np.asarray(sum(
            weight * texture[(i + di) % rows, (j + dj) % columns]
            for di, dj, weight in (
                (0, 0, (1 - a) * (1 - b)), (1, 0, a * (1 - b)), (0, 1, (1 - a) * b), (1, 1, a * b),
            )
        ))


def _blobs(random: np.random.Generator, size: float, contrast: float) -> FloatArray:
    """A texture that repeats seamlessly, with spots of `size` texels."""
    row = np.fft.fftfreq(_TILE)
    smooth = np.exp(-2.0 * (np.pi * size) ** 2 * (row[:, None] ** 2 + row[None] ** 2))
    field = np.fft.ifft2(np.fft.fft2(random.normal(size=(_TILE, _TILE))) * smooth).real
    return np.asarray(np.clip(110.0 + contrast * field / field.std(), 5.0, 250.0))
