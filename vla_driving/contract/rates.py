"""How often each topic speaks: the `rates` group that every node shares."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass

from vla_driving.contract.settings import quantity


@dataclass(frozen=True)
class Rates:
    """Nominal rates in Hz, named as in the topic table."""

    camera: float = quantity("Hz", 1.0, 60.0, "images of one camera")
    frames: float = quantity("Hz", 1.0, 60.0, "frame sets")
    plan: float = quantity("Hz", 1.0, 60.0, "plans of the model")
    approved_plan: float = quantity("Hz", 10.0, 200.0, "steps of the safety monitor")
    safety_state: float = quantity("Hz", 1.0, 200.0, "reports of the safety monitor")
    command: float = quantity("Hz", 20.0, 200.0, "control commands")
    vehicle_state: float = quantity("Hz", 10.0, 200.0, "vehicle states")
    objects: float = quantity("Hz", 1.0, 100.0, "object lists of the independent sensor")
    route: float = quantity("Hz", 0.2, 20.0, "navigation updates")
    driver_state: float = quantity("Hz", 1.0, 60.0, "driver monitoring")
    heartbeat: float = quantity("Hz", 10.0, 100.0, "signs of life of one node")
    simulation_state: float = quantity("Hz", 1.0, 100.0, "the simulator's truth")

    def as_dict(self) -> dict[str, float]:
        """Rates by name."""
        return dataclasses.asdict(self)
