"""Message definitions and decoding: ROS 2 Jazzy's own types and those of vla_driving_msgs."""

from __future__ import annotations

from functools import cache
from typing import Any

from rosbags.typesys import Stores, get_types_from_msg, get_typestore
from rosbags.typesys.store import Typestore

from vla_driving.paths import MissingFilesError, message_folder

PACKAGE = "vla_driving_msgs"


class UnknownType(ValueError):
    """One line that names the message type that has no definition."""


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
        _register_installed(store, message_type)
    if message_type not in store.types:
        raise UnknownType(f"{message_type}: no message definition, so it cannot be recorded")
    text, _ = store.generate_msgdef(message_type, ros_version=2)
    return text, store.hash_rihs01(message_type)


def _register_installed(store: Typestore, message_type: str) -> None:
    """Add the messages of another package, if it is installed."""
    package = message_type.split("/")[0]
    types: dict[str, Any] = {}
    try:
        for path in sorted(message_folder(package).glob("*.msg")):
            name = f"{package}/msg/{path.stem}"
            if name not in store.types:
                types.update(get_types_from_msg(path.read_text(encoding="utf-8"), name))
    except MissingFilesError:
        return
    store.register(types)


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
