"""Scripted drives: line by line the monitor says and approves what it did when they were read."""

from __future__ import annotations

from itertools import zip_longest

import pytest
from drive_log import DRIVES, LOGS, log_of

pytestmark = pytest.mark.requirement("SR-26")


@pytest.mark.parametrize("name", DRIVES)
def test_a_drive_goes_as_it_is_written_down(name: str) -> None:
    written = (LOGS / f"{name}.txt").read_text(encoding="utf-8").splitlines()[1:]
    for number, (now, then) in enumerate(zip_longest(log_of(name), written), 2):
        assert now == then, f"{name}.txt, line {number}"


def test_every_log_is_of_a_drive() -> None:
    assert {path.stem for path in LOGS.iterdir()} == set(DRIVES)
