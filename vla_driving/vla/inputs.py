"""From frames, vehicle state and route to the tensors of the network."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from vla_driving.contract.clock import Nanoseconds, age_s
from vla_driving.contract.frames import FrameSet
from vla_driving.contract.navigation import Route, Turn
from vla_driving.contract.vehicle import VehicleState
from vla_driving.vla.manifest import NAVIGATION_FIELDS, Manifest

TURN_RANGE = 100.0
"""m; a turn further away looks the same to the network as one at this distance."""
SPEED_LIMIT_SCALE = 30.0
"""m/s"""


@dataclass(frozen=True)
class Navigation:
    """The route as seen at the exposure of the frames: m, m/s."""

    turn: Turn
    distance_to_turn: float
    speed_limit: float


NO_ROUTE = Navigation(Turn.NONE, math.inf, 0.0)


def navigation_at(route: Route | None, stamp_ns: Nanoseconds, speed: float) -> Navigation:
    """The route's next turn moved closer by what was driven at `speed` m/s since its stamp."""
    if route is None:
        return NO_ROUTE
    driven = speed * age_s(route.stamp_ns, stamp_ns)
    return Navigation(route.next_turn, max(0.0, route.distance_to_turn - driven), route.speed_limit)


def navigation_vector(navigation: Navigation) -> npt.NDArray[np.float32]:
    """(8,) in the order of NAVIGATION_FIELDS: one-hot turn, distance and speed limit, scaled."""
    vector = np.zeros(len(NAVIGATION_FIELDS), np.float32)
    vector[navigation.turn] = 1.0
    near = min(navigation.distance_to_turn, TURN_RANGE) / TURN_RANGE
    vector[-2] = 1.0 if navigation.turn == Turn.NONE else near
    vector[-1] = navigation.speed_limit / SPEED_LIMIT_SCALE
    return vector


def ego_vector(
    names: tuple[str, ...], state: VehicleState, speed: float
) -> npt.NDArray[np.float32]:
    """(E,) signals of `state` by name, with `speed` m/s in place of the state's own."""
    return np.array([speed if n == "speed" else getattr(state, n) for n in names], np.float32)


def malformed(frames: FrameSet, manifest: Manifest) -> str | None:
    """Why the images of a set are not what the network takes: one line, or None."""
    cameras = manifest.inputs.cameras
    names, expected = [f.name for f in frames.frames], [c.name for c in cameras]
    if names != expected:
        return f"cameras {names} instead of {expected}"
    for frame, camera in zip(frames.frames, cameras, strict=True):
        shape = (camera.height, camera.width, 3)
        if frame.image is not None and frame.image.shape != shape:
            return f"{frame.name}: image {frame.image.shape} instead of {shape}"
    return None


class TensorBuilder:
    """Fills the input tensors of one model; the arrays are reused from frame to frame."""

    def __init__(self, manifest: Manifest) -> None:
        self._manifest = manifest
        self._tensors: dict[str, npt.NDArray[Any]] = {
            t.name: np.zeros(t.shape, t.dtype) for t in manifest.input_tensors()
        }
        self._navigation = [NAVIGATION_FIELDS.index(n) for n in manifest.inputs.navigation]

    def build(
        self,
        frames: FrameSet,
        state: VehicleState,
        speed: float,
        navigation: Navigation,
        recurrent: Mapping[str, npt.NDArray[np.float32]],
    ) -> dict[str, npt.NDArray[Any]]:
        """Tensors by name, valid until the next call; every frame must hold a fitting image."""
        for i, frame in enumerate(frames.frames):
            self._tensors["images"][0, i] = frame.image
        if "ego" in self._tensors:
            self._tensors["ego"][0] = ego_vector(self._manifest.inputs.ego, state, speed)
        if "navigation" in self._tensors:
            self._tensors["navigation"][0] = navigation_vector(navigation)[self._navigation]
        for name, value in recurrent.items():
            self._tensors[f"state_{name}"][...] = value
        return self._tensors
