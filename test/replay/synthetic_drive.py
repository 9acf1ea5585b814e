"""A drive made up for tests: a winding road, a car ahead, a pedestrian; the same bytes each time.

Every figure of its summary is known beforehand, for latencies, periods, losses and faults are put
in by hand.
"""

from __future__ import annotations

import dataclasses
import math
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from vla_driving.contract import plan as plans
from vla_driving.contract.cameras import Camera, load_camera
from vla_driving.contract.events import DriveEvent, Severity
from vla_driving.contract.frames import CameraFrame, FrameSet, FrameStatus
from vla_driving.contract.plan import ApprovedPlan, Plan
from vla_driving.contract.scene import (
    LaneLine,
    LaneLineKind,
    ObjectClass,
    ObjectList,
    SceneObject,
)
from vla_driving.contract.settings import from_mapping, read_yaml
from vla_driving.contract.simulation import SimulationState
from vla_driving.contract.supervision import (
    Alert,
    CheckResult,
    Engagement,
    Level,
    Manoeuvre,
    SafetyState,
    Verdict,
)
from vla_driving.contract.trajectory import Trajectory, integrate
from vla_driving.contract.vehicle import CommandSource, ControlCommand, Gear, VehicleState
from vla_driving.recording.bag_writer import BagWriter
from vla_driving.recording.message_types import stack_types
from vla_driving.recording.settings import EventRecorderSettings
from vla_driving.replay.scene_view import SceneView, scaled

ROOT = Path(__file__).parents[2]
SECOND = 1_000_000_000
MS = 1_000_000
START = 1_700_000_000 * SECOND
LANE = 3.5


@dataclass(frozen=True)
class Script:
    """What happens in the drive; times in s from its start, engagement comes at `engage`."""

    duration: float = 6.0
    engage: float = 1.0
    plan_ms: int = 40
    command_ms: int = 70
    command_stop: float | None = None
    lost_plans: tuple[int, ...] = ()
    degraded: tuple[float, float] | None = None
    frame_sets: bool = True
    images: bool = True
    simulation: bool = True
    said: tuple[tuple[float, str, Any], ...] = ()
    """Words, with when and on which topic they arrive."""


def camera() -> Camera:
    return load_camera(ROOT / "config/cameras/metadrive_front.yaml")


def write_drive(folder: Path, script: Script) -> Path:
    """Write the drive as a bag into `folder`."""
    group = read_yaml(ROOT / "config/stack.yaml")["event_recorder"]["ros__parameters"]
    settings = from_mapping(EventRecorderSettings, group, "event_recorder")
    writer = BagWriter(folder, dataclasses.replace(settings, min_free_bytes=0))
    for arrival_ns, topic, value in sorted(_messages(script), key=lambda m: m[0]):
        message_type, cdr = encode(value)
        writer.write(topic, message_type, cdr, arrival_ns, arrival_ns)
    writer.close()
    assert writer.fault is None and not writer.lost and not writer.refused
    return folder


@dataclass(frozen=True)
class RawImage:
    """Stands for sensor_msgs/Image."""

    stamp_ns: int
    picture: np.ndarray[Any, np.dtype[np.uint8]]


def encode(value: Any) -> tuple[str, bytes]:
    """Type and CDR bytes of a contract object, by the naming rule of contract.messages."""
    types = stack_types()
    if isinstance(value, RawImage):
        name = "sensor_msgs/msg/Image"
        h, w, _ = value.picture.shape
        fields = {
            "header": _header(value.stamp_ns), "height": h, "width": w, "encoding": "rgb8",
            "is_bigendian": 0, "step": 3 * w, "data": value.picture.reshape(-1),
        }
        return name, bytes(types.serialize_cdr(types.types[name](**fields), name))
    name = f"vla_driving_msgs/msg/{type(value).__name__}"
    return name, bytes(types.serialize_cdr(_message(value), name))


def _message(value: Any) -> Any:
    name = f"vla_driving_msgs/msg/{type(value).__name__}"
    types = stack_types()
    fields: dict[str, Any] = {}
    for field, _ in types.get_msgdef(name).fields:
        if field == "header":
            fields[field] = _header(value.stamp_ns)
        elif isinstance(value, CameraFrame) and field in ("height", "width", "data"):
            assert value.image is not None
            h, w, _ = value.image.shape
            fields |= {"height": h, "width": w, "data": value.image.reshape(-1)}
        elif hasattr(value, f"{field}_ns"):
            fields[field] = _time(getattr(value, f"{field}_ns"))
        else:
            fields[field] = _field(getattr(value, field))
    return types.types[name](**fields)


def _field(content: Any) -> Any:
    if isinstance(content, tuple):
        return [_field(item) for item in content]
    return _message(content) if dataclasses.is_dataclass(content) else content


def _header(stamp_ns: int) -> Any:
    header = stack_types().types["std_msgs/msg/Header"]
    return header(stamp=_time(stamp_ns), frame_id="base_link")


def _time(stamp_ns: int) -> Any:
    sec, nanosec = divmod(stamp_ns, SECOND)
    return stack_types().types["builtin_interfaces/msg/Time"](sec=sec, nanosec=nanosec)


