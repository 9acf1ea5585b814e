"""Parameters of vla_inference; the values stand in config/stack.yaml."""

from __future__ import annotations

from dataclasses import dataclass

from vla_driving.contract.settings import choice, described, quantity

RUNTIMES = (
    "openvino/CPU", "openvino/GPU", "onnxruntime/CPU", "onnxruntime/CUDA", "tensorrt/GPU",
)


@dataclass(frozen=True)
class RuntimeSettings:
    """What runs the network; deployment choices, never part of a model's manifest."""

    order: tuple[str, ...] = choice(
        *RUNTIMES, doc="runtime/device in order of preference; a fall-back is reported as a fault"
    )
    threads: int = quantity("threads", 1, 16, "of one inference on the CPU")
    warm_up_passes: int = quantity("passes", 1, 20, "before the first frame is answered")
    engine_cache: str = described("folder of built TensorRT engines; unused by other runtimes")


@dataclass(frozen=True)
class VlaInferenceSettings:
    """Runtime, validity of plans and how old an input may be."""

    runtime: RuntimeSettings
    plan_validity: float = quantity("s", 0.1, 2.0, "after the exposure of its frames")
    max_frame_age: float = quantity("s", 0.05, 2.0, "exposure to the start of inference")
    future_tolerance: float = quantity("s", 0.0, 0.5, "frames stamped further ahead are refused")
    max_vehicle_state_age: float = quantity(
        "s", 0.02, 1.0, "vehicle state to the exposure of the frames"
    )
    max_route_age: float = quantity("s", 0.1, 10.0, "older routes count as none")
    min_object_probability: float = quantity("", 0.0, 1.0, "less probable objects are left out")
    min_lane_probability: float = quantity("", 0.0, 1.0, "less probable lane lines are left out")
