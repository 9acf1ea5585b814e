"""One camera picture after the other, each with what the stack made of that very picture."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Generic, TypeVar

import cv2
import numpy as np

from vla_driving.contract.clock import SECOND, Nanoseconds
from vla_driving.contract.frames import Image
from vla_driving.contract.messages import stamp_of
from vla_driving.contract.motion import EgoMotion
from vla_driving.contract.plan import ApprovedPlan, Plan
from vla_driving.contract.scene import ObjectList
from vla_driving.contract.supervision import SafetyState
from vla_driving.contract.trajectory import Trajectory
from vla_driving.contract.vehicle import ControlCommand, VehicleState
from vla_driving.recording.bag_reader import BagMessage, BagReader
from vla_driving.replay.conversation import Conversation, Spoken
from vla_driving.replay.drive import Arrived, Drive, Window

T = TypeVar("T")
OLDEST_OBJECTS_S = 0.5


@dataclass(frozen=True, eq=False)
class Moment:
    """A picture and what belongs to it; None where the bag has nothing fitting.

    `plan` was made from this picture; `approved` is the first decision upon it, its trajectory
    moved into base_link at the picture's exposure. `vehicle`, `safety` and `objects` are the newest
    measured by then, `command` the first made from this picture, `latency_ms` its way from exposure
    to command; `spoken` is what was said in the car by then.
    """

    stamp_ns: Nanoseconds
    elapsed_s: float
    picture: Image
    plan: Plan | None
    approved: ApprovedPlan | None
    vehicle: VehicleState | None
    safety: SafetyState | None
    objects: ObjectList | None
    command: ControlCommand | None
    latency_ms: float | None
    spoken: Spoken = Spoken()


def picture_topic(drive: Drive, camera: str) -> str | None:
    """Topic that holds a camera's pictures: its own, else "vla/frames"; None where none came."""
    for suffix in (f"camera/{camera}/image", f"camera/{camera}/image/compressed"):
        for name in drive.arrivals:
            if name == suffix or name.endswith("/" + suffix):
                return name
    return "vla/frames" if "vla/frames" in drive.arrivals else None


def moments(
    bag: Path, drive: Drive, window: Window, camera: str, topic: str
) -> Iterator[Moment]:
    """Moments within the window, in order, with the pictures of `camera` on `topic`.

    Pictures that cannot be decoded are left out. Raises BagError.
    """
    around = _Around(drive, window)
    for message in BagReader(bag).messages([topic, "/" + topic]):
        if window.start_ns <= message.log_time_ns <= window.end_ns:
            found = _picture(message, camera)
            if found is not None:
                yield around.moment(*found)


class _Around:
    """What belongs to a picture; asked in the order of time."""

    def __init__(self, drive: Drive, window: Window) -> None:
        self._window = window
        self._plans = {p.value.stamp_ns: p.value for p in drive.plans}
        self._approved: dict[Nanoseconds, ApprovedPlan] = {}
        for approved in drive.approved:
            self._approved.setdefault(approved.value.frame_stamp_ns, approved.value)
        self._commands: dict[Nanoseconds, Arrived[ControlCommand]] = {}
        for command in drive.commands:
            self._commands.setdefault(command.value.frame_stamp_ns, command)
        self._vehicle = _Newest(drive.vehicle)
        self._safety = _Newest(drive.safety)
        self._objects = _Newest(drive.objects)
        self._conversation = Conversation(drive)
        self._states = iter(drive.vehicle)
        self._motion = EgoMotion()

    def moment(self, stamp_ns: Nanoseconds, picture: Image) -> Moment:
        command = self._commands.get(stamp_ns)
        approved = self._approved.get(stamp_ns)
        objects = self._objects.at(stamp_ns)
        if objects is not None and stamp_ns - objects.stamp_ns > OLDEST_OBJECTS_S * SECOND:
            objects = None
        latest = max(stamp_ns, approved.stamp_ns if approved else stamp_ns)
        self._advance(latest)
        return Moment(
            stamp_ns=stamp_ns,
            elapsed_s=(stamp_ns - self._window.start_ns) / SECOND,
            picture=picture,
            plan=self._plans.get(stamp_ns),
            approved=moved(approved, self._motion, stamp_ns) if approved else None,
            vehicle=self._vehicle.at(stamp_ns),
            safety=self._safety.at(stamp_ns),
            objects=objects,
            command=command.value if command else None,
            latency_ms=(command.arrival_ns - stamp_ns) / 1e6 if command else None,
            spoken=self._conversation.at(stamp_ns),
        )

    def _advance(self, until_ns: Nanoseconds) -> None:
        while (self._motion.newest_ns or 0) < until_ns:
            state = next(self._states, None)
            if state is None:
                return
            self._motion.add(state.value)


