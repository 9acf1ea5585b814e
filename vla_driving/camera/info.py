"""What a driver says of its camera, held against the camera's file."""

from __future__ import annotations

import dataclasses
import math
from dataclasses import dataclass

import numpy as np

from vla_driving.camera.warp import project_directions, view_directions
from vla_driving.contract.cameras import Camera
from vla_driving.contract.faults import Fault
from vla_driving.contract.settings import SettingsError

MAX_DEVIATION = 0.01
"""Share of the width by which a point may appear elsewhere: 1 % is 0.6 degrees in a wide image."""
MODELS = {
    "plumb_bob": "plumb_bob", "rational_polynomial": "rational", "equidistant": "equidistant",
    "": "none",
}
"""The camera file's word by CameraInfo's."""
_GRID = 9


@dataclass(frozen=True)
class CameraInfo:
    """As sensor_msgs/CameraInfo: size and focal lengths in pixels; fx is 0 where not calibrated."""

    camera: str
    width: int
    height: int
    fx: float
    fy: float
    cx: float
    cy: float
    distortion_model: str
    distortion: tuple[float, ...]


def contradiction(camera: Camera, info: CameraInfo) -> Fault | None:
    """What the driver says that the camera's file does not, or None."""
    if fault := unusable(camera, info):
        return fault
    if info.fx == 0.0:
        return None
    deviation, limit = _deviation(camera, as_stated(camera, info)), MAX_DEVIATION * camera.width
    if deviation <= limit:
        return None
    return Fault(
        "camera_info_contradicts", camera.name,
        "camera_info shows things elsewhere than the camera file", deviation, limit, "pixels",
    )


def adopted(camera: Camera, info: CameraInfo) -> Camera | Fault:
    """The camera with the driver's intrinsics, or why they cannot be taken."""
    if fault := unusable(camera, info):
        return fault
    if info.fx == 0.0:
        return _fault(camera, "it is not calibrated (fx is 0)")
    return as_stated(camera, info)


def unusable(camera: Camera, info: CameraInfo) -> Fault | None:
    """What is wrong with the statement by itself; a camera that is not calibrated is not."""
    if (info.width, info.height) != (camera.width, camera.height):
        return _fault(
            camera, f"it has {info.width}x{info.height} pixels, not {camera.width}x{camera.height}"
        )
    numbers = (info.fx, info.fy, info.cx, info.cy, *info.distortion)
    if not all(map(math.isfinite, numbers)):
        return _fault(camera, "its intrinsics are not finite")
    if info.fx == 0.0:
        return None
    if info.fx < 0.0 or info.fy <= 0.0:
        return _fault(camera, f"its focal lengths are {info.fx:g} and {info.fy:g}")
    if info.distortion_model not in MODELS:
        known = ", ".join(word for word in MODELS if word)
        return _fault(camera, f"distortion {info.distortion_model!r} is none of {known}")
    try:
        project_directions(as_stated(camera, info), np.eye(3))
    except SettingsError as error:
        return _fault(camera, str(error))
    return None


def as_stated(camera: Camera, info: CameraInfo) -> Camera:
    """The camera, where the file says, with the intrinsics that the driver states."""
    model = MODELS[info.distortion_model]
    coefficients = info.distortion if any(info.distortion) else ()
    return dataclasses.replace(
        camera, fx=info.fx, fy=info.fy, cx=info.cx, cy=info.cy,
        distortion_model=model if coefficients else "none", distortion=coefficients,
    )


def _deviation(camera: Camera, other: Camera) -> float:
    """Largest distance in pixels at which the two see the same direction, over what both see."""
    coarse = dataclasses.replace(
        camera, width=_GRID, height=_GRID, distortion_model="none", distortion=(),
        fx=camera.fx * _GRID / camera.width, fy=camera.fy * _GRID / camera.height,
        cx=(camera.cx + 0.5) * _GRID / camera.width - 0.5,
        cy=(camera.cy + 0.5) * _GRID / camera.height - 0.5,
    )
    directions = view_directions(coarse)
    mine, stated = project_directions(camera, directions), project_directions(other, directions)
    both = np.isfinite(mine).all(axis=1) & np.isfinite(stated).all(axis=1)
    if not both.any():
        return math.inf
    return float(np.linalg.norm(mine[both] - stated[both], axis=1).max())


def _fault(camera: Camera, what: str) -> Fault:
    return Fault("camera_info_contradicts", camera.name, f"camera_info: {what}")
