"""From a text to what it asks for: screened, classified, and its numbers read. No context."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from vla_driving.contract.language import AnswerStatus, Intent
from vla_driving.vla.language.concepts import named, words_of
from vla_driving.vla.language.encoder import SIZE, Embeddings, SentenceEncoder
from vla_driving.vla.language.hazards import hazard, refusal
from vla_driving.vla.language.head import Guess, IntentHead
from vla_driving.vla.language.quantities import (
    Quantity,
    amount,
    quantities,
    said_gap,
    said_speed,
)
from vla_driving.vla.language.screening import screen

SURE = 0.35
"""Probability from which the likeliest intent is taken."""
UNSAFE_FROM = 0.3
"""Probability of UNSAFE from which a wish is refused, whatever else is likelier."""
_SPEED_INTENTS = (Intent.SPEED_UP, Intent.SLOW_DOWN, Intent.DRIVE_AT)
_GAP_INTENTS = (Intent.MORE_DISTANCE, Intent.LESS_DISTANCE)


@dataclass(frozen=True, eq=False)
class Understanding:
    """What a text asks for.

    `intent` NONE and UNSAFE come with the `status` and `reason` of the answer. `kind` tells
    questions and dangers apart. `speed` in m/s is named by the text, or by `difference` relative
    to the present one; `gap` likewise; `amount` is how strongly more or less is meant. `everything`
    is whether a CANCEL means all. `token` (384,) is the embedding.
    """

    intent: Intent
    kind: str
    probability: float
    token: Embeddings
    status: AnswerStatus = AnswerStatus.ACCEPTED
    reason: str = ""
    speed: float | None = None
    difference: bool = False
    gap: Quantity | None = None
    amount: float = 1.0
    everything: bool = False
    about: Intent = Intent.NONE


_NO_TOKEN = np.zeros(SIZE, np.float32)


class Listener:
    """Understands one text at a time; pure but for its trained weights."""

    def __init__(self, encoder: SentenceEncoder, head: IntentHead) -> None:
        self._encoder = encoder
        self._head = head

    def understand(self, text: str) -> Understanding:
        """What any text asks for; never raises."""
        if not text.strip():
            return Understanding(Intent.CANCEL, "", 1.0, _NO_TOKEN, everything=True)
        if rejection := screen(text):
            return Understanding(
                Intent.NONE, "", 1.0, _NO_TOKEN, rejection.status, rejection.reason
            )
        text = " ".join(text.split())
        token = self._encoder.embed([text])[0]
        guess = self._head.guess(token, text)
        return _read(text, guess, token)


def _read(text: str, guess: Guess, token: Embeddings) -> Understanding:
    intent, kind = guess.kind
    dangerous = hazard(text) if intent != Intent.QUESTION else None
    speed = said_speed(text)
    if dangerous is None and _refusable(intent, guess):
        dangerous = guess.unsafe_kind
        if dangerous == "too fast" and speed is not None and not _defies_limits(text):
            # Whether that is too fast, limits say and not words.
            dangerous, intent, kind = None, Intent.DRIVE_AT, ""
    if dangerous is not None:
        return Understanding(
            Intent.UNSAFE, dangerous, guess.intents[Intent.UNSAFE], token, AnswerStatus.REFUSED,
            refusal(dangerous, text),
        )
    if intent == Intent.NONE:
        reason = "asks nothing of the drive"
        return Understanding(
            intent, kind, guess.probability, token, AnswerStatus.IGNORED, reason
        )
    if guess.probability < SURE:
        meant = intent.name.lower().replace("_", " ")
        reason = f"not understood for certain; if '{meant}' was meant, say it in other words"
        return Understanding(
            Intent.NONE, "unsure", guess.probability, token, AnswerStatus.IGNORED, reason
        )
    understood = Understanding(
        intent, kind, guess.probability, token, amount=amount(text),
        everything=intent == Intent.CANCEL and _means_all(text),
    )
    return _with_numbers(understood, text, speed)


def _with_numbers(understood: Understanding, text: str, speed: float | None) -> Understanding:
    intent = understood.intent
    if intent in _SPEED_INTENTS:
        difference = _is_difference(text, intent)
        if speed is None and intent == Intent.DRIVE_AT and not _names_limit(text):
            return replace(
                understood, intent=Intent.NONE, status=AnswerStatus.REFUSED,
                reason="which speed? Say a number, as in 'drive at 30 km/h'",
            )
        if speed is not None and not difference:
            return replace(understood, speed=speed, intent=_towards(intent))
        return replace(understood, speed=speed, difference=difference)
    if intent in _GAP_INTENTS:
        return replace(understood, gap=said_gap(text))
    if intent == Intent.CANCEL:
        return replace(understood, about=_cancelled_thing(text))
    return understood


def _refusable(intent: Intent, guess: Guess) -> bool:
    if intent in (Intent.QUESTION, Intent.NONE) and guess.probability > SURE:
        return guess.intents[Intent.UNSAFE] >= SURE
    return intent == Intent.UNSAFE or guess.intents[Intent.UNSAFE] >= UNSAFE_FROM


def _towards(intent: Intent) -> Intent:
    """A named speed is to be driven; "slow down to" it has to be below the present one."""
    return Intent.SLOW_DOWN if intent == Intent.SLOW_DOWN else Intent.DRIVE_AT


def _is_difference(text: str, intent: Intent) -> bool:
    """Whether the number is by how much, not which speed."""
    if intent == Intent.DRIVE_AT:
        return False
    words = words_of(text)
    if "#" not in words:
        return bool(quantities(text)) and "by" in words
    at = words.index("#")
    before = words[at - 1] if at else ""
    return before not in ("to", "at", "than") and (
        before in ("by", "add", "off") or bool({"faster", "slower", "quicker"} & set(words[at:]))
    )


def _defies_limits(text: str) -> bool:
    plain, _ = named(text)
    return bool({"ignore", "limit", "reckless"} & plain) or bool(
        {"over", "above", "beyond"} & set(words_of(text))
    )


def _names_limit(text: str) -> bool:
    return "limit" in named(text)[0]


def _means_all(text: str) -> bool:
    everything = {"all", "everything", "normal", "normally", "usual", "wishes"}
    return bool(everything & set(words_of(text)))


def _cancelled_thing(text: str) -> Intent:
    """Which wish a cancellation names, NONE where it names none: the newest is meant."""
    plain, negated = named(text)
    both = plain | negated
    if "lane" in both:
        return Intent.CHANGE_LEFT
    if "turn" in both:
        return Intent.NEXT_LEFT
    if "side" in both:
        return Intent.PULL_OVER
    if "speed" in both or {"faster", "slower"} & both:
        return Intent.DRIVE_AT
    if "gap" in both:
        return Intent.MORE_DISTANCE
    return Intent.STOP if "stop" in both else Intent.NONE
