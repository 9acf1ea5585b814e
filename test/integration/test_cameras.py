"""A car whose camera sends H.264: packets in, plans out, and a packet lost on the way."""

import itertools
from array import array
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
from vla_driving_msgs.msg import CompressedVideo

from vla_driving.contract.frames import FrameStatus
from vla_driving.contract.messages import set_stamp

from .rig import Rig, road_picture, running

VIDEO = "camera/front/video"


class VideoCamera:
    """Sends the road at 10 Hz, a keyframe a second; leaves out packets when told to."""

    def __init__(self, rig: Rig) -> None:
        self._rig = rig
        self._packets = _encoded(road_picture())
        self.lose = 0
        self.sent = 0
        rig.picture = None
        rig.node.create_timer(0.1, self._send)

    def _send(self) -> None:
        data = next(self._packets)
        if self.lose:
            self.lose -= 1
            return
        message = CompressedVideo(frame_id="front", format="h264", data=array("B", data))
        set_stamp(message.timestamp, self._rig.now_ns())
        self._rig.publish(VIDEO, message)
        self.sent += 1


def _encoded(picture: np.ndarray) -> Iterator[bytes]:
    context = av.CodecContext.create("libx264", "w")
    assert isinstance(context, av.VideoCodecContext)
    context.height, context.width = picture.shape[:2]
    context.pix_fmt, context.time_base, context.gop_size = "yuv420p", Fraction(1, 10), 10
    context.options = {"preset": "ultrafast", "tune": "zerolatency"}
    rng = np.random.default_rng(0)
    for k in itertools.count():
        noisy = np.clip(picture + rng.integers(-4, 5, picture.shape), 0, 255).astype(np.uint8)
        frame = av.VideoFrame.from_ndarray(noisy, "rgb24")
        frame.pts = k
        yield b"".join(bytes(packet) for packet in context.encode(frame))


def _reports(rig: Rig) -> list[Any]:
    return [report for health in rig.seen("vla/camera_health") for report in health.cameras]


def _well(reports: list[Any]) -> Any:
    """The newest report of a camera that is well, among the last three."""
    return next((r for r in reversed(reports[-3:]) if r.status == FrameStatus.OK), None)


def test_a_camera_that_sends_video_drives_and_a_lost_packet_is_told(tmp_path: Path) -> None:
    options = ("--set", "camera_ingest.sources=[video_topic]")
    with running(tmp_path / "out", *options) as (rig, _):
        camera = VideoCamera(rig)
        rig.wait("a plan", lambda: rig.newest("vla/plan"))
        report = rig.wait("a well camera", lambda: _well(_reports(rig)))
        assert report.brightness > 50.0

        camera.lose = 1
        rig.event("video_waits", "front")
        sent, seen = camera.sent, len(_reports(rig))
        rig.wait("a second of video", lambda: camera.sent > sent + 15)
        rig.wait("a well camera", lambda: _well(_reports(rig)[seen:]))
