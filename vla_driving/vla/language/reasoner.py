"""The reasoner's core: instructions in, one command and answers out; beside the actor, never in its
way.

Every instruction gets exactly one last word: REFUSED, IGNORED, ANSWERED, DONE, CANCELLED or
EXPIRED; those taken on are ACCEPTED before it.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

import numpy as np

from vla_driving.contract.clock import Nanoseconds, age_s, nanoseconds
from vla_driving.contract.events import DriveEvent
from vla_driving.contract.faults import Fault, FaultLog
from vla_driving.contract.language import Answer, AnswerStatus, Command, Intent
from vla_driving.contract.navigation import Instruction, Route
from vla_driving.contract.plan import Evidence, Plan
from vla_driving.contract.supervision import SafetyState
from vla_driving.contract.vehicle import VehicleParameters, VehicleState
from vla_driving.vla.language.encoder import SentenceEncoder
from vla_driving.vla.language.faults import NODE, REACTIONS
from vla_driving.vla.language.head import load_head
from vla_driving.vla.language.memory import Memory
from vla_driving.vla.language.questions import Knowledge, answer
from vla_driving.vla.language.remarks import Remarks
from vla_driving.vla.language.settings import ReasonerSettings
from vla_driving.vla.language.situation import Situation
from vla_driving.vla.language.understanding import Listener, Understanding
from vla_driving.vla.language.wishes import (
    GAPS,
    MANOEUVRES,
    SPEEDS,
    STOPS,
    Impossible,
    Wish,
    contradiction,
    progress,
    supersedes,
    take_on,
)

MOST_CHARACTERS, MOST_EVIDENCE = 512, 16
MOST_IDS = 4096
"""Instructions whose second coming is known."""
NO_TOKEN = np.zeros(0, np.float32)


@dataclass(frozen=True, eq=False)
class ReasonerInputs:
    """What came since the step before; `plan`, `safety` and `route` are the newest ever."""

    instructions: tuple[Instruction, ...] = ()
    plan: Plan | None = None
    states: tuple[VehicleState, ...] = ()
    safety: SafetyState | None = None
    route: Route | None = None


@dataclass(frozen=True)
class ReasonerCounters:
    """Since the start."""

    heard: int = 0
    accepted: int = 0
    refused: int = 0
    ignored: int = 0
    answered: int = 0
    dropped: int = 0


@dataclass(frozen=True, eq=False)
class ReasonerOutputs:
    """`command` where it has changed; answers in order; `events` are the faults that are new."""

    command: Command | None
    answers: tuple[Answer, ...]
    faults: tuple[Fault, ...]
    events: tuple[DriveEvent, ...]
    counters: ReasonerCounters


class Reasoner:
    """Listens, judges what became of wishes, answers and remarks; never raises."""

    def __init__(
        self, settings: ReasonerSettings, listener: Listener, vehicle: VehicleParameters
    ) -> None:
        self._settings = settings
        self._listener = listener
        self._vehicle = vehicle
        self._log = FaultLog(NODE, REACTIONS)
        self._wishes: list[Wish] = []
        self._counters = ReasonerCounters()
        self._known_ids: dict[int, None] = {}
        self._waiting: Instruction | None = None
        self._next_ns: Nanoseconds = 0
        self._sequence = 0
        self._said: tuple[object, ...] = ()
        self._now_ns: Nanoseconds | None = None
        self._plan_ns: Nanoseconds = -1
        self._seen = Situation()
        self._memory = Memory(settings.memory)
        self._remarks = Remarks(settings.remark_gap)

    def step(self, inputs: ReasonerInputs, now_ns: Nanoseconds) -> ReasonerOutputs:
        """Take in what came and say what there is to say."""
        faults: list[Fault] = []
        if self._now_ns is not None and now_ns < self._now_ns:
            back = age_s(now_ns, self._now_ns)
            faults.append(Fault("clock_went_back", "clock", "time went back", back, 0.0, "s"))
            self._forget()
        self._now_ns = now_ns
        self._look(inputs, now_ns)
        answers: list[Answer] = []
        self._listen(inputs.instructions, now_ns, answers, faults)
        self._judge(now_ns, answers)
        remark = self._remarks.step(self._seen, now_ns)
        if remark is not None:
            answers.append(remark)
        command = self._command(now_ns)
        events = self._log.update(faults, now_ns)
        return ReasonerOutputs(command, tuple(answers), tuple(faults), events, self._counters)

    def _forget(self) -> None:
        self._seen = Situation()
        self._memory.clear()
        self._remarks = Remarks(self._settings.remark_gap)
        self._next_ns, self._plan_ns = 0, -1

    def _look(self, inputs: ReasonerInputs, now_ns: Nanoseconds) -> None:
        for state in inputs.states:
            self._seen.take_state(state)
        self._seen.route = inputs.route or self._seen.route
        self._seen.safety = inputs.safety or self._seen.safety
        if inputs.plan is not None and inputs.plan.stamp_ns > self._plan_ns:
            self._plan_ns = inputs.plan.stamp_ns
            self._seen.take_plan(inputs.plan)
        if inputs.plan is not None or inputs.states:
            self._memory.add(self._seen, now_ns)

    # Listening.

    def _listen(
        self, instructions: Iterable[Instruction], now_ns: Nanoseconds, answers: list[Answer],
        faults: list[Fault],
    ) -> None:
        for instruction in instructions:
            self._counters = replace(self._counters, heard=self._counters.heard + 1)
            if instruction.id in self._known_ids:
                continue  # latched topics say the last one again to whoever joins late
            self._known_ids[instruction.id] = None
            if len(self._known_ids) > MOST_IDS:
                del self._known_ids[next(iter(self._known_ids))]
            if self._waiting is not None:
                self._drop(self._waiting, now_ns, answers, faults)
            self._waiting = instruction
        if self._waiting is not None and now_ns >= self._next_ns:
            self._next_ns = now_ns + nanoseconds(1.0 / self._settings.max_rate)
            instruction, self._waiting = self._waiting, None
            try:
                self._take(instruction, now_ns, answers, faults)
            except Exception as error:
                # A text must never end the node; what it was is told.
                detail = f"{type(error).__name__}: {error}"
                faults.append(Fault("understanding_failed", str(instruction.id), detail))
                self._refuse(instruction, "could not be worked out", now_ns, answers)

    def _drop(
        self, instruction: Instruction, now_ns: Nanoseconds, answers: list[Answer],
        faults: list[Fault],
    ) -> None:
        self._counters = replace(self._counters, dropped=self._counters.dropped + 1)
        answers.append(self._answer(
            instruction, AnswerStatus.IGNORED,
            f"dropped for a newer one: at most {self._settings.max_rate:g} a second are understood",
            now_ns,
        ))
        faults.append(Fault(
            "instructions_dropped", "vla/instruction", "more came than are understood",
            float(self._counters.dropped), 0.0, "instructions",
        ))

    def _take(
        self, instruction: Instruction, now_ns: Nanoseconds, answers: list[Answer],
        faults: list[Fault],
    ) -> None:
        if wrong := self._wrong(instruction, now_ns):
            faults.append(Fault("instruction_invalid", str(instruction.id), wrong))
            self._refuse(instruction, wrong, now_ns, answers)
            return
        age = age_s(instruction.stamp_ns, now_ns)
        expired = 0 < instruction.expires_ns <= now_ns
        if age > self._settings.max_age or expired:
            text = f"said {age:.0f} s ago: too late to follow"
            answers.append(self._answer(instruction, AnswerStatus.EXPIRED, text, now_ns))
            return
        understood = self._listener.understand(instruction.text)
        if understood.status != AnswerStatus.ACCEPTED:
            self._turn_down(instruction, understood, now_ns, answers)
        elif understood.intent == Intent.QUESTION:
            self._reply(instruction, understood, now_ns, answers)
        elif understood.intent == Intent.CANCEL:
            self._cancel(instruction, understood, now_ns, answers)
        else:
            self._accept(instruction, understood, now_ns, answers)

    def _wrong(self, instruction: Instruction, now_ns: Nanoseconds) -> str:
        if instruction.id <= 0:
            return "id 0: instructions count from 1"
        ahead = age_s(now_ns, instruction.stamp_ns)
        if ahead > self._settings.future_tolerance:
            return f"stamped {ahead:.1f} s ahead of now"
        return ""

    def _turn_down(
        self, instruction: Instruction, understood: Understanding, now_ns: Nanoseconds,
        answers: list[Answer],
    ) -> None:
        if understood.status == AnswerStatus.REFUSED:
            self._refuse(instruction, understood.reason, now_ns, answers)
            return
        self._counters = replace(self._counters, ignored=self._counters.ignored + 1)
        answers.append(
            self._answer(instruction, AnswerStatus.IGNORED, understood.reason, now_ns)
        )

    def _refuse(
        self, instruction: Instruction, reason: str, now_ns: Nanoseconds, answers: list[Answer],
        evidence: tuple[Evidence, ...] = (),
    ) -> None:
        self._counters = replace(self._counters, refused=self._counters.refused + 1)
        text = f"refused: {reason}"
        answers.append(self._answer(instruction, AnswerStatus.REFUSED, text, now_ns, evidence))

    def _reply(
        self, instruction: Instruction, understood: Understanding, now_ns: Nanoseconds,
        answers: list[Answer],
    ) -> None:
        self._counters = replace(self._counters, answered=self._counters.answered + 1)
        known = Knowledge(self._seen, self._memory, self._wishes, self._vehicle, now_ns)
        reply = answer(instruction.text, understood.kind, known)
        answers.append(
            self._answer(instruction, AnswerStatus.ANSWERED, reply.text, now_ns, reply.evidence)
        )

    def _accept(
        self, instruction: Instruction, understood: Understanding, now_ns: Nanoseconds,
        answers: list[Answer],
    ) -> None:
        try:
            wish = take_on(
                instruction, understood, self._seen, self._wishes, self._vehicle, self._settings,
                now_ns,
            )
        except Impossible as impossible:
            self._refuse(instruction, impossible.reason, now_ns, answers, impossible.evidence)
            return
        self._counters = replace(self._counters, accepted=self._counters.accepted + 1)
        text = wish.words + contradiction(wish, self._seen, now_ns)
        answers.append(self._answer(instruction, AnswerStatus.ACCEPTED, text, now_ns))
        for old in [w for w in self._wishes if supersedes(wish, w)]:
            self._end(old, AnswerStatus.CANCELLED, f"{old.words}: now {wish.words}", now_ns,
                      answers)
        self._wishes.append(wish)

    def _cancel(
        self, instruction: Instruction, understood: Understanding, now_ns: Nanoseconds,
        answers: list[Answer],
    ) -> None:
        taken_back = self._wishes[-1:]
        if understood.everything:
            taken_back = list(self._wishes)
        elif understood.about != Intent.NONE:
            taken_back = [w for w in self._wishes if _alike(w.intent, understood.about)]
        text = "nothing holds that could be taken back"
        if taken_back:
            text = "taken back: " + ", ".join(w.words for w in taken_back)
        for wish in taken_back:
            self._end(wish, AnswerStatus.CANCELLED, f"{wish.words}: taken back", now_ns, answers)
        answers.append(self._answer(instruction, AnswerStatus.DONE, text, now_ns))

    # Judging.

    def _judge(self, now_ns: Nanoseconds, answers: list[Answer]) -> None:
        for wish in list(self._wishes):
            if now_ns >= wish.expires_ns:
                self._end(wish, AnswerStatus.EXPIRED, f"{wish.words}: time is over", now_ns,
                          answers)
                continue
            if wish.done:
                continue
            try:
                figures = progress(wish, self._seen, self._vehicle, now_ns)
            except Impossible as impossible:
                self._end(wish, AnswerStatus.EXPIRED, f"{wish.words}: {impossible.reason}", now_ns,
                          answers, impossible.evidence)
                continue
            if figures is not None:
                self._done(wish, figures, now_ns, answers)

    def _done(
        self, wish: Wish, figures: tuple[Evidence, ...], now_ns: Nanoseconds,
        answers: list[Answer],
    ) -> None:
        wish.done = True
        text = f"{wish.words}: done"
        answers.append(
            self._answer(wish.instruction, AnswerStatus.DONE, text, now_ns, figures)
        )
        if not wish.holds:
            self._wishes.remove(wish)

    def _end(
        self, wish: Wish, status: AnswerStatus, text: str, now_ns: Nanoseconds,
        answers: list[Answer], evidence: tuple[Evidence, ...] = (),
    ) -> None:
        """End a wish; one that was answered DONE has had its last word, so this is a remark."""
        if wish.done:
            text = f"{wish.words} no longer holds"
            answers.append(Answer(now_ns, 0, AnswerStatus.REMARK, text, ()))
        else:
            answers.append(self._answer(wish.instruction, status, text, now_ns, evidence))
        self._wishes.remove(wish)

    # Speaking.

    def _command(self, now_ns: Nanoseconds) -> Command | None:
        """All that holds, merged; None where it is as said before."""
        speed = next((w.speed for w in self._wishes if w.intent in SPEEDS), 0.0)
        gap = next((w.time_gap for w in self._wishes if w.intent in GAPS), 0.0)
        newest = self._wishes[-1] if self._wishes else None
        # Speeds and gaps are told as numbers, without their words: so the model is taught.
        wanted = next((w for w in reversed(self._wishes) if w.intent in MANOEUVRES), None)
        expires_ns = max((w.expires_ns for w in self._wishes), default=now_ns)
        content = (
            newest.instruction.id if newest else 0, wanted.instruction.id if wanted else 0,
            speed, gap, expires_ns if newest else 0,
        )
        if content == (self._said or (0, 0, 0.0, 0.0, 0)):
            return None
        self._said = content
        self._sequence += 1
        return Command(
            stamp_ns=now_ns, sequence=self._sequence,
            instruction_id=newest.instruction.id if newest else 0,
            intent=wanted.intent if wanted else Intent.NONE, speed=speed, time_gap=gap,
            token=wanted.token if wanted else NO_TOKEN, expires_ns=expires_ns,
        )

    def _answer(
        self, instruction: Instruction, status: AnswerStatus, text: str, now_ns: Nanoseconds,
        evidence: tuple[Evidence, ...] = (),
    ) -> Answer:
        return Answer(
            now_ns, instruction.id, status, text[:MOST_CHARACTERS], evidence[:MOST_EVIDENCE]
        )


def load_reasoner(settings: ReasonerSettings, vehicle: VehicleParameters) -> Reasoner:
    """A reasoner with the shipped encoder and head. Raises EncoderError, HeadError."""
    return Reasoner(settings, Listener(SentenceEncoder.load(), load_head()), vehicle)


def _alike(intent: Intent, about: Intent) -> bool:
    """Whether a wish is of the sort that a cancellation names."""
    sorts = (SPEEDS, GAPS, STOPS, {Intent.CHANGE_LEFT, Intent.CHANGE_RIGHT},
             {Intent.NEXT_LEFT, Intent.NEXT_RIGHT, Intent.NEXT_STRAIGHT})
    return any(intent in sort and about in sort for sort in sorts)
