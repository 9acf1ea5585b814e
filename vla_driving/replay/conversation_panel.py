"""What is said in the car, written onto a picture: the instruction that counts, and a remark."""

from __future__ import annotations

from vla_driving.contract.frames import Image
from vla_driving.contract.language import AnswerStatus
from vla_driving.replay import canvas
from vla_driving.replay.canvas import Colour
from vla_driving.replay.conversation import Exchange, Spoken

STATUS_COLOURS: dict[AnswerStatus, Colour] = {
    AnswerStatus.ACCEPTED: canvas.BLUE, AnswerStatus.REFUSED: canvas.RED,
    AnswerStatus.IGNORED: canvas.GREY, AnswerStatus.DONE: canvas.GREEN,
    AnswerStatus.CANCELLED: canvas.AMBER, AnswerStatus.EXPIRED: canvas.AMBER,
    AnswerStatus.ANSWERED: canvas.CYAN, AnswerStatus.REMARK: canvas.CYAN,
}
SOFT: Colour = (205, 212, 222)
PADDING, GAP = 16, 8
LABEL, SAID, ANSWER = 12, 18, 14
"""Sizes of the lines."""
MOST_LINES = 4

Row = tuple[str, int, Colour]
"""Words, size, colour."""


def draw_conversation(image: Image, spoken: Spoken, left: int, top: int, width: int) -> None:
    """Panels one below the other from (left, top) on; nothing where nothing is said."""
    for rows in (_exchange(spoken, width), _remark(spoken, width)):
        if rows:
            top += _panel(image, rows, left, top, width) + GAP


def status_words(exchange: Exchange, holds: bool) -> str:
    """What became of an instruction, in a word or two."""
    if exchange.latest is None:
        return "heard"
    word = exchange.latest.status.name.lower()
    return f"{word}, still holds" if holds and not exchange.open else word


def _exchange(spoken: Spoken, width: int) -> list[Row]:
    exchange = spoken.exchange
    if exchange is None:
        return []
    room = width - 2 * PADDING
    answer = exchange.latest
    colour = canvas.GREY if answer is None else STATUS_COLOURS[answer.status]
    text = exchange.said.value.text
    rows: list[Row] = [("passenger", LABEL, canvas.GREY)]
    said = f"“{text}”" if text else "takes everything back"
    rows += [(line, SAID, canvas.WHITE) for line in canvas.wrapped(said, SAID, room, 2)]
    rows.append((status_words(exchange, spoken.holds), ANSWER, colour))
    if answer is not None:
        words = answer.text.removeprefix("refused: ")
        rows += [(line, ANSWER, SOFT) for line in canvas.wrapped(words, ANSWER, room, MOST_LINES)]
    return rows


def _remark(spoken: Spoken, width: int) -> list[Row]:
    if spoken.remark is None:
        return []
    lines = canvas.wrapped(spoken.remark.text, ANSWER, width - 2 * PADDING, MOST_LINES)
    return [("the car says", LABEL, canvas.CYAN), *((line, ANSWER, SOFT) for line in lines)]


def _panel(image: Image, rows: list[Row], left: int, top: int, width: int) -> int:
    """Draw the rows on a panel as wide as they need; its height."""
    height = sum(_height(size) for _, size, _ in rows) + 16
    wide = max(canvas.text_width(words, size) for words, size, _ in rows) + 2 * PADDING
    # Few different widths, as each is drawn once and kept.
    canvas.panel(image, left, top, min(width, (wide + 63) // 64 * 64), height, canvas.DARK, 190, 14)
    line = top + 8
    for words, size, colour in rows:
        canvas.text(image, words, left + PADDING, line, size, colour)
        line += _height(size)
    return height


def _height(size: int) -> int:
    return round(1.3 * size)
