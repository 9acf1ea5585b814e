"""The trained intent classifier: which intent and kind a text has, from embedding and concepts.

One hidden layer over numpy; `python -m vla_driving.learning.language` trains it.
"""

from __future__ import annotations

import hashlib
import io
import json
from dataclasses import dataclass
from importlib import resources
from typing import Any

import numpy as np
import numpy.typing as npt

from vla_driving.contract.language import Intent
from vla_driving.vla.language import concepts
from vla_driving.vla.language.encoder import SHA256, Embeddings
from vla_driving.vla.language.wordings import Kind

WEIGHTS, HASH = "head.npz", "head.sha256"
EMBEDDING_SCALE = 4.0
"""A unit vector of 384 numbers counts for about as much as the concepts beside it."""
REMEDY = "train it anew: python -m vla_driving.learning.language"

FloatArray = npt.NDArray[np.float32]


class HeadError(ValueError):
    """One line that names the file and what does not fit."""


@dataclass(frozen=True)
class Guess:
    """Probabilities of intents, the likeliest kind, and the likeliest kind of UNSAFE."""

    kind: Kind
    probability: float
    intents: dict[Intent, float]
    unsafe_kind: str


@dataclass(frozen=True, eq=False)
class IntentHead:
    """Weights (F, H), (H,), (H, K), (K,) and what the K outputs mean."""

    kinds: tuple[Kind, ...]
    first: FloatArray
    first_bias: FloatArray
    second: FloatArray
    second_bias: FloatArray

    def guess(self, embedding: Embeddings, text: str) -> Guess:
        """What a text is taken for; `embedding` (384,) is its own."""
        hidden = np.maximum(0.0, inputs(embedding, text) @ self.first + self.first_bias)
        scores = hidden @ self.second + self.second_bias
        share = np.exp(scores - scores.max())
        share /= share.sum()
        intents = dict.fromkeys(Intent, 0.0)
        for (intent, _), p in zip(self.kinds, share, strict=True):
            intents[intent] += float(p)
        likeliest = max(intents, key=lambda i: intents[i])
        return Guess(
            (likeliest, self._kind_of(likeliest, share)), intents[likeliest], intents,
            self._kind_of(Intent.UNSAFE, share),
        )

    def _kind_of(self, intent: Intent, share: FloatArray) -> str:
        of_intent = [k for k, (other, _) in enumerate(self.kinds) if other == intent]
        return self.kinds[max(of_intent, key=lambda k: share[k])][1] if of_intent else ""


def inputs(embedding: Embeddings, text: str) -> FloatArray:
    """(F,) what the classifier sees of a text."""
    return np.concatenate([EMBEDDING_SCALE * embedding, concepts.features(text)])


def fingerprint() -> str:
    """What the weights depend on: the encoder, and the concepts in their order."""
    content = json.dumps(
        [SHA256, concepts.HASHED, {n: p.pattern for n, p in concepts.concepts().items()}]
    )
    return hashlib.sha256(content.encode()).hexdigest()


def pack(head: IntentHead) -> bytes:
    """The file of a head: weights in half precision."""
    arrays: dict[str, Any] = {
        name: getattr(head, name).astype(np.float16)
        for name in ("first", "first_bias", "second", "second_bias")
    }
    kinds = json.dumps([[intent.name, kind] for intent, kind in head.kinds])
    buffer = io.BytesIO()
    np.savez(buffer, kinds=np.array(kinds), fingerprint=np.array(fingerprint()), **arrays)
    return buffer.getvalue()


def load_head() -> IntentHead:
    """The shipped head. Raises HeadError."""
    folder = resources.files(__package__)
    try:
        content = folder.joinpath(WEIGHTS).read_bytes()
        wanted = folder.joinpath(HASH).read_text(encoding="ascii").strip()
    except OSError as error:
        raise HeadError(f"{error.filename}: {error.strerror}: {REMEDY}") from None
    if (found := hashlib.sha256(content).hexdigest()) != wanted:
        raise HeadError(f"{WEIGHTS}: sha256 {found[:12]}… instead of {wanted[:12]}…: {REMEDY}")
    with np.load(io.BytesIO(content)) as file:
        if str(file["fingerprint"]) != fingerprint():
            raise HeadError(f"{WEIGHTS}: made for another encoder or other concepts: {REMEDY}")
        kinds = tuple((Intent[name], kind) for name, kind in json.loads(str(file["kinds"])))
        return IntentHead(kinds, *(
            file[name].astype(np.float32)
            for name in ("first", "first_bias", "second", "second_bias")
        ))
