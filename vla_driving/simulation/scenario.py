"""What happens in one simulated drive: config/scenarios/<name>.yaml, read strictly."""

from __future__ import annotations

import dataclasses
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from vla_driving.contract.settings import SettingsError, choice, described, load, quantity

BLOCKS = "SCXTOrRyYfF"
"""MetaDrive's road blocks: straight, curve, crossing, T junction, roundabout, on-ramp, off-ramp,
merge, split, fork in, fork out."""

BOX_SIZES = {
    "pedestrian": (0.5, 0.6, 1.8), "car": (4.4, 1.85, 1.37), "truck": (5.8, 2.3, 2.8),
    "cone": (0.5, 0.5, 0.6), "barrier": (0.6, 2.0, 2.0),
}
"""Length, width and height in m of what can be placed."""


def _optional(specification: Any, value: Any) -> Any:
    return field(default=value, metadata=specification.metadata)


@dataclass(frozen=True)
class PlacedObject:
    """One thing on the road that traffic does not bring by itself."""

    kind: str = choice(*BOX_SIZES)
    distance: float = quantity("m", 5.0, 20000.0, "along the route from where the car starts")
    lateral: float = _optional(
        quantity("m", -30.0, 30.0, "left of the centre of the lane that the car starts in"), 0.0
    )
    heading: float = _optional(quantity("rad", -3.1416, 3.1416, "against the road's"), 0.0)
    crossing_speed: float = _optional(
        quantity("m/s", -3.0, 3.0, "pedestrians: to the left across the road; 0 stands"), 0.0
    )
    trigger_distance: float = _optional(
        quantity("m", 0.0, 200.0, "starts to cross when the car is this near"), 40.0
    )
    measured_from: str = _optional(
        choice("start", "bend", doc="distance counts from the start or from the end of the "
                                    "first bend"), "start"
    )
    behaviour: str = _optional(
        choice("stands", "brakes", "cuts_in", doc="cars and trucks: stand, or drive `distance` m "
                                                  "ahead of the car and then do this"), "stands"
    )
    acts_after: float = _optional(quantity("s", 0.0, 600.0, "when it brakes or cuts in"), 5.0)
    deceleration: float = _optional(quantity("m/s^2", 0.5, 9.0, "of one that drives"), 5.0)
    final_speed: float = _optional(quantity("m/s", 0.0, 22.0, "that it slows down to"), 0.0)
    manoeuvre_time: float = _optional(quantity("s", 1.0, 10.0, "that cutting in takes"), 2.5)
    rests: float = _optional(
        quantity("s", 0.0, 600.0, "at its final speed before it goes on with the traffic"), 5.0
    )

    @property
    def drives(self) -> bool:
        """Whether it is a car under way."""
        return self.behaviour != "stands"


@dataclass(frozen=True)
class DriverAction:
    """The driver intervenes: brake and accelerate in m/s^2, steer in rad at the road wheel."""

    kind: str = choice("brake", "accelerate", "steer", "cancel")
    start: float = quantity("s", 0.0, 3600.0, "simulated time")
    duration: float = quantity("s", 0.05, 600.0)
    value: float = _optional(quantity("m/s^2 or rad", -0.6, 8.0), 0.0)


@dataclass(frozen=True)
class DriverScript:
    """What the simulated driver does; delays in s, negative for never."""

    engage_delay: float = _optional(
        quantity("s", -1.0, 600.0, "from the stack being ready to the first press"), 1.0
    )
    reengage_delay: float = _optional(
        quantity("s", -1.0, 600.0, "from standing disengaged to the next press"), 3.0
    )
    press_duration: float = _optional(quantity("s", 0.05, 5.0), 0.4)
    actions: tuple[DriverAction, ...] = ()


@dataclass(frozen=True)
class Utterance:
    """What a passenger says to the car."""

    text: str = described("an instruction or a question in English")
    after: float = quantity("s", 0.0, 3600.0, "since the car was first engaged")


@dataclass(frozen=True)
class Disturbance:
    """What is wrong with the camera's frames for a while."""

    kind: str = choice("missing", "frozen", "dark", "overexposed", "covered", "blurred")
    start: float = quantity("s", 0.0, 3600.0, "simulated time")
    duration: float = quantity("s", 0.0, 3600.0)


@dataclass(frozen=True)
class Look:
    """Light, weather, paint and how the camera sits, for the whole drive."""

    light: str = _optional(
        choice("day", "glare", "night", doc="glare: a low sun near the way ahead"), "day"
    )
    rain: float = _optional(quantity("", 0.0, 1.0, "drops on the lens, 1: covered"), 0.0)
    paint: float = _optional(quantity("", 0.0, 1.0, "lane lines, 1: new, 0: worn away"), 1.0)
    camera_roll: float = _optional(quantity("deg", -5.0, 5.0, "off its mount"), 0.0)
    camera_pitch: float = _optional(quantity("deg", -5.0, 5.0, "off its mount, down"), 0.0)
    camera_yaw: float = _optional(quantity("deg", -5.0, 5.0, "off its mount, left"), 0.0)


@dataclass(frozen=True)
class Scenario:
    """One drive. `name` is the file's; `map` a string of BLOCKS, or a number of random ones."""

    name: str = described("shown in reports")
    map: str = described("blocks, such as SCS, or a number of random blocks, such as 5")
    seed: int = quantity("", 0, 1_000_000, "roads, traffic and sensor noise follow from it")
    traffic_density: float = _optional(quantity("", 0.0, 0.4, "cars per 10 m of lane"), 0.0)
    traffic_speed: float = _optional(quantity("m/s", 2.0, 22.0, "that traffic wishes to go"), 9.0)
    lanes: int = _optional(quantity("", 1, 4, "a direction"), 3)
    start_lane: int = _optional(quantity("", 0, 3, "0 is the leftmost"), 1)
    lane_width: float = _optional(quantity("m", 2.75, 4.5), 3.5)
    start_speed: float = _optional(quantity("m/s", 0.0, 20.0), 0.0)
    speed_limit: float = _optional(quantity("m/s", 3.0, 22.0), 12.0)
    duration: float = _optional(quantity("s", 1.0, 3600.0), 60.0)
    driver: DriverScript = field(default_factory=DriverScript)
    passenger: tuple[Utterance, ...] = ()
    objects: tuple[PlacedObject, ...] = ()
    disturbances: tuple[Disturbance, ...] = ()
    look: Look = field(default_factory=Look)

    def __post_init__(self) -> None:
        if not (re.fullmatch(f"[{BLOCKS}]+", self.map) or re.fullmatch(r"[1-9]\d?", self.map)):
            raise SettingsError(
                f"scenario {self.name}: map: {self.map!r} is neither blocks of {BLOCKS} "
                "nor a number of 1 to 99"
            )
        if self.start_lane >= self.lanes:
            raise SettingsError(
                f"scenario {self.name}: start_lane: {self.start_lane} is outside 0 to "
                f"{self.lanes - 1}, as there are {self.lanes} lanes"
            )

    def replace(self, **changes: Any) -> Scenario:
        """The same scenario with other values; their ranges are not checked again."""
        return dataclasses.replace(self, **changes)


def load_scenario(path: Path) -> Scenario:
    """Read a scenario file. Raises SettingsError."""
    return load(Scenario, path)
