"""Wordings, numbers, screening, encoder and head."""

from __future__ import annotations

import re

import numpy as np
import pytest

pytest.importorskip("tokenizers", reason="tokenizers is missing: requirements/language.txt")

from hypothesis import given
from hypothesis import strategies as st
from language_drive import listener

from vla_driving.contract.language import AnswerStatus, Intent
from vla_driving.vla.language import encoder, head
from vla_driving.vla.language.concepts import features, named
from vla_driving.vla.language.encoder import EncoderError, SentenceEncoder
from vla_driving.vla.language.head import HeadError, load_head
from vla_driving.vla.language.quantities import Quantity, Unit, quantities, said_speed
from vla_driving.vla.language.screening import screen
from vla_driving.vla.language.wordings import WordingsError, bare, expand, parse, wordings

ASKED = set(Intent)


def test_there_are_enough_wordings_and_none_is_in_both_splits() -> None:
    trained, held_out = wordings("trained"), wordings("held_out")
    assert set(trained) == set(held_out) == ASKED
    assert all(len(texts) >= 40 for texts in trained.values())
    assert all(len(texts) >= 20 for texts in held_out.values())
    assert len(trained[Intent.NONE]) + len(held_out[Intent.NONE]) >= 200
    assert len(trained[Intent.UNSAFE]) + len(held_out[Intent.UNSAFE]) >= 100
    known = {bare(text) for texts in trained.values() for text in texts}
    assert not [text for texts in held_out.values() for text in texts if bare(text) in known]


def test_templates_expand() -> None:
    assert expand("{go|drive} {a bit |}faster") == (
        "go a bit faster", "go faster", "drive a bit faster", "drive faster",
    )
    assert expand("{a|{b|c} d}") == ("a", "b d", "c d")


@pytest.mark.parametrize(
    ("text", "error"),
    [("go\n", "x:1: 'go' stands before the first"), ("[FLY]\n", r"x:1: '\[FLY\]' is no"),
     ("[STOP\n", r"x:1: '\[STOP' is no")],
)
def test_bad_wordings_are_named(text: str, error: str) -> None:
    with pytest.raises(WordingsError, match=error):
        parse(text, "x")


def test_an_unknown_split_is_named() -> None:
    with pytest.raises(WordingsError, match="'test' is not one of trained, held_out, "):
        wordings("test")


@pytest.mark.parametrize(
    ("text", "speed"),
    [
        ("drive at 36 km/h", 10.0), ("go thirty six kph", 10.0), ("do 10 m/s", 10.0),
        ("20 mph", 8.9408), ("twenty-five miles per hour", 11.176), ("go 72", 20.0),
        ("one hundred and eight kilometres an hour", 30.0), ("a hundred km/h", 27.7778),
        ("two hundred", 55.5556), ("at walking pace", 1.3889), ("4,5 m/s", 4.5),
        ("keep 3 seconds and 36 km/h", 10.0),
    ],
)
def test_speeds(text: str, speed: float) -> None:
    assert said_speed(text) == pytest.approx(speed, abs=1e-3)


def test_other_numbers() -> None:
    assert quantities("keep 20 metres or two seconds") == (
        Quantity(20.0, Unit.METRES), Quantity(2.0, Unit.SECONDS),
    )
    assert said_speed("keep 20 metres") is None and said_speed("drive") is None


@given(st.text(max_size=300))
def test_reading_numbers_and_words_never_fails(text: str) -> None:
    quantities(text)
    named(text)
    assert np.isfinite(features(text)).all()
    screen(text)


@pytest.mark.parametrize(
    ("text", "status", "why"),
    [
        ("a" * 257, AnswerStatus.REFUSED, "257 characters, at most 256"),
        ("go\x00", AnswerStatus.REFUSED, "U+0000"),
        ("go\u200b", AnswerStatus.REFUSED, "U+200B"),
        ("gehe bitte links", AnswerStatus.IGNORED, "German"),
        ("もっとゆっくり", AnswerStatus.IGNORED, "Japanese"),
    ],
)
def test_screening(text: str, status: AnswerStatus, why: str) -> None:
    rejection = screen(text)
    assert rejection is not None and rejection.status == status and why in rejection.reason


