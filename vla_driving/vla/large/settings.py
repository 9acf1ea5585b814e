"""Parameters of slow_model; the values stand in config/stack.yaml."""

from __future__ import annotations

from dataclasses import dataclass

from vla_driving.contract.settings import choice, described, quantity


@dataclass(frozen=True)
class GenerationSettings:
    """How a large model is run; deployment choices, never part of its manifest."""

    device: str = choice("cpu", "cuda", doc="where it runs; it falls back to nothing else")
    precision: str = choice("bfloat16", "float16", "float32", doc="of weights and activations")
    samples: int = quantity("trajectories", 1, 64, "drawn for each thought")
    steps: int = quantity("steps", 0, 100, "of flow matching; 0 for the model's own")
    max_tokens: int = quantity("tokens", 1, 1024, "of reasoning; a longer one is cut")
    temperature: float = quantity("", 0.0, 2.0, "of the reasoning; 0 takes the likeliest word")


@dataclass(frozen=True)
class SlowModelSettings:
    """What it may take and for how long its thoughts hold."""

    generation: GenerationSettings = described("how the model is run")
    plan_validity: float = quantity("s", 0.2, 6.0, "after the exposure of its frames")
    time_out: float = quantity("s", 0.1, 60.0, "a thought that takes longer is thrown away")
    max_frame_age: float = quantity("s", 0.05, 2.0, "exposure to the start of a thought")
    max_route_age: float = quantity("s", 0.1, 10.0, "older routes count as none")
