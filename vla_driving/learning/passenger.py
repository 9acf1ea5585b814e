"""Somebody in the car who says what to do: commands for teaching, as the reasoner gives them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from vla_driving.contract.clock import nanoseconds
from vla_driving.contract.language import Command, Intent
from vla_driving.learning.lessons import Talk
from vla_driving.simulation.wishes import TURNS, WishState
from vla_driving.simulation.world import World

_POSSIBLE_SHARE = 0.85
"""How often what is asked for can be done; the rest teaches that nothing happens then."""
_NEXT_S = (6.0, 10.0)
_PATIENCE_S = 12.0
_NO_TOKEN = np.zeros(0, np.float32)
_NONE = Command(0, 0, 0, Intent.NONE, 0.0, 0.0, _NO_TOKEN, 0)
_LASTING = (Intent.STOP, Intent.PULL_OVER)


class Passenger:
    """Says in a World what a lesson asks for; `step` gives the command that holds now.

    A speed or a time gap wished for lasts; a manoeuvre ends a moment after it is done, to stop or
    to pull over only by going on. What cannot be done is given up after a while.
    """

    def __init__(self, talk: Sequence[Talk], seed: int, world: World) -> None:
        self._chance = np.random.default_rng([seed, 23])
        self._world = world
        self._talk = list(talk)
        self._command = _NONE
        self._said_s = 0.0
        self._next_s = float(self._chance.uniform(1.0, 5.0))
        self._afterwards: list[tuple[float, Intent]] = []
        self._clear_s: float | None = None

    def step(self) -> Command | None:
        """The command at this moment, None before anything was said."""
        now = self._world.time_s
        self._forget(now)
        if self._afterwards and now >= self._afterwards[0][0]:
            self._say(self._afterwards.pop(0)[1], now)
        elif self._talk and now >= self._next_s and not self._afterwards:
            self._begin(self._talk.pop(0), now)
        return self._command if self._command.sequence else None

    def _forget(self, now: float) -> None:
        """A manoeuvre that is over leaves the command a moment later."""
        intent, state = self._command.intent, self._world.wishes.state
        if intent == Intent.NONE or intent in _LASTING:
            return
        over = state == WishState.DONE
        late = now - self._said_s > _PATIENCE_S and intent not in TURNS
        if self._clear_s is None and (over or late or state == WishState.IMPOSSIBLE):
            wait = self._chance.uniform(0.2, 1.0) if over else self._chance.uniform(1.0, 4.0)
            self._clear_s = now + float(wait)
        if self._clear_s is not None and now >= self._clear_s:
            self._change(intent=Intent.NONE)

    def _begin(self, talk: Talk, now: float) -> None:
        chance, world = self._chance, self._world
        speed, limit = world.ego.motion.speed, world.scenario.speed_limit
        self._next_s = now + float(chance.uniform(*_NEXT_S))
        match talk:
            case Talk.SPEED:
                wish = float(chance.choice([
                    max(2.0, speed - chance.uniform(2.0, 5.0)),
                    min(limit, speed + chance.uniform(1.5, 4.0)),
                    chance.uniform(0.3, 1.0) * limit,
                ]))
                self._change(speed=round(wish, 1))
            case Talk.GAP:
                self._change(time_gap=float(chance.choice([1.0, 1.0, 2.2, 3.0])))
            case Talk.STOP_AND_GO:
                self._say(Intent.STOP, now)
                self._afterwards.append((now + float(chance.uniform(5.0, 9.0)), Intent.GO_ON))
            case Talk.PULL_OVER:
                self._say(Intent.PULL_OVER, now)
                self._afterwards.append((now + float(chance.uniform(13.0, 17.0)), Intent.GO_ON))
            case Talk.CHANGE:
                self._say(self._side(), now)
            case Talk.TURN:
                self._say(self._way(), now)

    def _say(self, intent: Intent, now: float) -> None:
        self._said_s = now
        self._change(intent=intent)

    def _change(self, **values: Any) -> None:
        number = self._command.sequence + 1
        now_ns = nanoseconds(self._world.time_s)
        self._clear_s = None
        self._command = replace(
            self._command, stamp_ns=now_ns, sequence=number, instruction_id=number,
            expires_ns=now_ns + nanoseconds(600.0), **values,
        )

    def _side(self) -> Intent:
        progress = self._world.progress
        possible = []
        if progress.lane > 0:
            possible.append(Intent.CHANGE_LEFT)
        if progress.lane + 1 < len(progress.route.lanes[progress.road]):
            possible.append(Intent.CHANGE_RIGHT)
        return self._one_of(possible, (Intent.CHANGE_LEFT, Intent.CHANGE_RIGHT))

    def _way(self) -> Intent:
        progress = self._world.progress
        ahead = [c for c in progress.route.crossroads if c.start > progress.station + 10.0]
        possible = [i for i, turn in TURNS.items() if ahead and turn in ahead[0].exits]
        return self._one_of(possible, tuple(TURNS))

    def _one_of(self, possible: Sequence[Intent], any_: Sequence[Intent]) -> Intent:
        choice = possible if possible and self._chance.random() < _POSSIBLE_SHARE else any_
        return Intent(choice[int(self._chance.integers(len(choice)))])

