"""What was said in the car: each instruction with what became of it, and the car's own remarks."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from vla_driving.contract.clock import SECOND, Nanoseconds
from vla_driving.contract.language import Answer, AnswerStatus, Command
from vla_driving.contract.navigation import Instruction
from vla_driving.replay.drive import Arrived

SHOWN_S = 6.0
"""How long a last word or a remark stays to be read."""
_OPEN = AnswerStatus.ACCEPTED


class Heard(Protocol):
    """What was said, in the order of arrival: a recorded drive, or one that goes on."""

    @property
    def instructions(self) -> Sequence[Arrived[Instruction]]:
        """What somebody asked for."""

    @property
    def answers(self) -> Sequence[Arrived[Answer]]:
        """What the car said, remarks too."""

    @property
    def wishes(self) -> Sequence[Arrived[Command]]:
        """What the car went by."""


@dataclass(frozen=True)
class Exchange:
    """One instruction and the answers to it, in the order of arrival."""

    said: Arrived[Instruction]
    answers: tuple[Arrived[Answer], ...]

    def until(self, now_ns: Nanoseconds) -> Exchange:
        """As far as it had gone at an instant."""
        return Exchange(
            self.said, tuple(a for a in self.answers if a.arrival_ns <= now_ns)
        )

    @property
    def latest(self) -> Answer | None:
        """The newest answer; None while there is none."""
        return self.answers[-1].value if self.answers else None

    @property
    def open(self) -> bool:
        """Whether its last word is still to come."""
        return self.latest is None or self.latest.status is _OPEN

    def fresh(self, now_ns: Nanoseconds) -> bool:
        """Whether something was said of it a short while ago."""
        newest = self.answers[-1].arrival_ns if self.answers else self.said.arrival_ns
        return now_ns - newest <= SHOWN_S * SECOND


@dataclass(frozen=True)
class Spoken:
    """What is to be read at an instant: the instruction that counts, and the car's newest remark.

    `holds`: the car still goes by this instruction.
    """

    exchange: Exchange | None = None
    holds: bool = False
    remark: Answer | None = None


def exchanges(drive: Heard) -> list[Exchange]:
    """All instructions, in order. One that a latched topic said twice counts once."""
    answers: dict[int, list[Arrived[Answer]]] = {}
    for answer in drive.answers:
        answers.setdefault(answer.value.instruction_id, []).append(answer)
    first: dict[int, Arrived[Instruction]] = {}
    for said in drive.instructions:
        first.setdefault(said.value.id, said)
    return [Exchange(said, tuple(answers.get(number, ()))) for number, said in first.items()]


def remarks(drive: Heard) -> list[Arrived[Answer]]:
    """What the car said of its own accord."""
    return [a for a in drive.answers if a.value.status is AnswerStatus.REMARK]


class Conversation:
    """What was to be read when, by the arrival of each message."""

    def __init__(self, drive: Heard) -> None:
        self._exchanges = exchanges(drive)
        self._remarks = remarks(drive)
        self._wishes = drive.wishes

    def at(self, now_ns: Nanoseconds) -> Spoken:
        """The newest exchange while it is open or fresh, else the one that the car goes by."""
        heard = [e.until(now_ns) for e in self._exchanges if e.said.arrival_ns <= now_ns]
        wish: Command | None = _newest(self._wishes, now_ns)
        held = wish.instruction_id if wish is not None and now_ns < wish.expires_ns else 0
        exchange = next((e for e in reversed(heard) if e.fresh(now_ns)), None)
        if exchange is None:
            exchange = next((e for e in reversed(heard) if e.said.value.id == held), None)
        remark = next(
            (r.value for r in reversed(self._remarks)
             if 0 <= now_ns - r.arrival_ns <= SHOWN_S * SECOND), None,
        )
        holds = exchange is not None and held == exchange.said.value.id
        return Spoken(exchange, holds, remark)


def _newest(arrived: Sequence[Arrived[Command]], now_ns: Nanoseconds) -> Command | None:
    at = bisect_right([a.arrival_ns for a in arrived], now_ns) - 1
    return arrived[at].value if at >= 0 else None
