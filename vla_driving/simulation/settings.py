"""What the simulator node can be told; values stand in config/stack.yaml."""

from __future__ import annotations

from dataclasses import dataclass

from vla_driving.contract.settings import described, quantity


@dataclass(frozen=True)
class SimulatorSettings:
    """Which drive, and how much lost time is made up for."""

    scenario: str = described("name of a file in config/scenarios, or a path")
    seed: int = quantity("", -1, 1_000_000, "instead of the scenario's; -1 keeps it")
    max_catch_up: int = quantity(
        "steps", 1, 50, "physics steps made up for at once; time beyond it is lost and reported"
    )
