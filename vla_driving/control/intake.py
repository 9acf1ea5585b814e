"""What the bridge believes: the newest approved plan and vehicle state that passed every check.

A message is refused where its checksum does not fit, a number is not finite or absurd, or it comes
out of order. What was believed before then stays in force until its own time is over.
"""

from __future__ import annotations

import math
from collections import deque

import numpy as np

from vla_driving.contract.checksum import approved_plan_checksum, vehicle_state_checksum
from vla_driving.contract.clock import Nanoseconds, age_s
from vla_driving.contract.faults import Fault
from vla_driving.contract.plan import ApprovedPlan
from vla_driving.contract.trajectory import HORIZON_S, POINTS, TIMES_S
from vla_driving.contract.vehicle import VehicleState
from vla_driving.control.faults import make_fault
from vla_driving.control.path import Path
from vla_driving.control.settings import SupervisionSettings

_TIME_TOLERANCE_S = 1e-3
_MAX_COORDINATE = 1000.0
"""m. Further than any car drives within the horizon."""

_MAX_CURVATURE = 1.0
"""1/m. Tighter than any car turns."""

_WINDOW = 10
"""Approved plans over which the refused are counted."""

_MAX_AHEAD = 50
"""Approved plans that may have been lost in between; a number beyond it is somebody else's."""

_MAX_VALUE = 100.0
"""m/s, m/s², rad/s. Beyond what a road vehicle reports."""


class PlanIntake:
    """Approved plans: the newest good one and its path."""

    def __init__(self, settings: SupervisionSettings) -> None:
        self._settings = settings
        self.plan: ApprovedPlan | None = None
        self.path: Path | None = None
        self.refusal: Fault | None = None
        self._refused: deque[bool] = deque(maxlen=_WINDOW)
        self._seen: tuple[int, Nanoseconds] | None = None
        self._order: int | None = None
        self._heard_ns: Nanoseconds = 0
        self.publishers = 1

    def take(self, plan: ApprovedPlan | None, now_ns: Nanoseconds) -> bool:
        """Look at the newest message; True where it is new and good."""
        if plan is None or (plan.sequence, plan.stamp_ns) == self._seen:
            return False
        if self.publishers > 1:
            return False  # nobody knows which of them is the safety monitor
        self._seen = (plan.sequence, plan.stamp_ns)
        self._heard_ns = now_ns
        self.refusal = self._check(plan, now_ns)
        self._refused.append(self.refusal is not None)
        if self.refusal is not None:
            return False
        self._order = plan.sequence
        self.plan, self.path = plan, Path(plan.trajectory)
        return True

    def forget_order(self) -> None:
        """Let the next good plan start a new count: a restarted safety monitor begins at zero."""
        self._order = None

    def fault(self, now_ns: Nanoseconds) -> Fault | None:
        """Why no plan can be followed now, or None where one can."""
        if self.plan is None:
            return make_fault("approved_plan_missing", 0.0, 1.0, "messages", "no approved plan yet")
        if self.publishers > 1:
            detail = "more than one speaks"
            return make_fault("approved_plan_publishers", self.publishers, 1.0, "nodes", detail)
        if now_ns > self.plan.valid_until_ns:
            late = age_s(self.plan.valid_until_ns, now_ns)
            detail = "approved plan out of date by"
            return make_fault("approved_plan_expired", late, 0.0, "s", detail)
        silent, limit = age_s(self._heard_ns, now_ns), self._settings.approved_plan_timeout
        if silent > limit:
            detail = "the safety monitor is silent for"
            return make_fault("approved_plan_silent", silent, limit, "s", detail)
        refused, limit = sum(self._refused), self._settings.max_rejections
        if refused >= limit:
            detail = f"refused of the last {len(self._refused)} approved plans"
            return make_fault("approved_plan_refused", refused, limit, "messages", detail)
        return None

    def _check(self, plan: ApprovedPlan, now_ns: Nanoseconds) -> Fault | None:
        found = approved_plan_checksum(plan)
        if found != plan.checksum:
            return make_fault("approved_plan_corrupt", plan.checksum, found, "", "checksum")
        absurd = _absurd_plan(plan, now_ns, self._settings.future_tolerance)
        if absurd is not None:
            return make_fault("approved_plan_invalid", *absurd)
        # By sequence alone: a plan of the model after one of the fallback has an older stamp.
        if self._order is not None and not 0 < plan.sequence - self._order <= _MAX_AHEAD:
            limit = self._order + 1
            return make_fault("approved_plan_out_of_order", plan.sequence, limit, "", "sequence")
        return None


