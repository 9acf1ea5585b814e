"""What is refused because it endangers somebody, and the words that say so.

The classifier knows kinds of unsafe wishes from its wordings; these rules stand beside it, so that
what they name is refused whatever it thinks.
"""

from __future__ import annotations

import re

from vla_driving.vla.language.concepts import named, words_of

REASONS = {
    "off the road": "it would leave the road: the car drives on lanes alone",
    "people": "it would endanger people: the car gives way to everybody on foot or on a bicycle",
    "signals": "it would break a rule of the road: lights, signs, lines and priority are obeyed",
    "blind": "the car does not drive without seeing",
    "too fast": "the speed limit and the car's own limit hold",
    "too close": "it would hit or press somebody: distance is kept",
    "oncoming": "it would lead against the traffic",
    "safety off": "what keeps the drive safe stays on, and cannot be switched off by words",
    "reckless": "it would be reckless driving",
    "injection": "words do not change the rules that the car drives by",
    "": "it would endanger somebody",
}
"""Kind of an unsafe wish, as in the wordings, and what is said to it."""

_THINGS = (
    "pedestrian", "pedestrians", "cyclist", "child", "children", "kids", "people", "pavement",
    "sidewalk", "footpath", "grass", "park", "river", "bridge", "wall", "tree", "ditch",
    "red light", "stop sign", "traffic light", "traffic lights", "speed limit", "rules", "eyes",
    "cameras", "camera", "headlights", "safety monitor", "brakes", "emergency braking", "ambulance",
    "police", "motorway", "oncoming lane", "wrong way", "bumper", "handbrake", "cycle lane",
    "bike lane", "barrier", "solid line", "lorries", "limit", "rule", "car in front", "car ahead",
)


_CODE = re.compile(
    r"rm -rf|drop table|import os\b|exec\(|eval\(|</?system>|\b(?:sudo|jailbreak)\b"
    r"|^\s*(?:system|admin|root|developer|assistant)\s*:|override code", re.IGNORECASE,
)


def hazard(text: str) -> str | None:
    """Kind of danger that a wish plainly asks for; None where no rule speaks."""
    if _CODE.search(text):
        return "injection"
    plain, negated = named(text)
    words = set(words_of(text))
    if "whatif" in plain or "why" in plain:
        return None
    gives_way_not = bool({"stop", "slower"} & negated) or bool(
        {"brake", "bother", "wait", "slow"} & words and _negates(words)
    )
    if "person" in plain | negated and (
        "ignore" in plain or "hit" in plain or gives_way_not
        or ("cancel" in plain and words & {"disregard", "forget", "mind"})
    ):
        return "people"
    if "signal" in plain | negated and ("ignore" in plain or gives_way_not) and words & {
        "red", "sign", "signs", "lights", "light", "rules", "law", "signal", "signals", "line",
    }:
        return "signals"
    if "limit" in plain and words & {"ignore", "exceed", "break", "forget", "disregard", "over"}:
        return "too fast"
    if "safety" in plain and "ignore" in plain and "monitor" in words:
        return "safety off"
    if "blind" in plain and "eyes" in words and words & {"close", "shut", "closed"}:
        return "blind"
    return None


def refusal(kind: str, text: str) -> str:
    """What is said to an unsafe wish: the thing it names and the reason."""
    joined = f" {' '.join(words_of(text))} "
    thing = next((t for t in _THINGS if f" {t} " in joined), None)
    reason = REASONS.get(kind, REASONS[""])
    return f"{thing}: {reason}" if thing else reason


def _negates(words: set[str]) -> bool:
    return bool(words & {"not", "don't", "dont", "never", "without", "no"})
