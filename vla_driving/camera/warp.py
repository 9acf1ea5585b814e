"""From a physical camera's image to the model's virtual camera: one model fits many cars.

A rotation about the lens alone: directions are kept, whatever the distance of what is seen, and the
ground need not be flat. What a difference in the lenses' positions would change cannot be mended
this way; `offset` tells how large it is.
"""

from __future__ import annotations

import dataclasses

import cv2
import numpy as np
import numpy.typing as npt

from vla_driving.camera.reduction import REDUCTIONS, reduced, reduced_size
from vla_driving.contract.cameras import Camera
from vla_driving.contract.frames import Image
from vla_driving.contract.settings import SettingsError

FloatArray = npt.NDArray[np.float64]

MIN_COVERAGE = 0.5
"""Share of the virtual image that a camera must see for it to be of any use."""
SMOOTH = 1.5
"""Pixels between two samples up to which bilinear interpolation needs no more averaging.

Measured against a 16 times supersampled reference, 1080p to 256x128: at 1.0 to 1.3 pixels 37 to
40 dB and no gain from more samples, at 1.5 two samples a side gain 2 dB, at 2 they gain 8 dB.
"""
_COEFFICIENTS = {"none": (0,), "plumb_bob": (4, 5), "rational": (8,), "equidistant": (4,)}
_EXACT = 1e-3
"""Pixels; maps this close to whole numbers are a crop."""


class Warp:
    """The precomputed way from one camera to one virtual camera.

    `reduction` is the power of two by which the camera's image is to be made smaller first, while
    it is decoded: the largest that leaves at least one pixel for each of the virtual image, in
    every direction at every place (`density`, camera pixels for one virtual pixel: least, median,
    most; from the singular values of the map's Jacobian). `seen` (H, W) are the virtual pixels that
    the camera has, None where it has all.
    """

    def __init__(self, physical: Camera, virtual: Camera) -> None:
        """Raises SettingsError where coefficients do not fit the model or little would be seen."""
        pixels, inside = _map(physical, virtual)
        self.physical = physical
        self.coverage = float(inside.mean())
        self.seen = None if inside.all() else inside
        if self.coverage < MIN_COVERAGE:
            raise SettingsError(
                f"camera {physical.name!r} sees {self.coverage:.0%} of the model's view"
                f" {virtual.name!r}, at least {MIN_COVERAGE:.0%} needed: check its file's"
                " intrinsics and mount"
            )
        self._crop = _whole_crop(pixels) if self.coverage == 1.0 else None
        self.density = _density(pixels, inside)
        least, median, _ = self.density
        self.reduction = max(n for n in REDUCTIONS if n == 1 or n <= least)
        left = median / self.reduction
        self._samples = 1 if self._crop or left <= SMOOTH else 2 if left <= 2.0 * SMOOTH else 4
        self._maps = _fixed_point(physical, _finer(virtual, self._samples), self.reduction)

    @property
    def size(self) -> tuple[int, int]:
        """Height and width of the image that it takes."""
        camera = self.physical
        return (
            reduced_size(camera.height, self.reduction), reduced_size(camera.width, self.reduction)
        )

    def __call__(self, image: Image) -> Image:
        """(H, W, 3) rgb8 of the virtual camera, a new array; what the camera misses is black.

        `image` is (*size, 3): the physical camera's, already made smaller by `reduction`.
        """
        if self._crop:
            return image[self._crop].copy()
        warped = cv2.remap(
            image, *self._maps, interpolation=cv2.INTER_LINEAR, borderMode=cv2.BORDER_CONSTANT
        )
        # Averaging first: picking single pixels out of a larger image would make them dance.
        return reduced(np.asarray(warped, np.uint8), self._samples)


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


def _map(physical: Camera, virtual: Camera) -> tuple[FloatArray, npt.NDArray[np.bool_]]:
    """(H, W, 2) pixels of the physical camera for those of the virtual one, and which it has."""
    pixels = project_directions(physical, view_directions(virtual))
    pixels = pixels.reshape(virtual.height, virtual.width, 2)
    size = np.array([physical.width, physical.height])
    inside: npt.NDArray[np.bool_] = np.all((pixels > -0.5) & (pixels < size - 0.5), axis=2)
    return pixels, inside


def _fixed_point(
    physical: Camera, virtual: Camera, reduction: int
) -> tuple[npt.NDArray[np.int16], npt.NDArray[np.uint16]]:
    """OpenCV's maps in 1/32 pixel of the image made smaller by `reduction`."""
    pixels, inside = _map(physical, virtual)
    size = [reduced_size(physical.width, reduction), reduced_size(physical.height, reduction)]
    # Half a pixel at the border lies outside the outermost centres: no black is mixed into it.
    smaller = np.clip((pixels + 0.5) / reduction - 0.5, 0.0, np.array(size) - 1.0)
    smaller[~inside] = -10.0
    whole, fraction = cv2.convertMaps(smaller.astype(np.float32), None, cv2.CV_16SC2)
    return whole, fraction


def _finer(virtual: Camera, samples: int) -> Camera:
    """The same view with so many times the pixels along each side."""
    return dataclasses.replace(
        virtual, width=virtual.width * samples, height=virtual.height * samples,
        fx=virtual.fx * samples, fy=virtual.fy * samples,
        cx=(virtual.cx + 0.5) * samples - 0.5, cy=(virtual.cy + 0.5) * samples - 0.5,
    )


def _density(pixels: FloatArray, inside: npt.NDArray[np.bool_]) -> tuple[float, float, float]:
    """Least, median and most camera pixels for one virtual pixel, over places and directions."""
    seen = np.where(inside[..., None], pixels, np.nan)
    down, right = np.gradient(seen, axis=(0, 1))
    jacobian = np.stack([right, down], axis=-1)
    jacobian = jacobian[np.isfinite(jacobian).all(axis=(2, 3))]
    scales = np.linalg.svd(jacobian, compute_uv=False)
    return float(scales[:, 1].min()), float(np.median(scales)), float(scales[:, 0].max())
