"""Where a camera points and how high it sits, measured while the car drives straight on.

Driving straight, the car moves along its own x axis, so the direction of travel in the image (the
point that everything flows away from) gives pitch and yaw, whatever the road looks like; openpilot
calibrates the same way. On the road's plane things flow in proportion to speed over height: with a
known speed that gives the height. Roll is taken from the camera's file, as is the lens.
"""

from __future__ import annotations

import dataclasses
import math
from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

from vla_driving.camera.ego_motion import Grey, Motion, motion_between
from vla_driving.camera.reduction import REDUCTIONS, reduced_size
from vla_driving.contract.cameras import Camera
from vla_driving.contract.clock import Nanoseconds, age_s
from vla_driving.contract.frames import Image

MIN_SPEED = 6.0
"""m/s, openpilot's 15 mph: slower, a car pitches, steers and slips too much."""
MAX_TURN = math.radians(1.0)
"""rad/s on average over a stretch; the lens, ahead of the rear axle, swings out in a curve."""
MAX_JUMP = math.radians(10.0)
"""rad/s between two images: more is no car but points that were lost."""
STRETCH_S = 2.0
"""Length of the straight stretches that count as one measurement each."""
MIN_STRETCHES = 3
MIN_PAIRS = 10
"""Pairs of images within a stretch."""
APART_S = (0.035, 0.26)
"""Least and most between the images of a pair."""
MAX_PITCH, MAX_YAW = 0.17, 0.12
"""rad off the direction of travel, 10 and 7 degrees: beyond, a camera is loose or another one."""
HEIGHTS = (0.5, 3.5)
"""m"""
MAX_SPREAD = math.radians(0.75)
"""Standard deviation between stretches, above which they contradict each other."""
MAX_HEIGHT_SPREAD = 0.15
"""The same for the height, as a share of it."""
NEAR, FAR, ASIDE = 2.5, 12.0, 1.8
"""Part of the road that counts, in heights of the camera: ahead from, to, and to either side."""
MIN_ROAD_POINTS = 60
"""On the road in a stretch, for the height."""
MAX_WIDTH = 960
"""Pixels; larger images are reduced, which costs no accuracy that matters and saves time."""

_OPTICAL_TO_BODY = np.array([[0.0, 0.0, 1.0], [-1.0, 0.0, 0.0], [0.0, -1.0, 0.0]])
FloatArray = npt.NDArray[np.float64]


class CalibrationRefused(ValueError):
    """One line: what is wrong with the drive or the camera, value and limit."""


@dataclass(frozen=True)
class Measured:
    """Mean over stretches, its standard deviation, and that between stretches."""

    value: float
    deviation: float
    spread: float


@dataclass(frozen=True)
class MountEstimate:
    """Angles in rad, height in m; `height` is None and `why_no_height` says why where unknown."""

    pitch: Measured
    yaw: Measured
    height: Measured | None
    why_no_height: str
    stretches: int
    pairs: int


@dataclass(frozen=True)
class Progress:
    """Images taken, pairs that could be used, stretches complete; what held the last one up."""

    images: int
    pairs: int
    stretches: int
    held_up_by: str


@dataclass(frozen=True, eq=False)
class _Pair:
    stamp_ns: Nanoseconds
    between: float
    motion: Motion
    travelled: float | None


@dataclass(frozen=True)
class _Stretch:
    pitch: float
    yaw: float
    height: float | None
    pairs: int


