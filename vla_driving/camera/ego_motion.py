"""The camera's own motion between two images, from points that were followed.

The epipolar geometry of a still scene: moving cars and wrong matches do not fit it and drop out.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

from vla_driving.contract.cameras import Camera

FloatArray = npt.NDArray[np.float64]
Grey = npt.NDArray[np.uint8]

BANDS = 6
"""Rows of the image are searched in so many parts, or all points would lie in the trees."""
POINTS_OF_BAND = 80
MIN_POINTS = 30
MAX_RETURN = 0.3
"""Pixels by which a point followed there and back may miss where it began."""
MAX_MISFIT = 0.5
"""Pixels between a point and its epipolar line."""
MIN_PARALLAX = 1.0
"""Pixels that MIN_POINTS must have moved by more than the camera turned."""
_ANY_DISTANCE = 1e9
_QUALITY, _APART = 0.01, 7.0
_WINDOW, _LEVELS = (15, 15), 4


@dataclass(frozen=True, eq=False)
class Motion:
    """From one image to the next, in the optical frame of the first (x right, y down, z ahead).

    `direction` (3,) of travel, a unit vector with z > 0; `rotation` (3, 3) from the first camera's
    to the second's axes; `before` and `after` (N, 2): the points that fit, on the plane one unit
    ahead, `after` turned back into the first camera's axes.
    """

    direction: FloatArray
    rotation: FloatArray
    before: FloatArray
    after: FloatArray

    @property
    def turned(self) -> float:
        """Angle of the rotation, rad."""
        return float(np.linalg.norm(cv2.Rodrigues(self.rotation)[0]))


def motion_between(before: Grey, after: Grey, camera: Camera) -> Motion | None:
    """Motion between two images of `camera`, or None where too few points can be followed."""
    pixels = _follow(before, after)
    if len(pixels[0]) < MIN_POINTS:
        return None
    rays = _rays(camera, pixels[0]), _rays(camera, pixels[1])
    essential, fits = cv2.findEssentialMat(
        *rays, np.eye(3), method=cv2.USAC_MAGSAC, prob=0.999, threshold=MAX_MISFIT / camera.fx
    )
    if essential is None or essential.shape != (3, 3):
        return None
    _, rotation, shift, *_ = cv2.recoverPose(
        essential, *rays, np.eye(3), distanceThresh=_ANY_DISTANCE, mask=fits.copy()
    )
    direction = -rotation.T @ shift[:, 0]
    if direction[2] < 0.0:
        direction = -direction
    good = fits[:, 0] > 0
    back = np.column_stack([rays[1][good], np.ones(int(good.sum()))]) @ rotation
    ahead = back[:, 2] > 0.1
    first, second = rays[0][good][ahead], back[ahead, :2] / back[ahead, 2:]
    # What is far away tells about the rotation alone.
    near = np.linalg.norm(second - first, axis=1) > MIN_PARALLAX / camera.fx
    if np.count_nonzero(near) < MIN_POINTS:
        return None
    return Motion(direction, np.asarray(rotation), first, second)


def _follow(before: Grey, after: Grey) -> tuple[FloatArray, FloatArray]:
    """(N, 2) pixels in both images."""
    height = before.shape[0]
    found = []
    for band in range(BANDS):
        top, bottom = band * height // BANDS, (band + 1) * height // BANDS
        corners = cv2.goodFeaturesToTrack(before[top:bottom], POINTS_OF_BAND, _QUALITY, _APART)
        if corners is not None:
            found.append(corners.reshape(-1, 2) + np.array([0.0, top], np.float32))
    if not found:
        return np.zeros((0, 2)), np.zeros((0, 2))
    first = np.concatenate(found).astype(np.float32)
    second, there = _flow(before, after, first)
    again, back = _flow(after, before, second)
    kept = there & back & (np.linalg.norm(again - first, axis=1) < MAX_RETURN)
    return first[kept].astype(float), second[kept].astype(float)


def _flow(
    before: Grey, after: Grey, points: npt.NDArray[np.float32]
) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.bool_]]:
    moved, found, _ = cv2.calcOpticalFlowPyrLK(
        before, after, points, None, winSize=_WINDOW, maxLevel=_LEVELS
    )
    return np.asarray(moved, np.float32), found[:, 0] > 0


def _rays(camera: Camera, pixels: FloatArray) -> FloatArray:
    """(N, 2) undistorted, on the plane one unit ahead."""
    points, coefficients = pixels.reshape(-1, 1, 2), np.array(camera.distortion, float)
    if camera.distortion_model == "equidistant":
        rays = cv2.fisheye.undistortPoints(points, camera.matrix(), coefficients)
    elif camera.distortion_model == "none":
        rays = (points - [camera.cx, camera.cy]) / [camera.fx, camera.fy]
    else:
        rays = cv2.undistortPoints(points, camera.matrix(), coefficients)
    return np.asarray(rays, float).reshape(-1, 2)
