"""Message definitions and decoding: ROS 2 Jazzy's own types and those of vla_driving_msgs."""

from __future__ import annotations

import os
import sys
from functools import cache
from pathlib import Path
from typing import Any

from rosbags.typesys import Stores, get_types_from_msg, get_typestore
from rosbags.typesys.store import Typestore

PACKAGE = "vla_driving_msgs"


class UnknownType(ValueError):
    """One line that names the message type that has no definition."""


def message_folder() -> Path:
    """Folder of the .msg files: the checkout's, else the installed interface package's."""
    prefixes = [Path(p) for p in os.environ.get("AMENT_PREFIX_PATH", "").split(":") if p]
    candidates = [Path(__file__).parents[2] / "msg"]
    candidates += [p / "share" / PACKAGE / "msg" for p in (*prefixes, Path(sys.prefix))]
    for folder in candidates:
        if (folder / "Plan.msg").is_file():
            return folder
    searched = ", ".join(map(str, candidates))
    raise FileNotFoundError(f"{PACKAGE}: no .msg files in {searched}; install the package")


@cache
def stack_types() -> Typestore:
    """Types of ROS 2 Jazzy and of vla_driving_msgs, read from its .msg files."""
    store = get_typestore(Stores.ROS2_JAZZY)
    types: dict[str, Any] = {}
    for path in sorted(message_folder().glob("*.msg")):
        text = path.read_text(encoding="utf-8")
        types.update(get_types_from_msg(text, f"{PACKAGE}/msg/{path.stem}"))
    store.register(types)
    return store


def definition(message_type: str) -> tuple[str, str]:
    """Definition (ros2msg, dependencies included) and RIHS01 hash. Raises UnknownType."""
    store = stack_types()
    if message_type not in store.types:
        raise UnknownType(f"{message_type}: no message definition, so it cannot be recorded")
    text, _ = store.generate_msgdef(message_type, ros_version=2)
    return text, store.hash_rihs01(message_type)


def types_from_definition(message_type: str, text: str) -> Typestore:
    """Typestore that decodes `message_type` as a bag itself describes it.

    Raises ValueError where the definition cannot be read.
    """
    try:
        types = get_types_from_msg(text, message_type)
        store = get_typestore(Stores.EMPTY)
        store.register(types)
    except Exception as error:  # the parser of the library names no common base
        line = " ".join(str(error).split())
        raise ValueError(f"{message_type}: definition in the bag cannot be read: {line}") from None
    return store
