"""From a physical camera's image to the model's virtual camera: one model fits many cars.

A rotation about the lens alone: directions are kept, whatever the distance of what is seen, and the
ground need not be flat. What a difference in the lenses' positions would change cannot be mended
this way; `offset` tells how large it is.
"""

from __future__ import annotations

import cv2
import numpy as np
import numpy.typing as npt

from vla_driving.contract.cameras import Camera
from vla_driving.contract.frames import Image
from vla_driving.contract.settings import SettingsError

FloatArray = npt.NDArray[np.float64]

MIN_COVERAGE = 0.5
"""Share of the virtual image that a camera must see for it to be of any use."""
_COEFFICIENTS = {"none": (0,), "plumb_bob": (4, 5), "rational": (8,), "equidistant": (4,)}
_EXACT = 1e-3
"""Pixels; maps this close to whole numbers are a crop."""


class Warp:
    """The precomputed way from one camera to one virtual camera."""

    def __init__(self, physical: Camera, virtual: Camera) -> None:
        """Raises SettingsError where coefficients do not fit the model or little would be seen."""
        pixels = project_directions(physical, view_directions(virtual))
        pixels = pixels.reshape(virtual.height, virtual.width, 2)
        size = np.array([physical.width, physical.height])
        inside: npt.NDArray[np.bool_] = np.all((pixels > -0.5) & (pixels < size - 0.5), axis=2)
        self.physical = physical
        self.coverage = float(inside.mean())
        if self.coverage < MIN_COVERAGE:
            raise SettingsError(
                f"camera {physical.name!r} sees {self.coverage:.0%} of the model's view"
                f" {virtual.name!r}, at least {MIN_COVERAGE:.0%} needed: check its file's"
                " intrinsics and mount"
            )
        self._crop = _whole_crop(pixels) if self.coverage == 1.0 else None
        self._shrink = 1 if self._crop else _shrink(pixels, inside)
        self._maps = cv2.convertMaps(
            self._shrunk(np.where(inside[..., None], pixels, -10.0 * self._shrink)), None,
            cv2.CV_16SC2,
        )

    def __call__(self, image: Image) -> Image:
        """(H, W, 3) of the virtual camera from an image of the physical one; outside is black."""
        if self._crop:
            return np.ascontiguousarray(image[self._crop])
        if self._shrink > 1:
            # Averaging first: picking single pixels out of a larger image would make them dance.
            image = np.asarray(cv2.resize(image, self._shrunk_size(), interpolation=cv2.INTER_AREA))
        warped = cv2.remap(
            image, *self._maps, interpolation=cv2.INTER_LINEAR, borderMode=cv2.BORDER_CONSTANT
        )
        return np.asarray(warped, np.uint8)

    def _shrunk_size(self) -> tuple[int, int]:
        camera = self.physical
        return max(1, camera.width // self._shrink), max(1, camera.height // self._shrink)

    def _shrunk(self, pixels: FloatArray) -> npt.NDArray[np.float32]:
        size = np.array([self.physical.width, self.physical.height])
        return ((pixels + 0.5) * self._shrunk_size() / size - 0.5).astype(np.float32)


def offset(physical: Camera, virtual: Camera) -> float:
    """Distance of the two lenses, m: what a rotation cannot mend."""
    a, b = physical.mount, virtual.mount
    return float(np.linalg.norm([a.x - b.x, a.y - b.y, a.z - b.z]))


def view_directions(virtual: Camera) -> FloatArray:
    """(H * W, 3) directions in base_link that the pixels of an undistorted camera look in."""
    u, v = np.meshgrid(np.arange(virtual.width), np.arange(virtual.height))
    optical = np.stack(
        [(u - virtual.cx) / virtual.fx, (v - virtual.cy) / virtual.fy, np.ones(u.shape)], axis=-1
    )
    directions: FloatArray = optical.reshape(-1, 3) @ virtual.rotation()
    return directions


def project_directions(camera: Camera, directions: FloatArray) -> FloatArray:
    """(N, 2) pixels, distortion included, of (N, 3) directions in base_link; inf where not seen.

    Raises SettingsError where the number of coefficients does not fit the distortion model.
    """
    allowed = _COEFFICIENTS[camera.distortion_model]
    if len(camera.distortion) not in allowed:
        raise SettingsError(
            f"camera {camera.name!r}: distortion_model {camera.distortion_model} takes"
            f" {' or '.join(map(str, allowed))} coefficients, got {len(camera.distortion)}"
        )
    optical = directions @ camera.rotation().T
    ahead = optical[:, 2] > 1e-6
    plane = optical[:, :2] / np.where(ahead, optical[:, 2], 1.0)[:, None]
    seen = ahead & (np.linalg.norm(plane, axis=1) < _unambiguous_radius(camera))
    plane = np.where(seen[:, None], plane, 0.0)
    return np.where(seen[:, None], _distort(camera, plane), np.inf)


def _distort(camera: Camera, plane: FloatArray) -> FloatArray:
    """(N, 2) pixels of (N, 2) points on the plane one unit ahead of the lens."""
    coefficients = np.array(camera.distortion, np.float64)
    if camera.distortion_model == "none":
        return plane * [camera.fx, camera.fy] + [camera.cx, camera.cy]
    nowhere = np.zeros(3)
    if camera.distortion_model == "equidistant":
        points = np.column_stack([plane, np.ones(len(plane))])[:, None]
        pixels, _ = cv2.fisheye.projectPoints(
            points, nowhere, nowhere, camera.matrix(), coefficients
        )
    else:
        points = np.column_stack([plane, np.ones(len(plane))])
        pixels, _ = cv2.projectPoints(points, nowhere, nowhere, camera.matrix(), coefficients)
    return np.asarray(pixels, np.float64).reshape(-1, 2)


def _unambiguous_radius(camera: Camera) -> float:
    """Radius on the plane one unit ahead up to which distortion grows with it.

    Beyond, a polynomial turns back and would show things that the lens does not see.
    """
    if camera.distortion_model == "none":
        return np.inf
    radii = np.tan(np.linspace(0.0, 1.55, 1000))
    plane = np.column_stack([radii, np.zeros(len(radii))])
    out = (_distort(camera, plane)[:, 0] - camera.cx) / camera.fx
    turns_back = np.flatnonzero(np.diff(out) <= 0.0)
    return float(radii[turns_back[0]]) if turns_back.size else float(radii[-1])


def _whole_crop(pixels: FloatArray) -> tuple[slice, slice] | None:
    """Rows and columns, where the map is nothing but a cut-out."""
    height, width = pixels.shape[:2]
    left, top = (round(float(c)) for c in pixels[0, 0])
    u, v = np.meshgrid(np.arange(left, left + width), np.arange(top, top + height))
    exact = np.abs(pixels - np.stack([u, v], axis=-1)).max() < _EXACT
    return (slice(top, top + height), slice(left, left + width)) if exact else None


def _shrink(pixels: FloatArray, inside: npt.NDArray[np.bool_]) -> int:
    """Whole number of camera pixels that lie between two pixels of the virtual image."""
    steps = np.linalg.norm(np.diff(np.where(inside[..., None], pixels, np.nan), axis=1), axis=2)
    return max(1, int(np.nanmedian(steps)))
