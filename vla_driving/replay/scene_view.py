"""Draws what the stack saw and wants into the camera's picture: trajectory, lane lines, objects."""

from __future__ import annotations

from dataclasses import dataclass, replace

import cv2
import numpy as np
import numpy.typing as npt

from vla_driving.contract.cameras import Camera
from vla_driving.contract.frames import Image
from vla_driving.contract.plan import PlanSource
from vla_driving.contract.scene import LaneLine, LaneLineKind, ObjectClass, SceneObject
from vla_driving.contract.trajectory import Trajectory
from vla_driving.replay import canvas
from vla_driving.replay.canvas import Colour
from vla_driving.replay.moments import Moment

NEAREST_M = 0.6
"""Ground nearer than this before the lens is not drawn."""
LEAST_PROBABILITY = 0.3
STOP_LINE_M = 0.25
ROAD_EDGES = (LaneLineKind.ROAD_EDGE_LEFT, LaneLineKind.ROAD_EDGE_RIGHT)

CLASS_COLOURS: dict[ObjectClass, Colour] = {
    ObjectClass.UNKNOWN: canvas.GREY,
    ObjectClass.CAR: canvas.CYAN,
    ObjectClass.TRUCK: canvas.CYAN,
    ObjectClass.BICYCLE: canvas.AMBER,
    ObjectClass.PEDESTRIAN: canvas.AMBER,
    ObjectClass.OBSTACLE: canvas.ORANGE,
}


def scaled(camera: Camera, width: int, height: int) -> Camera:
    """The same camera with a picture of another size; pixel centres lie at whole numbers."""
    sx, sy = width / camera.width, height / camera.height
    return replace(
        camera, width=width, height=height, fx=camera.fx * sx, fy=camera.fy * sy,
        cx=(camera.cx + 0.5) * sx - 0.5, cy=(camera.cy + 0.5) * sy - 0.5,
    )


