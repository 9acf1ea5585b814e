"""What a busy test machine is forgiven: limits of lateness, and what a stop for it is told as.

What is tested here is who reacts and how, not how soon. So the limits stand as high as their ranges
let them; where everything stands still for longer than that, the stack rightly stops the car, and a
test goes on as a driver would: `Rig.drive`.
"""

from __future__ import annotations

from typing import Any

from vla_driving.contract.events import Severity

CLOCK_STEP_S = 2.0
"""The safety monitor takes a longer pause of its own for a jump of the clock."""

PATIENT = (
    "camera_ingest.health.max_age=2.0", "camera_ingest.health.max_silence=20.0",
    "vla_inference.max_frame_age=2.0", "vla_inference.max_vehicle_state_age=1.0",
    "vla_inference.plan_validity=2.0",
    "safety_monitor.inputs.plan_max_age=2.0", "safety_monitor.inputs.vehicle_state_max_age=1.0",
    "safety_monitor.inputs.objects_max_age=2.0", "safety_monitor.inputs.frames_max_age=2.0",
    "safety_monitor.inputs.driver_state_max_age=5.0",
    "safety_monitor.inputs.heartbeat_max_age=2.0", "safety_monitor.inputs.min_rate_share=0.1",
    f"safety_monitor.inputs.max_clock_step={CLOCK_STEP_S}",
    "safety_monitor.following.max_speed_excess=5.0",
    "safety_monitor.following.max_path_deviation=3.0", "safety_monitor.following.confirm=1.0",
    "safety_monitor.reaction.fallback_validity=2.0",
    "controller_bridge.supervision.vehicle_state_timeout=1.0",
    "controller_bridge.supervision.approved_plan_timeout=2.0",
    "controller_bridge.supervision.resume_within=2.0",
)
PATIENCE = tuple(word for setting in PATIENT for word in ("--set", setting))
"""The same as options of the command line."""

LATE = frozenset({
    # safety_monitor
    "clock", "camera_ingest_alive", "vla_inference_alive", "camera_late", "plan_in_time",
    "plan_validity",
    *(f"{name}_freshness" for name in (
        "vehicle_state", "plan", "objects", "driver_state", "frames",
    )),
    # controller_bridge and vla_inference
    "approved_plan_silent", "approved_plan_expired", "approved_plan_out_of_order",
    "vehicle_state_stale", "ego_motion_unknown", "frames_stale",
    # camera_ingest
    "camera_stale", "camera_missing",
})
"""Checks, faults and events that say by their name that something came too late, or not yet."""

_LATE_WORDS = {
    "camera_health": ("stale for", "missing for"),
    "frame_unusable": ("STALE", "MISSING"),
    "vehicle_faults": ("command_timeout",),
}
"""What others say of it."""

_CONSEQUENCES = frozenset({"engagement", "level", "control_mode", "node_died"})
"""Told besides their cause."""


def is_cause(event: Any) -> bool:
    """Whether a DriveEvent may be why the car was stopped."""
    return event.severity >= Severity.ERROR and event.name not in _CONSEQUENCES


def is_lateness(event: Any) -> bool:
    """Whether a DriveEvent says that something came too late."""
    words = _LATE_WORDS.get(event.name, ())
    return event.name in LATE or any(word in event.text for word in words)
