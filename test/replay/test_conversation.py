"""What was said in the car: paired, shown at its time, and told by summary, video and page."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from synthetic_drive import ROOT, SECOND, START, Script, camera, write_drive
from test_summary import MODEL, rates

from vla_driving.contract.language import Answer, AnswerStatus, Command, Intent
from vla_driving.contract.navigation import Instruction
from vla_driving.contract.vehicle import load_vehicle
from vla_driving.replay import canvas
from vla_driving.replay.conversation import SHOWN_S, Conversation, Spoken, exchanges
from vla_driving.replay.conversation_panel import draw_conversation, status_words
from vla_driving.replay.drive import Arrived, Drive
from vla_driving.replay.outputs import Outputs, Source, demo_outputs

LATER = START + 3600 * SECOND


def source() -> Source:
    vehicle = load_vehicle(ROOT / "config/vehicles/metadrive_sedan.yaml")
    return Source(MODEL, camera(), camera(), vehicle, rates())


def at(t: float) -> int:
    return START + round(t * SECOND)


def instruction(t: float, number: int, text: str) -> Instruction:
    return Instruction(at(t), number, text, "test", 0)


def answer(t: float, number: int, status: AnswerStatus, text: str) -> Answer:
    return Answer(at(t), number, status, text, ())


def command(t: float, number: int, expires_ns: int = LATER) -> Command:
    return Command(
        at(t), 1, number, Intent.NONE, 5.0 if number else 0.0, 0.0, np.zeros(0, np.float32),
        expires_ns,
    )


SAID: tuple[tuple[float, str, Any], ...] = (
    (1.5, "/vla/instruction", instruction(1.5, 7, "slow <b>down</b>")),
    (1.6, "/vla/command", command(1.6, 7)),
    (1.7, "/vla/answer", answer(1.7, 7, AnswerStatus.ACCEPTED, "drive slower, 18 km/h")),
    (2.0, "/vla/instruction", instruction(2.0, 8, "go 200")),
    (2.1, "/vla/answer", answer(2.1, 8, AnswerStatus.REFUSED, "refused: above the limit")),
    (2.2, "/vla/instruction", instruction(1.5, 7, "slow <b>down</b>")),
    (2.5, "/vla/answer", answer(2.4, 0, AnswerStatus.REMARK, "car ahead, so slow to 5 m/s")),
    (3.0, "/vla/answer", answer(3.0, 7, AnswerStatus.DONE, "drive slower, 18 km/h: done")),
    (3.5, "/vla/instruction", instruction(3.5, 9, "")),
)


def drive_of(said: tuple[tuple[float, str, Any], ...]) -> Drive:
    drive = Drive()
    lists = {"/vla/instruction": drive.instructions, "/vla/command": drive.wishes,
             "/vla/answer": drive.answers}
    for t, topic, value in said:
        lists[topic].append(Arrived(at(t), value))  # type: ignore[attr-defined]
    return drive


def test_answers_go_to_their_instruction_and_one_said_twice_counts_once() -> None:
    found = exchanges(drive_of(SAID))
    assert [e.said.value.id for e in found] == [7, 8, 9]
    assert [[a.value.status.name for a in e.answers] for e in found] == [
        ["ACCEPTED", "DONE"], ["REFUSED"], []
    ]


@pytest.mark.parametrize(
    ("t", "number", "words", "remark"),
    [
        (1.4, None, "", False),
        (1.55, 7, "heard", False),
        (1.8, 7, "accepted", False),
        (2.15, 8, "refused", False),
        (3.1, 8, "refused", True),
        (3.6, 9, "heard", True),
        # The last word on 9 never came; once it is old news, the wish that holds is shown.
        (3.6 + SHOWN_S, 7, "done, still holds", False),
    ],
)
def test_shown_is_the_newest_then_the_one_that_holds(
    t: float, number: int | None, words: str, remark: bool
) -> None:
    spoken = Conversation(drive_of(SAID)).at(at(t))
    assert (spoken.remark is not None) == remark
    if number is None:
        assert spoken.exchange is None
    else:
        assert spoken.exchange is not None and spoken.exchange.said.value.id == number
        assert status_words(spoken.exchange, spoken.holds) == words


def test_nothing_is_shown_once_the_wish_has_ended() -> None:
    ended = (*SAID[:3], (4.0, "/vla/command", command(4.0, 0)))
    assert Conversation(drive_of(ended)).at(at(4.0 + SHOWN_S)).exchange is None
    expired = (*SAID[:1], (1.6, "/vla/command", command(1.6, 7, at(5.0))))
    conversation = Conversation(drive_of(expired))
    assert conversation.at(at(4.9)).holds and not conversation.at(at(5.1)).holds


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory) -> Outputs:
    folder = tmp_path_factory.mktemp("talk")
    script = Script(duration=4.0, images=False, said=SAID)
    return demo_outputs(write_drive(folder / "bag", script), folder / "out", source())


def test_the_summary_tells_each_instruction_and_what_became_of_it(told: Outputs) -> None:
    rows = told.summary["instructions"]
    assert [(r["at_s"], r["text"], r["status"]) for r in rows] == [
        (0.5, "slow <b>down</b>", "DONE"), (1.0, "go 200", "REFUSED"), (2.5, "", None)
    ]
    assert [a["at_s"] for a in rows[0]["answers"]] == [0.7, 2.0]
    assert told.summary["remarks"] == [
        {"at_s": 1.5, "status": "REMARK", "text": "car ahead, so slow to 5 m/s"}
    ]


def test_the_page_has_them_by_time_and_escaped(told: Outputs) -> None:
    page = Path(told.files[2]).read_text()
    order = [page.index(words) for words in (
        "What was said", "slow &lt;b&gt;down", ">accepted<", ">done<", ">refused<", "above the",
        "so slow to 5", "takes everything back", "no answer",
    )]
    assert order == sorted(order) and "slow <b>" not in page


def test_a_drive_in_silence_has_no_table(tmp_path: Path) -> None:
    bag = write_drive(tmp_path / "bag", Script(duration=2.0, images=False))
    out = demo_outputs(bag, tmp_path / "out", source())
    assert out.summary["instructions"] == out.summary["remarks"] == []
    assert "What was said" not in out.files[2].read_text()


def test_panels_stay_in_their_column_and_silence_draws_nothing() -> None:
    long = Drive()
    long.instructions.append(Arrived(at(0), instruction(0, 1, "drive slower please " * 12)))
    long.answers.append(Arrived(at(0), answer(0, 1, AnswerStatus.IGNORED, "because of " * 40)))
    long.answers.append(Arrived(at(0), answer(0, 0, AnswerStatus.REMARK, "x" * 500)))
    image = np.full((576, 1024, 3), 90, np.uint8)
    draw_conversation(image, Spoken(), 20, 124, 336)
    assert (image == 90).all()
    draw_conversation(image, Conversation(long).at(at(1.0)), 20, 124, 336)
    rows, columns = np.nonzero((image != 90).any(2))
    assert columns.min() >= 20 and columns.max() < 356
    assert rows.min() >= 124 and rows.max() < 470  # above the reasons


def test_lines_are_wrapped_whole_and_the_last_is_cut() -> None:
    words = "one two three four five six seven eight nine ten"
    lines = canvas.wrapped(words, 14, 100, 9)
    assert " ".join(lines) == words and all(canvas.text_width(w, 14) <= 100 for w in lines)
    short = canvas.wrapped(words, 14, 100, 2)
    assert len(short) == 2 and short[1].endswith("...")
    assert canvas.wrapped("", 14, 100, 2) == []
