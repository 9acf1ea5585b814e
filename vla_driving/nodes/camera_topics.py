"""Messages of camera drivers as images: one kind of topic for each way to send them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from vla_driving.camera.images import (
    CameraImage,
    CompressedImage,
    Payload,
    RawImage,
    VideoPacket,
)
from vla_driving.camera.info import CameraInfo
from vla_driving.contract.messages import stamp_of
from vla_driving.contract.settings import SettingsError
from vla_driving.contract.topics import BY_NAME
from vla_driving.nodes.cameras import is_installed


@dataclass(frozen=True)
class Kind:
    """Row of the topic table, what its message holds, and where its stamp is."""

    row: str
    payload: Callable[[Any], Payload]
    stamp: Callable[[Any], Any] = lambda message: message.header.stamp

    def image(self, camera: str, message: Any) -> CameraImage:
        """The message as an image of this camera."""
        return CameraImage(camera, stamp_of(self.stamp(message)), self.payload(message))


def _raw(message: Any) -> RawImage:
    return RawImage(message.height, message.width, message.encoding, message.step, message.data)


def _packet(message: Any) -> VideoPacket:
    return VideoPacket(message.data, message.format)


KINDS = {
    "topic": Kind("camera/{camera}/image", _raw),
    "compressed_topic": Kind(
        "camera/{camera}/image/compressed", lambda m: CompressedImage(m.data, m.format)
    ),
    "video_topic": Kind("camera/{camera}/video", _packet, lambda m: m.timestamp),
    "foxglove_topic": Kind("camera/{camera}/image/foxglove", _packet, lambda m: m.timestamp),
    "ffmpeg_topic": Kind(
        "camera/{camera}/image/ffmpeg", lambda m: VideoPacket(m.data, m.encoding)
    ),
}
"""By the word in camera_ingest.sources."""


def kind_of(source: str) -> Kind | None:
    """The kind that a word stands for; None for a file, a device or an address.

    Raises SettingsError where its messages are not installed.
    """
    kind = KINDS.get(source)
    if kind is not None and not is_installed(BY_NAME[kind.row]):
        package = BY_NAME[kind.row].type.split("/")[0]
        raise SettingsError(
            f"camera_ingest.sources: {source!r} needs the ROS package {package}, which is not"
            " installed; video_topic carries the same in vla_driving_msgs/CompressedVideo"
        )
    return kind


def info_of(camera: str, message: Any) -> CameraInfo:
    """A sensor_msgs/CameraInfo of this camera."""
    fx, _, cx, _, fy, cy = (float(value) for value in message.k[:6])
    return CameraInfo(
        camera, message.width, message.height, fx, fy, cx, cy, message.distortion_model,
        tuple(float(value) for value in message.d),
    )
