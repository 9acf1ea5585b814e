"""Cameras, settings and pictures for these tests."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np

from vla_driving.camera.images import CameraImage
from vla_driving.camera.settings import (
    CameraIngestSettings,
    HealthSettings,
    LiveSettings,
    SynchronisationSettings,
)
from vla_driving.contract.cameras import Camera, Mount
from vla_driving.contract.frames import Image

WIDTH, HEIGHT = 64, 48
START = 1_000_000_000_000
MILLISECOND = 1_000_000

HEALTH = HealthSettings(
    max_age=0.3, max_silence=1.8, frozen_after=3, dark_level=12.0, overexposed_share=0.6,
    covered_contrast=8.0, blurred_sharpness=0.3, confirm=2, rate_tolerance=0.2,
)
LIVE = LiveSettings(
    pixel_format="mjpeg", open_timeout=30.0, read_timeout=10.0, first_retry=0.01,
    longest_retry=0.04, latency=0.0,
)
SETTINGS = CameraIngestSettings(
    sources=("topic",), intrinsics="camera_file", reference="front", loop=False,
    assumed_horizontal_fov=1.0, live=LIVE,
    synchronisation=SynchronisationSettings(tolerance=0.025, warning=0.010, wait=0.03),
    health=HEALTH,
)


def camera(name: str = "front", **changes: Any) -> Camera:
    made = Camera(
        name=name, width=WIDTH, height=HEIGHT, fx=50.0, fy=50.0, cx=31.5, cy=23.5,
        mount=Mount(x=1.5, y=0.0, z=1.3, roll=0.0, pitch=0.0, yaw=0.0),
        distortion_model="none", distortion=(),
    )
    return dataclasses.replace(made, **changes)


def picture(seed: int = 0, width: int = WIDTH, height: int = HEIGHT) -> Image:
    """Noise: sharp, of medium brightness, never twice the same."""
    return np.random.default_rng(seed).integers(40, 200, (height, width, 3), np.uint8)


def image(stamp_ms: float, name: str = "front", content: Any = None) -> CameraImage:
    """An image stamped `stamp_ms` after START; its content follows from the stamp."""
    stamp_ns = START + round(stamp_ms * MILLISECOND)
    return CameraImage(name, stamp_ns, picture(abs(int(stamp_ms))) if content is None else content)
