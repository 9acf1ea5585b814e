"""Reads rosbag2 bags (MCAP), also those cut short by a kill or a power cut, and mends them."""

from __future__ import annotations

import os
from collections.abc import Collection, Iterator
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, BinaryIO

import yaml
from mcap.opcode import Opcode
from rosbags.typesys.store import Typestore

from vla_driving.contract.clock import Nanoseconds
from vla_driving.recording import mcap_file
from vla_driving.recording.mcap_file import Contents, DamagedChunk
from vla_driving.recording.message_types import types_from_definition
from vla_driving.recording.metadata import NAME, RecordedTopic, contract_topic, write_metadata


class BagError(ValueError):
    """One line that names the bag, what is wrong with it and what to do."""


@dataclass(frozen=True)
class BagMessage:
    """One message: absolute topic, ROS type, arrival and publication in ns, CDR bytes."""

    topic: str
    type: str
    log_time_ns: Nanoseconds
    publish_time_ns: Nanoseconds
    cdr: bytes | memoryview
    types: Typestore = field(repr=False)

    @cached_property
    def decoded(self) -> Any:
        """The message with ROS attribute names; arrays are numpy. Raises BagError."""
        try:
            return self.types.deserialize_cdr(self.cdr, self.type)
        except Exception as error:  # the decoder raises whatever the bytes lead it to
            raise BagError(f"{self.topic}: message does not fit {self.type}: {error}") from None


@dataclass(frozen=True)
class Recovery:
    """What `recover` found: messages readable now, bytes set aside, damaged chunks."""

    path: Path
    messages: int
    cut_bytes: int
    damaged: tuple[str, ...]
    was_complete: bool

    def __str__(self) -> str:
        if self.was_complete and not self.damaged:
            return f"{self.path}: complete, {self.messages} messages; nothing to do"
        line = f"{self.path}: {self.messages} messages readable, {self.cut_bytes} bytes cut"
        return line + "".join(f"; {damage}" for damage in self.damaged)


class BagReader:
    """A bag: its folder, or one of its .mcap files.

    `problems` gathers one line for each cut or damaged place met while reading.
    """

    def __init__(self, bag: Path) -> None:
        """Find the files. Raises BagError."""
        self.bag = bag
        self.files = bag_files(bag)
        self.problems: list[str] = []
        self._types: dict[str, Typestore] = {}

    def messages(self, topics: Collection[str] | None = None) -> Iterator[BagMessage]:
        """Messages in the order of recording, which is that of arrival.

        `topics` are rows of the topic table (any namespace) or absolute names; None for all. A
        file cut short gives all it holds; a damaged chunk is left out. Raises BagError where a
        file is no MCAP file.
        """
        for path in self.files:
            with _open(path) as file:
                yield from self._file_messages(path, file, topics)

    def _file_messages(
        self, path: Path, file: BinaryIO, topics: Collection[str] | None
    ) -> Iterator[BagMessage]:
        size = os.fstat(file.fileno()).st_size
        contents = Contents()
        chosen: dict[int, tuple[str, str, Typestore] | None] = {}
        ended = False
        try:
            for record in mcap_file.walk(file, size):
                if record.opcode == Opcode.DATA_END:
                    ended = True
                    break
                for opcode, offset, body in self._bodies(path, file, record):
                    if opcode != Opcode.MESSAGE:
                        mcap_file.note_definition(contents, opcode, body)
                        continue
                    raw = mcap_file.read_message(offset, body)
                    if raw.channel_id not in chosen:
                        chosen[raw.channel_id] = self._choose(contents, raw.channel_id, topics)
                    row = chosen[raw.channel_id]
                    if row is not None:
                        name, message_type, types = row
                        yield BagMessage(
                            name, message_type, raw.log_time, raw.publish_time, raw.data, types
                        )
        except ValueError as error:
            raise BagError(f"{path}: {error}") from None
        if not ended:
            self.problems.append(f"{path}: cut short; read up to its last complete chunk")

    def _bodies(
        self, path: Path, file: BinaryIO, record: mcap_file.Record
    ) -> Iterator[tuple[int, int, memoryview]]:
        if record.opcode in (Opcode.SCHEMA, Opcode.CHANNEL, Opcode.MESSAGE):
            yield record.opcode, 0, memoryview(mcap_file.content(file, record))
        elif record.opcode == Opcode.CHUNK:
            try:
                _, data = mcap_file.open_chunk(mcap_file.content(file, record))
            except DamagedChunk as error:
                self.problems.append(f"{path}: chunk at byte {record.start}: {error}; left out")
                return
            yield from mcap_file.chunk_records(data)

    def _choose(
        self, contents: Contents, channel_id: int, topics: Collection[str] | None
    ) -> tuple[str, str, Typestore] | None:
        channel = contents.channels.get(channel_id)
        schema = contents.schemas.get(channel.schema_id) if channel else None
        if channel is None or schema is None or not _wanted(channel.topic, topics):
            return None
        if schema.name not in self._types:
            self._types[schema.name] = types_from_definition(schema.name, schema.data.decode())
        return channel.topic, schema.name, self._types[schema.name]


