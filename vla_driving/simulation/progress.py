"""Where the car is on its route, and what a navigation device would say about the way ahead."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from vla_driving.contract.clock import Nanoseconds
from vla_driving.contract.navigation import MAX_ROUTE_POINTS, Route, Turn
from vla_driving.simulation.ego import Motion
from vla_driving.simulation.road import LanePath, RouteMap
from vla_driving.simulation.truth import to_base

GOAL_REACHED = 8.0
"""m before the end of the route at which the car has arrived."""
_SPACING = 10.0
_ERROR = 1.5
_ERROR_LENGTH = 150.0
"""m: standard deviation of a navigation receiver's error, and over what distance it wanders."""
_EDGE_MARGIN = 0.1


class Progress:
    """Follows the car along its route: road, lane, and the path on from there.

    `along` m on `path`; `offset` m left of the lane's centre; `station` m along the route.
    """

    def __init__(self, route: RouteMap, lane: int, seed: int) -> None:
        self.route = route
        self.road, self.lane = 0, lane
        self.path: LanePath = route.path(0, lane)
        self.along = self.offset = self.station = 0.0
        random = np.random.default_rng([seed, 7])
        self._knots = np.arange(0.0, route.length + 2 * _ERROR_LENGTH, _ERROR_LENGTH)
        self._errors = _ERROR * random.normal(size=(2, len(self._knots)))
        self._start = 0.0

    def begin(self, motion: Motion) -> None:
        """Take the present place for the start of the drive."""
        self.update(motion)
        self._start = self.station

    def update(self, motion: Motion, reach: float = 15.0) -> None:
        """Find the car again, at most `reach` m from where it was."""
        self.road, self.lane, s, self.offset = self.route.locate(motion.x, motion.y, self.road)
        path = self.route.path(self.road, self.lane)
        near = self.along if path is self.path else path.start_of(self.road) + s
        self.path = path
        self.along, _ = path.locate(motion.x, motion.y, near, reach)
        first, last = self.route.starts[self.road], self.route.starts[self.road + 1]
        self.station = float(np.clip(first + s, first, last))

    def change_lane(self, motion: Motion, lane: int) -> None:
        """Take another lane of the present road for the path, before the car is put there."""
        self.lane = min(max(lane, 0), len(self.route.lanes[self.road]) - 1)
        path = self.route.path(self.road, self.lane)
        self.along, _ = path.locate(motion.x, motion.y, path.start_of(self.road), path.length)
        self.path = path

    def jump(self, motion: Motion, along: float) -> None:
        """Find the car again after it was put `along` m down the path."""
        self.along = along
        beyond = np.searchsorted(self.path.road_starts, along, side="right") - 1
        self.road = self.path.first_road + int(np.clip(beyond, 0, len(self.path.lanes) - 1))
        self.update(motion)

    def reroute(self, motion: Motion, route: RouteMap) -> None:
        """Follow another route that is the same up to the present road."""
        self.route = route
        self.path = route.path(self.road, self.lane)
        self.along, _ = self.path.locate(
            motion.x, motion.y, self.path.start_of(self.road), self.path.length
        )
        self.update(motion)

    @property
    def to_goal(self) -> float:
        """m left to drive."""
        return max(0.0, self.path.length - self.along)

    @property
    def arrived(self) -> bool:
        """Whether the car is at the end of its route."""
        return self.to_goal < GOAL_REACHED

    @property
    def completion(self) -> float:
        """Share of the route driven, 0 to 1."""
        whole = max(1.0, self.route.length - self._start - GOAL_REACHED)
        return float(np.clip((self.station - self._start) / whole, 0.0, 1.0))

    def here(self) -> int:
        """Index into the path's arrays."""
        return min(int(np.searchsorted(self.path.s, self.along)), len(self.path.s) - 1)

    def off_road(self, motion: Motion, width: float) -> bool:
        """Whether a side of a car `width` m wide is beyond the carriageway."""
        _, left = self.path.locate(motion.x, motion.y, self.along)
        k = self.here()
        return bool(
            left + width / 2 > self.path.edge_left[k] + _EDGE_MARGIN
            or left - width / 2 < -self.path.edge_right[k] - _EDGE_MARGIN
        )

    def next_turn(self) -> tuple[Turn, float]:
        """What to do at the next junction or at the goal, and m to it (0 within a junction)."""
        for junction in self.route.junctions:
            if junction.end > self.station:
                return junction.turn, max(0.0, junction.start - self.station)
        return Turn.ARRIVE, self.to_goal

    def navigation(self, motion: Motion, stamp_ns: Nanoseconds, speed_limit: float) -> Route:
        """Points along the middle of the carriageway, metres off, as navigation devices know it."""
        path = self.path
        s = self.along + _SPACING * np.arange(1, MAX_ROUTE_POINTS + 1)
        s = s[s < path.length]
        if len(s) < MAX_ROUTE_POINTS:
            s = np.append(s, path.length)
        k = np.minimum(np.searchsorted(path.s, s), len(path.s) - 1)
        middle = 0.5 * (path.edge_left[k] - path.edge_right[k])
        off_x, off_y = (np.interp(self.station, self._knots, e) for e in self._errors)
        x, y = to_base(
            path.x[k] - middle * np.sin(path.heading[k]) + off_x,
            path.y[k] + middle * np.cos(path.heading[k]) + off_y,
            (motion.x, motion.y, motion.heading),
        )
        turn, distance = self.next_turn()
        return Route(
            stamp_ns, _single(x), _single(y), turn, distance, self.to_goal, speed_limit
        )


def _single(values: npt.NDArray[np.float64]) -> npt.NDArray[np.float32]:
    return values.astype(np.float32)
