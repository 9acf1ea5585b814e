"""Parameters of the reasoner; the values stand in config/stack.yaml."""

from __future__ import annotations

from dataclasses import dataclass

from vla_driving.contract.settings import quantity


@dataclass(frozen=True)
class ReasonerSettings:
    """How much is listened to, how long wishes hold, how much is remembered and said."""

    max_rate: float = quantity(
        "Hz", 0.5, 20.0, "instructions understood; of more, the newest is, and the others dropped"
    )
    max_age: float = quantity("s", 0.5, 60.0, "an instruction said longer ago is not followed")
    future_tolerance: float = quantity("s", 0.0, 1.0, "one stamped further ahead is refused")
    manoeuvre_expiry: float = quantity(
        "s", 5.0, 600.0, "of a manoeuvre whose instruction names none"
    )
    wish_expiry: float = quantity(
        "s", 10.0, 86400.0, "of a speed, a distance or a stop whose instruction names none"
    )
    memory: float = quantity("s", 5.0, 600.0, "plans, motion and safety states to answer from")
    remark_gap: float = quantity("s", 0.5, 60.0, "shortest time between two remarks of its own")
    speed_step: float = quantity("m/s", 0.5, 10.0, "of 'faster' and 'slower', half for 'a bit'")
    time_gap: float = quantity("s", 0.5, 4.0, "that the model keeps by itself")
    gap_step: float = quantity("s", 0.1, 2.0, "of 'more distance' and 'less distance'")
    min_time_gap: float = quantity("s", 0.5, 3.0, "a wish for less is refused")
    max_time_gap: float = quantity("s", 1.0, 10.0, "a wish for more is refused")
