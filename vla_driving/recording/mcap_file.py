"""MCAP on the lowest level: walk the records of a file that may be cut or damaged, and end it well.

Record and chunk layout: MCAP specification, version 0. A file is a sequence of records; messages
lie in chunks, each followed by one index record a channel; a summary closes the file. A file cut
short lacks the summary and ends within a record.
"""

from __future__ import annotations

import os
import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from io import BytesIO
from pathlib import Path
from typing import BinaryIO, NamedTuple

import lz4.frame  # type: ignore[import-untyped]
import zstandard
from mcap.data_stream import ReadDataStream, RecordBuilder
from mcap.opcode import Opcode
from mcap.records import (
    Channel,
    Chunk,
    ChunkIndex,
    DataEnd,
    Footer,
    MessageIndex,
    Schema,
    Statistics,
)

MAGIC = b"\x89MCAP0\r\n"
LARGEST_CHUNK = 1 << 30
_HEAD = struct.Struct("<BQ")
_MESSAGE = struct.Struct("<HIQQ")
_LARGEST_OPCODE = int(Opcode.DATA_END)


class Record(NamedTuple):
    """One record: its opcode, where it starts, and where its content lies."""

    opcode: int
    start: int
    content: int
    end: int


class RawMessage(NamedTuple):
    """One message as stored: times in ns, `data` still encoded."""

    channel_id: int
    log_time: int
    publish_time: int
    offset: int
    data: memoryview


class DamagedChunk(ValueError):
    """One line that says what is wrong with a chunk."""


@dataclass
class Contents:
    """What a file holds, as its summary states it.

    `end` is the offset behind the last complete record, `damaged` the chunks that cannot be read
    (they stay in the file but out of its index).
    """

    schemas: dict[int, Schema] = field(default_factory=dict)
    channels: dict[int, Channel] = field(default_factory=dict)
    chunks: list[ChunkIndex] = field(default_factory=list)
    counts: list[dict[int, int]] = field(default_factory=list)
    end: int = len(MAGIC)
    complete: bool = False
    damaged: list[str] = field(default_factory=list)
    pending_index: list[MessageIndex] = field(default_factory=list)

    def message_counts(self) -> dict[int, int]:
        """Messages by channel."""
        total = dict.fromkeys(self.channels, 0)
        for counts in self.counts:
            for channel, count in counts.items():
                total[channel] = total.get(channel, 0) + count
        return total


def walk(file: BinaryIO, size: int) -> Iterator[Record]:
    """Complete records of a file of `size` bytes; ends quietly where the file is cut.

    Raises ValueError where it is no MCAP file.
    """
    file.seek(0)
    if file.read(len(MAGIC)) != MAGIC:
        raise ValueError("not an MCAP file: its first bytes are wrong")
    position = len(MAGIC)
    while position + _HEAD.size <= size:
        file.seek(position)
        opcode, length = _HEAD.unpack(file.read(_HEAD.size))
        record = Record(opcode, position, position + _HEAD.size, position + _HEAD.size + length)
        # A power cut may leave a tail of zeros or of anything: no such opcode, no such length.
        if not 1 <= opcode <= _LARGEST_OPCODE or record.end > size:
            return
        yield record
        position = record.end


def content(file: BinaryIO, record: Record) -> bytes:
    """Content of a record."""
    file.seek(record.content)
    return file.read(record.end - record.content)


def open_chunk(data: bytes) -> tuple[Chunk, bytes]:
    """Chunk and its decompressed records, checksum verified. Raises DamagedChunk."""
    try:
        chunk = Chunk.read(ReadDataStream(BytesIO(data)))
        if chunk.uncompressed_size > LARGEST_CHUNK:
            raise DamagedChunk(f"states a size of {chunk.uncompressed_size} bytes")
        records = _decompress(chunk)
    except DamagedChunk:
        raise
    except Exception as error:  # the decompressors share no base class
        raise DamagedChunk(f"cannot be read: {error or type(error).__name__}") from None
    if len(records) != chunk.uncompressed_size:
        raise DamagedChunk(f"holds {len(records)} bytes, not {chunk.uncompressed_size}")
    if chunk.uncompressed_crc and zlib.crc32(records) != chunk.uncompressed_crc:
        raise DamagedChunk("checksum does not fit")
    return chunk, records