def curvature(s: float) -> float:
    """1/m at `s` m along the road."""
    return 0.006 * math.sin(s / 45.0)


def travelled(t: float) -> float:
    """Distance in m after t s: 12 m/s and a slow swell of speed."""
    return 12.0 * t + 6.0 * (1.0 - math.cos(t / 3.0))


def speed(t: float) -> float:
    return 12.0 + 2.0 * math.sin(t / 3.0)


def road_ahead(t: float, offset: float) -> tuple[np.ndarray, np.ndarray]:
    """Points `offset` m left of the ego lane's centre, from 4 m behind to 62 m ahead, base_link."""
    step, s0 = 1.0, travelled(t)
    x, y, heading = [0.0], [0.0], [0.0]
    for k in range(62):
        heading.append(heading[-1] + curvature(s0 + k * step) * step)
        x.append(x[-1] + step * math.cos(heading[-1]))
        y.append(y[-1] + step * math.sin(heading[-1]))
    h = np.array(heading)
    return (
        (np.array(x) - offset * np.sin(h)).astype(np.float32),
        (np.array(y) + offset * np.cos(h)).astype(np.float32),
    )


def picture(t: float, view: Camera) -> np.ndarray:
    """A painted road with sky, grass, asphalt, lines and the car ahead."""
    h, w = view.height, view.width
    image = np.zeros((h, w, 3), np.uint8)
    horizon = int(view.cy - view.fy * math.tan(view.mount.pitch))
    sky = np.linspace(0, 1, max(1, horizon))[:, None, None]
    image[:horizon] = (np.array([96, 148, 214]) * (1 - sky) + np.array([196, 214, 235]) * sky)
    image[horizon:] = (94, 122, 62)
    drawer = SceneView(view, 1.8)
    for half, offset, colour in (
        (LANE * 1.1, 0.0, (66, 68, 72)),
        (0.08, LANE / 2, (240, 240, 236)),
        (0.08, -LANE / 2, (240, 240, 236)),
        (0.12, LANE * 1.05, (222, 178, 60)),
    ):
        x, y = road_ahead(t, offset)
        sides = drawer._strip(x, y, half)
        assert sides is not None
        outline = np.concatenate([sides[0], sides[1][::-1]])
        cv2.fillPoly(image, [np.rint(outline).astype(np.int32)], colour, cv2.LINE_AA)
    lead = _lead(t)
    corners = np.array([[lead.x - 2, lead.y + s * 0.9, z] for s in (1, -1) for z in (0.2, 1.4)])
    pixels, _ = view.project(corners)
    low, high = pixels.min(0).astype(int), pixels.max(0).astype(int)
    cv2.rectangle(image, low.tolist(), high.tolist(), (52, 40, 60), -1)
    return image


def _lead(t: float) -> SceneObject:
    x, y = road_ahead(t, 0.0)
    k = int(24 + 6 * math.sin(t / 4.0))
    return SceneObject(
        ObjectClass.CAR, 0.93, float(x[k]), float(y[k]),
        float(math.atan2(y[k + 1] - y[k], x[k + 1] - x[k])), speed(t), 0.0, 4.5, 1.8, 1.4,
    )


def _pedestrian(t: float) -> SceneObject:
    x, y = road_ahead(t, -LANE * 1.3)
    k = max(6, 45 - int(3 * t))
    return SceneObject(
        ObjectClass.PEDESTRIAN, 0.8, float(x[k]), float(y[k]), 1.5, 0.0, 1.2, 0.6, 0.6, 1.75
    )


@cache
def _trajectory(t: float, spread: float = 0.0, probability: float = 0.8) -> Trajectory:
    times = np.arange(64) * 0.1
    acceleration = 0.67 * np.cos((t + times) / 3.0)
    bends = [curvature(travelled(t + dt)) + spread for dt in times]
    return integrate(speed(t), acceleration, bends, probability)


def _plan(t: float, stamp: int, k: int) -> Plan:
    kinds = (
        (LaneLineKind.LANE_LEFT, LANE / 2), (LaneLineKind.LANE_RIGHT, -LANE / 2),
        (LaneLineKind.ROAD_EDGE_LEFT, LANE * 1.05), (LaneLineKind.ROAD_EDGE_RIGHT, -LANE * 1.05),
    )
    lead = _lead(t)
    return Plan(
        stamp_ns=stamp, sequence=k, frame_sequence=k, valid_until_ns=stamp + SECOND // 2,
        model_name="synthetic", model_version="1.0.0", runtime="made up",
        candidates=(
            _trajectory(t), _trajectory(t, 0.004, 0.15), _trajectory(t, -0.004, 0.05),
        ),
        objects=(lead, _pedestrian(t)),
        lane_lines=tuple(LaneLine(kind, 0.9, *road_ahead(t, y)) for kind, y in kinds),
        traffic_controls=(), lateral_action=plans.LateralAction.KEEP_LANE,
        longitudinal_action=plans.LongitudinalAction.CRUISE,
        reasoning=f"Keeping the lane: car ahead at {lead.x:.0f} m",
        evidence=(plans.Evidence("car ahead", "distance", lead.x, "m"),),
        uncertainty=0.2, instruction_id=0,
        stages=(plans.StageTime("forward", 20.0),), checksum=0,
    )


