"""How the intent classifier is taught and calibrated."""

from __future__ import annotations

import zlib
from collections.abc import Sequence

import numpy as np
import pytest

pytest.importorskip("torch", reason="torch is not installed: requirements/learning.txt")

from vla_driving.contract.language import Intent
from vla_driving.learning import language
from vla_driving.learning.language import NO_LEANING, choose, fit, lean
from vla_driving.vla.language.encoder import SIZE, Embeddings, SentenceEncoder
from vla_driving.vla.language.wordings import TRAINED, families, wordings_by_kind

KINDS = [(Intent.NONE, "talk"), (Intent.STOP, ""), (Intent.UNSAFE, "people")]
LINES = [
    (KINDS[0], ("what a day", "what a view")), (KINDS[1], ("stop here", "stop now", "halt")),
    (KINDS[2], ("run him over",)),
]


@pytest.fixture(autouse=True)
def _briefly(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(language, "EPOCHS", 40)
    monkeypatch.setattr(language, "BATCH", 64)


class Letters(SentenceEncoder):
    """Numbers drawn from the text alone: tells texts apart, knows nothing of meaning."""

    def __init__(self) -> None:
        """No weights."""

    def embed(self, texts: Sequence[str]) -> Embeddings:
        """See SentenceEncoder.embed."""
        rows = [np.random.default_rng(zlib.crc32(t.encode())).normal(size=SIZE) for t in texts]
        return np.stack([r / np.linalg.norm(r) for r in rows]).astype(np.float32)


def test_families_are_the_trained_wordings_line_by_line() -> None:
    lines = families()
    texts = [(kind, text) for kind, said in lines for text in said]
    assert len(texts) == len(set(texts))
    by_kind = wordings_by_kind(TRAINED)
    assert set(texts) == {(kind, text) for kind, said in by_kind.items() for text in said}
    assert len(lines) > 1000


def test_the_same_lines_give_the_same_head_and_it_knows_them() -> None:
    first, again = (fit(KINDS, LINES, Letters()) for _ in range(2))
    assert np.array_equal(first.first, again.first)
    for (intent, _), said in LINES:
        for text, embedding in zip(said, Letters().embed(said), strict=True):
            assert first.guess(embedding, text).kind[0] == intent


def test_leaning_makes_none_likelier_than_wishes_and_leaves_dangers() -> None:
    head = fit(KINDS, LINES, Letters())
    token = Letters().embed(["halt"])[0]
    plain = head.guess(token, "halt").intents
    leant = lean(head, (0.5, 0.25)).guess(token, "halt").intents

    def odds(found: dict[Intent, float], one: Intent, other: Intent) -> float:
        return float(np.log(found[one] / found[other]))

    for one, other, change in (
        (Intent.NONE, Intent.STOP, 0.75), (Intent.UNSAFE, Intent.STOP, 0.25),
        (Intent.NONE, Intent.UNSAFE, 0.5),
    ):
        difference = odds(leant, one, other) - odds(plain, one, other)
        assert difference == pytest.approx(change, abs=1e-3)


def share(irrelevant: float, unsafe: float, instructions: float) -> dict[str, float]:
    return {"irrelevant": irrelevant, "unsafe": unsafe, "instructions": instructions}


def test_chosen_is_what_understands_most_of_those_that_ignore_enough() -> None:
    found = {
        NO_LEANING: share(0.90, 0.93, 0.90), (0.4, 0.3): share(0.95, 0.93, 0.88),
        (0.8, 0.6): share(0.97, 0.94, 0.86), (0.8, 0.0): share(0.98, 0.91, 0.89),
    }
    assert choose(found) == (0.4, 0.3)


def test_no_danger_is_let_through_to_ignore_more() -> None:
    found = {
        NO_LEANING: share(0.90, 0.93, 0.90), (0.4, 0.6): share(0.93, 0.94, 0.86),
        (0.8, 0.0): share(0.98, 0.91, 0.89),
    }
    assert choose(found) == (0.4, 0.6)
