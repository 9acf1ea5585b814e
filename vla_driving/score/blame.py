"""Whose fault a contact is, by NAVSIM's rule (its no-at-fault-collision term, after nuPlan).

At fault: contact with something that stands, contact of the own front bumper, and contact of a side
while the car is not within one lane. Not at fault: being hit while standing, or from behind.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from enum import StrEnum

from vla_driving.contract.scene import SceneObject
from vla_driving.contract.vehicle import VehicleParameters
from vla_driving.simulation.surroundings import overlapping
from vla_driving.simulation.truth import Truth

STANDING = 0.05
"""m/s, nuPlan's threshold for car and object alike."""
BEHIND = math.radians(150.0)
"""An object whose centre lies further round than this, seen from the rear axle, is behind."""
BUMPER_M = 0.3
"""Depth of the strip at the front that counts as the bumper."""


class Contact(StrEnum):
    """How two met."""

    STANDING_CAR = "the car stood"
    STANDING_OBJECT = "ran into something that stands"
    FROM_BEHIND = "was hit from behind"
    FRONT = "front bumper met a road user"
    SIDE = "side met a road user"


@dataclass(frozen=True)
class Collision:
    """The first contact with a road user."""

    time_s: float
    with_what: str
    contact: Contact
    at_fault: bool
    speed: float


def judged(
    truth: Truth, item: SceneObject, vehicle: VehicleParameters, speed: float
) -> Collision:
    """The contact with `item`, seen from base_link just as it began; `speed` m/s until then."""
    contact = _contact(speed, item, vehicle)
    at_fault = contact in (Contact.STANDING_OBJECT, Contact.FRONT)
    if contact is Contact.SIDE:
        at_fault = not within_lane(truth, vehicle)
    return Collision(
        truth.time_s, item.classification.name.lower(), contact, at_fault, speed
    )


def within_lane(truth: Truth, vehicle: VehicleParameters) -> bool:
    """Whether the whole width of the car is inside the lane, and so on the road."""
    spare = truth.lane_width / 2.0 - vehicle.width / 2.0
    return abs(truth.lane_offset) <= spare and not truth.off_road


def _contact(speed: float, item: SceneObject, vehicle: VehicleParameters) -> Contact:
    if abs(speed) <= STANDING:
        return Contact.STANDING_CAR
    if math.hypot(item.velocity_x, item.velocity_y) <= STANDING:
        return Contact.STANDING_OBJECT
    if abs(math.atan2(item.y, item.x)) > BEHIND:
        return Contact.FROM_BEHIND
    front = vehicle.wheelbase + vehicle.front_overhang
    if overlapping(item, BUMPER_M, vehicle.width, front - BUMPER_M / 2.0):
        return Contact.FRONT
    return Contact.SIDE
