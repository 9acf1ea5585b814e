"""What the car was told to do: where that leads on this map, and whether it came about.

This is the truth behind instruction compliance, for scores and teaching. It drives nothing.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum

from vla_driving.contract.language import Command, Intent
from vla_driving.contract.navigation import Turn
from vla_driving.simulation.ego import Motion
from vla_driving.simulation.progress import Progress
from vla_driving.simulation.road import Crossroads, LanePath, RouteMap

SETTLED = 0.5
"""m beside a lane's centre within which a change to it is complete."""
_SETTLED_S = 0.4
STANDING = 0.1
GOING = 1.5
"""m/s below which a car stands and above which it has moved off."""
SPEED_KEPT = 1.0
"""m/s around a speed wished for."""
KERB = 0.9
"""m between a car that has pulled over and the border of the carriageway, at most."""
_PREPARATION_S = 1.5
_PREPARATION = 8.0
"""What a driver needs before a junction to be told of a turn: s at its speed, and m."""

TURNS = {
    Intent.NEXT_LEFT: Turn.LEFT, Intent.NEXT_RIGHT: Turn.RIGHT, Intent.NEXT_STRAIGHT: Turn.STRAIGHT,
}
_SIDES = {Intent.CHANGE_LEFT: -1, Intent.CHANGE_RIGHT: 1}


class WishState(IntEnum):
    """What became of a manoeuvre wished for."""

    NONE = 0
    UNDER_WAY = 1
    DONE = 2
    IMPOSSIBLE = 3


@dataclass(frozen=True)
class Obedience:
    """Whether the newest manoeuvre came about; `reason` says why one cannot.

    `speed_kept`: whether the speed wished for is kept within SPEED_KEPT; None where none is.
    """

    instruction_id: int
    intent: Intent
    state: WishState
    reason: str
    speed_kept: bool | None


class Wishes:
    """The newest command on a map. `lane` is the path of the lane wished for, None for no change.

    `since_s` is when the manoeuvre was told; the car is `width` m wide.
    """

    def __init__(self, width: float) -> None:
        self._half_width = 0.5 * width
        self.command: Command | None = None
        self.state = WishState.NONE
        self.lane: LanePath | None = None
        self.since_s = 0.0
        self._reason = ""
        self._crossroads: Crossroads | None = None
        self._settled_s: float | None = None

    @property
    def intent(self) -> Intent:
        """The manoeuvre wished for, NONE where none is."""
        return Intent.NONE if self.command is None else self.command.intent

    def limit(self, speed_limit: float) -> float:
        """The speed limit in m/s with the speed wished for below it."""
        wish = 0.0 if self.command is None else self.command.speed
        return min(speed_limit, wish) if wish > 0.0 else speed_limit

    def hear(
        self, command: Command | None, motion: Motion, progress: Progress, now_s: float
    ) -> RouteMap | None:
        """Take the newest command, None for no wish; returns the route that it asks for instead."""
        before, self.command = self.command, command
        if not _begins(before, command):
            if self.intent == Intent.NONE:
                self._end(WishState.NONE)
            return None
        self._end(WishState.NONE if self.intent == Intent.NONE else WishState.UNDER_WAY)
        self.since_s = now_s
        if self.intent in TURNS:
            return self._turn(TURNS[self.intent], motion, progress)
        self.update(motion, progress, now_s)
        return None

    def _end(self, state: WishState, reason: str = "") -> None:
        self.state, self._reason = state, reason
        self.lane = self._crossroads = self._settled_s = None

    def _turn(self, turn: Turn, motion: Motion, progress: Progress) -> RouteMap | None:
        room = _PREPARATION + _PREPARATION_S * motion.speed
        ahead = [c for c in progress.route.crossroads if c.start > progress.station + room]
        if not ahead:
            self._end(WishState.IMPOSSIBLE, "no junction ahead")
            return None
        if turn not in ahead[0].exits:
            self._end(WishState.IMPOSSIBLE, f"the next junction has no way {turn.name.lower()}")
            return None
        route = progress.route.through(ahead[0], turn)
        self._crossroads = next(c for c in route.crossroads if c.road == ahead[0].road)
        return None if turn == ahead[0].taken else route

    def update(self, motion: Motion, progress: Progress, now_s: float) -> None:
        """Look at what has come about by now."""
        if self.state != WishState.UNDER_WAY:
            return
        match self.intent:
            case Intent.CHANGE_LEFT | Intent.CHANGE_RIGHT:
                self._change(_SIDES[self.intent], motion, progress, now_s)
            case Intent.PULL_OVER:
                self._pull_over(motion, progress)
            case Intent.NEXT_LEFT | Intent.NEXT_RIGHT | Intent.NEXT_STRAIGHT:
                if self._crossroads is not None and progress.station >= self._crossroads.out:
                    self.state = WishState.DONE
            case Intent.STOP:
                self._done(motion.speed < STANDING)
            case Intent.GO_ON:
                self._done(motion.speed > GOING)

    def _done(self, done: bool) -> None:
        if done:
            self.state = WishState.DONE

    def _change(self, side: int, motion: Motion, progress: Progress, now_s: float) -> None:
        if self.lane is None:
            if _in_junction(progress):
                return  # wait for the road beyond
            lane = progress.lane + side
            if not 0 <= lane < len(progress.route.lanes[progress.road]):
                where = "left" if side < 0 else "right"
                self._end(WishState.IMPOSSIBLE, f"there is no lane to the {where}")
                return
            self.lane = progress.route.path(progress.road, lane)
        _, left = beside(self.lane, motion, progress)
        if abs(left) > SETTLED:
            self._settled_s = None
        elif self._settled_s is None:
            self._settled_s = now_s
        elif now_s - self._settled_s >= _SETTLED_S:
            self.state = WishState.DONE

    def _pull_over(self, motion: Motion, progress: Progress) -> None:
        if _in_junction(progress):
            return
        rightmost = len(progress.route.lanes[progress.road]) - 1
        self.lane = progress.route.path(progress.road, rightmost)
        edge = float(progress.path.edge_right[progress.here()])
        _, left = progress.path.locate(motion.x, motion.y, progress.along)
        self._done(motion.speed < STANDING and left + edge - self._half_width < KERB)

    def report(self, motion: Motion, speed_limit: float) -> Obedience:
        """What became of the newest command so far."""
        command = self.command
        kept = None
        if command is not None and command.speed > 0.0:
            kept = abs(motion.speed - self.limit(speed_limit)) < SPEED_KEPT
        return Obedience(
            0 if command is None else command.instruction_id, self.intent, self.state,
            self._reason, kept,
        )


def _begins(before: Command | None, after: Command | None) -> bool:
    """Whether a manoeuvre is told that was not told before.

    The same one again under a new number is a new one, unless it was a speed or a gap that changed.
    """
    if after is None or after.intent == Intent.NONE:
        return False
    if before is None or before.intent != after.intent:
        return True
    return before.instruction_id != after.instruction_id and (
        (before.speed, before.time_gap) == (after.speed, after.time_gap)
    )


def _in_junction(progress: Progress) -> bool:
    return any(c.start - 5.0 < progress.station < c.out for c in progress.route.crossroads)


def beside(path: LanePath, motion: Motion, progress: Progress) -> tuple[float, float]:
    """m along a path that runs over the present road, and to the left of it."""
    first = max(progress.road, path.first_road)
    near = path.start_of(first) + progress.station - progress.route.starts[first]
    return path.locate(motion.x, motion.y, near, 20.0)
