"""A large model in a process of its own beside the driving stack: it speaks, it dies, nobody stops.
"""

import os
import signal
from pathlib import Path

import pytest

pytest.importorskip("torch", reason="torch is not installed: requirements/learning.txt")
pytest.importorskip(
    "transformers", reason="transformers is not installed: requirements/large_models.txt"
)

from tiny_large_model import write_model

from vla_driving.contract.checksum import plan_checksum
from vla_driving.contract.messages import from_message, stamp_of
from vla_driving.contract.plan import Plan

from .rig import Rig, one_line, running

ON_A_SLOW_CPU = (
    "slow_model.generation.device=cpu", "slow_model.generation.precision=float32",
    "slow_model.generation.samples=1", "slow_model.generation.steps=1",
    "slow_model.generation.max_tokens=2", "slow_model.time_out=60.0",
    "slow_model.plan_validity=6.0", "slow_model.max_frame_age=2.0",
)


def said_by_the_large_model(rig: Rig) -> Plan | None:
    """The first plan that holds a thought, of those whose frames were seen as well."""
    frames = {stamp_of(f.header.stamp) for f in rig.seen("vla/frames")}
    for message in rig.seen("vla/plan"):
        known = stamp_of(message.header.stamp) in frames
        if known and any(e.subject == "tiny_large/0.1.0" for e in message.evidence):
            return from_message(Plan, message)
    return None


def test_it_explains_beside_the_compact_model_and_its_death_stops_nothing(tmp_path: Path) -> None:
    folder = write_model(tmp_path / "model", ("front",))
    options = [word for setting in ON_A_SLOW_CPU for word in ("--set", setting)]
    with running(tmp_path / "out", "--large-model", str(folder), *options) as (rig, stack):
        rig.engage()
        plan = rig.wait("a thought in a plan", lambda: said_by_the_large_model(rig))
        assert plan.model_name == "pilot" and "tiny_large/0.1.0" in plan.reasoning
        assert plan.checksum == plan_checksum(plan)
        age = next(e.value for e in plan.evidence if e.subject == "tiny_large/0.1.0")
        assert 0.0 <= age <= 6.0

        rig.drive()
        os.kill(stack.node("slow_model").pid, signal.SIGKILL)
        rig.event("thought_stale", "vla/thought")
        before = rig.newest("vla/plan").sequence
        rig.wait("plans without it", lambda: rig.newest("vla/plan").sequence > before + 10)
        rig.drive()
    assert one_line(stack.said(), "slow_model", "vla_inference drives on without its thoughts")
