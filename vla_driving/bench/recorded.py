"""A drive that is written down: contract objects into a bag, and the shipped settings."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any, TypeVar

from rclpy.serialization import serialize_message
from sensor_msgs.msg import Image

from vla_driving import paths
from vla_driving.bringup.parameters import merged
from vla_driving.contract.cameras import Camera
from vla_driving.contract.clock import Nanoseconds
from vla_driving.contract.messages import byte_array, set_stamp, to_message
from vla_driving.contract.settings import from_mapping
from vla_driving.contract.topics import BY_NAME, camera_topic
from vla_driving.recording.bag_writer import BagWriter
from vla_driving.recording.settings import EventRecorderSettings

T = TypeVar("T")


def settings_of(cls: type[T], node: str) -> T:
    """Settings of a node as config/stack.yaml ships them. Raises SettingsError."""
    path = paths.config("stack.yaml")
    values = merged([path], node, {})
    names = {field.name for field in dataclasses.fields(cls)}  # type: ignore[arg-type]
    return from_mapping(cls, {k: v for k, v in values.items() if k in names}, str(path))


class DriveWriter:
    """Contract objects into a bag, at the time of their own stamp."""

    def __init__(self, folder: Path, camera: Camera) -> None:
        """Open the bag. Raises RecordingError."""
        settings = settings_of(EventRecorderSettings, "event_recorder")
        self._bag = BagWriter(folder, settings)
        self._image_topic = camera_topic("camera/{camera}/image", camera.name)

    def put(self, topic: str, value: Any) -> None:
        """Write a contract object."""
        self._write(topic, BY_NAME[topic].type, to_message(value), value.stamp_ns)

    def put_image(self, pixels: Any, stamp_ns: Nanoseconds) -> None:
        """Write (H, W, 3) rgb8 pixels of the camera."""
        image = Image(
            height=pixels.shape[0], width=pixels.shape[1], encoding="rgb8",
            step=pixels.shape[1] * 3, data=byte_array(pixels),
        )
        set_stamp(image.header.stamp, stamp_ns)
        self._write(self._image_topic, "sensor_msgs/msg/Image", image, stamp_ns)

    def _write(self, topic: str, kind: str, message: Any, stamp_ns: Nanoseconds) -> None:
        self._bag.write(f"/{topic}", kind, serialize_message(message), stamp_ns, stamp_ns)

    def close(self) -> None:
        """End the bag."""
        self._bag.close()