def moved(approved: ApprovedPlan, motion: EgoMotion, stamp_ns: Nanoseconds) -> ApprovedPlan:
    """With its trajectory in base_link at an instant; as it is where the way is unknown."""
    change = motion.change(approved.stamp_ns, stamp_ns)
    if change is None:
        return approved
    old = approved.trajectory
    x, y = change.to_second(old.x, old.y)
    trajectory: Trajectory = replace(
        old,
        x=x.astype(np.float32),
        y=y.astype(np.float32),
        heading=(old.heading - change.dyaw).astype(np.float32),
    )
    return replace(approved, trajectory=trajectory)


class _Newest(Generic[T]):
    """Newest message whose stamp is not later than an instant."""

    def __init__(self, arrived: Sequence[Arrived[T]]) -> None:
        self._values = sorted((a.value for a in arrived), key=_stamp)
        self._stamps = [_stamp(v) for v in self._values]

    def at(self, stamp_ns: Nanoseconds) -> T | None:
        index = bisect_right(self._stamps, stamp_ns) - 1
        return self._values[index] if index >= 0 else None


def _stamp(value: Any) -> Nanoseconds:
    return int(value.stamp_ns)


def _picture(message: BagMessage, camera: str) -> tuple[Nanoseconds, Image] | None:
    decoded = message.decoded
    stamp = stamp_of(decoded.header.stamp)
    if message.type.endswith("/Image"):
        image = _decode_raw(decoded)
    elif message.type.endswith("/CompressedImage"):
        image = _decode_compressed(decoded)
    else:
        image = _from_frame_set(decoded, camera)
    return None if image is None else (stamp, image)


def _decode_raw(message: Any) -> Image | None:
    """sensor_msgs/Image as rgb8; None for an encoding other than rgb8, bgr8 or mono8."""
    channels = {"rgb8": 3, "bgr8": 3, "mono8": 1}.get(message.encoding)
    height, width, step = int(message.height), int(message.width), int(message.step)
    data = np.frombuffer(message.data, np.uint8)
    if channels is None or step < width * channels or data.size < height * step or not data.size:
        return None
    rows = data[: height * step].reshape(height, step)[:, : width * channels]
    image = rows.reshape(height, width, channels)
    if channels == 1:
        return np.repeat(image, 3, axis=2)
    return image if message.encoding == "rgb8" else np.ascontiguousarray(image[:, :, ::-1])


def _decode_compressed(message: Any) -> Image | None:
    data = np.frombuffer(message.data, np.uint8)
    image = cv2.imdecode(data, cv2.IMREAD_COLOR_RGB) if data.size else None
    return None if image is None else image.astype(np.uint8, copy=False)


def _from_frame_set(message: Any, camera: str) -> Image | None:
    for frame in message.frames:
        size = int(frame.height) * int(frame.width) * 3
        if frame.name == camera and size and len(frame.data) == size:
            pixels = np.frombuffer(frame.data, np.uint8)
            return pixels.reshape(int(frame.height), int(frame.width), 3)
    return None
