"""Images of one camera with the car's speed: from a bag, a video, or topics of a running car."""

from __future__ import annotations

import math
import time
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from vla_driving.bringup.lifecycle import make_node
from vla_driving.camera.images import CameraImage, DecodeError, Picture, VideoPacket
from vla_driving.camera.sources import open_source
from vla_driving.camera.video import VideoDecoder
from vla_driving.contract.clock import SECOND, Nanoseconds, age_s
from vla_driving.contract.messages import stamp_of
from vla_driving.contract.topics import BY_NAME, camera_topic
from vla_driving.nodes.camera_topics import KINDS, Kind
from vla_driving.nodes.cameras import is_installed
from vla_driving.nodes.qos import profile
from vla_driving.nodes.stack_node import message_type
from vla_driving.recording.bag_reader import BagReader

OLDEST_SPEED_S = 0.5
STATE = "vehicle/state"
_FOLDER_RATE_HZ = 10.0


class NoImages(ValueError):
    """One line: where images were looked for."""


@dataclass(frozen=True, eq=False)
class Seen:
    """A picture, the start of its exposure, and the speed in m/s then, None where unknown."""

    stamp_ns: Nanoseconds
    picture: Picture
    speed: float | None


def from_video(path: Path, speed: float | None, speeds: Path | None) -> Iterator[Seen]:
    """A video file or a folder of pictures; `speeds` holds lines of seconds, m/s.

    Raises SourceError, NoImages.
    """
    table = None if speeds is None else _table(speeds)
    for stamped in open_source(path, _FOLDER_RATE_HZ).images(loop=False):
        now = speed
        if table is not None:
            at = stamped.offset_ns / SECOND
            now = float(np.interp(at, *table, left=math.nan, right=math.nan))
            now = None if math.isnan(now) else now
        yield Seen(stamped.offset_ns, stamped.image, now)


def from_bag(bag: Path, camera: str) -> Iterator[Seen]:
    """Every kind of image topic that camera_ingest takes. Raises BagError, NoImages."""
    taker = _Taker(camera)
    kinds = {"/" + camera_topic(kind.row, camera): kind for kind in KINDS.values()}
    count = 0
    for message in BagReader(bag).messages([STATE, *(kind.row for kind in KINDS.values())]):
        if message.topic.endswith("/" + STATE):
            taker.take_state(message.decoded)
            continue
        kind = next((k for name, k in kinds.items() if message.topic.endswith(name)), None)
        if kind is not None:
            count += 1
            yield from taker.pictures(kind.image(camera, message.decoded))
    if not count:
        raise NoImages(f"{bag}: holds no images of camera {camera!r} on {', '.join(kinds)}")


def from_topics(namespace: str, camera: str, duration_s: float) -> Iterator[Seen]:
    """The newest image each time, while it drives; others drop. Raises NoImages after 10 s."""
    context, node, executor = make_node("calibrate", namespace)
    taker, heard = _Taker(camera), False
    waiting: list[CameraImage] = []

    def listen(row: str, topic: str, take: Any) -> None:
        node.create_subscription(
            message_type(BY_NAME[row].type), topic, take, profile(BY_NAME[row].delivery)
        )

    def keep(kind: Kind, message: Any) -> None:
        # Packets build upon one another; anything else may be left out.
        image = kind.image(camera, message)
        if not isinstance(image.payload, VideoPacket):
            waiting.clear()
        waiting.append(image)

    try:
        listen(STATE, STATE, taker.take_state)
        for kind in KINDS.values():
            if is_installed(BY_NAME[kind.row]):
                listen(kind.row, camera_topic(kind.row, camera), partial(keep, kind))
        begin = time.monotonic()
        while (elapsed := time.monotonic() - begin) < duration_s:
            executor.spin_once(timeout_sec=0.1)
            if elapsed > 10.0 and not heard and not waiting:
                raise NoImages(f"no images of camera {camera!r} on {namespace} within 10 s")
            while waiting:
                heard = True
                yield from taker.pictures(waiting.pop(0))
    finally:
        executor.shutdown()
        node.destroy_node()
        context.shutdown()


class _Taker:
    """Newest speed, and packets decoded."""

    def __init__(self, camera: str) -> None:
        self._decoder = VideoDecoder()
        self._state: tuple[Nanoseconds, float] | None = None
        self._camera = camera

    def take_state(self, message: Any) -> None:
        self._state = stamp_of(message.header.stamp), float(message.speed)

    def pictures(self, image: CameraImage) -> Iterator[Seen]:
        payload = image.payload
        if not isinstance(payload, VideoPacket):
            yield Seen(image.stamp_ns, payload, self._speed(image.stamp_ns))
            return
        try:
            frames = self._decoder.decode(payload, image.stamp_ns)
        except DecodeError:  # what is lost is a gap, which ends a straight stretch
            return
        for frame in frames:
            stamp_ns = frame.pts or 0
            yield Seen(stamp_ns, frame, self._speed(stamp_ns))

    def _speed(self, stamp_ns: Nanoseconds) -> float | None:
        if self._state is None or abs(age_s(self._state[0], stamp_ns)) > OLDEST_SPEED_S:
            return None
        return self._state[1]


def _table(path: Path) -> tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]:
    try:
        table = np.loadtxt(path, delimiter=",", ndmin=2)
    except (OSError, ValueError) as error:
        raise NoImages(f"{path}: expected lines of seconds,m/s: {error}") from None
    if table.shape[1] != 2 or not np.isfinite(table).all() or (np.diff(table[:, 0]) <= 0).any():
        raise NoImages(f"{path}: expected lines of seconds,m/s with seconds that increase")
    return table[:, 0], table[:, 1]
