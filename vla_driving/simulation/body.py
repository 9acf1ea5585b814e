"""One road user or thing in the map."""

from __future__ import annotations

import math
from dataclasses import dataclass

from vla_driving.contract.scene import ObjectClass, SceneObject
from vla_driving.simulation.ego import Motion
from vla_driving.simulation.renderer import Actor


@dataclass(frozen=True)
class Body:
    """One thing in the map: centre in m, heading in rad, velocity in m/s, size in m."""

    key: str
    classification: ObjectClass
    model: str
    x: float
    y: float
    heading: float
    velocity_x: float
    velocity_y: float
    length: float
    width: float
    height: float

    def actor(self) -> Actor:
        """What the renderer draws of it."""
        return Actor(
            self.key, self.model, self.x, self.y, self.heading, self.length, self.width, self.height
        )

    def seen_from(self, motion: Motion) -> SceneObject:
        """The same in the base_link of a car."""
        c, s = math.cos(motion.heading), math.sin(motion.heading)
        dx, dy = self.x - motion.x, self.y - motion.y
        return SceneObject(
            classification=self.classification, probability=1.0,
            x=c * dx + s * dy, y=-s * dx + c * dy, heading=_wrapped(self.heading - motion.heading),
            velocity_x=c * self.velocity_x + s * self.velocity_y,
            velocity_y=-s * self.velocity_x + c * self.velocity_y,
            length=self.length, width=self.width, height=self.height,
        )


def _wrapped(angle: float) -> float:
    return math.atan2(math.sin(angle), math.cos(angle))
