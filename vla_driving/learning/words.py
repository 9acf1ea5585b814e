"""Wordings of instructions as tokens: what the pilot learns to listen to.

Held-out wordings are never read here.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from vla_driving.contract.language import Intent
from vla_driving.learning.tensors import TEXT, FloatArray

MANOEUVRES = (
    Intent.MORE_DISTANCE, Intent.LESS_DISTANCE, Intent.STOP, Intent.GO_ON, Intent.CHANGE_LEFT,
    Intent.CHANGE_RIGHT, Intent.NEXT_LEFT, Intent.NEXT_RIGHT, Intent.NEXT_STRAIGHT,
    Intent.PULL_OVER,
)
"""What reaches the network as a token; speeds reach it as the speed limit."""
IDLE = (Intent.NONE, Intent.QUESTION, Intent.UNSAFE)
"""What changes nothing of the drive, should it reach the network at all."""


@dataclass(frozen=True)
class Words:
    """Tokens (N, 384) of the wordings of each intent."""

    tokens: Mapping[Intent, Tensor]

    def draw(self, intents: Tensor, idle: float, generator: torch.Generator) -> Tensor:
        """(F, 384) tokens for frames of one clip under `intents` (F,): one wording an intent.

        Frames without one get zeros, or, with the chance `idle`, words that ask for nothing.
        """
        device = intents.device
        text = torch.zeros(len(intents), TEXT, device=device)
        luck = float(torch.rand((), generator=generator, device=device))
        for number in intents.unique().tolist():
            intent = Intent(round(number))
            spoken = intent
            if intent not in MANOEUVRES:
                if luck >= idle:
                    continue
                spoken = self._pick(IDLE, generator)
            said = self.tokens[spoken].to(device)
            at = int(torch.randint(len(said), (), generator=generator, device=device))
            text[intents == number] = said[at]
        return text

    def sample(self, count: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        """(count, 384) tokens and their intents (count,), every intent as often."""
        device = generator.device
        intents = list(self.tokens)
        drawn = torch.randint(len(intents), (count,), generator=generator, device=device)
        rows = []
        for k in drawn.tolist():
            said = self.tokens[intents[k]]
            at = int(torch.randint(len(said), (), generator=generator, device=device))
            rows.append(said[at])
        meant = torch.tensor([int(intents[k]) for k in drawn.tolist()], device=device)
        return torch.stack(rows).to(device), meant

    def _pick(self, intents: tuple[Intent, ...], generator: torch.Generator) -> Intent:
        known = [i for i in intents if i in self.tokens]
        at = torch.randint(len(known), (), generator=generator, device=generator.device)
        return known[int(at)]


def trained_words(cache: Path) -> Words:
    """Tokens of the wordings to train on, worked out once and kept in `cache`.

    Raises EncoderError.
    """
    from vla_driving.vla.language.encoder import SentenceEncoder
    from vla_driving.vla.language.wordings import TRAINED, wordings

    texts = wordings(TRAINED)
    flat = [text for said in texts.values() for text in said]
    kept = _kept(cache, flat)
    if kept is None:
        kept = SentenceEncoder.load().embed(flat)
        cache.parent.mkdir(parents=True, exist_ok=True)
        temporary = cache.with_suffix(".part")
        with temporary.open("wb") as file:
            np.savez(file, texts=np.array(flat), tokens=kept)
        temporary.replace(cache)
    ends = np.cumsum([len(said) for said in texts.values()])
    parts = np.split(kept, ends[:-1])
    return Words({
        intent: torch.from_numpy(part.copy())
        for intent, part in zip(texts, parts, strict=True) if len(part)
    })


def _kept(cache: Path, flat: list[str]) -> FloatArray | None:
    if not cache.is_file():
        return None
    with np.load(cache) as data:
        return data["tokens"] if data["texts"].tolist() == flat else None
