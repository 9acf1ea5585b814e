"""The scene from above: lane lines, objects of model and sensor, trajectory, the car itself."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt

from vla_driving.contract.frames import Image
from vla_driving.contract.scene import SceneObject
from vla_driving.contract.vehicle import VehicleParameters
from vla_driving.replay import canvas
from vla_driving.replay.moments import Moment
from vla_driving.replay.scene_view import (
    CLASS_COLOURS,
    LEAST_PROBABILITY,
    ROAD_EDGES,
    rectangle,
    ribbon_colour,
    smooth,
)

RINGS_M = (20.0, 40.0)


@dataclass(frozen=True)
class BirdsEye:
    """An inset of (height, width) pixels that shows `ahead` m before the car and `behind` it."""

    vehicle: VehicleParameters
    width: int
    height: int
    ahead: float = 48.0
    behind: float = 8.0

    def draw(self, image: Image, left: int, top: int, moment: Moment) -> None:
        """Lay the inset over the picture with its corner at (left, top)."""
        inset = self._background.copy()
        plan = moment.plan
        for line in plan.lane_lines if plan else ():
            if line.probability >= LEAST_PROBABILITY and len(line.x) > 1:
                mask = canvas.line_mask(
                    inset.shape, [self._pixels(*smooth(line.x, line.y))], 1,
                    int(230 * min(1.0, line.probability)),
                )
                canvas.blend(inset, mask, canvas.RED if line.kind in ROAD_EDGES else canvas.CYAN)
        for candidate in plan.candidates[1:] if plan else ():
            path = self._pixels(candidate.x, candidate.y)
            canvas.blend(inset, canvas.line_mask(inset.shape, [path], 1, 110), canvas.WHITE)
        self._trajectory(inset, moment)
        for found in plan.objects if plan else ():
            if found.probability >= LEAST_PROBABILITY:
                self._box(inset, found)
        for echo in moment.objects.objects if moment.objects else ():
            self._echo(inset, echo)
        self._car(inset)
        part = image[top : top + self.height, left : left + self.width]
        canvas.blend(part, canvas.panel_mask(self.height, self.width, 14, 215), inset)

    @property
    def _scale(self) -> float:
        return self.height / (self.ahead + self.behind)

    def _pixels(self, x: npt.ArrayLike, y: npt.ArrayLike) -> canvas.Points:
        right = 0.5 * self.width - np.asarray(y, np.float64) * self._scale
        down = (self.ahead - np.asarray(x, np.float64)) * self._scale
        return np.stack([right, down], -1)

    @cached_property
    def _background(self) -> Image:
        picture = np.full((self.height, self.width, 3), canvas.DARK, np.uint8)
        angle = np.linspace(-np.pi / 2, np.pi / 2, 40)
        for ring in RINGS_M:
            arc = self._pixels(ring * np.cos(angle), ring * np.sin(angle))
            canvas.polyline(picture, arc, (48, 56, 68))
            x, y = self._pixels(ring, 0.0)
            canvas.text(picture, f"{ring:.0f} m", x + 0.5 * self.width - 6, y - 7, 11,
                        (104, 114, 128), "right")
        return picture

    def _trajectory(self, inset: Image, moment: Moment) -> None:
        if moment.approved is None or moment.approved.hold:
            return
        x = np.concatenate([[0.0], moment.approved.trajectory.x])
        y = np.concatenate([[0.0], moment.approved.trajectory.y])
        colour = ribbon_colour(moment)
        width = max(2, round(self.vehicle.width * self._scale))
        path = self._pixels(x, y)
        canvas.blend(inset, canvas.line_mask(inset.shape, [path], width, 100), colour)
        canvas.blend(inset, canvas.line_mask(inset.shape, [path], 2, 240), colour)

    def _outline(self, box: SceneObject) -> canvas.Points:
        return self._pixels(*rectangle(box.x, box.y, box.heading, box.length, box.width).T)

    def _box(self, inset: Image, found: SceneObject) -> None:
        mask = canvas.polygon_mask(inset.shape, [self._outline(found)], 210)
        canvas.blend(inset, mask, CLASS_COLOURS[found.classification])
        ahead = self._pixels(
            [found.x, found.x + found.velocity_x], [found.y, found.y + found.velocity_y]
        )
        canvas.polyline(inset, ahead, canvas.WHITE)

    def _echo(self, inset: Image, echo: SceneObject) -> None:
        outline = self._outline(echo)
        closed = np.concatenate([outline, outline[:1]])
        canvas.polyline(inset, closed, canvas.ORANGE, 1)

    def _car(self, inset: Image) -> None:
        car = self.vehicle
        body = rectangle(car.centre_offset, 0.0, 0.0, car.length, car.width)
        outline = self._pixels(*body.T)
        canvas.blend(inset, canvas.polygon_mask(inset.shape, [outline]), canvas.WHITE)
        glass = rectangle(car.centre_offset + 0.1 * car.length, 0.0, 0.0, 0.18 * car.length,
                         0.8 * car.width)
        canvas.blend(inset, canvas.polygon_mask(inset.shape, [self._pixels(*glass.T)]), canvas.DARK)
