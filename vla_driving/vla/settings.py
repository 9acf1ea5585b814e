"""Parameters of vla_inference; the values stand in config/stack.yaml."""

from __future__ import annotations

from dataclasses import dataclass

from vla_driving.contract.settings import choice, described, quantity
from vla_driving.vla.large.advice import DRIVE, EXPLAIN
from vla_driving.vla.manifest import PRECISIONS

AUTO = "auto"
AUTO_ORDER = (
    "tensorrt/GPU", "onnxruntime/TensorRT", "onnxruntime/CUDA", "openvino/CPU", "onnxruntime/CPU",
)
"""What `auto` tries: the fastest first."""
RUNTIMES = (
    *AUTO_ORDER, "openvino/GPU", "tensorrt_rtx/GPU", "torch/CUDA", "torch/CPU",
)


@dataclass(frozen=True)
class EngineSettings:
    """How networks are compiled for a device, and where the result is kept."""

    cache: str = described("folder of built engines; ~ is the user's home")
    optimisation_level: int = quantity("", 0, 5, "TensorRT's: 3 is its default, 5 searches longest")
    workspace: int = quantity("MiB", 16, 65536, "GPU memory that TensorRT may use for scratch")
    refittable: bool = described(
        "TensorRT: an engine takes a retrained model's weights in seconds; it may be slower"
    )


@dataclass(frozen=True)
class RuntimeSettings:
    """What runs the network; deployment choices, never part of a model's manifest."""

    order: tuple[str, ...] = choice(
        AUTO, *RUNTIMES,
        doc="runtime/device in order of preference, a fall-back is reported as a fault; or auto",
    )
    precision: str = choice(
        *PRECISIONS, doc="of the network; a model without it runs in float32 and says so"
    )
    threads: int = quantity("threads", 1, 16, "of one inference on the CPU")
    warm_up_passes: int = quantity("passes", 1, 20, "before the first frame is answered")
    cuda_graphs: bool = described("replay the GPU's work as one CUDA graph")
    torch_compile: bool = described("torch alone: compile at start; needs a C++ compiler")
    engine: EngineSettings = described("compiled networks")


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
    thoughts: str = choice(
        EXPLAIN, DRIVE,
        doc="of a large model: their words beside the plan's own, or their trajectories in place "
        "of the plan's while they are valid",
    )
