"""The Foxglove layout names panels it holds, and topics and fields that exist."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from vla_driving.recording.message_types import stack_types
from vla_driving.recording.metadata import contract_topic

LAYOUT = json.loads(
    (Path(__file__).parents[2] / "config/foxglove/vla_driving.json").read_text(encoding="utf-8")
)
PATH_KEYS = ("value", "topicPath", "imageTopic", "calibrationTopic", "topicToRender")


def paths(node: Any) -> Iterator[str]:
    """Message paths in the panels' settings."""
    if isinstance(node, dict):
        yield from (v for k, v in node.items() if k in PATH_KEYS)
        for value in node.values():
            yield from paths(value)
    elif isinstance(node, list):
        for value in node:
            yield from paths(value)


def panels(node: Any) -> Iterator[str]:
    """Panels in the order of the layout."""
    if isinstance(node, str):
        yield node
    else:
        yield from panels(node["first"])
        yield from panels(node["second"])


def test_every_panel_is_placed_once() -> None:
    placed = list(panels(LAYOUT["layout"]))
    assert sorted(placed) == sorted(LAYOUT["configById"])


def test_every_path_names_a_topic_and_fields_that_exist() -> None:
    types = stack_types()
    found = list(paths(LAYOUT["configById"]))
    assert len(found) > 15
    for path in found:
        topic, *fields = path.split(".")
        row = contract_topic(topic)
        assert row is not None, path
        message = row.type
        for field in fields:
            names = dict(types.get_msgdef(message).fields)
            name = re.sub(r"\[.*\]$", "", field)
            assert name in names, path
            message = nested(names[name], message)


def nested(node: Any, message: str) -> str:
    """Type of a field, arrays opened; the message's own for plain numbers and text."""
    detail = node[1]
    while isinstance(detail, tuple) and not isinstance(detail[0], str):
        detail = detail[0][1]
    return detail if isinstance(detail, str) and "/" in detail else message
