"""What a check is. All of them stand in `checks.CHECKS`; docs/safety.md is made from that table."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from enum import Enum
from typing import NamedTuple, TypeAlias

import numpy as np
import numpy.typing as npt

from vla_driving.contract.clock import Nanoseconds
from vla_driving.contract.events import Severity
from vla_driving.contract.plan import Plan
from vla_driving.contract.supervision import Level, Verdict
from vla_driving.contract.vehicle import VehicleParameters, VehicleState
from vla_driving.safety.candidates import Batch
from vla_driving.safety.intake import Intake
from vla_driving.safety.obstacles import Approach
from vla_driving.safety.settings import SafetyMonitorSettings

FloatArray = npt.NDArray[np.float64]


class Group(Enum):
    """Parts of the table."""

    INPUTS = "inputs"
    PLAN = "plan"
    WORLD = "world"
    OPERATION = "operation"


@dataclass(frozen=True)
class Limits:
    """Where limits come from: config/stack.yaml and config/vehicles/."""

    settings: SafetyMonitorSettings
    vehicle: VehicleParameters


class Measured(NamedTuple):
    """Outcome of a measurement.

    The table's limit decides where `verdict` is None. `limit` replaces the table's where it depends
    on the situation; `says` replaces the words of the line.
    """

    value: float
    verdict: Verdict | None = None
    limit: float | None = None
    says: str | None = None


@dataclass
class Situation:
    """What checks of the state look at, gathered once a step."""

    now_ns: Nanoseconds
    limits: Limits
    intake: Intake
    state: VehicleState | None
    clock_error_s: float = 0.0
    monitor_error: str | None = None
    plan: Plan | None = None
    approved_until_ns: Nanoseconds | None = None
    malformed_scene: int = 0
    malformed_objects: int = 0
    unseen_m: float | None = None
    speed_limit: float = 0.0
    path_deviation: float = 0.0
    speed_excess: float = 0.0
    hand_overs: int = 0
    identical: int = 0
    route_deviation: float = 0.0
    above_cap: float = 0.0
    unlisted_m: float | None = None
    cameras: tuple[str, ...] = ()
    lost: frozenset[str] = frozenset()
    speed_jump: float = 0.0
    publishers: tuple[str, int] = ("", 1)

    @property
    def settings(self) -> SafetyMonitorSettings:
        """Settings of the monitor."""
        return self.limits.settings


def noted(situation: Situation) -> object:
    """What seldom changes, for `StateCheck.reads`."""
    return (
        situation.clock_error_s, situation.monitor_error, situation.malformed_scene,
        situation.malformed_objects, situation.hand_overs, situation.identical,
        situation.speed_jump, situation.publishers,
    )


@dataclass(frozen=True, eq=False)
class Candidates:
    """What checks of candidates look at: all candidates of one plan at once.

    `now_s` is the plan's age, `start_speed` the speed measured at its stamp (NaN where unknown),
    `shift` (C,) the smaller of the sideways jumps against the plan approved last and the plan
    received last, m; `sideways` (C,) which of them leave their lane; `speed_limit` holds here, m/s.
    """

    limits: Limits
    batch: Batch
    plan: Plan
    now_s: float
    start_speed: float
    shift: FloatArray
    near: Approach
    lane_departure: FloatArray
    edge_departure: FloatArray
    measured_speed: float
    sideways: npt.NDArray[np.bool_]
    speed_limit: float = math.inf


Measure: TypeAlias = Callable[[Candidates], FloatArray]
"""(C,) values of one check, or (R, C) of the checks of a block."""


@dataclass(frozen=True)
class Row:
    """The measure that is one row of a block: several, worked out in one compiled call.

    Where the block breaks, all of its checks have failed.
    """

    block: Measure
    row: int

    def __call__(self, candidates: Candidates) -> FloatArray:
        """The row alone; the judge takes all rows of a block at once."""
        return self.block(candidates)[self.row]


COUNTED = (
    "cameras", "failures", "faults", "hand-overs", "messages", "numbers", "objects", "publishers"
)
"""Units that are counts."""

Limit: TypeAlias = Callable[[Limits], float]


@dataclass(frozen=True)
class _Row:
    """Columns that all checks share; `says` is the line with {value} for the measured quantity.

    The check fails where the value is above the limit (below it with `at_least`), or not a number.
    `hand_over` asks the driver to take over while the plan is still followed.
    """

    name: str
    group: Group
    inputs: str
    limit: Limit
    unit: str
    severity: Severity
    reaction: Level
    says: str
    source: str
    at_least: bool = field(default=False, kw_only=True)
    hand_over: bool = field(default=False, kw_only=True)
    confirm: Limit | None = field(default=None, kw_only=True)


@dataclass(frozen=True)
class StateCheck(_Row):
    """A check of inputs or operation, made once a step.

    `reads` gives all that `measure` looks at, where that is little and not the time: as long as it
    is equal, a check that passed passes with the same outcome. Rows share it as one function.
    """

    measure: Callable[[Situation], Measured] = field(kw_only=True)
    reads: Callable[[Situation], object] | None = field(default=None, kw_only=True)


@dataclass(frozen=True)
class CandidateCheck(_Row):
    """A check of a plan's candidates: (C,) values; made once a plan, or each step with `always`."""

    measure: Measure = field(kw_only=True)
    always: bool = field(default=False, kw_only=True)


def fails(value: float, limit: float, at_least: bool) -> bool:
    """Whether a value is on the wrong side of its limit; NaN always is."""
    return not (value >= limit if at_least else value <= limit)


def line(row: _Row, value: float, limit: float, says: str | None = None) -> str:
    """What, value and limit in one line, for instance "plan is 0.71 s old (limit 0.6 s)"."""
    words = row.says if says is None else says
    if "{value}" not in words:
        return words
    if row.unit in COUNTED:
        return f"{words.replace('{value}', f'{value:.0f}')} (limit {limit:.0f})"
    unit = f" {row.unit}" if row.unit else ""
    return f"{words.replace('{value}', f'{value:.2f}{unit}')} (limit {limit:.3g}{unit})"