@pytest.mark.parametrize("text", ["a" * 256, "go\tfaster\n", "café on the left", "stop", "30 km/h"])
def test_sound_text_passes_the_screen(text: str) -> None:
    assert screen(text) is None


def test_negation_reaches_what_follows() -> None:
    assert "stop" in named("don't stop here")[1]
    assert "stop" in named("stop here")[0]


def test_the_encoder_tells_meanings_apart_whatever_the_length() -> None:
    model = SentenceEncoder.load()
    rows = model.embed(["slow down please", "reduce your speed", "I love pasta", "", "x " * 200])
    assert rows.shape == (5, 384) and rows.dtype == np.float32
    assert np.linalg.norm(rows, axis=1) == pytest.approx(1.0, abs=1e-4)
    assert rows[0] @ rows[1] > rows[0] @ rows[2] + 0.2
    assert np.array_equal(model.embed(["slow down please"])[0], rows[0])


@pytest.mark.parametrize("text", ["slow down please", "turn left, then stop", "Ärger & 東京!", ""])
def test_the_graph_computes_what_the_packages_own_torch_model_does(text: str) -> None:
    torch = pytest.importorskip("torch", reason="torch is not installed")
    transformers = pytest.importorskip("transformers", reason="transformers is not installed")
    folder = str(encoder._folder())
    tokens = transformers.AutoTokenizer.from_pretrained(folder)([text], return_tensors="pt")
    with torch.no_grad():
        hidden = transformers.AutoModel.from_pretrained(folder).eval()(**tokens).last_hidden_state
    mean = hidden[0].mean(0)
    wanted = (mean / mean.norm()).numpy()
    assert np.abs(SentenceEncoder.load().embed([text])[0] - wanted).max() < 1e-5


def test_a_missing_encoder_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(encoder, "PACKAGE", "no_such_package")
    with pytest.raises(EncoderError, match=r"no_such_package is not installed: install .*language"):
        SentenceEncoder.load()


def test_other_weights_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(encoder, "SHA256", "0" * 64)
    with pytest.raises(EncoderError, match=r"model.safetensors: sha256 .* instead of 000000000000"):
        SentenceEncoder.load()


def test_a_head_for_other_concepts_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    assert len(load_head().kinds) == len(set(load_head().kinds)) > len(ASKED)
    monkeypatch.setattr(head, "SHA256", "0" * 64)
    with pytest.raises(HeadError, match="made for another encoder or other concepts"):
        load_head()


@pytest.mark.parametrize(
    ("text", "intent"),
    [
        ("don't drive so fast", Intent.SLOW_DOWN), ("don't go so slowly", Intent.SPEED_UP),
        ("not so close", Intent.MORE_DISTANCE), ("don't turn left, turn right", Intent.NEXT_RIGHT),
        ("don't stop", Intent.GO_ON), ("never mind", Intent.CANCEL), ("STOP!!!", Intent.STOP),
        ("   Please   pull over.  ", Intent.PULL_OVER), ("", Intent.CANCEL),
        (" \t ", Intent.CANCEL),
    ],
)
def test_meanings_that_one_word_turns(text: str, intent: Intent) -> None:
    assert listener().understand(text).intent == intent


def test_the_held_out_wordings_reach_the_target() -> None:
    """Coarse: python -m vla_driving.learning.language measure prints the figures."""
    texts = [
        (intent, text) for intent, all_of_it in wordings("held_out").items()
        if intent not in (Intent.NONE, Intent.UNSAFE) for text in all_of_it[::4]
    ]
    right = sum(listener().understand(text).intent == intent for intent, text in texts)
    assert right >= 0.85 * len(texts)


def test_no_path_or_host_is_in_the_wordings() -> None:
    texts = [t for split in ("trained", "held_out") for v in wordings(split).values() for t in v]
    assert not [t for t in texts if re.search(r"https?:|www\.", t)]
