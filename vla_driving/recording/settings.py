"""Parameters of the event recorder."""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path

from vla_driving.contract.clock import SECOND, Nanoseconds
from vla_driving.contract.settings import SettingsError, choice, described, quantity
from vla_driving.contract.topics import BY_NAME, Topic

MIB = 1024 * 1024
PICTURE_TOPICS = (
    "camera/{camera}/image", "camera/{camera}/image/compressed", "camera/{camera}/video",
    "camera/{camera}/image/foxglove", "camera/{camera}/image/ffmpeg", "vla/frames",
)


@dataclass(frozen=True)
class EventRecorderSettings:
    """What is recorded, where to, and how much of the disk is left alone."""

    folder: str = described("the bag's folder, new for each drive; {time} becomes its UTC start")
    topics: tuple[str, ...] = described("rows of the topic table that are recorded")
    include_frames: bool = described("false leaves out the topics that carry pictures")
    compression: str = choice("zstd", "lz4", "none", doc="of the chunks in the bag")
    chunk_bytes: int = quantity("bytes", 64 * 1024, 64 * MIB, "size at which a chunk is written")
    flush_period: float = quantity("s", 0.1, 1.0, "longest time before a message is on the disk")
    queue_bytes: int = quantity(
        "bytes", MIB, 1024 * MIB, "messages waiting for a slow disk; beyond it they are left out"
    )
    min_free_bytes: int = quantity(
        "bytes", 0, 2**50, "free disk below which recording does not start, and stops"
    )


def recorded_topics(settings: EventRecorderSettings) -> tuple[Topic, ...]:
    """Rows of the topic table to subscribe to. Raises SettingsError for an unknown name."""
    for name in settings.topics:
        if name not in BY_NAME:
            raise SettingsError(
                f"event_recorder.topics: unknown topic {name!r}; allowed: {', '.join(BY_NAME)}"
            )
    return tuple(
        BY_NAME[name]
        for name in settings.topics
        if settings.include_frames or name not in PICTURE_TOPICS
    )


def bag_folder(settings: EventRecorderSettings, start_ns: Nanoseconds) -> Path:
    """Folder of the bag that starts at `start_ns`, for instance drives/20260131T101500Z."""
    start = time.strftime("%Y%m%dT%H%M%SZ", time.gmtime(start_ns // SECOND))
    return Path(settings.folder.replace("{time}", start))
