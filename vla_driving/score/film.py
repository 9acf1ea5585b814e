"""The film of a drive that failed: the seconds around it, what the stack saw, decided and why."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from vla_driving.contract.cameras import Camera
from vla_driving.contract.frames import Image
from vla_driving.contract.vehicle import VehicleParameters
from vla_driving.replay import canvas
from vla_driving.replay.conversation import Conversation
from vla_driving.replay.moments import Moment, moved
from vla_driving.replay.video import HEIGHT, WIDTH, Painter, VideoWriter
from vla_driving.score.loop import Loop
from vla_driving.simulation.world import World

LAST_S = 12.0
"""Kept of a drive, where nothing else is asked for."""
FILM_WIDTH, FILM_HEIGHT = 640, 360
PERIOD_S = 0.1


@dataclass(frozen=True, eq=False)
class _Picture:
    """One instant: what the stack made of it, or for other drivers the picture and the speed."""

    time_s: float
    moment: Moment | None
    picture: Image
    speed: float


class Film:
    """Keeps pictures of a drive as it goes on; painted only if the drive is worth it."""

    def __init__(self, last_s: float = LAST_S) -> None:
        self._kept: deque[_Picture] = deque(maxlen=round(last_s / PERIOD_S))

    def take(self, world: World, driver: object) -> None:
        """Keep this instant."""
        speed = world.ego.motion.speed
        moment = _moment(driver, world.time_s) if isinstance(driver, Loop) else None
        picture = moment.picture if moment is not None else world.render()
        self._kept.append(_Picture(world.time_s, moment, picture, speed))

    def write(
        self, path: Path, title: str, camera: Camera, vehicle: VehicleParameters
    ) -> None:
        """Write an mp4 with `title` at the bottom of each picture. Raises OSError."""
        path.parent.mkdir(parents=True, exist_ok=True)
        painter = Painter(camera, vehicle)
        video = VideoWriter(path, FILM_WIDTH, FILM_HEIGHT)
        try:
            start = self._kept[0].time_s if self._kept else 0.0
            for kept in self._kept:
                image = _painted(kept, painter)
                _caption(image, title)
                small = cv2.resize(image, (FILM_WIDTH, FILM_HEIGHT), interpolation=cv2.INTER_AREA)
                video.add(np.asarray(small, np.uint8), kept.time_s - start)
        finally:
            video.close()


def _painted(kept: _Picture, painter: Painter) -> Image:
    if kept.moment is not None:
        return painter.paint(kept.moment)
    image = np.asarray(cv2.resize(kept.picture, (WIDTH, HEIGHT)), np.uint8)
    canvas.panel(image, 20, 20, 190, 64, canvas.DARK, 190, 14)
    canvas.text(image, f"{abs(kept.speed) * 3.6:.0f} km/h", 36, 28, 30)
    canvas.text(image, f"{kept.time_s:.1f} s", 150, 44, 14, canvas.GREY)
    return image


def _caption(image: Image, title: str) -> None:
    words = canvas.shortened(title, 15, WIDTH - 40)
    width = canvas.text_width(words, 15) + 32
    canvas.panel(image, (WIDTH - width) // 2, 2, width, 24, canvas.DARK, 215, 8)
    canvas.text(image, words, (WIDTH - width) // 2 + 16, 5, 15, canvas.WHITE)


def _moment(loop: Loop, time_s: float) -> Moment | None:
    seen = loop.seen
    if seen.picture is None or seen.state is None:
        return None
    approved = seen.approved
    if approved is not None:
        approved = moved(approved, loop.motion, seen.picture_ns)
    return Moment(
        stamp_ns=seen.picture_ns, elapsed_s=time_s, picture=seen.picture, plan=seen.plan,
        approved=approved, vehicle=seen.state, safety=seen.safety, objects=seen.objects,
        command=seen.command, latency_ms=None, spoken=Conversation(loop.talk).at(seen.picture_ns),
    )