def chunk_records(data: bytes) -> Iterator[tuple[int, int, memoryview]]:
    """Opcode, offset and content of each record in a decompressed chunk."""
    view = memoryview(data)
    position = 0
    while position + _HEAD.size <= len(view):
        opcode, length = _HEAD.unpack_from(view, position)
        start = position + _HEAD.size
        if start + length > len(view):
            return
        yield opcode, position, view[start : start + length]
        position = start + length


def read_message(offset: int, record: memoryview) -> RawMessage:
    """Message out of a record's content."""
    channel_id, _, log_time, publish_time = _MESSAGE.unpack_from(record)
    return RawMessage(channel_id, log_time, publish_time, offset, record[_MESSAGE.size :])


def note_definition(contents: Contents, opcode: int, record: bytes | memoryview) -> None:
    """Take a schema or channel record into `contents`; any other is left."""
    stream = ReadDataStream(BytesIO(record))
    if opcode == Opcode.SCHEMA:
        schema = Schema.read(stream)
        contents.schemas[schema.id] = schema
    elif opcode == Opcode.CHANNEL:
        channel = Channel.read(stream)
        contents.channels[channel.id] = channel


def scan(file: BinaryIO, size: int, verify: bool) -> Contents:
    """What a file holds up to its last complete record. Raises ValueError where it is no MCAP file.

    With `verify` every chunk is opened and checked, else only those that bring new channels, and
    the last.
    """
    records = list(walk(file, size))
    contents = Contents(complete=_ends_well(file, size, records))
    last_chunk = max((i for i, r in enumerate(records) if r.opcode == Opcode.CHUNK), default=-1)
    for number, record in enumerate(records):
        if record.opcode == Opcode.DATA_END or contents.pending_index:
            break
        contents.end = record.end
        if record.opcode in (Opcode.SCHEMA, Opcode.CHANNEL):
            note_definition(contents, record.opcode, content(file, record))
        elif record.opcode == Opcode.CHUNK:
            index = _indexes_behind(file, records, number)
            last = number == last_chunk and not contents.complete
            known = bool(index) and index.keys() <= contents.channels.keys()
            if verify or last or not known:
                _take_opened(contents, file, record, index, last)
            else:
                _take_indexed(contents, file, record, index)
    return contents


def finish(path: Path, contents: Contents) -> None:
    """End a file well in place: cut what is incomplete, write the summary behind it.

    Where the disk has no room for the summary, the last chunks make way for it. Raises OSError
    where even that fails.
    """
    with path.open("r+b", buffering=0) as file:
        while True:
            try:
                file.truncate(contents.end)
                file.seek(contents.end)
                write_all(file, summary(contents))
                os.fsync(file.fileno())
                return
            except OSError:
                if not contents.chunks:
                    raise
                dropped = contents.chunks.pop()
                contents.counts.pop()
                contents.pending_index = []
                contents.end = dropped.chunk_start_offset


def write_all(file: BinaryIO, data: bytes) -> None:
    """Write all bytes to an unbuffered file, or raise OSError."""
    view = memoryview(data)
    while view:
        view = view[file.write(view) :]


def summary(contents: Contents) -> bytes:
    """The bytes that end a file whose data ends at `contents.end`."""
    data = RecordBuilder()
    for index in contents.pending_index:
        index.write(data)
    DataEnd(0).write(data)
    head = data.end()
    start = contents.end + len(head)

    builder = RecordBuilder()
    for schema in contents.schemas.values():
        schema.write(builder)
    for channel in contents.channels.values():
        channel.write(builder)
    _statistics(contents).write(builder)
    for chunk in contents.chunks:
        chunk.write(builder)
    body = builder.end()
    foot = struct.pack("<BQQQ", Opcode.FOOTER, 20, start, 0)
    footer = RecordBuilder()
    Footer(start, 0, zlib.crc32(foot, zlib.crc32(body))).write(footer)
    return head + body + footer.end() + MAGIC


