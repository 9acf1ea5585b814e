"""A large model's thought beside the compact model's plan: its words, or its way as well."""

from __future__ import annotations

import dataclasses

from vla_driving.contract.checksum import plan_checksum
from vla_driving.contract.clock import age_s
from vla_driving.contract.faults import Fault
from vla_driving.contract.motion import EgoMotion
from vla_driving.contract.plan import Evidence, Plan
from vla_driving.vla.inputs import Navigation
from vla_driving.vla.large.age import moved_on
from vla_driving.vla.reasoning import lateral_action, longitudinal_action

EXPLAIN, DRIVE = "explain", "drive"
TOPIC = "vla/thought"


def advised(
    plan: Plan, thought: Plan, role: str, motion: EgoMotion, speed: float, navigation: Navigation
) -> tuple[Plan, Fault | None]:
    """The compact model's `plan` with what a thought adds to it; as it was, and why, where nothing.

    Under EXPLAIN the thought's words stand behind the plan's own. Under DRIVE its trajectories take
    the place of the plan's, moved on to the plan's frames and `speed` m/s; what the compact model
    sees stays. A thought is never valid for longer than it says.
    """
    age = age_s(thought.stamp_ns, plan.stamp_ns)
    longest = age_s(thought.stamp_ns, thought.valid_until_ns)
    if thought.checksum != plan_checksum(thought):
        return plan, Fault("thought_invalid", TOPIC, "checksum does not fit")
    if age < 0.0:
        return plan, Fault("thought_invalid", TOPIC, "newer than the frames", age, 0.0, "s")
    if age > longest:
        detail = "no thought has come since"
        return plan, Fault("thought_stale", TOPIC, detail, age, longest, "s")
    name = f"{thought.model_name}/{thought.model_version}"
    told = Evidence(name, "age of its frames", age, "s")
    if role == EXPLAIN:
        words = f"{plan.reasoning}; {name} {age:.1f} s ago: {thought.reasoning}"
        return dataclasses.replace(plan, reasoning=words, evidence=(*plan.evidence, told)), None
    change = motion.change(thought.stamp_ns, plan.stamp_ns)
    if change is None:
        return plan, Fault("thought_invalid", TOPIC, "how the car has moved since is not known")
    moved = (moved_on(c, change, age, speed) for c in thought.candidates)
    candidates = tuple(c for c in moved if c is not None)
    if not candidates:
        return plan, Fault("thought_invalid", TOPIC, "nothing is left of its trajectories")
    return dataclasses.replace(
        plan,
        valid_until_ns=min(plan.valid_until_ns, thought.valid_until_ns),
        model_name=thought.model_name,
        model_version=thought.model_version,
        runtime=f"{thought.runtime} beside {plan.runtime}",
        candidates=candidates,
        lateral_action=lateral_action(candidates[0], plan.lane_lines, navigation),
        longitudinal_action=longitudinal_action(candidates[0], speed),
        reasoning=thought.reasoning,
        evidence=(told, Evidence("own car", "speed", speed, "m/s")),
        uncertainty=thought.uncertainty,
    ), None