class MountEstimator:
    """Takes images of a drive in order; `estimate` may be asked at any time.

    `reduction`: the power of two by which images are to be made smaller first.
    """

    def __init__(self, camera: Camera) -> None:
        """`camera`: intrinsics, distortion and roll count, the rest of its mount does not."""
        self.reduction = next(
            n for n in REDUCTIONS
            if reduced_size(camera.width, n) <= MAX_WIDTH or n == REDUCTIONS[-1]
        )
        self._camera = _smaller(camera, self.reduction)
        self._last: tuple[Nanoseconds, Grey] | None = None
        self._pairs: list[_Pair] = []
        self._stretches: list[_Stretch] = []
        self._images = self._used = 0
        self._held_up_by = ""

    @property
    def progress(self) -> Progress:
        """How far it is."""
        return Progress(self._images, self._used, len(self._stretches), self._held_up_by)

    def add(self, stamp_ns: Nanoseconds, image: Image, speed: float | None) -> None:
        """Take the next image, rgb8 made smaller by `reduction`, and the speed in m/s if known.

        Raises CalibrationRefused for an image of another size.
        """
        expected = self._camera.height, self._camera.width
        if image.shape[:2] != expected:
            n = self.reduction
            raise CalibrationRefused(
                f"image of about {image.shape[1] * n}x{image.shape[0] * n} pixels instead of the"
                f" {expected[1] * n}x{expected[0] * n} of the camera file"
            )
        self._images += 1
        last = self._last
        if last is not None and 0.0 <= age_s(last[0], stamp_ns) < APART_S[0]:
            return
        grey = np.asarray(cv2.cvtColor(image, cv2.COLOR_RGB2GRAY), np.uint8)
        self._last = stamp_ns, grey
        if last is None:
            return
        between = age_s(last[0], stamp_ns)
        if why := _unfit(between, speed):
            self._pairs = []
        else:
            why = self._take(last[1], grey, stamp_ns, between, speed)
        if why or not self._pairs:  # what spoilt a stretch stays until one is complete
            self._held_up_by = why

    def estimate(self) -> MountEstimate:
        """Mean over the stretches so far. Raises CalibrationRefused where it cannot be trusted."""
        found = self._stretches
        if len(found) < MIN_STRETCHES:
            why = f"; the last images: {self._held_up_by}" if self._held_up_by else ""
            raise CalibrationRefused(
                f"{len(found)} straight stretches of {STRETCH_S:g} s in {self._images} images,"
                f" at least {MIN_STRETCHES} needed{why}"
            )
        pitch = _checked_angle("pitch", [s.pitch for s in found], MAX_PITCH)
        yaw = _checked_angle("yaw", [s.yaw for s in found], MAX_YAW)
        height, why = _height([s.height for s in found])
        return MountEstimate(
            pitch, yaw, height, why, len(found), sum(s.pairs for s in found)
        )

    def _take(
        self, before: Grey, after: Grey, stamp_ns: Nanoseconds, between: float, speed: float | None
    ) -> str:
        """Use a pair of images, or say why not; without one pair a stretch still counts."""
        motion = motion_between(before, after, self._camera)
        if motion is None:
            return "too few points to follow"
        if motion.turned > MAX_JUMP * between:
            return "points that do not fit one motion"
        self._used += 1
        self._pairs.append(
            _Pair(stamp_ns, between, motion, None if speed is None else speed * between)
        )
        if age_s(self._pairs[0].stamp_ns, stamp_ns) + between < STRETCH_S - 1e-6:
            return ""
        return self._close()

    def _close(self) -> str:
        pairs, self._pairs = self._pairs, []
        if len(pairs) < MIN_PAIRS:
            return f"{len(pairs)} pairs of images in {STRETCH_S:g} s, at least {MIN_PAIRS} needed"
        turns = [cv2.Rodrigues(pair.motion.rotation)[0] for pair in pairs]
        turn = float(np.linalg.norm(np.sum(turns, axis=0)) / sum(pair.between for pair in pairs))
        if turn > MAX_TURN:
            return (
                f"turning at {math.degrees(turn):.1f} degrees/s, at most"
                f" {math.degrees(MAX_TURN):.0f}"
            )
        directions = np.array([pair.motion.direction for pair in pairs])
        direction = np.median(directions / directions[:, 2:], axis=0)
        pitch, yaw = _angles(direction / np.linalg.norm(direction), self._camera.mount.roll)
        mount = dataclasses.replace(self._camera.mount, pitch=pitch, yaw=yaw)
        camera = dataclasses.replace(self._camera, mount=mount)
        self._stretches.append(_Stretch(pitch, yaw, _height_of(pairs, camera), len(pairs)))
        return ""


def _unfit(between: float, speed: float | None) -> str:
    """Why the time between two images or the speed ends a stretch, or nothing."""
    if not 0.0 < between <= APART_S[1]:
        return f"{between:.2f} s from image to image, at most {APART_S[1]}"
    if speed is not None and not speed >= MIN_SPEED:  # NaN is no speed
        return f"speed {speed:.1f} m/s, at least {MIN_SPEED}"
    return ""


