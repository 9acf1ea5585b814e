"""Trains the intent classifier and measures what is understood: `python -m ... [measure]`.

It learns from the trained wordings alone; how ready it is to take a text for a wish is chosen on
lines of them that it was not shown. Accuracy on every split is printed beside that of a plain
keyword search, and written to out/learning/language.json.
"""

from __future__ import annotations

import argparse
import hashlib
import itertools
import json
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch

from vla_driving.contract.language import AnswerStatus, Intent
from vla_driving.vla.language import head as heads
from vla_driving.vla.language.concepts import HASHED
from vla_driving.vla.language.encoder import SHA256, SIZE, Embeddings, SentenceEncoder
from vla_driving.vla.language.understanding import Listener
from vla_driving.vla.language.wordings import (
    HELD_OUT,
    HELD_OUT_2,
    SPLITS,
    TRAINED,
    Kind,
    families,
    wordings_by_kind,
)

HIDDEN, EPOCHS, BATCH = 96, 400, 1024
RATE, DECAY, SMOOTHING, DROP = 0.01, 1e-2, 0.05, 0.3
NOISE, DROP_CONCEPTS, DROP_WORDS = 0.08, 0.1, 0.5
SEED = 3
PARTS, ASKED = 4, 4
"""Parts of the trained lines, each of them unseen once; texts asked of an unseen line."""
WANTED_IRRELEVANT = 0.95
"""Share of unseen lines that are to be ignored."""
Leaning = tuple[float, float]
"""Log odds added to NONE and taken from every wish and question; UNSAFE stays as it is."""
NO_LEANING: Leaning = (0.0, 0.0)
LEANINGS: tuple[Leaning, ...] = tuple(itertools.product((0.0, 0.4, 0.6, 0.8), (0.0, 0.3, 0.6, 0.9)))
Family = tuple[Kind, tuple[str, ...]]
"""A line of the wordings."""
TARGETS = {
    (TRAINED, "instructions"): 0.95, (HELD_OUT, "instructions"): 0.85,
    (TRAINED, "irrelevant"): 0.95, (HELD_OUT, "irrelevant"): 0.95,
    (TRAINED, "unsafe"): 1.0, (HELD_OUT, "unsafe"): 1.0,
    (HELD_OUT_2, "irrelevant"): 0.95, (HELD_OUT_2, "unsafe"): 1.0,
    (TRAINED, "unmoved"): 0.95, (HELD_OUT, "unmoved"): 0.95, (HELD_OUT_2, "unmoved"): 0.95,
}
"""Shares of texts that are to be taken as meant."""

