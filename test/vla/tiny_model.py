"""A tiny real network: steers by left-right brightness, holds 10 m/s, counts frames in a state."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from vla_driving import paths
from vla_driving.contract.cameras import Camera, Mount
from vla_driving.contract.checksum import vehicle_state_checksum
from vla_driving.contract.frames import CameraFrame, FrameSet, FrameStatus
from vla_driving.contract.vehicle import Gear, VehicleState, load_vehicle
from vla_driving.vla.manifest import (
    NAVIGATION_FIELDS,
    Inputs,
    Manifest,
    Model,
    ModelFile,
    Outputs,
    StateTensor,
    Training,
)
from vla_driving.vla.settings import EngineSettings, RuntimeSettings

WIDTH, HEIGHT, CANDIDATES = 32, 16, 2
STATIONS = (5.0, 10.0, 20.0, 40.0)
VEHICLE = load_vehicle(paths.config("vehicles") / "default.yaml")
TARGET_SPEED, GAIN = 10.0, 0.2

ModelFactory = Callable[..., Model]


def runtime_settings(*order: str, cache: Path = Path("unused")) -> RuntimeSettings:
    """Settings of a runtime in single precision on one thread."""
    return RuntimeSettings(
        order=order, precision="float32", threads=1, warm_up_passes=1, cuda_graphs=True,
        torch_compile=False,
        engine=EngineSettings(
            cache=str(cache), optimisation_level=3, workspace=64, refittable=False
        ),
    )


def camera(name: str = "front") -> Camera:
    mount = Mount(x=1.0, y=0.0, z=1.4, roll=0.0, pitch=0.0, yaw=0.0)
    return Camera(
        name=name, width=WIDTH, height=HEIGHT, fx=30.0, fy=30.0, cx=WIDTH / 2, cy=HEIGHT / 2,
        mount=mount, distortion_model="none", distortion=(),
    )


def manifest(**changes: Any) -> Manifest:
    made = Manifest(
        contract_version=1, name="tiny", version="0.1.0", licence="Apache-2.0",
        description="a few operators for tests", rate_hz=10.0, horizon_s=6.4,
        inputs=Inputs(
            cameras=(camera(),), history=1, ego=("speed",), navigation=NAVIGATION_FIELDS,
            states=(StateTensor("count", (1, 1)),), text_encoder=None,
        ),
        outputs=Outputs(
            acceleration=(1, CANDIDATES, 64), curvature=(1, CANDIDATES, 64),
            probability=(1, CANDIDATES), uncertainty=(1,), lane_stations_m=STATIONS,
            lane_lines=(1, 4, 1 + len(STATIONS)), objects=(1, 3, 8),
        ),
        files=(ModelFile(path="tiny.onnx", sha256="0" * 64, role="network"),),
        training=Training(
            data="none", samples=0, method="written by hand", licence_of_data="none"
        ),
        scores=(),
    )
    return dataclasses.replace(made, **changes)


LANE_LINES = np.array(
    [[[0.9, 1.8, 1.8, 1.8, 1.8], [0.8, -1.8, -1.8, -1.8, -1.8],
      [0.1, 5.0, 5.0, 5.0, 5.0], [0.7, -5.0, -5.0, -5.0, -5.0]]], np.float32
)
OBJECTS = np.array(
    [[[0.2, 50.0, 3.0, 9.0, 0.0, 4.5, 1.8, 1.0], [0.9, 18.0, 0.2, 6.0, 0.0, 4.5, 1.8, 1.0],
      [0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0]]], np.float32
)
PROBABILITY = np.array([[0.3, 0.7]], np.float32)


def write_network(path: Path, constants: Mapping[str, np.ndarray] | None = None) -> None:
    """The graph of the module's docstring; `constants` replaces what it answers."""
    onnx = pytest.importorskip("onnx", reason="the package onnx is needed to make test networks")
    helper, numpy_helper, types = onnx.helper, onnx.numpy_helper, onnx.TensorProto
    values = {
        "probability": PROBABILITY, "lane_lines": LANE_LINES, "objects": OBJECTS,
        "uncertainty": np.array([0.4], np.float32), **(constants or {}),
    }
    tilt = np.where(np.arange(WIDTH) < WIDTH / 2, 0.01, -0.01).reshape(1, 1, 1, WIDTH, 1)
    fixed = {
        "tilt": tilt.astype(np.float32), "target": np.array([[TARGET_SPEED]], np.float32),
        "gain": np.array([[GAIN]], np.float32), "one": np.ones((1, 1), np.float32),
        "spread": np.ones((1, CANDIDATES, 64), np.float32),
        **{f"{name}_value": value.astype(np.float32) for name, value in values.items()},
    }
    nodes = [
        helper.make_node("Cast", ["images"], ["pixels"], to=types.FLOAT),
        helper.make_node("Mul", ["pixels", "tilt"], ["tilted"]),
        helper.make_node("ReduceMean", ["tilted"], ["steer"], axes=[1, 2, 3, 4], keepdims=0),
        helper.make_node("Mul", ["steer", "spread"], ["curvature"]),
        helper.make_node("Sub", ["target", "ego"], ["error"]),
        helper.make_node("Mul", ["error", "gain"], ["push"]),
        helper.make_node("Mul", ["push", "spread"], ["acceleration"]),
        helper.make_node("Add", ["state_count", "one"], ["next_state_count"]),
        helper.make_node("ReduceSum", ["navigation"], ["all"], keepdims=0),
        helper.make_node("Sub", ["all", "all"], ["nought"]),
        *(helper.make_node("Add", [f"{n}_value", "nought"], [n]) for n in values),
    ]
    shapes: dict[str, list[int]] = {n: list(v.shape) for n, v in values.items()}
    shapes |= {"acceleration": [1, CANDIDATES, 64], "curvature": [1, CANDIDATES, 64]}
    shapes |= {"next_state_count": [1, 1]}
    graph = helper.make_graph(
        nodes, "tiny",
        [helper.make_tensor_value_info("images", types.UINT8, [1, 1, HEIGHT, WIDTH, 3]),
         helper.make_tensor_value_info("ego", types.FLOAT, [1, 1]),
         helper.make_tensor_value_info("navigation", types.FLOAT, [1, 8]),
         helper.make_tensor_value_info("state_count", types.FLOAT, [1, 1])],
        [helper.make_tensor_value_info(n, types.FLOAT, s) for n, s in shapes.items()],
        [numpy_helper.from_array(v, n) for n, v in fixed.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)
    onnx.checker.check_model(model)
    onnx.save(model, path)


def torch_network(torch: Any) -> Any:
    """The same network as a torch module that answers by name."""

    class Tiny(torch.nn.Module):
        def forward(self, images: Any, ego: Any, navigation: Any, state_count: Any) -> Any:
            tilt = torch.where(torch.arange(WIDTH) < WIDTH / 2, 0.01, -0.01)
            steer = (images.float() * tilt.reshape(1, 1, 1, WIDTH, 1)).mean((1, 2, 3, 4))
            spread = torch.ones((1, CANDIDATES, 64))
            nought = 0.0 * navigation.sum()
            constants = {
                "probability": PROBABILITY, "lane_lines": LANE_LINES, "objects": OBJECTS,
                "uncertainty": np.array([0.4], np.float32),
            }
            return {
                "curvature": steer * spread,
                "acceleration": GAIN * (TARGET_SPEED - ego) * spread,
                "next_state_count": state_count + 1.0,
                **{n: torch.tensor(v.tolist()) + nought for n, v in constants.items()},
            }

    return Tiny()


def torch_inputs(torch: Any, model: Model) -> dict[str, Any]:
    """Zeros of the model's inputs as torch tensors."""
    return {
        t.name: torch.zeros(t.shape, dtype=getattr(torch, t.dtype))
        for t in model.manifest.input_tensors()
    }


def frame_set(
    stamp_ns: int,
    sequence: int = 0,
    image: np.ndarray | None = None,
    name: str = "front",
    status: FrameStatus = FrameStatus.OK,
    model: str = "tiny/0.1.0",
) -> FrameSet:
    """One grey image unless another is given."""
    grey = np.full((HEIGHT, WIDTH, 3), 100, np.uint8)
    frame = CameraFrame(name, stamp_ns, status, 1.0, 2.0, grey if image is None else image)
    return FrameSet(stamp_ns, sequence, model, (frame,))


def vehicle_state(stamp_ns: int, sequence: int = 0, **values: Any) -> VehicleState:
    """A state that fits its checksum; every number that is not given is 0."""
    numbers = {
        "speed": 0.0, "wheel_speed": 0.0, "acceleration": 0.0, "lateral_acceleration": 0.0,
        "yaw_rate": 0.0, "steering_angle": 0.0, "steering_rate": 0.0, **values,
    }
    state = VehicleState(
        stamp_ns=stamp_ns, sequence=sequence, gear=Gear.DRIVE, standstill=False, **numbers
    )
    return dataclasses.replace(state, checksum=vehicle_state_checksum(state))
