"""Stands where the safety monitor does and approves every plan: shows what a model does alone."""

from __future__ import annotations

import dataclasses

from vla_driving.contract.checksum import approved_plan_checksum
from vla_driving.contract.clock import Nanoseconds
from vla_driving.contract.plan import ApprovedPlan, PlanSource
from vla_driving.safety.intake import MonitorInputs
from vla_driving.safety.monitor import MonitorOutputs


class Unchecked:
    """Engaged from the first plan on; it reports no safety state and no events."""

    def __init__(self, max_speed: float) -> None:
        """`max_speed` of the car, m/s, the only cap."""
        self._max_speed = max_speed
        self._approved: ApprovedPlan | None = None
        self._sequence = 0

    def step(self, inputs: MonitorInputs, now_ns: Nanoseconds) -> MonitorOutputs:
        """The newest plan as it came, said anew at each step as the safety monitor does."""
        if inputs.plans:
            plan = inputs.plans[-1]
            self._approved = ApprovedPlan(
                stamp_ns=plan.stamp_ns, sequence=0, plan_sequence=plan.sequence,
                frame_stamp_ns=plan.stamp_ns, valid_until_ns=plan.valid_until_ns,
                source=PlanSource.MODEL, engaged=True, hold=False, hazard_lights=False,
                speed_cap=self._max_speed, trajectory=plan.candidates[0],
            )
        if self._approved is not None:
            self._sequence += 1
            said = dataclasses.replace(self._approved, sequence=self._sequence)
            self._approved = dataclasses.replace(said, checksum=approved_plan_checksum(said))
        return MonitorOutputs(self._approved, None, ())
