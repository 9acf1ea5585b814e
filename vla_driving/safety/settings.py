"""What safety_monitor can be told; values stand in config/stack.yaml.

None of them switches a check off: `*_required` says whether a source belongs to this car at all,
and one that has spoken once is supervised from then on.
"""

from __future__ import annotations

from dataclasses import dataclass

from vla_driving.contract.settings import choice, described, quantity


@dataclass(frozen=True)
class InputSettings:
    """When an input is too old, too slow or wrong too often."""

    vehicle_state_max_age: float = quantity("s", 0.04, 1.0, "older vehicle states are stale")
    plan_max_age: float = quantity("s", 0.1, 2.0, "older plans are stale, whatever they claim")
    objects_max_age: float = quantity("s", 0.1, 2.0, "older object lists are stale")
    route_max_age: float = quantity("s", 0.5, 30.0, "older routes are stale")
    driver_state_max_age: float = quantity("s", 0.2, 5.0, "older driver states are stale")
    frames_max_age: float = quantity("s", 0.1, 2.0, "older camera health is stale")
    objects_required: bool = described("an independent object source belongs to this car")
    route_required: bool = described("navigation belongs to this car")
    frames_required: bool = described("camera health reaches the monitor directly")
    heartbeat_max_age: float = quantity("s", 0.03, 2.0, "a node silent for longer is dead or hangs")
    future_tolerance: float = quantity("s", 0.0, 0.5, "stamps further ahead of now are refused")
    min_rate_share: float = quantity("1", 0.1, 1.0, "lowest share of the nominal rate")
    max_wrong: int = quantity("messages", 0, 19, "wrong ones among the last 20")
    max_lost: int = quantity("messages", 0, 200, "missing ones among the last 20")
    max_clock_step: float = quantity("s", 0.1, 5.0, "between two steps of the monitor")
    max_identical: int = quantity("messages", 2, 200, "that repeat all numbers of a changing state")
    clock_settle: float = quantity("s", 0.1, 10.0, "after a jump the clock is wrong this long")
    max_speed_difference: float = quantity("m/s", 0.2, 5.0, "between the two speed sources")
    max_speed_jump: float = quantity(
        "m/s", 0.1, 5.0, "from one vehicle state to the next, beyond what friction allows"
    )


@dataclass(frozen=True)
class PlanSettings:
    """What a plan must satisfy besides the car's own limits."""

    min_left: float = quantity("s", 0.0, 0.5, "the own stop begins this long before a plan ends")
    max_start_distance: float = quantity("m", 0.05, 2.0, "first point from where the car then is")
    max_start_speed: float = quantity("m/s", 0.2, 5.0, "first speed from the measured one")
    max_step_error: float = quantity("m", 0.02, 1.0, "distance of two points against the speed")
    max_slip: float = quantity("m", 0.01, 0.5, "sideways part of one step against the heading")
    max_turn_error: float = quantity("rad", 0.005, 0.2, "change of heading against the curvature")
    max_speed_error: float = quantity("m/s", 0.02, 1.0, "change of speed against the acceleration")
    max_reverse_speed: float = quantity("m/s", 0.0, 0.5, "backwards")
    limit_tolerance: float = quantity("1", 0.0, 0.3, "share above the car's limits")
    max_shift: float = quantity("m", 0.1, 2.0, "sideways jump against both plans before")
    shift_horizon: float = quantity("s", 0.2, 3.0, "part of the plan held against those before")
    max_uncertainty: float = quantity("m", 0.1, 10.0, "standard deviation at 2 s, as stated")
    max_action_speed: float = quantity("m/s", 0.2, 5.0, "change of speed against the stated action")
    max_action_heading: float = quantity("rad", 0.05, 1.0, "turn against the stated action")


@dataclass(frozen=True)
class WorldSettings:
    """What is kept clear of: objects, lines, edges, signals."""

    min_probability: float = quantity("1", 0.05, 0.95, "objects, lines, signals below do not count")
    collision_horizon: float = quantity("s", 0.5, 6.4, "a plan that collides sooner is refused")
    collision_confirm: float = quantity(
        "s", 0.0, 1.0, "a collision of the plan followed must be foreseen this long"
    )
    emergency_time: float = quantity("s", 0.2, 3.0, "a collision sooner than this: emergency stop")
    longitudinal_margin: float = quantity("m", 0.0, 5.0, "kept before and behind objects")
    lateral_margin: float = quantity("m", 0.0, 1.0, "kept beside objects")
    lateral_speed_deadband: float = quantity("m/s", 0.0, 1.0, "slower sideways motion is noise")
    rss_reaction: float = quantity("s", 0.1, 2.0, "response time of the distance formula")
    rss_ego_deceleration: float = quantity("m/s^2", 1.0, 6.0, "our braking in it")
    rss_object_deceleration: float = quantity("m/s^2", 0.5, 9.0, "braking of the one ahead in it")
    rss_margin: float = quantity("m", 0.0, 5.0, "left over in it")
    answer_time: float = quantity("s", 0.0, 2.0, "until a worst case is seen and answered")
    lead_deceleration: float = quantity("m/s^2", 4.0, 12.0, "hardest braking of the one ahead")
    worst_case_preview: float = quantity("s", 0.0, 4.0, "by then the plan keeps clear of it")
    cut_in_lateral_speed: float = quantity("m/s", 0.2, 3.0, "of a neighbour that cuts in")
    max_cut_in_impact: float = quantity(
        "m/s", 0.0, 15.0, "difference of speed at such a contact; no standard sets one"
    )
    lane_horizon: float = quantity("s", 0.5, 4.0, "part of the plan held against lines and edges")
    max_lane_departure: float = quantity("m", 0.0, 2.0, "of a wheel beyond a lane line")
    max_edge_departure: float = quantity("m", 0.0, 1.0, "of a wheel beyond a road edge")
    max_stop_line_overrun: float = quantity("m", 0.0, 5.0, "of the front past a red light's line")
    speed_tolerance: float = quantity("m/s", 0.1, 5.0, "above a speed limit")
    max_unseen: float = quantity("m", 1.0, 100.0, "nearer sensor objects must be in the scene")


