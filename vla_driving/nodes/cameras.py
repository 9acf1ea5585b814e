"""The cameras of the car, by the shared parameter `cameras`."""

from __future__ import annotations

import importlib.util

from vla_driving.contract.cameras import Camera, load_camera
from vla_driving.contract.topics import Topic, camera_topic
from vla_driving.nodes.parameters import StackSettings, named_file

ASSUMED = "assumed"
"""Stands for a camera of which no file is known; its pictures come from a file, not a topic."""


def known_cameras(stack: StackSettings) -> list[Camera]:
    """Cameras that have a file, in order. Raises SettingsError."""
    return [load_camera(named_file(c, "cameras")) for c in stack.cameras if c != ASSUMED]


def is_installed(row: Topic) -> bool:
    """Whether the package of a row's message type is there; a few are not everywhere."""
    return importlib.util.find_spec(row.type.split("/")[0]) is not None


def topic_names(row: Topic, cameras: list[Camera]) -> list[str]:
    """Topics of a row: one for each camera where the row holds a camera's name."""
    if "{camera}" not in row.name:
        return [row.name]
    return [camera_topic(row.name, camera.name) for camera in cameras]