@dataclass(frozen=True)
class SceneView:
    """Draws into pictures of `camera`'s size; `car_width` in m is the ribbon's."""

    camera: Camera
    car_width: float

    def draw(self, image: Image, moment: Moment) -> None:
        """Lane lines, candidates, ribbon, objects: from the ground up."""
        plan = moment.plan
        if plan is not None:
            self._lane_lines(image, plan.lane_lines)
            self._candidates(image, plan.candidates[1:])
        if moment.approved is not None and not moment.approved.hold:
            self._ribbon(image, moment.approved.trajectory, ribbon_colour(moment))
        elif plan is not None and plan.candidates and moment.approved is None:
            self._ribbon(image, plan.candidates[0], canvas.GREY)
        for found in sorted(plan.objects if plan else (), key=lambda o: -o.x):
            if found.probability >= LEAST_PROBABILITY:
                self._box(image, found)
        for echo in moment.objects.objects if moment.objects else ():
            self._echo(image, echo)

    def _ground(self, x: npt.ArrayLike, y: npt.ArrayLike) -> canvas.Points:
        """(N, 2) pixels of points on the road."""
        x, y = np.asarray(x, np.float64), np.asarray(y, np.float64)
        pixels, _ = self.camera.project(np.stack([x, y, np.zeros_like(x)], 1))
        return pixels

    def _strip(
        self, x: npt.ArrayLike, y: npt.ArrayLike, half_width: float
    ) -> tuple[canvas.Points, canvas.Points] | None:
        """Left and right edge in pixels of a strip on the road; None where it is out of view."""
        points = self._in_view(np.asarray(x, np.float64), np.asarray(y, np.float64))
        if points is None:
            return None
        along = np.gradient(points, axis=0)
        length = np.maximum(np.hypot(along[:, 0], along[:, 1]), 1e-6)
        normal = np.stack([-along[:, 1], along[:, 0]], 1) / length[:, None] * half_width
        left, right = points + normal, points - normal
        return self._ground(left[:, 0], left[:, 1]), self._ground(right[:, 0], right[:, 1])

    def _in_view(
        self, x: npt.NDArray[np.float64], y: npt.NDArray[np.float64]
    ) -> npt.NDArray[np.float64] | None:
        """(N, 2) points before the lens, the first one cut to lie just there."""
        start = self.camera.mount.x + NEAREST_M
        ahead = x > start
        first = int(np.argmax(ahead))
        if not ahead.any() or x.size - first < 2:
            return None
        points = np.stack([x[first:], y[first:]], 1)
        if first > 0:
            share = (start - x[first - 1]) / (x[first] - x[first - 1])
            cut = np.array([[start, y[first - 1] + share * (y[first] - y[first - 1])]])
            points = np.concatenate([cut, points])
        return points

    def _ribbon(self, image: Image, trajectory: Trajectory, colour: Colour) -> None:
        x = np.concatenate([[0.0], trajectory.x])
        y = np.concatenate([[0.0], trajectory.y])
        moved = np.concatenate([[True], np.hypot(np.diff(x), np.diff(y)) > 0.02])
        if moved.sum() < 3:
            return
        edges = self._strip(x[moved], y[moved], 0.5 * self.car_width)
        if edges is None:
            return
        left, right = edges
        outline = np.concatenate([left, right[::-1]])
        fade = self._fade(image.shape[0], 0.5 * (left[:, 1] + right[:, 1]))
        mask = canvas.polygon_mask(image.shape, [outline])
        canvas.blend(image, _times(mask, fade * 0.55), colour)
        borders = canvas.line_mask(image.shape, [left, right], 2)
        canvas.blend(image, _times(borders, fade * 0.95), colour)
        centre = canvas.line_mask(image.shape, [0.5 * (left + right)], 1)
        canvas.blend(image, _times(centre, fade * 0.5), canvas.WHITE)
        if trajectory.speed[-1] < 0.1:
            self._stop_line(image, trajectory)

    def _stop_line(self, image: Image, trajectory: Trajectory) -> None:
        """A bar on the road where the trajectory comes to rest."""
        x, y = float(trajectory.x[-1]), float(trajectory.y[-1])
        corners = rectangle(x, y, float(trajectory.heading[-1]), STOP_LINE_M, self.car_width)
        if corners[:, 0].min() > self.camera.mount.x + NEAREST_M:
            bar = canvas.polygon_mask(image.shape, [self._ground(*corners.T)], 230)
            canvas.blend(image, bar, canvas.RED)

    def _fade(self, height: int, rows: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
        """(height, 1) opacity: full near the car, fading towards the end of the ribbon."""
        nearest, farthest = rows.max(), rows.min()
        share = (np.arange(height) - farthest) / max(1.0, min(nearest, height) - farthest)
        fade: npt.NDArray[np.float64] = np.clip(0.12 + 1.15 * share, 0.0, 1.0)[:, None]
        return fade

    def _candidates(self, image: Image, trajectories: tuple[Trajectory, ...]) -> None:
        lines = []
        for trajectory in trajectories:
            points = self._in_view(trajectory.x.astype(np.float64), trajectory.y.astype(np.float64))
            if points is not None:
                lines.append(self._ground(points[:, 0], points[:, 1]))
        canvas.blend(image, canvas.line_mask(image.shape, lines, 1, 110), canvas.WHITE)

    def _lane_lines(self, image: Image, lines: tuple[LaneLine, ...]) -> None:
        for edge, half_width, colour in ((False, 0.05, canvas.CYAN), (True, 0.08, canvas.RED)):
            mask = np.zeros(image.shape[:2], np.uint8)
            for line in lines:
                sides = None
                if (line.kind in ROAD_EDGES) == edge and line.probability >= LEAST_PROBABILITY:
                    sides = self._strip(*smooth(line.x, line.y), half_width)
                if sides is not None:
                    outline = np.concatenate([sides[0], sides[1][::-1]])
                    canvas.add_polygon(mask, outline, int(235 * min(1.0, line.probability)))
            canvas.blend(image, mask, colour)

    def _box(self, image: Image, found: SceneObject) -> None:
        colour = CLASS_COLOURS[found.classification]
        corners = _box_corners(found)
        pixels, ahead = self.camera.project(corners)
        if not ahead.all():
            return
        bottom, top = pixels[:4], pixels[4:]
        canvas.blend(image, canvas.polygon_mask(image.shape, [bottom], 90), colour)
        edges = [np.stack([bottom[k], top[k]]) for k in range(4)]
        edges += [np.concatenate([ring, ring[:1]]) for ring in (bottom, top)]
        opacity = int(120 + 135 * min(1.0, found.probability))
        canvas.blend(image, canvas.line_mask(image.shape, edges, 1, opacity), colour)
        size = float(np.ptp(top[:, 0]))
        name = f"{found.classification.name.lower()} " if size > 60 else ""
        x, y = float(top[:, 0].mean()), float(top[:, 1].min()) - 6
        tag(image, f"{name}{found.x:.0f} m", x, y, colour)

    def _echo(self, image: Image, echo: SceneObject) -> None:
        """A chevron under an object of the independent sensor."""
        foot = self._ground([echo.x - 0.5 * echo.length], [echo.y])
        if echo.x < self.camera.mount.x + 2.0:
            return
        x, y = foot[0]
        size = float(np.clip(220.0 / echo.x, 4.0, 12.0))
        shape = np.array([[x - size, y + size], [x, y + 2], [x + size, y + size]])
        canvas.blend(image, canvas.line_mask(image.shape, [shape], 2), canvas.ORANGE)


def ribbon_colour(moment: Moment) -> Colour:
    """Grey: not engaged. Amber or red: the safety monitor's own. Else by what the car intends."""
    approved = moment.approved
    if approved is None or not approved.engaged:
        return canvas.GREY
    if approved.source is PlanSource.FALLBACK:
        return canvas.RED
    return intent_colour(float(np.mean(approved.trajectory.acceleration[:20])))


def intent_colour(acceleration: float) -> Colour:
    """Blue at constant speed, greener the more it accelerates, more orange the more it brakes."""
    share = float(np.clip(abs(acceleration) / 1.5, 0.0, 1.0))
    target = canvas.GREEN if acceleration > 0 else canvas.ORANGE
    r, g, b = (round(a + share * (t - a)) for a, t in zip(canvas.BLUE, target, strict=True))
    return r, g, b


def tag(image: Image, words: str, x: float, bottom: float, colour: Colour) -> None:
    """A small label above an object."""
    width = canvas.text_width(words, 13) + 10
    left, top = round(x - width / 2), round(bottom - 18)
    fits = left + width <= image.shape[1] and top + 18 <= image.shape[0]
    if left >= 0 and top >= 0 and fits:
        canvas.panel(image, left, top, width, 18, canvas.DARK, 170, 5)
        canvas.text(image, words, left + 5, top + 1, 13, colour)


def _box_corners(found: SceneObject) -> npt.NDArray[np.float64]:
    """(8, 3) corners in base_link: the four on the ground, then those above them."""
    ground = rectangle(found.x, found.y, found.heading, found.length, found.width)
    height = found.height if found.height > 0 else 1.5
    return np.concatenate([np.insert(ground, 2, 0.0, 1), np.insert(ground, 2, height, 1)])


def rectangle(
    x: float, y: float, heading: float, length: float, width: float
) -> npt.NDArray[np.float64]:
    """(4, 2) corners of a rectangle on the ground around (x, y), m."""
    cos, sin = np.cos(heading), np.sin(heading)
    half = np.array([[1, 1], [1, -1], [-1, -1], [-1, 1]]) * [length / 2, width / 2]
    corners: npt.NDArray[np.float64] = half @ np.array([[cos, sin], [-sin, cos]]) + [x, y]
    return corners


def smooth(
    x: npt.ArrayLike, y: npt.ArrayLike, step: float = 1.0
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """The line every `step` m between its points, m: cubic Hermite through them, for the eye."""
    x, y = np.asarray(x, np.float64), np.asarray(y, np.float64)
    if x.size < 3 or np.any(np.diff(x) <= 0.0):
        return x, y
    slope = np.gradient(y, x)
    fine = np.append(np.arange(x[0], x[-1], step), x[-1])
    at = np.clip(np.searchsorted(x, fine, "right") - 1, 0, x.size - 2)
    width = x[at + 1] - x[at]
    t = (fine - x[at]) / width
    start = y[at] * (1 + 2 * t) * (1 - t) ** 2 + slope[at] * width * t * (1 - t) ** 2
    end = y[at + 1] * t**2 * (3 - 2 * t) + slope[at + 1] * width * t**2 * (t - 1)
    return fine, start + end


def _times(mask: canvas.Mask, opacity: npt.NDArray[np.float64]) -> canvas.Mask:
    """The mask times a (height, 1) opacity, 0 to 1; changes the mask itself."""
    _, top, _, height = cv2.boundingRect(mask)
    rows = slice(top, top + height)
    weights = (opacity[rows] * 256).astype(np.uint16)
    mask[rows] = ((mask[rows] * weights) >> 8).astype(np.uint8)
    return mask


def upscaled(picture: Image, width: int, height: int) -> Image:
    """The picture at the size of the video, smooth where it grows."""
    if picture.shape[1] == width and picture.shape[0] == height:
        return picture.copy()
    grows = picture.shape[1] < width
    method = cv2.INTER_CUBIC if grows else cv2.INTER_AREA
    return cv2.resize(picture, (width, height), interpolation=method).astype(np.uint8, copy=False)