def bag_files(bag: Path) -> list[Path]:
    """The .mcap files of a bag, in order. Raises BagError."""
    if bag.is_file():
        return [bag]
    if not bag.is_dir():
        raise BagError(f"{bag}: no such bag; give the folder that holds its .mcap file")
    files = [bag / name for name in _listed(bag)] or sorted(bag.glob("*.mcap"))
    if not files:
        raise BagError(f"{bag}: no .mcap file in this folder; other storage formats are not read")
    for path in files:
        if not path.is_file():
            raise BagError(f"{path}: named in {NAME} but missing")
    return files


def recover(bag: Path) -> list[Recovery]:
    """Make a bag that was cut short whole again, in place: for ros2 bag, Foxglove and others.

    Bytes that cannot be read are set aside in `<file>.cut` first. Raises BagError.
    """
    results = []
    with_topics: list[Contents] = []
    for path in bag_files(bag):
        with _open(path) as file:
            size = os.fstat(file.fileno()).st_size
            try:
                contents = mcap_file.scan(file, size, verify=True)
            except ValueError as error:
                raise BagError(f"{path}: {error}") from None
        cut = 0
        if not contents.complete:
            cut = size - contents.end
            _end(path, contents, cut)
        count = sum(contents.message_counts().values())
        results.append(Recovery(path, count, cut, tuple(contents.damaged), contents.complete))
        with_topics.append(contents)
    if bag.is_dir() and len(results) == 1 and not (results[0].was_complete and _listed(bag)):
        _describe(bag, results[0].path, with_topics[0])
    return results


def _end(path: Path, contents: Contents, cut: int) -> None:
    try:
        if cut:
            with path.open("rb") as whole, Path(f"{path}.cut").open("wb") as aside:
                whole.seek(contents.end)
                aside.write(whole.read())
        mcap_file.finish(path, contents)
    except OSError as error:
        raise BagError(
            f"{path}: cannot be mended: {error.strerror}; copy it to a disk with room"
        ) from None


def _describe(bag: Path, path: Path, contents: Contents) -> None:
    counts = contents.message_counts()
    topics = [
        RecordedTopic(
            c.topic, contents.schemas[c.schema_id].name, c.metadata.get("topic_type_hash", ""),
            counts.get(c.id, 0),
        )
        for c in contents.channels.values()
        if c.schema_id in contents.schemas
    ]
    start = min((c.message_start_time for c in contents.chunks), default=0)
    end = max((c.message_end_time for c in contents.chunks), default=0)
    try:
        write_metadata(bag, path.name, topics, start, end, {"recovered": "true"})
    except OSError as error:
        raise BagError(f"{bag}: {NAME} cannot be written: {error.strerror}") from None


def _listed(bag: Path) -> list[str]:
    """Files named in metadata.yaml; empty where it is missing or unreadable."""
    try:
        information = yaml.safe_load((bag / NAME).read_text(encoding="utf-8"))
        return [str(n) for n in information["rosbag2_bagfile_information"]["relative_file_paths"]]
    except (OSError, yaml.YAMLError, UnicodeDecodeError, KeyError, TypeError):
        return []


def _open(path: Path) -> BinaryIO:
    try:
        return path.open("rb")
    except OSError as error:
        raise BagError(f"{path}: cannot be read: {error.strerror}") from None


def _wanted(name: str, topics: Collection[str] | None) -> bool:
    if topics is None or name in topics:
        return True
    row = contract_topic(name)
    return row is not None and row.name in topics