def _safety(t: float, stamp: int, k: int, script: Script) -> SafetyState:
    engaged = t >= script.engage
    degraded = script.degraded is not None and script.degraded[0] <= t < script.degraded[1]
    checks = (
        CheckResult("plan_freshness", Verdict.PASS, 0.05, 0.3, "s", Level.NOMINAL, ""),
        CheckResult(
            "lane_position", Verdict.WARN if degraded else Verdict.PASS, 0.5, 0.4, "m",
            Level.DEGRADED, "lane_position: 0.5 m beside the lane's centre, limit 0.4 m",
        ),
    )
    return SafetyState(
        stamp, k, Level.DEGRADED if degraded else Level.NOMINAL,
        Engagement.ENABLED if engaged else Engagement.DISABLED, Manoeuvre.NONE, True,
        Alert.WARNING if degraded else Alert.NONE,
        "Keep your eyes on the road: lane hard to see" if degraded else "", checks,
    )


def _messages(script: Script) -> list[tuple[int, str, Any]]:
    out: list[tuple[int, str, Any]] = []
    view = camera()
    frames = round(script.duration * 10)
    for k in range(frames):
        t, stamp = k / 10, START + k * 100 * MS
        image = picture(t, view)
        if script.images:
            out.append((stamp + 2 * MS, "/camera/front/image", RawImage(stamp, image)))
        if script.frame_sets:
            front = CameraFrame("front", stamp, FrameStatus.OK, 0.0, 0.0, image)
            frame_set = FrameSet(stamp, k, "synthetic/1.0.0", (front,))
            out.append((stamp + 5 * MS, "/vla/frames", frame_set))
        if k not in script.lost_plans:
            out.append((stamp + script.plan_ms * MS, "/vla/plan", _plan(t, stamp, k)))
        out.append((stamp, "/vla/safety_state", _safety(t, stamp, k, script)))
        echo = dataclasses.replace(_lead(t), classification=ObjectClass.UNKNOWN)
        out.append((stamp, "/vehicle/objects", ObjectList(stamp, k, "front_radar", (echo,))))
        if script.simulation:
            out.append((stamp, "/simulation/state", _truth(t, stamp)))
    out += _fast_messages(script, frames)
    out += [(START + round(t * SECOND), topic, value) for t, topic, value in script.said]
    return out


def _fast_messages(script: Script, frames: int) -> list[tuple[int, str, Any]]:
    out: list[tuple[int, str, Any]] = []
    planned = [k for k in range(frames) if k not in script.lost_plans]
    for k in range(frames * 5):
        stamp = START + k * 20 * MS
        t = k / 50
        bend = curvature(travelled(t))
        out.append((stamp, "/vehicle/state", VehicleState(
            stamp, k, speed(t), speed(t), 0.67 * math.cos(t / 3), speed(t) ** 2 * bend,
            speed(t) * bend, math.atan(2.5 * bend), 0.0, Gear.DRIVE, False,
        )))
    for k in range(frames * 10):
        arrival = START + k * 10 * MS
        t = k / 100
        if script.command_stop is not None and t >= script.command_stop:
            break
        newest = max((p for p in planned if p * 100 + script.command_ms <= k * 10), default=None)
        frame_stamp = START + newest * 100 * MS if newest is not None else 0
        engaged = t >= script.engage
        out.append((arrival, "/vla/control_command", ControlCommand(
            arrival - 5 * MS, k, newest or 0, frame_stamp,
            CommandSource.PLAN if engaged else CommandSource.STANDBY, engaged,
            math.atan(2.5 * curvature(travelled(t))), 0.0, 0.67 * math.cos(t / 3), 0.0,
            False, False,
        )))
        if k % 2 == 0 and newest is not None:
            out.append((arrival, "/vla/approved_plan", ApprovedPlan(
                arrival, k // 2, newest, frame_stamp, arrival + SECOND // 2,
                plans.PlanSource.MODEL, engaged, False, False, 16.0, _trajectory(round(t, 1)),
            )))
    if script.degraded:
        for t in script.degraded:
            stamp = START + round(t * SECOND)
            out.append((stamp, "/vla/event", DriveEvent(
                stamp, Severity.WARNING, "safety_monitor", "lane_lost", "lane_position",
                0.5, 0.4, "m", "lane_position: 0.5 m, limit 0.4 m; speed capped",
            )))
    return out


def _truth(t: float, stamp: int) -> SimulationState:
    s = travelled(t)
    return SimulationState(
        stamp, s, 12.0 * math.sin(s / 60.0), 0.2 * math.cos(s / 60.0), s, min(1.0, s / 800.0),
        0, False, 0.1, 1.0, (), (),
    )


def big_picture(t: float) -> np.ndarray:
    """The painted road at the video's size, for looking at the drawing alone."""
    return picture(t, scaled(camera(), 1024, 576))
