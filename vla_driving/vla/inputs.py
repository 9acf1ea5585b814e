"""From frames, vehicle state, route and wishes to the tensors of the network."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from vla_driving.contract.clock import Nanoseconds, age_s
from vla_driving.contract.frames import FrameSet
from vla_driving.contract.language import Command, Intent
from vla_driving.contract.motion import PoseChange
from vla_driving.contract.navigation import Route, Turn
from vla_driving.contract.vehicle import VehicleState
from vla_driving.vla.manifest import NAVIGATION_FIELDS, Manifest

TURN_RANGE = 100.0
"""m; a turn further away looks the same to the network as one at this distance."""
SPEED_LIMIT_SCALE = 30.0
"""m/s"""
ROUTE_SCALE = 50.0
"""m"""
STANDS_STILL = PoseChange(0.0, 0.0, 0.0)
TURN_WISHES = {
    Intent.NEXT_LEFT: Turn.LEFT, Intent.NEXT_RIGHT: Turn.RIGHT, Intent.NEXT_STRAIGHT: Turn.STRAIGHT,
}
_JUNCTIONS = (Turn.LEFT, Turn.RIGHT, Turn.STRAIGHT)


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


def obeyed(navigation: Navigation, command: Command | None) -> Navigation:
    """Navigation with the wishes of a command: no faster than it says, and the turn it asks for.

    Another turn than the route's is taken at the route's next junction; where none is ahead, or
    the route leads round a roundabout, the route stays as it is until it is planned anew.
    """
    if command is None:
        return navigation
    limit, turn = navigation.speed_limit, navigation.turn
    if command.speed > 0.0:
        limit = min(limit, command.speed) if limit > 0.0 else command.speed
    if command.intent in TURN_WISHES and turn in _JUNCTIONS:
        turn = TURN_WISHES[command.intent]
    return Navigation(turn, navigation.distance_to_turn, limit)


def route_vector(
    x: npt.ArrayLike, y: npt.ArrayLike, distances: tuple[float, ...]
) -> npt.NDArray[np.float32]:
    """(3 R,) points `distances` m ahead along a route of (N,) points x, y in base_link, in m.

    Each as x and y in ROUTE_SCALE and 1; three zeros where the route does not reach so far, or is
    not finite. Points of the route that lie behind the car are passed over.
    """
    vector = np.zeros((len(distances), 3), np.float32)
    way_x, way_y = np.asarray(x, np.float64), np.asarray(y, np.float64)
    if way_x.shape != way_y.shape or not np.isfinite([way_x, way_y]).all():
        return vector.ravel()
    ahead = np.flatnonzero(way_x > 0.0)
    if not ahead.size:
        return vector.ravel()
    way_x = np.append(0.0, way_x[ahead[0]:])
    way_y = np.append(0.0, way_y[ahead[0]:])
    along = np.append(0.0, np.cumsum(np.hypot(np.diff(way_x), np.diff(way_y))))
    known = np.asarray(distances) <= along[-1]
    vector[:, 0] = np.interp(distances, along, way_x) / ROUTE_SCALE
    vector[:, 1] = np.interp(distances, along, way_y) / ROUTE_SCALE
    vector[:, 2] = 1.0
    return (vector * known[:, None]).ravel()


def command_vector(
    names: tuple[str, ...], command: Command | None
) -> npt.NDArray[np.float32]:
    """(C,) wishes in numbers, by name; zeros without a command."""
    return np.array([getattr(command, n) if command else 0.0 for n in names], np.float32)


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


@dataclass(frozen=True, eq=False)
class Conditions:
    """What besides the images a plan depends on, at the exposure of the frames.

    `navigation` with the wishes in it, `route_x` and `route_y` (N,) in base_link, m (empty where
    no route is known), `moved` since the frame answered before, `elapsed_s` since then (0 where
    nothing is remembered).
    """

    state: VehicleState
    speed: float
    navigation: Navigation
    route_x: npt.NDArray[np.float64]
    route_y: npt.NDArray[np.float64]
    command: Command | None
    moved: PoseChange
    elapsed_s: float


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
        conditions: Conditions,
        recurrent: Mapping[str, npt.NDArray[np.float32]],
    ) -> dict[str, npt.NDArray[Any]]:
        """Tensors by name, valid until the next call; every frame must hold a fitting image."""
        for i, frame in enumerate(frames.frames):
            self._tensors["images"][0, i] = frame.image
        inputs, c = self._manifest.inputs, conditions
        if inputs.ego:
            self._tensors["ego"][0] = ego_vector(inputs.ego, c.state, c.speed)
        if inputs.navigation:
            self._tensors["navigation"][0] = navigation_vector(c.navigation)[self._navigation]
        if inputs.route_m:
            self._tensors["route"][0] = route_vector(c.route_x, c.route_y, inputs.route_m)
        if inputs.text:
            token = c.command.token if c.command else ()
            self._tensors["text"][0] = token if len(token) else 0.0
        if inputs.command:
            self._tensors["command"][0] = command_vector(inputs.command, c.command)
        if inputs.motion:
            self._tensors["motion"][0] = (c.moved.dx, c.moved.dy, c.moved.dyaw, c.elapsed_s)
        for name, value in recurrent.items():
            self._tensors[f"state_{name}"][...] = value
        return self._tensors
