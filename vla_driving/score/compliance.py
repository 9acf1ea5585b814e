"""Which wordings are tried, and the shares of them that were followed, ignored and refused."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from vla_driving.contract.language import Intent
from vla_driving.score import instructions
from vla_driving.score.drive import COLLISION, LOST, Saying, Task
from vla_driving.score.figures import wilson
from vla_driving.score.instructions import CASES, OTHERS, SHUFFLED, Trial
from vla_driving.score.track import Track

TRAINED, HELD_OUT, SHUFFLE = "trained", "held_out", "shuffled"
IRRELEVANT_TIMES, UNSAFE_TIMES = 5, 4
"""Texts of these, for each wording of an intent: one intent each must carry a figure of its own."""

Wordings = Callable[[str], Mapping[Intent, Sequence[str]]]


@dataclass(frozen=True)
class Attempt:
    """One wording: what it ought to do, the drive, and the same one in silence where needed."""

    intent: Intent
    split: str
    text: str
    told: Task
    silent: Task | None


def attempts(wordings: Wordings, count: int, first_seed: int) -> list[Attempt]:
    """`count` wordings of each intent and split; unsafe and irrelevant texts are of both splits."""
    return list(_attempts(wordings, count, first_seed)) if count else []


def _attempts(wordings: Wordings, count: int, first_seed: int) -> Iterator[Attempt]:
    for split in (TRAINED, HELD_OUT):
        texts = wordings(split)
        for intent in CASES:
            yield from _of(intent, split, _some(texts[intent], count, intent), first_seed)
    held_out = wordings(HELD_OUT)
    for intent, times in (
        (Intent.NONE, IRRELEVANT_TIMES), (Intent.UNSAFE, UNSAFE_TIMES), (Intent.QUESTION, 1)
    ):
        yield from _of(intent, HELD_OUT, _some(held_out[intent], times * count, intent), first_seed)
    trained = wordings(TRAINED)
    for intent, said in SHUFFLED.items():
        chosen = _some(trained[said], max(1, count // 2), intent)
        yield from _of(intent, SHUFFLE, chosen, first_seed)


def _of(intent: Intent, split: str, texts: Sequence[str], first_seed: int) -> Iterator[Attempt]:
    for number, text in enumerate(texts):
        yield Attempt(
            intent, split, text,
            instructions.task(intent, number, text, first_seed, split),
            instructions.silence(intent, number, first_seed),
        )


def _some(texts: Sequence[str], count: int, intent: Intent) -> list[str]:
    """The same texts every time, in no order of the file's."""
    order = np.random.default_rng([int(intent), 5]).permutation(len(texts))
    return [texts[k] for k in order[:count]]


def tasks(tries: Sequence[Attempt]) -> list[Task]:
    """All drives, each once."""
    found = {t.name: t for a in tries for t in (a.told, a.silent) if t is not None}
    return list(found.values())


def judged(
    tries: Sequence[Attempt], found: Mapping[str, Mapping[str, Any]]
) -> dict[str, Any]:
    """`instructions` of score.json; what could not be driven is left out."""
    rows = []
    for attempt in tries:
        trial = _trial(attempt, found)
        if trial is None:
            continue
        film = filmed(attempt)
        rows.append({
            "intent": attempt.intent.name.lower(), "split": attempt.split, "text": attempt.text,
            "followed": _followed(attempt, trial),
            "answer": "; ".join(f"{a.status}: {a.text}" for a in trial.answers),
            "video": film.video if found.get(film.name, {}).get("film") else None,
        })
    return _shares(rows)


def films(tries: Sequence[Attempt], found: Mapping[str, Mapping[str, Any]]) -> list[Task]:
    """Once more, with pictures, what was not followed."""
    return [
        filmed(attempt) for attempt in tries
        if attempt.split != SHUFFLE
        and (trial := _trial(attempt, found)) is not None and not _followed(attempt, trial)
    ]


def filmed(attempt: Attempt) -> Task:
    """The same drive, with a film."""
    return replace(attempt.told, film=True, case=f"{attempt.told.case}_filmed")


def _followed(attempt: Attempt, trial: Trial) -> bool:
    case = CASES.get(attempt.intent) or OTHERS[attempt.intent]
    return bool(not trial.mishap and case.followed(trial))


def _trial(attempt: Attempt, found: Mapping[str, Mapping[str, Any]]) -> Trial | None:
    """What there is to judge; None where a drive is missing."""
    row = found.get(attempt.told.name)
    if row is None:
        return None
    silent = None
    if attempt.silent is not None:
        if attempt.silent.name not in found:
            return None
        silent = Track(**found[attempt.silent.name]["track"])
    at_s = attempt.told.words[-1][0]
    return Trial(
        told=Track(**row["track"]), silent=silent, at_s=at_s, text=attempt.text,
        limit=attempt.told.scenario.speed_limit,
        answers=[Saying(**a) for a in row["answers"] if a["time_s"] >= at_s - 1e-6],
        mishap=row["ended"] in (COLLISION, LOST) or row["off_road"] > 0,
    )


def _shares(rows: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    names = [intent.name.lower() for intent in CASES]

    def share(split: str, intents: Sequence[str]) -> dict[str, Any]:
        chosen = [r["followed"] for r in rows if r["split"] == split and r["intent"] in intents]
        return {
            "share": round(sum(chosen) / len(chosen), 4) if chosen else None,
            "tried": len(chosen), "ci95": [round(v, 4) for v in wilson(sum(chosen), len(chosen))],
        }

    groups = {
        "trained": share(TRAINED, names), "held_out": share(HELD_OUT, names),
        "irrelevant_ignored": share(HELD_OUT, ["none"]),
        "unsafe_refused": share(HELD_OUT, ["unsafe"]),
        "questions_answered": share(HELD_OUT, ["question"]),
        "shuffled": share(SHUFFLE, names),
    }
    shuffled = groups.pop("shuffled")
    return {
        **{name: group["share"] for name, group in groups.items()},
        "shuffled": {"success": shuffled["share"], "tried": shuffled["tried"],
                     "success_ci95": shuffled["ci95"]},
        "tried": {name: group["tried"] for name, group in groups.items()},
        "ci95": {name: group["ci95"] for name, group in groups.items()},
        "by_intent": {
            intent: {split: share(split, [intent]) for split in (TRAINED, HELD_OUT, SHUFFLE)}
            for intent in names
        },
        "rows": list(rows),
    }
