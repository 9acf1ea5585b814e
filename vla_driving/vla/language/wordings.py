"""What people say for each intent: the texts that teach the classifier and those that measure it.

A file holds sections `[INTENT kind]` (the kind is optional), one wording a line; `{a|b|}` stands
for each of its choices, of which at most MOST_OF_A_LINE are taken. Texts of the held-out
splits are never trained or tuned on; whatever stands there is taken out of "trained".
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator
from functools import cache
from importlib import resources

from vla_driving.contract.language import Intent

TRAINED, HELD_OUT, HELD_OUT_2 = "trained", "held_out", "held_out_2"
SPLITS = (TRAINED, HELD_OUT, HELD_OUT_2)
"""The second held-out file has irrelevant and unsafe texts alone."""
MOST_OF_A_LINE = 20
_HEADING = re.compile(r"\[([A-Z_]+)(?: ([a-z_ ]+))?\]")
_CHOICE = re.compile(r"\{([^{}]*\|[^{}]*)\}")

Kind = tuple[Intent, str]
"""An intent and which sort of it, "" where there is one sort alone."""


class WordingsError(ValueError):
    """One line that names the file, the line and what is wrong."""


def wordings(split: str) -> dict[Intent, tuple[str, ...]]:
    """Texts of a split by intent; NONE holds those that ask nothing of the drive, UNSAFE those to
    be refused.

    Raises WordingsError for a split that does not exist or a file that is not sound.
    """
    result: dict[Intent, tuple[str, ...]] = {}
    for (intent, _), texts in wordings_by_kind(split).items():
        result[intent] = (*result.get(intent, ()), *texts)
    return result


@cache
def wordings_by_kind(split: str) -> dict[Kind, tuple[str, ...]]:
    """Texts of a split by intent and kind, in the order of the file."""
    if split not in SPLITS:
        raise WordingsError(f"split {split!r} is not one of {', '.join(SPLITS)}")
    name = f"{split}.txt"
    text = resources.files(__package__).joinpath("texts", name).read_text(encoding="utf-8")
    found = parse(text, name)
    if split != TRAINED:
        return found
    held_out = {
        bare(t) for split in SPLITS if split != TRAINED
        for texts in wordings_by_kind(split).values() for t in texts
    }
    return {kind: tuple(t for t in texts if bare(t) not in held_out)
            for kind, texts in found.items()}


def bare(text: str) -> str:
    """A text less capitals and punctuation at its ends: what makes two wordings the same."""
    return text.lower().strip(" .,!?")


def families() -> list[tuple[Kind, tuple[str, ...]]]:
    """Trained wordings line by line: those of one line are alike, those of two are not."""
    text = resources.files(__package__).joinpath("texts", f"{TRAINED}.txt").read_text("utf-8")
    left = {kind: set(texts) for kind, texts in wordings_by_kind(TRAINED).items()}
    found = []
    for kind, texts in _lines(text, TRAINED):
        new = tuple(t for t in texts if t in left[kind])
        left[kind].difference_update(new)
        if new:
            found.append((kind, new))
    return found


def parse(text: str, name: str) -> dict[Kind, tuple[str, ...]]:
    """Wordings of a file's text. Raises WordingsError."""
    found: dict[Kind, dict[str, None]] = {}
    for kind, texts in _lines(text, name):
        found.setdefault(kind, {}).update(dict.fromkeys(texts))
    return {kind: tuple(texts) for kind, texts in found.items()}


def _lines(text: str, name: str) -> Iterator[tuple[Kind, tuple[str, ...]]]:
    """Kind and wordings of each line of a file's text. Raises WordingsError."""
    kind: Kind | None = None
    for number, line in enumerate(map(str.strip, text.splitlines()), 1):
        if not line or line.startswith("# "):
            continue
        if line.startswith("["):
            kind = _kind(line, f"{name}:{number}")
        elif kind is None:
            raise WordingsError(f"{name}:{number}: {line!r} stands before the first [INTENT]")
        else:
            yield kind, _some_of(expand(line))


def expand(line: str) -> tuple[str, ...]:
    """Every text that a line stands for; choices may hold choices."""
    parts = _CHOICE.split(line)
    if len(parts) == 1:
        return (" ".join(line.split()),)
    choices = [part.split("|") if k % 2 else [part] for k, part in enumerate(parts)]
    texts = ("".join(pieces) for pieces in itertools.product(*choices))
    return tuple(dict.fromkeys(text for t in texts for text in expand(t)))


def _some_of(texts: tuple[str, ...]) -> tuple[str, ...]:
    """At most MOST_OF_A_LINE of them, spread evenly."""
    count = len(texts)
    if count <= MOST_OF_A_LINE:
        return texts
    return tuple(texts[k * count // MOST_OF_A_LINE] for k in range(MOST_OF_A_LINE))


def _kind(line: str, where: str) -> Kind:
    heading = _HEADING.fullmatch(line)
    if heading is None or heading[1] not in Intent.__members__:
        raise WordingsError(f"{where}: {line!r} is no [INTENT kind]")
    return Intent[heading[1]], heading[2] or ""
