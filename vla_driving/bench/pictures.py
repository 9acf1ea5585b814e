"""1080p pictures to measure with: a drawn road with as much detail and noise as a camera gives.

A smooth picture would flatter the decoder. Natural images have an amplitude spectrum that falls
with frequency (D. J. Field, J. Opt. Soc. Am. A 4, 1987); to that a sensor adds noise.
"""

from __future__ import annotations

from collections.abc import Callable

import cv2
import numpy as np
import numpy.typing as npt

from vla_driving.camera.images import RawImage
from vla_driving.contract.cameras import Camera, Mount
from vla_driving.contract.frames import Image

CAMERA = Camera(
    name="front", width=1920, height=1080, fx=1400.0, fy=1400.0, cx=962.3, cy=536.8,
    mount=Mount(x=1.75, y=0.0, z=1.35, roll=0.004, pitch=0.065, yaw=-0.006),
    distortion_model="plumb_bob", distortion=(-0.31, 0.11, 0.0004, -0.0002, 0.0),
)
"""A windscreen camera with a lens that bends lines, mounted about where the shipped model's is."""
QUALITY = 90
NOISE = 1.0
"""Standard deviation of the sensor's noise, levels."""
_LINE = 0.15
_LANE = 3.5


def road_pictures(count: int, camera: Camera = CAMERA) -> list[Image]:
    """So many different (height, width, 3) rgb8 pictures of a road, as `camera` sees it."""
    scene = _scene(camera)
    pictures = []
    for k in range(count):
        noise = np.random.default_rng(k).normal(0.0, NOISE, scene.shape)
        shifted = np.roll(scene, 16 * k, axis=1)
        pictures.append(np.clip(shifted + noise, 0, 255).astype(np.uint8))
    return pictures


def jpeg(image: Image, quality: int = QUALITY) -> bytes:
    """A file as a camera's encoder makes it, with colours at half the resolution."""
    options = [cv2.IMWRITE_JPEG_QUALITY, quality]
    return bytes(cv2.imencode(".jpg", image[..., ::-1], options)[1])


def encoded(image: Image, encoding: str) -> RawImage:
    """The picture as a driver would send it in one of sensor_msgs' encodings."""
    data, step = _ENCODERS[encoding](image)
    return RawImage(image.shape[0], image.shape[1], encoding, step * image.shape[1], data.tobytes())


def _nv12(image: Image) -> Image:
    planes = cv2.cvtColor(image, cv2.COLOR_RGB2YUV_I420)
    rows = image.shape[0]
    colours = planes[rows:].reshape(2, -1)
    return np.concatenate([planes[:rows].ravel(), colours.T.ravel()])


def _mosaic(image: Image) -> Image:
    mosaic = np.empty(image.shape[:2], np.uint8)
    for (row, column), channel in {(0, 0): 0, (0, 1): 1, (1, 0): 1, (1, 1): 2}.items():
        mosaic[row::2, column::2] = image[row::2, column::2, channel]
    return mosaic


_ENCODERS: dict[str, Callable[[Image], tuple[Image, int]]] = {
    "rgb8": lambda image: (image, 3),
    "bgr8": lambda image: (image[..., ::-1], 3),
    "yuv422_yuy2": lambda image: (np.asarray(cv2.cvtColor(image, cv2.COLOR_RGB2YUV_YUY2)), 2),
    "nv12": lambda image: (_nv12(image), 1),
    "bayer_rggb8": lambda image: (_mosaic(image), 1),
}
"""The bytes, and how many of them a pixel takes in a row."""


def _scene(camera: Camera) -> npt.NDArray[np.float64]:
    v, u = np.mgrid[0 : camera.height, 0 : camera.width].astype(float)
    horizon = camera.cy - camera.fy * np.tan(camera.mount.pitch)
    below = np.maximum(v - horizon, 0.5)
    distance = camera.mount.z * camera.fy / below
    left = (camera.cx - u) * distance / camera.fx
    picture = np.full((camera.height, camera.width, 3), (70.0, 100.0, 50.0))  # grass, trees
    road = (v > horizon) & (np.abs(left) < 1.5 * _LANE + _LINE)
    picture[road] = (95.0, 97.0, 100.0)
    for line in (-1.5, -0.5, 0.5, 1.5):
        dashed = abs(line) > 1 or np.sin(distance * np.pi / 3.0) > 0
        picture[road & (np.abs(left - line * _LANE) < 0.5 * _LINE) & dashed] = (225.0, 225.0, 220.0)
    above = np.clip((horizon - v) / horizon, 0.0, 1.0)[..., None]
    detail = _natural(camera.height, camera.width)[..., None]
    trees = above[..., 0] < 0.22 + 0.2 * detail[..., 0].mean(axis=0)
    sky = np.array([215.0, 225.0, 235.0]) * (1 - above) + np.array([120.0, 165.0, 225.0]) * above
    picture = np.where((above > 0) & ~trees[..., None], sky, picture)
    strength = np.where(road, 4.0, 10.0)[..., None]
    strength = np.where(above > 0, np.where(trees[..., None], 18.0, 2.0), strength)
    return np.asarray(picture + strength * detail)


def _natural(height: int, width: int) -> npt.NDArray[np.float64]:
    """(height, width) of mean 0 and standard deviation 1, amplitudes as one over frequency."""
    noise = np.random.default_rng(0).normal(size=(height, width))
    rows, columns = np.fft.fftfreq(height)[:, None], np.fft.fftfreq(width)[None]
    frequency = np.hypot(rows, columns) + 1.0 / width
    field = np.fft.ifft2(np.fft.fft2(noise) / frequency).real
    return np.asarray((field - field.mean()) / field.std())
