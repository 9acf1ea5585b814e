"""Paths as chords, and objects in their coordinates: along the path and across it."""

from __future__ import annotations

import copy
import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from vla_driving.contract.trajectory import POINTS
from vla_driving.contract.vehicle import VehicleParameters
from vla_driving.safety.candidates import Batch
from vla_driving.safety.settings import WorldSettings

FloatArray = npt.NDArray[np.float32]

_KNOTS = np.array([*range(0, 32, 4), *range(32, POINTS + 1, 8)])
"""Points that carry the path: chords of 0.4, then 0.8 s: 0.06 and 0.24 m off at 3 m/s² sideways."""
_BEFORE = 60.0
_BEYOND = 200.0
"""m. The path is carried on straight so far behind the car and past its last point."""
_ZERO = np.float32(0.0)


class Paths:
    """The paths of a batch, with what is needed to project objects on them."""

    def __init__(self, batch: Batch) -> None:
        count = len(batch)
        points = np.zeros((2, count, POINTS + 1), np.float32)
        points[0, :, 1:], points[1, :, 1:] = batch.x, batch.y
        steps = points[:, :, 1:] - points[:, :, :-1]
        self.arc = np.zeros((count, POINTS + 1), np.float32)
        np.cumsum(np.hypot(steps[0], steps[1]), axis=1, out=self.arc[:, 1:])
        self.end = self.arc[:, -1]
        self.speed = np.empty((count, POINTS + 1), np.float32)
        self.speed[:, 1:] = batch.speed
        self.speed[:, 0] = batch.speed[:, 0]
        self.points = points
        self.heading = np.zeros((count, POINTS + 1), np.float32)
        self.heading[:, 1:] = batch.heading
        self.low, self.high = points.min(axis=(1, 2)), points.max(axis=(1, 2))
        self.forward = bool((np.abs(batch.heading) < 0.5 * math.pi).all())
        self._chords(points, batch.heading[:, -1].astype(np.float32))

    def only(self, index: int) -> Paths:
        """The path at `index` alone."""
        one = copy.copy(self)
        at = slice(index, index + 1)
        one.arc, one.end, one.speed = self.arc[at], self.end[at], self.speed[at]
        one.points, one.heading = self.points[:, at], self.heading[at]
        one.low, one.high = one.points.min(axis=(1, 2)), one.points.max(axis=(1, 2))
        one._axes, one._origin = self._axes[:, at], self._origin[:, at]
        one._tangent, one._length = self._tangent[:, at], self._length[at]
        one._from, one._void = self._from[at], self._void[at]
        return one

    def _chords(self, points: FloatArray, heading: FloatArray) -> None:
        knots = np.empty((2, points.shape[1], len(_KNOTS) + 2), np.float32)
        knots[:, :, 1:-1] = points[:, :, _KNOTS]
        knots[:, :, 0] = np.array([[-_BEFORE], [0.0]])
        knots[0, :, -1] = points[0, :, -1] + np.float32(_BEYOND) * np.cos(heading)
        knots[1, :, -1] = points[1, :, -1] + np.float32(_BEYOND) * np.sin(heading)
        chords = knots[:, :, 1:] - knots[:, :, :-1]
        length = np.maximum(np.hypot(chords[0], chords[1]), np.float32(1e-4))
        self._tangent = x, y = chords / length
        # Along and across: (2, C, chords, 2), so that one product projects all objects on all.
        self._axes = np.array([[x, y], [-y, x]]).transpose(0, 2, 3, 1).copy()
        self._origin = (self._axes * knots[:, :, :-1].transpose(1, 2, 0)).sum(axis=-1)
        self._length = length
        # A chord of no length has no direction; it must not be the nearest one.
        self._void = np.where(length > 1e-3, np.float32(0.0), np.float32(1e9))[:, :, None]
        self._from = np.empty_like(length)
        self._from[:, 0] = -_BEFORE
        self._from[:, 1:] = self.arc[:, _KNOTS]

    def at(self, values: FloatArray, time_s: float) -> FloatArray:
        """(C, 1): the paths' (C, 65) `arc` or `speed` at a time after the stamp."""
        at = min(max(time_s * 10.0, 0.0), POINTS - 0.001)
        low = int(at)
        share = np.float32(at - low)
        return values[:, low : low + 1] + share * (
            values[:, low + 1 : low + 2] - values[:, low : low + 1]
        )

    def project(
        self, vectors: FloatArray
    ) -> tuple[FloatArray, FloatArray, tuple[FloatArray, FloatArray]]:
        """s and d (C, N) in m, and x and y of the tangent, at the nearest point of each path."""
        places = (self._axes.reshape(-1, 2) @ vectors[:, 0]).reshape(*self._origin.shape, -1)
        along, across = places - self._origin[:, :, :, None]
        off = along - np.minimum(np.maximum(along, _ZERO), self._length[:, :, None])
        off *= off
        off += across * across
        off += self._void
        nearest = off.argmin(axis=1)
        rows, columns = np.arange(len(nearest))[:, None], np.arange(nearest.shape[1])
        s = self._from[rows, nearest] + along[rows, nearest, columns]
        x, y = self._tangent
        return s, across[rows, nearest, columns], (x[rows, nearest], y[rows, nearest])


@dataclass(frozen=True, eq=False)
class OnPath:
    """Objects in path coordinates: (C, N) each, `measured_s` (N,)."""

    s: FloatArray
    d: FloatArray
    v_s: FloatArray
    v_d: FloatArray
    reach_s: FloatArray
    reach_d: FloatArray
    measured_s: FloatArray


def on_path(
    paths: Paths,
    vectors: FloatArray,
    halves: FloatArray,
    measured_s: FloatArray,
    vehicle: VehicleParameters,
    settings: WorldSettings,
) -> OnPath:
    """N objects (see `obstacles.Objects`; `measured_s` after the paths' stamp) on C paths."""
    s, d, (tx, ty) = paths.project(vectors)
    (_, vx, cos), (_, vy, sin) = vectors
    v_s = vx * tx + vy * ty
    v_d = vy * tx - vx * ty
    v_d *= np.abs(v_d) >= settings.lateral_speed_deadband
    lengthwise = np.abs(cos * tx + sin * ty)
    crosswise = np.abs(sin * tx - cos * ty)
    reach_s = halves[0] * lengthwise + halves[1] * crosswise
    reach_d = halves[0] * crosswise + halves[1] * lengthwise
    return OnPath(
        s - np.float32(vehicle.centre_offset), d, v_s, v_d,
        reach_s + np.float32(0.5 * vehicle.length),
        reach_d + np.float32(0.5 * vehicle.width + settings.lateral_margin), measured_s,
    )
