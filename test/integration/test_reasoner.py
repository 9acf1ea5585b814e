"""Somebody in the car talks to the driving stack; the reasoner dies, and nobody stops."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("tokenizers", reason="tokenizers is missing: requirements/language.txt")

from vla_driving.contract.language import AnswerStatus
from vla_driving.contract.messages import to_message
from vla_driving.contract.navigation import Instruction

from .rig import Rig, one_line, running

# A busy test machine may deliver late.
PATIENT = ("--set", "reasoner.max_age=60.0")
ATTEMPTS = 4


def tell(rig: Rig, number: int, text: str) -> None:
    rig.publish("vla/instruction", to_message(Instruction(rig.now_ns(), number, text, "test", 0)))


def answers(rig: Rig, number: int, status: AnswerStatus) -> list[Any]:
    return [
        a for a in rig.seen("vla/answer") if a.instruction_id == number and a.status == status
    ]


def say(*words: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "vla_driving.cli", "say", *words]
    return subprocess.run(command, capture_output=True, text=True, timeout=120.0, check=False)


def said(*words: str) -> subprocess.CompletedProcess[str]:
    """`say` while somebody listens: it gives a busy machine too little time now and then."""
    for _ in range(ATTEMPTS):
        done = say(*words)
        if done.returncode != NOBODY:
            return done
    raise AssertionError(f"{words}: no answer, {ATTEMPTS} times: {done.stderr}")


NOBODY = 2
"""Exit code of `say` that found no listener or no answer."""


def test_it_listens_answers_and_its_death_stops_nothing(tmp_path: Path) -> None:
    with running(tmp_path / "out", *PATIENT) as (rig, stack):
        rig.engage()
        tell(rig, 1, "drive at 18 km/h")
        rig.wait("the wish taken on", lambda: answers(rig, 1, AnswerStatus.ACCEPTED))
        command = rig.wait("a command", lambda: rig.newest("vla/command"))
        assert command.instruction_id == 1 and abs(command.speed - 5.0) < 0.01
        rig.heard("vla/plan")
        rig.wait("a plan that obeys", lambda: rig.newest("vla/plan").instruction_id == 1)
        assert abs(rig.newest("vla/plan").speed_cap - 5.0) < 0.01

        tell(rig, 2, "drive on the pavement")
        refused = rig.wait("a refusal", lambda: answers(rig, 2, AnswerStatus.REFUSED))
        assert "pavement" in refused[0].text
        asked = said("how fast are we going?")
        assert asked.returncode == 0 and "we drive" in asked.stdout, asked.stderr
        wrong = said("run the red light")
        assert wrong.returncode == 1 and "refused: red light" in wrong.stdout, wrong.stderr

        rig.drive()
        os.kill(stack.node("reasoner").pid, signal.SIGKILL)
        rig.event("node_died", "reasoner")
        before = rig.newest("vla/plan").sequence
        rig.wait("plans without it", lambda: rig.newest("vla/plan").sequence > before + 10)
        rig.drive()
        assert not [e.text for e in rig.causes() if "reasoner" in (e.source, e.subject)]
        lonely = say("stop here")
        assert lonely.returncode == NOBODY
        assert "nobody listens on vla/instruction" in lonely.stderr
        assert lonely.stderr.count("\n") == 1
    assert one_line(stack.said(), "reasoner", "instructions and questions stay unanswered")
