"""metadata.yaml of a rosbag2 bag, version 9 (Jazzy), and the QoS noted for each topic."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from vla_driving.contract.clock import Nanoseconds
from vla_driving.contract.topics import TOPICS, Delivery, Topic

NAME = "metadata.yaml"
VERSION = 9
_FOREVER = {"sec": 9223372036, "nsec": 854775807}


@dataclass(frozen=True)
class RecordedTopic:
    """One topic in a bag; `name` is absolute, `type_hash` RIHS01 or empty."""

    name: str
    type: str
    type_hash: str
    messages: int


def contract_topic(name: str) -> Topic | None:
    """Row of the topic table behind an absolute name, whatever namespace it was pushed into."""
    for topic, pattern in _PATTERNS:
        if pattern.search(name):
            return topic
    return None


def qos_profiles(name: str) -> list[dict[str, Any]]:
    """Offered QoS of a topic in rosbag2's words; empty for a topic that is not in the table."""
    topic = contract_topic(name)
    if topic is None:
        return []
    latched = topic.delivery is Delivery.LATCHED
    return [
        {
            "history": "keep_last",
            "depth": {Delivery.EVENT: 100, Delivery.STREAM: 30}.get(topic.delivery, 1),
            "reliability": "best_effort" if topic.delivery in _LOSSY else "reliable",
            "durability": "transient_local" if latched else "volatile",
            "deadline": dict(_FOREVER),
            "lifespan": dict(_FOREVER),
            "liveliness": "automatic",
            "liveliness_lease_duration": dict(_FOREVER),
            "avoid_ros_namespace_conventions": False,
        }
    ]


def write_metadata(
    folder: Path,
    file: str,
    topics: list[RecordedTopic],
    start_ns: Nanoseconds,
    end_ns: Nanoseconds,
    notes: Mapping[str, str],
) -> None:
    """Write metadata.yaml of a bag with one file. Raises OSError."""
    count = sum(topic.messages for topic in topics)
    start = {"nanoseconds_since_epoch": start_ns}
    duration = {"nanoseconds": max(0, end_ns - start_ns)}
    information = {
        "version": VERSION,
        "storage_identifier": "mcap",
        "relative_file_paths": [file],
        "duration": duration,
        "starting_time": start,
        "message_count": count,
        "topics_with_message_count": [_topic(topic) for topic in topics],
        "compression_format": "",
        "compression_mode": "",
        "files": [
            {"path": file, "starting_time": start, "duration": duration, "message_count": count}
        ],
        "custom_data": dict(notes) or None,
        "ros_distro": "jazzy",
    }
    text = _dump({"rosbag2_bagfile_information": information})
    unfinished = folder / (NAME + ".tmp")
    unfinished.write_text(text, encoding="utf-8")
    unfinished.replace(folder / NAME)


def qos_text(name: str) -> str:
    """Offered QoS as the YAML text that rosbag2 keeps with an MCAP channel."""
    profiles = qos_profiles(name)
    return _dump(profiles).strip() if profiles else ""


def _topic(topic: RecordedTopic) -> dict[str, Any]:
    return {
        "topic_metadata": {
            "name": topic.name,
            "type": topic.type,
            "serialization_format": "cdr",
            "offered_qos_profiles": qos_profiles(topic.name),
            "type_description_hash": topic.type_hash,
        },
        "message_count": topic.messages,
    }


class _NoAliases(yaml.SafeDumper):
    def ignore_aliases(self, data: Any) -> bool:
        return True


def _dump(data: Any) -> str:
    return yaml.dump(data, Dumper=_NoAliases, sort_keys=False, width=10_000)


_LOSSY = (Delivery.LATEST, Delivery.STREAM)
_PATTERNS = tuple(
    (topic, re.compile("(^|/)" + re.escape(topic.name).replace(r"\{camera\}", "[^/]+") + "$"))
    for topic in TOPICS
)
