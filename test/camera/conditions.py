"""What weather, light and dirt do to a picture that the model is to see."""

from __future__ import annotations

from collections.abc import Callable

import cv2
import numpy as np
import numpy.typing as npt

from vla_driving.contract.frames import FrameStatus, Image

Condition = Callable[[Image, np.random.Generator], Image]
Light = npt.NDArray[np.float64]


def grain(light: npt.ArrayLike, rng: np.random.Generator, read: float, shot: float = 0.0) -> Image:
    """A sensor's noise: `read` levels everywhere, and `shot` times the square root of the light."""
    values = np.asarray(light, np.float64)
    deviation = np.sqrt(read**2 + shot**2 * np.maximum(values, 0.0))
    noisy = values + deviation * rng.standard_normal(values.shape)
    return np.clip(noisy, 0, 255).round().astype(np.uint8)


def night(image: Image, rng: np.random.Generator, ambient: float, headlights: float) -> Image:
    """`ambient` share of the light left, `headlights` more in a cone on the road, a few lamps."""
    across, down = _places(image)
    cone = np.exp(-(((across - 0.5) / 0.28) ** 2) - ((down - 0.72) / 0.25) ** 2)
    light = image * (ambient + headlights * cone[..., None])
    height, width = image.shape[:2]
    for _ in range(int(rng.integers(0, 7))):
        place = int(rng.integers(0, width)), int(rng.integers(0.3 * height, 0.5 * height))
        cv2.circle(light, place, int(rng.integers(1, 3)), (255.0, 240.0, 200.0), -1)
    return grain(light, rng, 2.5, 0.5)


def fog(image: Image, rng: np.random.Generator, share: float) -> Image:
    """That share of the light is scattered."""
    return grain(image * (1.0 - share) + 190.0 * share, rng, 1.0)


def blur(image: Image, pixels: float) -> Image:
    """Standard deviation of a soft lens, in pixels of the picture."""
    return np.asarray(cv2.GaussianBlur(image, (0, 0), pixels), np.uint8)


def low_sun(image: Image, rng: np.random.Generator) -> Image:
    """A glare that saturates about a third of the picture."""
    across, down = _places(image)
    glare = 400.0 * np.exp(-(((across - 0.6) / 0.25) ** 2) - ((down - 0.25) / 0.4) ** 2)
    return grain(image * 0.8 + glare[..., None], rng, 1.0)


def hand(image: Image, rng: np.random.Generator) -> Image:
    """Something close before the lens, a little brighter on one side."""
    across, _ = _places(image)
    light = 60.0 + 20.0 * np.sin(3.0 * across)
    return grain(np.repeat(light[..., None], 3, axis=2), rng, 2.0)


def _places(image: Image) -> tuple[Light, Light]:
    height, width = image.shape[:2]
    down, across = np.mgrid[0:height, 0:width]
    return across / width, down / height


GOOD: dict[str, Condition] = {
    "as it is": lambda image, rng: image,
    "dusk": lambda image, rng: grain(image * 0.35, rng, 2.0),
    "a tenth of the light": lambda image, rng: grain(image * 0.1, rng, 1.0),
    "night, lit road": lambda image, rng: night(image, rng, 0.06, 0.5),
    "night, dark road": lambda image, rng: night(image, rng, 0.015, 0.25),
    "night, rain": lambda image, rng: blur(night(image, rng, 0.04, 0.4), 0.7),
    "rain": lambda image, rng: blur(fog(image, rng, 0.45), 1.0),
    "fog": lambda image, rng: fog(image, rng, 0.7),
    "low sun": low_sun,
    "snow": lambda image, rng: grain(image * 0.4 + 140.0, rng, 1.0),
}
"""Drives that a camera is well in."""

SPOILT: dict[str, tuple[FrameStatus, Condition]] = {
    "a 25th of the light": (FrameStatus.DARK, lambda i, rng: grain(i * 0.04, rng, 0.0)),
    "lens cap": (FrameStatus.DARK, lambda i, rng: grain(i * 0.0, rng, 2.0)),
    "gain too high": (FrameStatus.OVEREXPOSED, lambda i, rng: grain(i * 3.0 + 120.0, rng, 1.0)),
    "paper": (FrameStatus.COVERED, lambda i, rng: np.full_like(i, 40)),
    "paper, noisy sensor": (FrameStatus.COVERED, lambda i, rng: grain(i * 0.0 + 40.0, rng, 3.0)),
    "hand": (FrameStatus.COVERED, hand),
    "out of focus by 5 pixels": (FrameStatus.BLURRED, lambda i, rng: blur(i, 5.0)),
    "dirt, 15 pixels averaged": (FrameStatus.BLURRED, lambda i, rng: cv2.blur(i, (15, 15))),
    "out of focus at night": (
        FrameStatus.BLURRED, lambda i, rng: blur(night(i, rng, 0.06, 0.5), 5.0)
    ),
    "steamed-up glass": (FrameStatus.BLURRED, lambda i, rng: blur(fog(i, rng, 0.5), 6.0)),
}
"""What is to be told, at the model's scale of 256 pixels across."""
