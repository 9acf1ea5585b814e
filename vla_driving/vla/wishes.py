"""Which command a plan is made under: damaged, stale and unheard ones are named and left out."""

from __future__ import annotations

import dataclasses
import math

import numpy as np

from vla_driving.contract.clock import Nanoseconds, age_s
from vla_driving.contract.faults import Fault
from vla_driving.contract.language import Command, Intent
from vla_driving.vla.inputs import TURN_WISHES
from vla_driving.vla.manifest import Inputs

TOPIC = "vla/command"
UNIT_TOLERANCE = 0.05
"""How far a token's length may be from 1."""
_WITHOUT_TEXT = {Intent.NONE, Intent.SPEED_UP, Intent.SLOW_DOWN, Intent.DRIVE_AT, *TURN_WISHES}
"""What is obeyed through speed limit and turn, by a model that takes no text as well."""


def accepted(
    command: Command | None, inputs: Inputs, stamp_ns: Nanoseconds
) -> tuple[Command | None, Fault | None]:
    """The command to plan under at `stamp_ns`, and what is wrong with it; without one, neither."""
    if command is None:
        return None, None
    if wrong := malformed(command, inputs):
        return None, Fault("command_invalid", TOPIC, f"command {command.sequence}: {wrong}")
    over = age_s(command.expires_ns, stamp_ns)
    if _wishes_nothing(command):
        return None, None
    if over >= 0.0:
        detail = f"instruction {command.instruction_id} has expired"
        return None, Fault("command_stale", TOPIC, detail, over, 0.0, "s")
    if not inputs.text and command.intent not in _WITHOUT_TEXT:
        detail = f"instruction {command.instruction_id}: {command.intent.name} needs a text token"
        heard = dataclasses.replace(
            command, intent=Intent.NONE, token=np.zeros(0, np.float32), instruction_id=0
        )
        return heard, Fault("command_not_understood", TOPIC, detail)
    if command.time_gap and "time_gap" not in inputs.command:
        detail = f"instruction {command.instruction_id}: the model takes no time gap"
        return command, Fault("command_not_understood", TOPIC, detail)
    return command, None


def malformed(command: Command, inputs: Inputs) -> str | None:
    """Why a command cannot be obeyed by a model of these `inputs`: one line, or None."""
    for name in ("speed", "time_gap"):
        value = getattr(command, name)
        if not math.isfinite(value) or value < 0.0:
            return f"{name} {value:g} is not a number of at least 0"
    size = command.token.size
    if not size:
        return None
    if not np.isfinite(command.token).all():
        count = int(np.count_nonzero(~np.isfinite(command.token)))
        return f"{count} of {size} values of the token are not finite"
    if inputs.text and command.token.shape != (inputs.text,):
        return f"token {list(command.token.shape)} instead of {[inputs.text]}"
    length = float(np.linalg.norm(command.token))
    if abs(length - 1.0) > UNIT_TOLERANCE:
        return f"the token's length is {length:.3g} instead of 1"
    return None


def _wishes_nothing(command: Command) -> bool:
    return (
        command.intent == Intent.NONE and not command.speed and not command.time_gap
        and not command.token.size
    )
