"""What the model proposes and what the safety monitor makes of it."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum
from functools import cached_property

import numpy as np
import numpy.typing as npt

from vla_driving.contract.clock import Nanoseconds
from vla_driving.contract.scene import LaneLine, SceneObject, TrafficControl, table_of
from vla_driving.contract.trajectory import Trajectory

MAX_CANDIDATES = 8


class LateralAction(IntEnum):
    """Values as in Plan.msg."""

    KEEP_LANE = 0
    CHANGE_LEFT = 1
    CHANGE_RIGHT = 2
    TURN_LEFT = 3
    TURN_RIGHT = 4
    PULL_OVER = 5


class LongitudinalAction(IntEnum):
    """Values as in Plan.msg."""

    CRUISE = 0
    ACCELERATE = 1
    DECELERATE = 2
    STOP = 3
    WAIT = 4


class PlanSource(IntEnum):
    """Who made the approved trajectory; values as in ApprovedPlan.msg."""

    MODEL = 0
    FALLBACK = 1


@dataclass(frozen=True)
class Evidence:
    """One measured fact behind a reason, `value` in the SI `unit`."""

    subject: str
    quantity: str
    value: float
    unit: str


@dataclass(frozen=True)
class StageTime:
    """Time spent in one stage of the processing."""

    stage: str
    milliseconds: float


@dataclass(frozen=True, eq=False)
class Plan:
    """The model's answer to one FrameSet; never to be followed before it is approved.

    `stamp_ns` is the exposure of the frames it was made from and the origin of its time and frame;
    `candidates` come best first; `uncertainty` is the standard deviation of the best candidate's
    position at 2 s, in m; `speed_cap` is that of the instruction it obeys, m/s, 0 for none.
    """

    stamp_ns: Nanoseconds
    sequence: int
    frame_sequence: int
    valid_until_ns: Nanoseconds
    model_name: str
    model_version: str
    runtime: str
    candidates: tuple[Trajectory, ...]
    objects: tuple[SceneObject, ...]
    lane_lines: tuple[LaneLine, ...]
    traffic_controls: tuple[TrafficControl, ...]
    lateral_action: LateralAction
    longitudinal_action: LongitudinalAction
    reasoning: str
    evidence: tuple[Evidence, ...]
    uncertainty: float
    instruction_id: int
    stages: tuple[StageTime, ...]
    checksum: int = 0
    speed_cap: float = 0.0

    @cached_property
    def object_table(self) -> npt.NDArray[np.float32]:
        """(N, 10) numbers of the objects, see `scene.table_of`; worked out once."""
        return table_of(self.objects)


@dataclass(frozen=True, eq=False)
class ApprovedPlan:
    """The one trajectory to follow now, in base_link at `stamp_ns`.

    `frame_stamp_ns` is the exposure behind the newest plan considered; `engaged` is False where the
    car is the driver's. `hold` asks to stand still with the brakes on.
    """

    stamp_ns: Nanoseconds
    sequence: int
    plan_sequence: int
    frame_stamp_ns: Nanoseconds
    valid_until_ns: Nanoseconds
    source: PlanSource
    engaged: bool
    hold: bool
    hazard_lights: bool
    speed_cap: float
    trajectory: Trajectory
    checksum: int = 0
