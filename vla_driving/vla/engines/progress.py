"""How far a build is, from the nested phases that TensorRT reports, and what time may be left."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

Say = Callable[[str], None]


@dataclass
class _Phase:
    parent: str | None
    steps: int
    done: int = 0


class BuildProgress:
    """Turns phases into lines such as "building 42 %, 31 s left", at most one every `period_s`."""

    def __init__(self, say: Say, clock: Callable[[], float], period_s: float = 1.0) -> None:
        self._say = say
        self._clock = clock
        self._period_s = period_s
        self._began = clock()
        self._said = -period_s
        self._phases: dict[str, _Phase] = {}
        self._share = 0.0

    @property
    def share(self) -> float:
        """Done, 0 to 1; never falls, though a new top phase may have begun."""
        return self._share

    def start(self, name: str, parent: str | None, steps: int) -> None:
        """A phase begins within `parent` or, without one, at the top."""
        self._phases[name] = _Phase(parent, max(1, steps))

    def step(self, name: str, step: int) -> None:
        """Step number `step`, from 0, of a phase is done."""
        if name in self._phases:
            self._phases[name].done = min(step + 1, self._phases[name].steps)
            self._tell(name)

    def finish(self, name: str) -> None:
        """A phase is over, whether all its steps were reported or not."""
        self._phases.pop(name, None)

    def _tell(self, name: str) -> None:
        self._share = max(self._share, min(1.0, self._of_top(name)))
        elapsed = self._clock() - self._began
        if elapsed - self._said < self._period_s or self._share <= 0.0:
            return
        self._said = elapsed
        left = elapsed * (1.0 - self._share) / self._share
        self._say(f"building {100.0 * self._share:.0f} %, about {left:.0f} s left ({name})")

    def _of_top(self, name: str) -> float:
        """Share of the top phase that is done, of which phase `name` is a part."""
        phase = self._phases[name]
        share = phase.done / phase.steps
        while phase.parent is not None and phase.parent in self._phases:
            phase = self._phases[phase.parent]
            share = min(1.0, (phase.done + share) / phase.steps)
        return share


def monitor(library: Any, progress: BuildProgress) -> Any:
    """`progress` as an IProgressMonitor of TensorRT (10 and later) or TensorRT for RTX."""

    class Monitor(library.IProgressMonitor):
        def __init__(self) -> None:
            library.IProgressMonitor.__init__(self)

        def phase_start(self, phase_name: str, parent_phase: str | None, num_steps: int) -> None:
            progress.start(phase_name, parent_phase or None, num_steps)

        def step_complete(self, phase_name: str, step: int) -> bool:
            progress.step(phase_name, step)
            return True

        def phase_finish(self, phase_name: str) -> None:
            progress.finish(phase_name)

    return Monitor()