@dataclass(frozen=True)
class DriverSettings:
    """What is asked of the driver."""

    requirement: str = choice("L2", "L4", doc="L2: hands and eyes supervised; L4: no driver")
    eyes_off_info: float = quantity("s", 1.0, 30.0, "first alert")
    eyes_off_warning: float = quantity("s", 1.0, 60.0, "second alert")
    eyes_off_limit: float = quantity("s", 1.0, 120.0, "hand-over")
    hands_off_info: float = quantity("s", 1.0, 60.0, "first alert")
    hands_off_warning: float = quantity("s", 1.0, 120.0, "second alert")
    hands_off_limit: float = quantity("s", 1.0, 300.0, "hand-over")
    max_hand_overs: int = quantity("hand-overs", 1, 10, "for want of attention, then locked out")


@dataclass(frozen=True)
class FollowingSettings:
    """Approved plan against measured motion."""

    window: float = quantity("s", 0.3, 3.0, "over which both are compared")
    max_path_deviation: float = quantity("m", 0.2, 3.0, "sideways, at the end of the window")
    max_speed_excess: float = quantity("m/s", 0.5, 5.0, "faster than approved, at its end")
    excess_factor: float = quantity("1", 1.0, 3.0, "measured accelerations over the car's limits")
    excess_duration: float = quantity("s", 0.05, 1.0, "they must last this long")
    confirm: float = quantity("s", 0.0, 1.0, "other operational faults must last this long")


@dataclass(frozen=True)
class OperationSettings:
    """Where the operational design domain ends, besides the car's speed and its cameras."""

    max_route_deviation: float = quantity("m", 2.0, 200.0, "of the car from the way, else off it")
    route_end: float = quantity("m", 0.0, 100.0, "nearer to the goal the route has ended")
    confirm: float = quantity("s", 0.0, 10.0, "the slow checks must fail this long")


@dataclass(frozen=True)
class PullOverSettings:
    """When the monitor's own stop ends at the edge of the road."""

    side: str = choice("right", "left", doc="where this country's traffic pulls over")
    max_edge_distance: float = quantity("m", 1.0, 8.0, "to the edge; further, a lane may lie there")
    edge_margin: float = quantity("m", 0.0, 2.0, "kept beside the edge")
    min_offset: float = quantity("m", 0.1, 3.0, "a smaller shift is not worth it")
    min_speed: float = quantity("m/s", 0.5, 20.0, "slower, the stop is too short for it")
    lateral_share: float = quantity("1", 0.1, 1.0, "of the lateral limits, for the shift")
    max_age: float = quantity("s", 0.1, 2.0, "of the lines and of both object lists")


@dataclass(frozen=True)
class ReactionSettings:
    """How the monitor answers."""

    degraded_speed: float = quantity("m/s", 1.0, 30.0, "cap while degraded")
    degraded_hold: float = quantity("s", 0.0, 30.0, "degraded lasts this long after its cause")
    cap_deceleration: float = quantity("m/s^2", 0.2, 3.5, "how fast the cap comes down")
    soft_disable: float = quantity("s", 0.5, 10.0, "time for the driver to take over")
    pre_enable: float = quantity("s", 0.0, 30.0, "an engage request waits this long for the checks")
    request_max_age: float = quantity("s", 0.1, 5.0, "older requests of the cockpit do not count")
    override_release: float = quantity("s", 0.0, 5.0, "the driver has let go this long")
    fallback_validity: float = quantity("s", 0.1, 2.0, "of one message of the monitor's own stop")
    standstill_speed: float = quantity("m/s", 0.02, 0.5, "below it the car counts as standing")


@dataclass(frozen=True)
class SafetyMonitorSettings:
    """All settings of safety_monitor."""

    inputs: InputSettings
    plan: PlanSettings
    world: WorldSettings
    driver: DriverSettings
    following: FollowingSettings
    operation: OperationSettings
    pull_over: PullOverSettings
    reaction: ReactionSettings
