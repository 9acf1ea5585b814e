"""Words that decide: which concepts a text names, and which of them it negates.

A sentence encoder puts "more distance" beside "less distance", and "don't stop" beside "stop";
these features, beside its embedding, tell them apart.
"""

from __future__ import annotations

import re
import zlib
from functools import cache
from importlib import resources

import numpy as np
import numpy.typing as npt

HASHED = 512
"""Places for single words and pairs, by their CRC-32."""
NEGATION_REACH = 4
"""Words that a negation reaches ahead."""
_TOKENS = re.compile(r"km/h|m/s|[a-z]+(?:[-'][a-z]+)*|\d+(?:[.,]\d+)?|\?")
_NOT = """not don't dont no never without won't can't cannot neither nor quit nobody nothing needn't
doesn't isn't aren't"""
_NEGATIONS = frozenset(_NOT.split())


def words_of(text: str) -> list[str]:
    """Lower-case words, numbers as "#", and question marks."""
    tokens = _TOKENS.findall(text.lower().replace("’", "'"))
    return ["#" if token[0].isdigit() else token for token in tokens]


@cache
def concepts() -> dict[str, re.Pattern[str]]:
    """Pattern of each concept over words joined by blanks, in the order of the file."""
    text = resources.files(__package__).joinpath("texts", "concepts.txt").read_text("utf-8")
    found = {}
    for line in text.splitlines():
        if not line or line.startswith("# "):
            continue
        name, _, phrases = line.partition(": ")
        choices = "|".join(
            re.escape(phrase).replace(r"\*", r"\S*") for phrase in phrases.split(", ")
        )
        found[name] = re.compile(rf"(?<!\S)(?:{choices})(?!\S)")
    return found


def named(text: str) -> tuple[frozenset[str], frozenset[str]]:
    """Concepts that a text names, and those it names behind a negation."""
    words = words_of(text)
    joined = " ".join(words)
    starts = _starts(words)
    plain: set[str] = set()
    negated: set[str] = set()
    for name, pattern in concepts().items():
        for match in pattern.finditer(joined):
            at = starts[match.start()]
            behind = words[max(0, at - NEGATION_REACH):at]
            (negated if _NEGATIONS.intersection(behind) else plain).add(name)
    return frozenset(plain), frozenset(negated)


def leanings(plain: frozenset[str], negated: frozenset[str]) -> tuple[bool, bool, bool, bool]:
    """Whether concepts lean to more speed, less speed, more distance, less distance.

    "too fast" and "not so fast" lean against what "fast" leans to, as "less closely" does.
    """
    much, little = "more" in plain, "less" in plain
    turned = "too" in plain or "too" in negated
    faster = "faster" in plain and not turned and not (little and "slower" not in plain)
    slower = "slower" in plain and not turned
    up = (faster and not slower) or ("slower" in plain | negated and turned)
    down = slower or ("faster" in plain | negated and turned)
    up |= "slower" in negated or (much and "speed" in plain and not slower)
    down |= "faster" in negated or (little and "speed" in plain | negated)
    near, far = "near" in plain, "far" in plain
    apart = (near and (turned or little)) or "near" in negated or (far and not turned)
    together = (near and not turned and not little) or (far and turned) or "far" in negated
    apart |= "gap" in plain and much and not turned
    together |= ("gap" in plain and (little or turned)) or "gap" in negated
    return up, down, apart, together


def features(text: str) -> npt.NDArray[np.float32]:
    """(N,): concepts named, concepts negated, leanings, hashed words and pairs at unit length."""
    names = list(concepts())
    plain, negated = named(text)
    flags = [n in plain for n in names] + [n in negated for n in names]
    flags += leanings(plain, negated)
    hashed = np.zeros(HASHED, np.float32)
    words = words_of(text)
    for token in [*words, *map(" ".join, zip(["", *words], [*words, ""], strict=True))]:
        hashed[zlib.crc32(token.encode()) % HASHED] = 1.0
    hashed /= np.float32(max(1.0, float(np.linalg.norm(hashed))))
    return np.concatenate([np.array(flags, np.float32), hashed])


def _starts(words: list[str]) -> dict[int, int]:
    """Index of the word that begins at each place of the joined text."""
    starts, place = {}, 0
    for k, word in enumerate(words):
        starts[place] = k
        place += len(word) + 1
    return starts
