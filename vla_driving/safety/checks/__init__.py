"""The one table of checks, in the order in which they are reported."""

from __future__ import annotations

from vla_driving.safety.checks import inputs, operation, plan, world
from vla_driving.safety.checks.table import CandidateCheck, StateCheck

STATE_CHECKS: tuple[StateCheck, ...] = (
    *inputs.CHECKS, *plan.STATE_CHECKS, *world.STATE_CHECKS, *operation.CHECKS
)
CANDIDATE_CHECKS: tuple[CandidateCheck, ...] = (*plan.CHECKS, *world.CHECKS)
CHECKS: tuple[StateCheck | CandidateCheck, ...] = (*STATE_CHECKS, *CANDIDATE_CHECKS)
