"""The speed that an approved plan may never exceed."""

from __future__ import annotations

from vla_driving.contract.navigation import Route
from vla_driving.contract.scene import MAX_TRAFFIC_CONTROLS, TrafficControl, TrafficControlKind
from vla_driving.contract.vehicle import VehicleParameters

CREEP = 2.0
"""m/s. A cap for the distance to the one ahead leaves at least a crawl."""


def speed_limit(
    vehicle: VehicleParameters,
    route: Route | None,
    signs: tuple[TrafficControl, ...],
    min_probability: float,
    instruction: float,
) -> float:
    """Lowest limit that holds here, m/s: the car's, the route's, of signs already passed.

    And of the instruction that the plan obeys: `instruction` in m/s; 0 or not a number for none.
    """
    lowest = vehicle.max_speed
    if instruction > 0.0:
        lowest = min(lowest, instruction)
    if route is not None and route.speed_limit > 0.0:
        lowest = min(lowest, route.speed_limit)
    for sign in signs[:MAX_TRAFFIC_CONTROLS]:
        likely = sign.probability >= min_probability and sign.value > 0.0
        if sign.kind == TrafficControlKind.SPEED_LIMIT and likely and sign.distance <= 0.0:
            lowest = min(lowest, sign.value)
    return lowest


class SpeedCap:
    """Follows its target down at a bounded deceleration from the car's speed, and up at once."""

    def __init__(self, vehicle: VehicleParameters, deceleration: float) -> None:
        self._deceleration = deceleration
        self._highest = self.value = vehicle.max_speed

    def release(self) -> None:
        """The driver accelerates: the cap begins anew from the speed that this leads to."""
        self.value = self._highest

    def step(self, target: float, speed: float, passed_s: float) -> float:
        """The cap in m/s after `passed_s` at `speed`; a step counts for at most 1 s."""
        fall = self._deceleration * min(max(passed_s, 0.0), 1.0)
        start = min(self.value, max(speed, target))
        self.value = max(target, start - fall)
        return self.value
