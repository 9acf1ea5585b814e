"""Speeds, distances and times in a text: figures or number words, with or without a unit."""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import Enum

MPH, KNOT = 0.44704, 0.514444
WALKING_PACE = 5.0 / 3.6
"""m/s"""


class Unit(Enum):
    """What a number counts; the value is in SI units."""

    KM_H = 1.0 / 3.6
    MPH = MPH
    M_S = 1.0
    METRES = "m"
    SECONDS = "s"
    NONE = "none"


SPEED_UNITS = (Unit.KM_H, Unit.MPH, Unit.M_S)

_SMALL = """zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen
fifteen sixteen seventeen eighteen nineteen"""
_ROUND = """twenty thirty forty fifty sixty seventy eighty ninety"""
_ONES = {word: k for k, word in enumerate(_SMALL.split())}
_TENS = {word: 10 * k for k, word in enumerate(_ROUND.split(), 2)}
_UNITS: tuple[tuple[str, Unit], ...] = (
    (r"(?:km/h|kmh|kph|km ?/ ?h|kilomet(?:re|er)s?(?:(?: per| an| a)? hour)?|kms?|clicks)",
     Unit.KM_H),
    (r"(?:mph|miles(?: per| an| a)? hour|miles|mi/h)", Unit.MPH),
    (r"(?:m/s|mps|met(?:re|er)s?(?: per| a)? second)", Unit.M_S),
    (r"(?:met(?:re|er)s?|m)", Unit.METRES),
    (r"(?:seconds?|secs?|s)", Unit.SECONDS),
)
_NUMBER = re.compile(r"(?<![\w.,])(\d{1,9}(?:[.,]\d{1,3})?)(?![\d])")


@dataclass(frozen=True)
class Quantity:
    """A number as said and what it counts."""

    value: float
    unit: Unit

    @property
    def speed(self) -> float:
        """In m/s; a bare number counts km/h."""
        factor = self.unit.value if self.unit in SPEED_UNITS else Unit.KM_H.value
        return self.value * float(factor)


def quantities(text: str) -> tuple[Quantity, ...]:
    """Every number of a text in order."""
    text = _in_figures(text.lower())
    return tuple(
        Quantity(float(match[1].replace(",", ".")), _unit_after(text[match.end():]))
        for match in _NUMBER.finditer(text)
    )


def said_speed(text: str) -> float | None:
    """The speed a text names in m/s: the first with a unit of speed, else the first bare number."""
    if re.search(r"\bwalking (?:pace|speed)\b", text.lower()):
        return WALKING_PACE
    found = quantities(text)
    for units in (SPEED_UNITS, (Unit.NONE,)):
        for quantity in found:
            if quantity.unit in units:
                return quantity.speed
    return None


def said_gap(text: str) -> Quantity | None:
    """The distance or time a text names."""
    for quantity in quantities(text):
        if quantity.unit in (Unit.METRES, Unit.SECONDS):
            return quantity
    return None


def amount(text: str) -> float:
    """How strongly more or less is meant: 0.5 a bit, 1 plainly, 2 a lot."""
    text = text.lower()
    if re.search(r"\b(?:a (?:little|bit|touch|notch|tad)|slightly|somewhat|gently)\b", text):
        return 0.5
    if re.search(r"\b(?:a lot|much|far|considerably|way|strongly)\b", text):
        return 2.0
    return 1.0


def _unit_after(text: str) -> Unit:
    for pattern, unit in _UNITS:
        if re.match(rf" ?{pattern}(?![\w/])", text):
            return unit
    return Unit.NONE


def _in_figures(text: str) -> str:
    """Number words as figures: "one hundred and twenty five" as "125"."""
    words = re.split(r"([\w']+)", text.replace("-", " "))
    result: list[str] = []
    k = 0
    while k < len(words):
        value, after = _number_at(words, k)
        if value is None:
            result.append(words[k])
            k += 1
        else:
            result.append(str(value))
            k = after
    return "".join(result)


def _number_at(words: list[str], k: int) -> tuple[int | None, int]:
    """Number that begins with word k, and the index behind its last word."""
    if words[k] == "a" and words[k + 1:k + 3] == [" ", "hundred"]:
        total, after = 1, k + 1
    elif words[k] in _ONES:
        total, after = _ONES[words[k]], k + 1
    elif words[k] in _TENS:
        total, after = _TENS[words[k]], k + 1
        if words[after:after + 1] == [" "] and 0 < _ONES.get(_at(words, after + 1), 0) < 10:
            total, after = total + _ONES[words[after + 1]], after + 2
    else:
        return None, k
    if words[after:after + 2] == [" ", "hundred"]:
        total, after = 100 * total, after + 2
        rest = after + 1 if _at(words, after + 1) != "and" else after + 3
        if _at(words, rest) in _ONES or _at(words, rest) in _TENS:
            more, end = _number_at(words, rest)
            if more is not None and more < 100:
                total, after = total + more, end
    return total, after


def _at(words: list[str], k: int) -> str:
    return words[k] if k < len(words) else ""