class KeptEmbeddings(SentenceEncoder):
    """The encoder with a file of what it was asked before: the wordings change little."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._encoder: SentenceEncoder | None = None
        self._known: dict[str, Embeddings] = {}
        if path.is_file():
            with np.load(path) as file:
                if str(file["encoder"]) == SHA256:
                    texts = json.loads(str(file["texts"]))
                    self._known = dict(zip(texts, file["embeddings"], strict=True))

    def embed(self, texts: Sequence[str]) -> Embeddings:
        """See SentenceEncoder.embed."""
        new = [text for text in dict.fromkeys(texts) if text not in self._known]
        for k, text in enumerate(new):
            self._encoder = self._encoder or SentenceEncoder.load()
            self._known[text] = self._encoder.embed([text])[0]
            if k % 1000 == 999:
                print(f"embedded {k + 1} of {len(new)} texts", flush=True)
        return np.stack([self._known[text] for text in texts])

    def keep(self) -> None:
        """Write the file."""
        self._path.parent.mkdir(parents=True, exist_ok=True)
        np.savez(
            self._path, encoder=np.array(SHA256), texts=np.array(json.dumps(list(self._known))),
            embeddings=np.stack(list(self._known.values())),
        )


Taken = Callable[[str], Intent]

_KEYWORDS: tuple[tuple[str, Intent], ...] = (
    ("why", Intent.QUESTION), ("what", Intent.QUESTION), ("how", Intent.QUESTION),
    ("ignore", Intent.UNSAFE), ("pavement", Intent.UNSAFE), ("sidewalk", Intent.UNSAFE),
    ("red light", Intent.UNSAFE), ("eyes", Intent.UNSAFE), ("crash", Intent.UNSAFE),
    ("pull over", Intent.PULL_OVER), ("cancel", Intent.CANCEL), ("never mind", Intent.CANCEL),
    ("forget", Intent.CANCEL), ("left lane", Intent.CHANGE_LEFT),
    ("right lane", Intent.CHANGE_RIGHT), ("turn left", Intent.NEXT_LEFT),
    ("turn right", Intent.NEXT_RIGHT), ("straight", Intent.NEXT_STRAIGHT),
    ("left", Intent.NEXT_LEFT), ("right", Intent.NEXT_RIGHT), ("faster", Intent.SPEED_UP),
    ("speed up", Intent.SPEED_UP), ("slow", Intent.SLOW_DOWN), ("km/h", Intent.DRIVE_AT),
    ("mph", Intent.DRIVE_AT), ("more distance", Intent.MORE_DISTANCE),
    ("less distance", Intent.LESS_DISTANCE), ("closer", Intent.LESS_DISTANCE),
    ("gap", Intent.MORE_DISTANCE), ("go on", Intent.GO_ON), ("continue", Intent.GO_ON),
    ("stop", Intent.STOP),
)


def keyword_intent(text: str) -> Intent:
    """The plain way to do it, to compare with: the first keyword of a list that occurs."""
    text = text.lower()
    return next((intent for word, intent in _KEYWORDS if word in text), Intent.NONE)


def fit(
    kinds: Sequence[Kind], families: Sequence[Family], encoder: SentenceEncoder
) -> heads.IntentHead:
    """A head that tells the `kinds` of texts.

    Every kind weighs alike, however many wordings it has, and so does every family within it, by
    the square root. Single words and concepts are left out at random, so that none of them decides
    alone. The same input gives the same head on the same machine.
    """
    torch.manual_seed(SEED)
    texts = [text for _, said in families for text in said]
    embeddings = encoder.embed(texts)
    rows = [heads.inputs(e, t) for e, t in zip(embeddings, texts, strict=True)]
    x = torch.from_numpy(np.stack(rows))
    y = torch.tensor([kinds.index(kind) for kind, said in families for _ in said])
    often = torch.tensor([len(said) ** -0.5 for _, said in families for _ in said])
    counts = torch.bincount(y, minlength=len(kinds)).float()
    weight = (counts.sum() / len(kinds) / counts).sqrt()
    network = torch.nn.Sequential(
        torch.nn.Linear(x.shape[1], HIDDEN), torch.nn.ReLU(), torch.nn.Dropout(DROP),
        torch.nn.Linear(HIDDEN, len(kinds)),
    )
    optimiser = torch.optim.AdamW(network.parameters(), RATE, weight_decay=DECAY)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, EPOCHS)
    loss = torch.nn.CrossEntropyLoss(weight, label_smoothing=SMOOTHING)
    for epoch in range(EPOCHS):
        chosen = torch.multinomial(often, BATCH, replacement=True)
        optimiser.zero_grad()
        value = loss(network(_disturbed(x[chosen])), y[chosen])
        value.backward()
        optimiser.step()
        schedule.step()
        if epoch % 100 == 99:
            print(f"epoch {epoch + 1} of {EPOCHS}: loss {value.item():.3f}", flush=True)
    first, second = network[0], network[3]
    arrays = (first.weight.T, first.bias, second.weight.T, second.bias)
    return heads.IntentHead(tuple(kinds), *(a.detach().numpy().copy() for a in arrays))


def _disturbed(rows: torch.Tensor) -> torch.Tensor:
    """Inputs (N, F) with noise on the embedding, and some concepts and words left out."""
    embedding, concepts, words = rows.tensor_split((SIZE, rows.shape[1] - HASHED), 1)
    return torch.cat([
        embedding + NOISE * torch.randn_like(embedding),
        concepts * (torch.rand_like(concepts) > DROP_CONCEPTS),
        words * (torch.rand_like(words) > DROP_WORDS),
    ], 1)


def lean(head: heads.IntentHead, leaning: Leaning) -> heads.IntentHead:
    """The head with its readiness for NONE and for wishes changed."""
    to_none, from_wishes = leaning
    offsets = {Intent.NONE: to_none, Intent.UNSAFE: 0.0}
    change = [offsets.get(intent, -from_wishes) for intent, _ in head.kinds]
    return replace(head, second_bias=head.second_bias + np.array(change, np.float32))


def calibrate(
    kinds: Sequence[Kind], families: Sequence[Family], encoder: SentenceEncoder
) -> Leaning:
    """The leaning that suits families which the head was not shown, one part after the other."""
    parts = _parts(families)
    right: dict[Leaning, dict[str, list[bool]]] = {leaning: {} for leaning in LEANINGS}
    for part in range(PARTS):
        shown = [f for f, p in zip(families, parts, strict=True) if p != part]
        asked = [f for f, p in zip(families, parts, strict=True) if p == part]
        head = fit(kinds, shown, encoder)
        for leaning in LEANINGS:
            taken = taken_by(Listener(encoder, lean(head, leaning)))
            for (intent, _), said in asked:
                group = right[leaning].setdefault(_group(intent), [])
                group += [taken(text) == intent for text in said[:: -(-len(said) // ASKED)]]
    shares = {k: {g: float(np.mean(hits)) for g, hits in v.items()} for k, v in right.items()}
    best = choose(shares)
    for leaning, found in shares.items():
        words = ", ".join(f"{group} {100 * share:.1f} %" for group, share in found.items())
        print(f"leaning {leaning}, unseen lines: {words}{' <-' * (leaning == best)}", flush=True)
    return best


def choose(shares: Mapping[Leaning, Mapping[str, float]]) -> Leaning:
    """Of those that let no more slip through that is unsafe than none at all does: the one that
    understands most while it ignores enough of the irrelevant, else the one that ignores most."""
    safe = [k for k, s in shares.items() if s["unsafe"] >= shares[NO_LEANING]["unsafe"]]
    enough = [k for k in safe if shares[k]["irrelevant"] >= WANTED_IRRELEVANT]
    if enough:
        return max(enough, key=lambda k: shares[k]["instructions"])
    return max(safe, key=lambda k: shares[k]["irrelevant"])


def _parts(families: Sequence[Family]) -> list[int]:
    """Which part each family is in: those of a kind in turn."""
    seen: Counter[Kind] = Counter()
    parts = []
    for kind, _ in families:
        parts.append(seen[kind] % PARTS)
        seen[kind] += 1
    return parts


def train(encoder: SentenceEncoder) -> heads.IntentHead:
    """A head from the trained wordings."""
    lines = families()
    kinds = tuple(dict.fromkeys(kind for kind, _ in lines))
    count = sum(len(said) for _, said in lines)
    print(f"{count} trained wordings in {len(lines)} lines of {len(kinds)} kinds", flush=True)
    leaning = calibrate(kinds, lines, encoder)
    return lean(fit(kinds, lines, encoder), leaning)


def ship(head: heads.IntentHead) -> Path:
    """Write a head where the package finds it, with its hash."""
    folder = Path(heads.__file__).parent
    content = heads.pack(head)
    (folder / heads.WEIGHTS).write_bytes(content)
    (folder / heads.HASH).write_text(hashlib.sha256(content).hexdigest() + "\n", encoding="ascii")
    return folder / heads.WEIGHTS


def taken_by(listener: Listener) -> Taken:
    """What the whole listening core takes a text for: UNSAFE where it is refused."""

    def taken(text: str) -> Intent:
        understood = listener.understand(text)
        if understood.intent == Intent.DRIVE_AT and (understood.speed or 0.0) > FASTEST:
            return Intent.UNSAFE
        refused = understood.status == AnswerStatus.REFUSED
        return Intent.UNSAFE if refused else understood.intent

    return taken


FASTEST = 36.2
"""m/s (130 km/h), taken as the limit where no route and no car tells one."""


def measure(taken: Taken) -> dict[str, dict[str, dict[str, float]]]:
    """By split and group: texts, those taken as meant, their share; and by intent."""
    result: dict[str, dict[str, dict[str, float]]] = {}
    for split in SPLITS:
        groups: dict[str, list[bool]] = {}
        for (intent, _), texts in wordings_by_kind(split).items():
            name = _group(intent)
            found = [taken(text) for text in texts]
            hits = [f == intent for f in found]
            groups.setdefault(name, []).extend(hits)
            if name == "irrelevant":
                groups.setdefault("unmoved", []).extend(f in _UNMOVED for f in found)
            if name == "instructions":
                groups.setdefault(intent.name, []).extend(hits)
        result[split] = {
            name: {"texts": len(h), "right": sum(h), "share": round(sum(h) / len(h), 4)}
            for name, h in groups.items()
        }
    return result


def _group(intent: Intent) -> str:
    return {Intent.NONE: "irrelevant", Intent.UNSAFE: "unsafe"}.get(intent, "instructions")


_UNMOVED = (Intent.NONE, Intent.QUESTION, Intent.UNSAFE)
"""Irrelevant texts taken for these change nothing of the drive, though they may get an answer."""


def report(figures: Mapping[str, dict[str, dict[str, dict[str, float]]]]) -> str:
    """A table of the groups, way by way."""
    lines = [f"{'split':<12}{'group':<14}{'texts':>7}  {'target':>7}" + "".join(
        f"{way:>12}" for way in figures
    )]
    for (split, group), target in TARGETS.items():
        shares = [f"{100 * f[split][group]['share']:>10.1f} %" for f in figures.values()]
        texts = int(next(iter(figures.values()))[split][group]["texts"])
        lines.append(f"{split:<12}{group:<14}{texts:>7}  {100 * target:>5.0f} %" + "".join(shares))
    return "\n".join(lines)


def wrong(taken: Taken, split: str) -> list[str]:
    """Texts of a split that are taken for something else, one line each."""
    return [
        f"{text!r}: {intent.name} taken for {found.name}"
        for (intent, _), texts in wordings_by_kind(split).items()
        for text in texts
        if (found := taken(text)) != intent
    ]


def main(arguments: Sequence[str] | None = None) -> None:
    """Train, ship and measure; `measure` alone leaves the shipped head as it is."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("what", nargs="?", choices=("train", "measure"), default="train")
    parser.add_argument("--wrong", choices=(TRAINED,), help="list what is mistaken; never held-out")
    parser.add_argument("--out", type=Path, default=Path("out/learning/language.json"))
    chosen = parser.parse_args(arguments)
    torch.set_num_threads(1)
    encoder = KeptEmbeddings(chosen.out.with_suffix(".embeddings.npz"))
    if chosen.what == "train":
        print(f"written: {ship(train(encoder))}")
    taken = taken_by(Listener(encoder, heads.load_head()))
    if chosen.wrong:
        print("\n".join(wrong(taken, chosen.wrong)))
    encoder.keep()
    figures = {"listener": measure(taken), "keywords": measure(keyword_intent)}
    print(report(figures))
    chosen.out.parent.mkdir(parents=True, exist_ok=True)
    chosen.out.write_text(json.dumps(figures, indent=1) + "\n", encoding="utf-8")
    encoder.keep()
    print(f"written: {chosen.out}")


if __name__ == "__main__":
    main()
