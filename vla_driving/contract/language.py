"""What was understood of an instruction, and what is said to it."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum

import numpy as np
import numpy.typing as npt

from vla_driving.contract.clock import Nanoseconds
from vla_driving.contract.plan import Evidence

MAX_TOKEN_LENGTH = 1024


class Intent(IntEnum):
    """What a text asks of the drive. Values as in Command.msg."""

    NONE = 0
    SPEED_UP = 1
    SLOW_DOWN = 2
    DRIVE_AT = 3
    MORE_DISTANCE = 4
    LESS_DISTANCE = 5
    STOP = 6
    GO_ON = 7
    CHANGE_LEFT = 8
    CHANGE_RIGHT = 9
    NEXT_LEFT = 10
    NEXT_RIGHT = 11
    NEXT_STRAIGHT = 12
    PULL_OVER = 13
    CANCEL = 14
    QUESTION = 15
    UNSAFE = 16


class Cause(IntEnum):
    """Why the car drives as it does.

    LEAD is a moving vehicle ahead, slower or close; STOPPED stands in the lane; CUT_IN comes or
    crosses into it; PEDESTRIAN is anybody on foot or on a bicycle in or towards the way; JUNCTION
    a turn of the route, a roundabout or a lane that ends; SIGNAL a red light or a stop sign.
    """

    FREE = 0
    SPEED_LIMIT = 1
    BEND = 2
    LEAD = 3
    LEAD_BRAKES = 4
    STOPPED = 5
    CUT_IN = 6
    PEDESTRIAN = 7
    JUNCTION = 8
    SIGNAL = 9
    INSTRUCTION = 10
    ROUTE_END = 11


class AnswerStatus(IntEnum):
    """What became of an instruction, or why something is said. Values as in Answer.msg."""

    ACCEPTED = 0
    REFUSED = 1
    IGNORED = 2
    DONE = 3
    CANCELLED = 4
    EXPIRED = 5
    ANSWERED = 6
    REMARK = 7


@dataclass(frozen=True, eq=False)
class Command:
    """All that is wished for now, of every instruction that still holds.

    `intent` is the newest of them that wants a manoeuvre (NONE where none does), `token` (N,) the
    unit-length embedding of its text, empty where there is none. `speed` in m/s and `time_gap` in
    s are wishes that last, 0 for none. `instruction_id` is that of the newest that holds, 0 for
    none; `expires_ns` when all of this is forgotten.
    """

    stamp_ns: Nanoseconds
    sequence: int
    instruction_id: int
    intent: Intent
    speed: float
    time_gap: float
    token: npt.NDArray[np.float32]
    expires_ns: Nanoseconds


@dataclass(frozen=True)
class Answer:
    """One short text to the people in the car, with the figures that it rests on.

    `instruction_id` is that of the instruction or question, 0 for a remark of the car's own.
    """

    stamp_ns: Nanoseconds
    instruction_id: int
    status: AnswerStatus
    text: str
    evidence: tuple[Evidence, ...]