def _decompress(chunk: Chunk) -> bytes:
    if chunk.compression == "zstd":
        return zstandard.decompress(chunk.data, chunk.uncompressed_size)
    if chunk.compression == "lz4":
        return bytes(lz4.frame.decompress(chunk.data))
    if chunk.compression:
        raise DamagedChunk(f"compression {chunk.compression!r} is not known")
    return chunk.data


def _ends_well(file: BinaryIO, size: int, records: list[Record]) -> bool:
    if not records or records[-1].opcode != Opcode.FOOTER:
        return False
    file.seek(max(0, size - len(MAGIC)))
    return file.read() == MAGIC


def _indexes_behind(
    file: BinaryIO, records: list[Record], chunk: int
) -> dict[int, tuple[int, int]]:
    """Channel id to (offset of its index record, messages) for the chunk at `records[chunk]`."""
    found = {}
    for record in records[chunk + 1 :]:
        if record.opcode != Opcode.MESSAGE_INDEX:
            break
        file.seek(record.content)
        channel_id, length = struct.unpack("<HI", file.read(6))
        found[channel_id] = (record.start, length // 16)
    return found


def _take_indexed(
    contents: Contents, file: BinaryIO, record: Record, index: dict[int, tuple[int, int]]
) -> None:
    file.seek(record.content)
    start, end, uncompressed, _, name_length = struct.unpack("<QQQII", file.read(32))
    compression = file.read(name_length).decode()
    (compressed,) = struct.unpack("<Q", file.read(8))
    contents.chunks.append(
        _chunk_index(record, (start, end), compression, (compressed, uncompressed), index)
    )
    contents.counts.append({channel: count for channel, (_, count) in index.items()})


def _take_opened(
    contents: Contents,
    file: BinaryIO,
    record: Record,
    index: dict[int, tuple[int, int]],
    last: bool,
) -> None:
    try:
        chunk, data = open_chunk(content(file, record))
    except DamagedChunk as error:
        contents.damaged.append(f"chunk at byte {record.start}: {error}")
        return
    entries: dict[int, list[tuple[int, int]]] = {}
    for opcode, offset, body in chunk_records(data):
        if opcode == Opcode.MESSAGE:
            message = read_message(offset, body)
            entries.setdefault(message.channel_id, []).append((message.log_time, offset))
        else:
            note_definition(contents, opcode, body)
    counts = {channel: len(found) for channel, found in entries.items()}
    if last and {channel: count for channel, (_, count) in index.items()} != counts:
        contents.end = record.end
        contents.pending_index = [MessageIndex(c, found) for c, found in entries.items()]
        index = _written_at(contents.end, contents.pending_index)
    contents.chunks.append(
        _chunk_index(
            record, (chunk.message_start_time, chunk.message_end_time), chunk.compression,
            (len(chunk.data), chunk.uncompressed_size), index,
        )
    )
    contents.counts.append(counts)


def _written_at(start: int, indexes: list[MessageIndex]) -> dict[int, tuple[int, int]]:
    offsets = {}
    for index in indexes:
        offsets[index.channel_id] = (start, len(index.records))
        start += _HEAD.size + 6 + 16 * len(index.records)
    return offsets


def _chunk_index(
    record: Record,
    times: tuple[int, int],
    compression: str,
    sizes: tuple[int, int],
    index: dict[int, tuple[int, int]],
) -> ChunkIndex:
    return ChunkIndex(
        chunk_length=record.end - record.start,
        chunk_start_offset=record.start,
        compression=compression,
        compressed_size=sizes[0],
        message_end_time=times[1],
        message_index_length=sum(_HEAD.size + 6 + 16 * count for _, count in index.values()),
        message_index_offsets={channel: offset for channel, (offset, _) in index.items()},
        message_start_time=times[0],
        uncompressed_size=sizes[1],
    )


def _statistics(contents: Contents) -> Statistics:
    counts = contents.message_counts()
    return Statistics(
        attachment_count=0,
        channel_count=len(contents.channels),
        channel_message_counts=counts,
        chunk_count=len(contents.chunks),
        message_count=sum(counts.values()),
        message_end_time=max((c.message_end_time for c in contents.chunks), default=0),
        message_start_time=min((c.message_start_time for c in contents.chunks), default=0),
        metadata_count=0,
        schema_count=len(contents.schemas),
    )
