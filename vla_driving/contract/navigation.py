"""Where to go and what was wished for."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum

import numpy as np
import numpy.typing as npt

from vla_driving.contract.clock import Nanoseconds

MAX_ROUTE_POINTS = 16
MAX_INSTRUCTION_LENGTH = 256


class Turn(IntEnum):
    """Values as in Route.msg."""

    NONE = 0
    LEFT = 1
    RIGHT = 2
    STRAIGHT = 3
    ROUNDABOUT = 4
    ARRIVE = 5


class EngagementWish(IntEnum):
    """Values as in EngagementRequest.msg."""

    ENGAGE = 0
    DISENGAGE = 1


@dataclass(frozen=True, eq=False)
class Route:
    """(N,) points along the way in base_link at `stamp_ns`, m, at navigation accuracy.

    Distances in m, speed limit in m/s (0 where unknown).
    """

    stamp_ns: Nanoseconds
    x: npt.NDArray[np.float32]
    y: npt.NDArray[np.float32]
    next_turn: Turn
    distance_to_turn: float
    distance_to_goal: float
    speed_limit: float
    sequence: int = 0
    checksum: int = 0


@dataclass(frozen=True)
class Instruction:
    """A wish in free words; an empty text cancels the one before."""

    stamp_ns: Nanoseconds
    id: int
    text: str
    source: str
    expires_ns: Nanoseconds


@dataclass(frozen=True)
class EngagementRequest:
    """A request of the cockpit; the vehicle's own buttons come in VehicleState."""

    stamp_ns: Nanoseconds
    request: EngagementWish
    source: str
    checksum: int = 0