def mounted(camera: Camera, estimate: MountEstimate) -> Camera:
    """The camera with what was measured; a height that is unknown stays that of its file."""
    height = camera.mount.z if estimate.height is None else estimate.height.value
    mount = dataclasses.replace(
        camera.mount, pitch=estimate.pitch.value, yaw=estimate.yaw.value, z=height
    )
    return dataclasses.replace(camera, mount=mount)


def _smaller(camera: Camera, reduction: int) -> Camera:
    n = reduction
    return dataclasses.replace(
        camera, width=reduced_size(camera.width, n), height=reduced_size(camera.height, n),
        fx=camera.fx / n, fy=camera.fy / n,
        cx=(camera.cx + 0.5) / n - 0.5, cy=(camera.cy + 0.5) / n - 0.5,
    )


def _angles(direction: FloatArray, roll: float) -> tuple[float, float]:
    """Pitch and yaw of a camera with this roll that sees the car's x axis in `direction` (3,)."""
    cosine, sine = math.cos(roll), math.sin(roll)
    x, y, z = _OPTICAL_TO_BODY @ direction
    level_y, level_z = cosine * y - sine * z, sine * y + cosine * z
    return math.atan2(level_z, x), -math.asin(float(np.clip(level_y, -1.0, 1.0)))


def _height_of(pairs: list[_Pair], camera: Camera) -> float | None:
    """From the flow of the road's plane: a point x heights ahead comes nearer by travel / height.

    None without a speed or with too little to see on the road.
    """
    rates = [
        _nearer(pair.motion, camera) / pair.travelled for pair in pairs if pair.travelled
    ]
    joined = np.concatenate(rates) if rates else np.zeros(0)
    joined = joined[joined > 1.0 / (2.0 * HEIGHTS[1])]  # cars ahead keep their distance
    if len(joined) < MIN_ROAD_POINTS:
        return None
    return float(1.0 / np.median(joined))


def _nearer(motion: Motion, camera: Camera) -> FloatArray:
    """By how many heights each point on the lane ahead came nearer, if it lies on the road."""
    ways = []
    for points in (motion.before, motion.after):
        optical = np.column_stack([points, np.ones(len(points))])
        x, y, z = (optical @ camera.rotation()).T
        below = np.where(z < -1e-3, -z, np.nan)
        ways.append((x / below, y / below))
    (first, aside), (second, _) = ways
    on_lane = (first < FAR) & (second > NEAR) & (np.abs(aside) < ASIDE)
    return np.asarray((first - second)[on_lane])


def _measured(values: list[float]) -> Measured:
    spread = float(np.std(values, ddof=1))
    return Measured(float(np.mean(values)), spread / math.sqrt(len(values)), spread)


def _checked_angle(name: str, values: list[float], limit: float) -> Measured:
    found = _measured(values)
    if found.spread > MAX_SPREAD:
        raise CalibrationRefused(
            f"{name} differs by {math.degrees(found.spread):.2f} degrees (standard deviation)"
            f" between {len(values)} stretches, at most {math.degrees(MAX_SPREAD):.2f}: a camera"
            " that is loose, a lens other than in its file, or a road that is not straight"
        )
    if abs(found.value) > limit:
        raise CalibrationRefused(
            f"{name} is {math.degrees(found.value):.2f} degrees off the direction of travel,"
            f" at most {math.degrees(limit):.1f}: mend the mount"
        )
    return found


def _height(heights: list[float | None]) -> tuple[Measured | None, str]:
    known = [height for height in heights if height is not None]
    if len(known) < MIN_STRETCHES:
        return None, (
            f"seen in {len(known)} stretches, at least {MIN_STRETCHES} needed: it takes the speed,"
            " and marks or texture on the road ahead"
        )
    found = _measured(known)
    if found.spread > MAX_HEIGHT_SPREAD * found.value:
        return None, (
            f"differs by {found.spread:.2f} m (standard deviation) between stretches around"
            f" {found.value:.2f} m, at most {MAX_HEIGHT_SPREAD:.0%}"
        )
    if not HEIGHTS[0] <= found.value <= HEIGHTS[1]:
        return None, f"{found.value:.2f} m is outside {HEIGHTS[0]} to {HEIGHTS[1]} m"
    return found, ""