class StateIntake:
    """Vehicle states: the newest good one."""

    def __init__(self, settings: SupervisionSettings) -> None:
        self._settings = settings
        self.state: VehicleState | None = None
        self.refusal: Fault | None = None
        self._seen: tuple[int, Nanoseconds] | None = None

    def take(self, state: VehicleState | None, now_ns: Nanoseconds) -> bool:
        """Look at the newest message; True where it is new and good."""
        if state is None or (state.sequence, state.stamp_ns) == self._seen:
            return False
        self._seen = (state.sequence, state.stamp_ns)
        self.refusal = self._check(state, now_ns)
        if self.refusal is None:
            self.state = state
        return self.refusal is None

    def fault(self, now_ns: Nanoseconds) -> Fault | None:
        """Why the car's state is not known now, or None where it is."""
        if self.state is None:
            return make_fault("vehicle_state_missing", 0.0, 1.0, "messages", "no vehicle state yet")
        age, limit = age_s(self.state.stamp_ns, now_ns), self._settings.vehicle_state_timeout
        if age > limit:
            return make_fault("vehicle_state_stale", age, limit, "s", "age of the vehicle state")
        return None

    def _check(self, state: VehicleState, now_ns: Nanoseconds) -> Fault | None:
        found = vehicle_state_checksum(state)
        if found != state.checksum:
            return make_fault("vehicle_state_corrupt", state.checksum, found, "", "checksum")
        absurd = _absurd_state(state, now_ns, self._settings.future_tolerance)
        if absurd is not None:
            return make_fault("vehicle_state_invalid", *absurd)
        # By stamp, not by sequence: a restarted vehicle interface counts from zero again.
        if self.state is not None and state.stamp_ns <= self.state.stamp_ns:
            back = age_s(state.stamp_ns, self.state.stamp_ns)
            return make_fault("vehicle_state_out_of_order", back, 0.0, "s", "stamp runs back by")
        return None


Absurdity = tuple[float, float, str, str]
"""Value, limit, unit, what it is."""


def _absurd_plan(plan: ApprovedPlan, now_ns: Nanoseconds, tolerance: float) -> Absurdity | None:
    ahead = -age_s(plan.stamp_ns, now_ns)
    if ahead > tolerance:
        return ahead, tolerance, "s", "stamp lies in the future by"
    horizon = age_s(plan.stamp_ns, plan.valid_until_ns)
    if not 0.0 <= horizon <= HORIZON_S:
        return horizon, HORIZON_S, "s", "validity after the stamp"
    if not plan.speed_cap >= 0.0:
        return plan.speed_cap, 0.0, "m/s", "speed cap"
    trajectory = plan.trajectory
    for name, array in zip(_NAMES, trajectory.arrays(), strict=True):
        bad = POINTS - int(np.isfinite(array).sum()) if array.shape == (POINTS,) else POINTS
        if bad:
            return float(bad), 0.0, "points", f"not finite in {name}"
    limits = (
        ("time grid", "s", np.abs(trajectory.time - TIMES_S), _TIME_TOLERANCE_S),
        ("x", "m", np.abs(trajectory.x), _MAX_COORDINATE),
        ("y", "m", np.abs(trajectory.y), _MAX_COORDINATE),
        ("heading", "rad", np.abs(trajectory.heading), _MAX_VALUE),
        ("speed", "m/s", np.abs(trajectory.speed), _MAX_VALUE),
        ("reversing", "m/s", -trajectory.speed, 0.1),
        ("acceleration", "m/s^2", np.abs(trajectory.acceleration), _MAX_VALUE),
        ("curvature", "1/m", np.abs(trajectory.curvature), _MAX_CURVATURE),
    )
    for name, unit, values, limit in limits:
        worst = float(values.max())
        if worst > limit:
            return worst, limit, unit, name
    return None


_NAMES = ("time", "x", "y", "heading", "speed", "acceleration", "curvature")


def _absurd_state(state: VehicleState, now_ns: Nanoseconds, tolerance: float) -> Absurdity | None:
    ahead = -age_s(state.stamp_ns, now_ns)
    if ahead > tolerance:
        return ahead, tolerance, "s", "stamp lies in the future by"
    for name in ("speed", "acceleration", "yaw_rate", "steering_angle"):
        value = float(getattr(state, name))
        if not math.isfinite(value) or abs(value) > _MAX_VALUE:
            return value, _MAX_VALUE, "SI", name
    return None
