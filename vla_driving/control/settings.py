"""What controller_bridge can be told; values stand in config/stack.yaml."""

from __future__ import annotations

from dataclasses import dataclass

from vla_driving.contract.settings import quantity


@dataclass(frozen=True)
class LateralSettings:
    """Tracking of the path."""

    look_ahead_time: float = quantity("s", 0.2, 3.0, "look-ahead distance over speed")
    min_look_ahead: float = quantity("m", 1.0, 20.0, "look-ahead distance at low speed")
    max_correction: float = quantity(
        "m/s^2", 0.1, 3.0, "lateral acceleration that feedback may add to the feed-forward"
    )


@dataclass(frozen=True)
class LongitudinalSettings:
    """Tracking of the speed, stopping and starting."""

    proportional_gain: float = quantity("1/s", 0.0, 5.0, "acceleration per speed error")
    integral_gain: float = quantity("1/s^2", 0.0, 2.0, "acceleration per integrated speed error")
    max_integral: float = quantity("m/s^2", 0.0, 2.0, "bound of the integral part")
    standstill_speed: float = quantity("m/s", 0.02, 0.5, "below it the car counts as standing")
    start_preview: float = quantity("s", 0.2, 3.0, "a plan that moves within this time starts")
    landing_speed: float = quantity("m/s", 0.0, 2.0, "below it braking is eased before standstill")
    landing_jerk: float = quantity("m/s^3", 0.5, 10.0, "jerk of that easing")
    landing_deceleration: float = quantity("m/s^2", 0.1, 1.0, "braking that is left at standstill")
    hold_deceleration: float = quantity("m/s^2", 0.2, 3.0, "braking while the car is held")


@dataclass(frozen=True)
class SupervisionSettings:
    """When the bridge stops trusting what it gets, and when it trusts again."""

    vehicle_state_timeout: float = quantity("s", 0.02, 1.0, "older vehicle states are stale")
    approved_plan_timeout: float = quantity(
        "s", 0.03, 2.0, "no approved plan for this long: the safety monitor is dead or hangs"
    )
    future_tolerance: float = quantity("s", 0.0, 0.5, "stamps further ahead of now are refused")
    max_rejections: int = quantity(
        "messages", 1, 10, "refused ones of the last 10 approved plans that are as bad as none"
    )
    resume_within: float = quantity(
        "s", 0.0, 2.0, "an interruption this short may end without a standstill"
    )
    override_release: float = quantity(
        "s", 0.1, 5.0, "the driver has let go this long before plans are followed again"
    )


@dataclass(frozen=True)
class ControllerBridgeSettings:
    """All settings of controller_bridge."""

    lateral: LateralSettings
    longitudinal: LongitudinalSettings
    supervision: SupervisionSettings
