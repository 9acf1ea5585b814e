"""The passenger of the simulated car, who says what the scenario gives him to say."""

from __future__ import annotations

from collections.abc import Sequence

from vla_driving.simulation.scenario import Utterance


class ScriptedPassenger:
    """Speaks once the car drives itself: times count from its first engagement."""

    def __init__(self, script: Sequence[Utterance]) -> None:
        self._left = sorted(script, key=lambda utterance: utterance.after)
        self._since_s: float | None = None

    def step(self, now_s: float, engaged: bool) -> str | None:
        """What is said at simulated time `now_s`, one thing at a time."""
        if self._since_s is None and engaged:
            self._since_s = now_s
        if self._since_s is None or not self._left:
            return None
        if now_s - self._since_s < self._left[0].after:
            return None
        return self._left.pop(0).text
