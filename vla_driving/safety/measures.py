"""The car's measures and the limits of its surroundings, as plain numbers for compiled loops."""

from __future__ import annotations

from typing import NamedTuple

from vla_driving.contract.vehicle import VehicleParameters
from vla_driving.safety.settings import WorldSettings


class Measures(NamedTuple):
    """Of `VehicleParameters` and `WorldSettings`, by their names there; m, s, m/s, m/s².

    `brake_delay` is that of the brakes and half of their build-up.
    """

    length: float
    width: float
    centre_offset: float
    rear_overhang: float
    brake_delay: float
    emergency_deceleration: float
    collision_horizon: float
    longitudinal_margin: float
    lateral_margin: float
    lateral_speed_deadband: float
    rss_reaction: float
    rss_ego_deceleration: float
    rss_object_deceleration: float
    rss_margin: float
    answer_time: float
    lead_deceleration: float
    worst_case_preview: float
    cut_in_lateral_speed: float
    max_cut_in_impact: float


def measures(vehicle: VehicleParameters, settings: WorldSettings) -> Measures:
    """Of this car, with these settings."""
    build_up = vehicle.emergency_deceleration / vehicle.emergency_jerk
    return Measures(
        vehicle.length, vehicle.width, vehicle.centre_offset, vehicle.rear_overhang,
        vehicle.acceleration_delay + 0.5 * build_up, vehicle.emergency_deceleration,
        settings.collision_horizon, settings.longitudinal_margin, settings.lateral_margin,
        settings.lateral_speed_deadband, settings.rss_reaction, settings.rss_ego_deceleration,
        settings.rss_object_deceleration, settings.rss_margin, settings.answer_time,
        settings.lead_deceleration, settings.worst_case_preview, settings.cut_in_lateral_speed,
        settings.max_cut_in_impact,
    )
