"""drive.mp4: every picture of the drive with what the stack saw, decided and why."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property
from pathlib import Path

import av
import cv2
import numpy as np

from vla_driving.contract.cameras import Camera
from vla_driving.contract.frames import Image
from vla_driving.contract.vehicle import VehicleParameters
from vla_driving.replay.birds_eye import BirdsEye
from vla_driving.replay.hud import MARGIN, draw_hud
from vla_driving.replay.moments import Moment
from vla_driving.replay.scene_view import SceneView, scaled, upscaled

WIDTH, HEIGHT = 1024, 576
INSET_WIDTH, INSET_HEIGHT = 190, 300
_TICK = Fraction(1, 1000)


@dataclass(frozen=True)
class Painter:
    """Paints whole video pictures; `camera` made the pictures of the moments."""

    camera: Camera
    vehicle: VehicleParameters
    width: int = WIDTH
    height: int = HEIGHT

    def paint(self, moment: Moment) -> Image:
        """(height, width, 3) picture of one moment."""
        image = upscaled(moment.picture, self.width, self.height)
        self._view.draw(image, moment)
        left = self.width - INSET_WIDTH - MARGIN
        draw_hud(image, moment, left, INSET_WIDTH)
        self._inset.draw(image, left, MARGIN, moment)
        return image

    @cached_property
    def _view(self) -> SceneView:
        return SceneView(scaled(self.camera, self.width, self.height), self.vehicle.width)

    @cached_property
    def _inset(self) -> BirdsEye:
        return BirdsEye(self.vehicle, INSET_WIDTH, INSET_HEIGHT)


class VideoWriter:
    """An mp4 whose pictures come at their own times: H.264, or MPEG-4 where that is missing."""

    def __init__(self, path: Path, width: int = WIDTH, height: int = HEIGHT) -> None:
        """Open the file. Raises OSError."""
        self._container = av.open(str(path), "w", options={"movflags": "faststart"})
        quick = "libx264" in av.codecs_available
        stream = self._container.add_stream("libx264" if quick else "mpeg4", rate=10)
        stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
        stream.codec_context.time_base = _TICK
        if quick:
            stream.options = {"preset": "superfast", "crf": "23"}
        else:
            stream.bit_rate = 4_000_000
        self._stream = stream
        self._last = -1

    def add(self, image: Image, elapsed_s: float) -> None:
        """Add a picture that is shown from `elapsed_s` on; one that is not later is left out."""
        time = round(elapsed_s / _TICK)
        if time <= self._last:
            return
        self._last = time
        planes = cv2.cvtColor(image, cv2.COLOR_RGB2YUV_I420)
        frame = av.VideoFrame.from_ndarray(planes.astype(np.uint8, copy=False), "yuv420p")
        frame.pts, frame.time_base = time, _TICK
        self._container.mux(self._stream.encode(frame))

    def close(self) -> None:
        """Write what is left and end the file."""
        self._container.mux(self._stream.encode())
        self._container.close()


def write_video(
    path: Path,
    moments: Iterable[Moment],
    painter: Painter,
    seen: Callable[[Moment, Image], None],
) -> int:
    """Write all moments to an mp4; `seen` is shown each painted picture. Returns their number.

    No file is written where there is no moment. Raises OSError.
    """
    video: VideoWriter | None = None
    count = 0
    start = 0.0
    try:
        for moment in moments:
            image = painter.paint(moment)
            if video is None:
                video = VideoWriter(path, painter.width, painter.height)
                start = moment.elapsed_s
            video.add(image, moment.elapsed_s - start)
            seen(moment, image)
            count += 1
    finally:
        if video is not None:
            video.close()
    return count
