"""Pinhole cameras: intrinsics, distortion and where they sit on the car."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from vla_driving.contract.settings import choice, described, load, quantity


@dataclass(frozen=True)
class Mount:
    """Pose of a camera in base_link: position in m; roll, pitch, yaw in rad.

    Angles turn the car's axes (x forward, y left, z up) counter-clockwise about x, y and z in the
    order yaw, pitch, roll (REP-103); a camera that looks down has a positive pitch.
    """

    x: float = quantity("m", -10.0, 10.0)
    y: float = quantity("m", -3.0, 3.0)
    z: float = quantity("m", 0.1, 5.0)
    roll: float = quantity("rad", -0.5, 0.5)
    pitch: float = quantity("rad", -0.8, 0.8)
    yaw: float = quantity("rad", -3.1416, 3.1416)


@dataclass(frozen=True)
class Camera:
    """One camera: size and focal lengths in pixels, distortion as in sensor_msgs/CameraInfo."""

    name: str
    width: int = quantity("pixels", 16, 8192)
    height: int = quantity("pixels", 16, 8192)
    fx: float = quantity("pixels", 1.0, 20000.0)
    fy: float = quantity("pixels", 1.0, 20000.0)
    cx: float = quantity("pixels", -8192.0, 16384.0)
    cy: float = quantity("pixels", -8192.0, 16384.0)
    mount: Mount = described("where it sits on the car")
    distortion_model: str = choice("none", "plumb_bob", "rational", "equidistant")
    distortion: tuple[float, ...] = described("coefficients as in CameraInfo.d; [] for none")

    def matrix(self) -> npt.NDArray[np.float64]:
        """(3, 3) intrinsic matrix."""
        return np.array([[self.fx, 0.0, self.cx], [0.0, self.fy, self.cy], [0.0, 0.0, 1.0]])

    def rotation(self) -> npt.NDArray[np.float64]:
        """(3, 3) rotation of base_link directions into the optical frame (z forward, x right)."""
        return _OPTICAL_FROM_BODY @ _body_rotation(self.mount).T

    def project(
        self, points: npt.ArrayLike
    ) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.bool_]]:
        """Pixels (N, 2) of (N, 3) points in base_link, m, and which of them lie in front.

        Distortion is left out: this is for drawing and for virtual cameras.
        """
        position = np.array([self.mount.x, self.mount.y, self.mount.z])
        optical = (np.asarray(points, np.float64).reshape(-1, 3) - position) @ self.rotation().T
        ahead = optical[:, 2] > 0.1
        depth = np.where(ahead, optical[:, 2], 1.0)
        u = self.fx * optical[:, 0] / depth + self.cx
        v = self.fy * optical[:, 1] / depth + self.cy
        return np.stack([u, v], axis=1), ahead


def load_camera(path: Path) -> Camera:
    """Read config/cameras/<name>.yaml. Raises SettingsError."""
    return load(Camera, path)


_OPTICAL_FROM_BODY = np.array([[0.0, -1.0, 0.0], [0.0, 0.0, -1.0], [1.0, 0.0, 0.0]])


def _body_rotation(mount: Mount) -> npt.NDArray[np.float64]:
    cr, sr = np.cos(mount.roll), np.sin(mount.roll)
    cp, sp = np.cos(mount.pitch), np.sin(mount.pitch)
    cy, sy = np.cos(mount.yaw), np.sin(mount.yaw)
    about_x = np.array([[1, 0, 0], [0, cr, -sr], [0, sr, cr]])
    about_y = np.array([[cp, 0, sp], [0, 1, 0], [-sp, 0, cp]])
    about_z = np.array([[cy, -sy, 0], [sy, cy, 0], [0, 0, 1]])
    rotation: npt.NDArray[np.float64] = about_z @ about_y @ about_x
    return rotation
