"""The action space of every model: acceleration and curvature through a unicycle model."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import overload

import numpy as np
import numpy.typing as npt

POINTS = 64
PERIOD_S = 0.1
HORIZON_S = POINTS * PERIOD_S
TIMES_S: npt.NDArray[np.float32] = (np.arange(1, POINTS + 1) * PERIOD_S).astype(np.float32)

FloatArray = npt.NDArray[np.float32]
_SINGLE = np.dtype("<f4")


@dataclass(frozen=True, eq=False)
class Trajectory:
    """Future motion of the rear axle, in base_link at the plan's stamp.

    Each array is (64,) float32; point k lies at TIMES_S[k] s after the stamp. The car itself,
    at time 0, is the origin. x forward, y left in m; heading in rad; speed in m/s; acceleration
    in m/s²; curvature in 1/m, left positive. `probability` is 0 to 1.
    """

    probability: float
    time: FloatArray
    x: FloatArray
    y: FloatArray
    heading: FloatArray
    speed: FloatArray
    acceleration: FloatArray
    curvature: FloatArray

    def arrays(self) -> tuple[FloatArray, ...]:
        """Time, x, y, heading, speed, acceleration, curvature."""
        return (
            self.time, self.x, self.y, self.heading,
            self.speed, self.acceleration, self.curvature,
        )

    @cached_property
    def as_travelled(self) -> bytes:
        """Probability and arrays in single precision, little-endian; worked out once."""
        with np.errstate(over="ignore"):
            head = np.array(self.probability, _SINGLE).tobytes()
            try:
                return head + np.concatenate(self.arrays(), dtype=_SINGLE).tobytes()
            except ValueError:  # they are not all of one dimension
                parts = (np.asarray(part, _SINGLE).tobytes() for part in self.arrays())
                return head + b"".join(parts)


class Trajectories(Sequence[Trajectory]):
    """Trajectories as they travelled, one row of numbers each; made when somebody asks for one.

    `numbers`: (N, 449) float32, C-contiguous: the probability and `Trajectory.arrays()` in order.
    """

    def __init__(self, numbers: FloatArray) -> None:
        self.numbers = numbers

    def __len__(self) -> int:
        return len(self.numbers)

    @overload
    def __getitem__(self, at: int) -> Trajectory: ...
    @overload
    def __getitem__(self, at: slice) -> tuple[Trajectory, ...]: ...
    def __getitem__(self, at: int | slice) -> Trajectory | tuple[Trajectory, ...]:
        if isinstance(at, slice):
            return tuple(Trajectories(self.numbers[at]))
        row = self.numbers[at]
        return Trajectory(float(row[0]), *row[1:].reshape(-1, POINTS))


def integrate(
    speed: float,
    acceleration: npt.ArrayLike,
    curvature: npt.ArrayLike,
    probability: float = 1.0,
) -> Trajectory:
    """Trajectory from (64,) acceleration in m/s² and (64,) curvature in 1/m.

    The car starts at the origin at `speed` m/s and never reverses: where acceleration would make
    the speed negative it stands. Position follows the chord of each step's arc at the step's mean
    speed (midpoint heading), exact for constant curvature up to O(dt³).
    """
    a = np.asarray(acceleration, np.float64)
    kappa = np.asarray(curvature, np.float64)
    # v[k + 1] = max(0, v[k] + a[k] dt), as the free speed above the lowest it would have sunk to.
    free = np.cumsum(np.concatenate(([max(0.0, speed)], a * PERIOD_S)))
    v = free - np.minimum(np.minimum.accumulate(free), 0.0)
    step = 0.5 * (v[1:] + v[:-1]) * PERIOD_S
    turn = kappa * step
    heading = np.cumsum(turn)
    middle = heading - 0.5 * turn
    return Trajectory(
        probability=float(probability),
        time=TIMES_S,
        x=np.cumsum(step * np.cos(middle)).astype(np.float32),
        y=np.cumsum(step * np.sin(middle)).astype(np.float32),
        heading=heading.astype(np.float32),
        speed=v[1:].astype(np.float32),
        acceleration=(np.diff(v) / PERIOD_S).astype(np.float32),
        curvature=kappa.astype(np.float32),
    )


def standing() -> Trajectory:
    """The trajectory of a car that stays where it is."""
    zero = np.zeros(POINTS)
    return integrate(0.0, zero, zero)
