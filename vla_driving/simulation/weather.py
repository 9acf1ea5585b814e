"""Night, a low sun and rain on the lens, painted over a frame.

They are pictures of these things, not optics: what they keep is what makes seeing hard. Everything
follows from the seed, the pose and the time.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import cv2
import numpy as np
import numpy.typing as npt

from vla_driving.contract.cameras import Camera
from vla_driving.contract.frames import Image
from vla_driving.simulation.scenario import Look

FloatArray = npt.NDArray[np.float64]
Picture = npt.NDArray[np.float32]

_FAR = 1.0e4
_DROP_LIFE_S = 2.0
_MOST_DROPS = 45
_NIGHT_SKY = np.array([9.0, 11.0, 20.0], np.float32)
_TAIL_LIGHT, _HEADLIGHT = (255.0, 30.0, 20.0), (255.0, 250.0, 225.0)


class Weather:
    """What one look makes of the frames of one camera (as it sits, `camera.mount` included).

    The sun of a glare stands near `heading` rad, the way that the drive begins.
    """

    def __init__(self, look: Look, seed: int, camera: Camera, heading: float) -> None:
        chance = np.random.default_rng([seed, 13])
        self._look, self._seed, self._camera = look, seed, camera
        self._sun = heading + float(chance.uniform(-0.25, 0.25))
        self._elevation = math.radians(float(chance.uniform(4.0, 10.0)))
        self._beam = _beam(camera) if look.light == "night" else None
        v, u = np.mgrid[:camera.height, :camera.width].astype(np.float32)
        self._u, self._v = u, v
        self._drops: tuple[int, tuple[Picture, Picture, Picture]] | None = None

    def apply(
        self, image: Image, base: FloatArray, lamps: Sequence[tuple[FloatArray, bool]],
        time_s: float,
    ) -> Image:
        """The frame under this weather, seen from `base` (4, 4) in the map at `time_s`.

        `lamps`: (2,) places in the map and whether they are headlights, the others tail lights.
        """
        look = self._look
        if look.light == "day" and not look.rain:
            return image
        picture = image.astype(np.float32)
        if self._beam is not None:
            picture = self._night(picture, base, lamps)
        elif look.light == "glare":
            picture = self._glare(picture, base)
        if look.rain:
            picture = self._rain(picture, time_s)
        return np.clip(picture + 0.5, 0, 255).astype(np.uint8)

    def _night(
        self, picture: Picture, base: FloatArray, lamps: Sequence[tuple[FloatArray, bool]]
    ) -> Picture:
        assert self._beam is not None
        picture = picture * self._beam + _NIGHT_SKY
        for place, white in lamps:
            point = np.append(place, 0.75)
            seen = (point - base[:3, 3]) @ base[:3, :3]
            (pixel,), (ahead,) = self._camera.project(seen[None])
            distance = float(np.hypot(seen[0], seen[1]))
            if not ahead or distance > 120.0 or seen[0] < 3.0:
                continue
            size = max(0.6, 0.12 * self._camera.fx / distance)
            self._glow(picture, pixel, size, _HEADLIGHT if white else _TAIL_LIGHT)
        return picture

    def _glow(
        self, picture: Picture, pixel: FloatArray, size: float, colour: Sequence[float]
    ) -> None:
        reach = int(4.0 * size) + 1
        rows = slice(max(0, int(pixel[1]) - reach), max(0, int(pixel[1]) + reach + 1))
        columns = slice(max(0, int(pixel[0]) - reach), max(0, int(pixel[0]) + reach + 1))
        near = (self._u[rows, columns] - pixel[0]) ** 2 + (self._v[rows, columns] - pixel[1]) ** 2
        share = np.exp(-near / (2.0 * size * size))[..., None]
        picture[rows, columns] += share * (np.array(colour, np.float32) - picture[rows, columns])

    def _glare(self, picture: Picture, base: FloatArray) -> Picture:
        flat = math.cos(self._elevation)
        towards = np.array([
            flat * math.cos(self._sun), flat * math.sin(self._sun), math.sin(self._elevation)
        ])
        (pixel,), (ahead,) = self._camera.project((_FAR * towards @ base[:3, :3])[None])
        if not ahead:
            return picture
        scale = self._camera.fx / 198.0
        distance = np.hypot(self._u - pixel[0], self._v - pixel[1]) / scale
        veil = 0.75 * np.exp(-distance / 60.0) + np.exp(-((distance / 14.0) ** 2))
        # Wet-looking asphalt under the sun mirrors it.
        under = np.exp(-(((self._u - pixel[0]) / (26.0 * scale)) ** 2)) * (self._v > pixel[1])
        share = np.clip(veil + 0.30 * under, 0.0, 1.0)[..., None]
        dim = picture * 0.8
        glare: Picture = dim + share * (np.array([255.0, 250.0, 235.0], np.float32) - dim)
        return glare

    def _rain(self, picture: Picture, time_s: float) -> Picture:
        """Drops show what is behind them small and upside down; the rest loses contrast."""
        rain = self._look.rain
        picture = picture * (1.0 - 0.25 * rain) + 150.0 * 0.25 * rain
        epoch = int(time_s / _DROP_LIFE_S)
        if self._drops is None or self._drops[0] != epoch:
            self._drops = (epoch, self._drawn_drops(epoch))
        map_u, map_v, share = self._drops[1]
        soft = cv2.GaussianBlur(picture, (0, 0), 2.0)
        through = cv2.remap(soft, map_u, map_v, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REFLECT)
        wet: Picture = picture + share[..., None] * (through - picture)
        return wet

    def _drawn_drops(self, epoch: int) -> tuple[Picture, Picture, Picture]:
        """Where each pixel looks and how much of it is drop; half of the drops last two epochs."""
        count = max(1, round(_MOST_DROPS * self._look.rain))
        map_u, map_v = self._u.copy(), self._v.copy()
        share = np.zeros_like(map_u)
        for k in range(count):
            life = epoch if k % 2 else (epoch + 1) // 2
            chance = np.random.default_rng([self._seed, 17, k, life])
            u, v = chance.uniform(0, self._camera.width), chance.uniform(0, self._camera.height)
            radius = float(chance.uniform(0.012, 0.045)) * self._camera.width
            du, dv = self._u - u, (self._v - v) * 0.85
            distance = np.hypot(du, dv)
            inside = distance < radius
            map_u = np.where(inside, u - 2.5 * du, map_u)
            map_v = np.where(inside, v - 2.5 * dv, map_v)
            edge = np.clip((radius - distance) / (0.35 * radius), 0.0, 1.0)
            share = np.maximum(share, 0.9 * edge)
        return map_u.astype(np.float32), map_v.astype(np.float32), share.astype(np.float32)


def _beam(camera: Camera) -> Picture:
    """(H, W, 1) how much of the daylight's brightness the dipped headlights give each pixel.

    On the ground by its distance and angle, above the horizon what they still reach at 45 m.
    """
    v, u = np.mgrid[:camera.height, :camera.width]
    rays = np.stack([(u - camera.cx) / camera.fx, (v - camera.cy) / camera.fy, np.ones(u.shape)], 2)
    down = rays @ camera.rotation()
    drop = np.maximum(-down[..., 2], 1e-6)
    ahead = np.minimum(camera.mount.z / drop * np.maximum(down[..., 0], 1e-3), 45.0)
    angle = np.arctan2(down[..., 1], down[..., 0])
    reach = np.exp(-ahead / 24.0) * (0.40 + 0.60 * np.exp(-((angle / 0.32) ** 2)))
    rise = np.clip(np.arctan2(down[..., 2], np.hypot(down[..., 0], down[..., 1])), 0.0, 1.0)
    lit = 0.07 + 1.20 * reach * np.exp(-rise / 0.10)
    return lit[..., None].astype(np.float32)
