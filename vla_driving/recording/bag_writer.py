"""Writes a rosbag2 bag (MCAP) beside a drive: nothing it meets on the disk reaches the driver.

Messages go through a bounded queue to a thread of its own, which fills chunks, compresses them and
has them on the disk at least every `flush_period`, so that a kill or a power cut costs no more.
"""

from __future__ import annotations

import contextlib
import os
import queue
import shutil
import threading
import time
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

from mcap.writer import CompressionType
from mcap.writer import Writer as McapWriter

from vla_driving.contract.clock import Nanoseconds
from vla_driving.recording import mcap_file
from vla_driving.recording.message_types import UnknownType, definition
from vla_driving.recording.metadata import RecordedTopic, qos_text, write_metadata
from vla_driving.recording.settings import MIB, EventRecorderSettings

_COMPRESSION = {
    "zstd": CompressionType.ZSTD,
    "lz4": CompressionType.LZ4,
    "none": CompressionType.NONE,
}


class RecordingError(ValueError):
    """One line that names the folder, what is in the way and what to do."""


class _Message(NamedTuple):
    topic: str
    type: str
    cdr: bytes
    log_time_ns: Nanoseconds
    publish_time_ns: Nanoseconds


class BagWriter:
    """One bag. `write` takes a message and returns at once, whatever the disk does.

    `fault` is None, or the one line that says why recording stopped (disk full, disk gone); what
    was written until then stays readable. `written` counts messages in the bag, `refused` names
    types that have no definition.
    """

    def __init__(self, folder: Path, settings: EventRecorderSettings) -> None:
        """Make the bag's folder and start. Raises RecordingError."""
        self.folder = folder
        self.path = folder / f"{folder.name}_0.mcap"
        self.fault: str | None = None
        self.written = 0
        self.refused: set[str] = set()
        self._settings = settings
        self._make_folder()
        self._file = _File(self.path)
        self._writer = McapWriter(
            self._file,  # type: ignore[arg-type]  # it writes, tells and flushes, no more is asked
            chunk_size=settings.chunk_bytes,
            compression=_COMPRESSION[settings.compression],
            use_summary_offsets=False,
        )
        self._writer.start(profile="ros2", library="vla_driving")
        self._channels: dict[str, int] = {}
        self._topics: dict[str, RecordedTopic] = {}
        self._counts: dict[str, int] = {}
        self._schemas: dict[str, int] = {}
        self._first_ns: Nanoseconds | None = None
        self._last_ns: Nanoseconds = 0
        self._queue: queue.SimpleQueue[_Message | None] = queue.SimpleQueue()
        self._offered = 0
        self._queued_bytes = 0
        self._lock = threading.Lock()
        self._thread = threading.Thread(target=self._run, name="bag_writer", daemon=True)
        self._thread.start()

    def write(
        self,
        topic: str,
        message_type: str,
        cdr: bytes,
        log_time_ns: Nanoseconds,
        publish_time_ns: Nanoseconds,
    ) -> None:
        """Take one serialised message of the absolute `topic`: arrival and publication in ns."""
        with self._lock:
            self._offered += 1
            full = self._queued_bytes + len(cdr) > self._settings.queue_bytes
            if self.fault is None and not full:
                self._queued_bytes += len(cdr)
                self._queue.put(_Message(topic, message_type, cdr, log_time_ns, publish_time_ns))

    @property
    def lost(self) -> int:
        """Messages left out: the disk too slow, recording stopped, or the type not known."""
        with self._lock:
            waiting = 0 if self.fault else self._queue.qsize()
            return max(0, self._offered - self.written - waiting)

    def close(self) -> None:
        """Write what waits, end the file and write metadata.yaml. May be called twice."""
        if self._thread.is_alive():
            self._queue.put(None)
            self._thread.join()

    def _make_folder(self) -> None:
        try:
            self.folder.mkdir(parents=True)
        except FileExistsError:
            raise RecordingError(
                f"{self.folder}: exists already; name another folder or remove it"
            ) from None
        except OSError as error:
            raise RecordingError(
                f"{self.folder}: cannot be made: {error.strerror}; name another folder"
            ) from None
        free = shutil.disk_usage(self.folder).free
        if free < self._settings.min_free_bytes:
            self.folder.rmdir()
            raise RecordingError(
                f"{self.folder}: not recording: {self._too_little(free)}; free some space"
            )

    def _too_little(self, free: int) -> str:
        return (
            f"{free // MIB} MiB free on the disk, event_recorder.min_free_bytes asks for "
            f"{self._settings.min_free_bytes // MIB} MiB"
        )

    # From here on: the writer's thread.

    def _run(self) -> None:
        due = time.monotonic() + self._settings.flush_period
        try:
            while True:
                message = self._next(due)
                if message is None:
                    break
                if isinstance(message, _Message):
                    self._add(message)
                if time.monotonic() >= due:
                    self._flush()
                    due = time.monotonic() + self._settings.flush_period
            self._writer.finish()
            self._file.sync()
        except Exception as error:  # a thread that dies without a word would lose the drive
            self._stop(getattr(error, "strerror", None) or str(error))
        self._file.close()
        self._write_metadata()

    def _next(self, due: float) -> _Message | str | None:
        try:
            return self._queue.get(timeout=max(0.0, due - time.monotonic()))
        except queue.Empty:
            return "flush"

    def _add(self, message: _Message) -> None:
        with self._lock:
            self._queued_bytes -= len(message.cdr)
        channel = self._channels.get(message.topic)
        if channel is None:
            if message.type in self.refused:
                return
            try:
                channel = self._register(message.topic, message.type)
            except UnknownType:
                self.refused.add(message.type)
                return
        self._writer.add_message(
            channel, message.log_time_ns, message.cdr, message.publish_time_ns
        )
        self.written += 1
        self._counts[message.topic] = self._counts.get(message.topic, 0) + 1
        first = self._first_ns
        self._first_ns = message.log_time_ns if first is None else min(first, message.log_time_ns)
        self._last_ns = max(self._last_ns, message.log_time_ns)

    def _register(self, topic: str, message_type: str) -> int:
        text, type_hash = definition(message_type)
        if message_type not in self._schemas:
            self._schemas[message_type] = self._writer.register_schema(
                message_type, "ros2msg", text.encode()
            )
        channel = self._writer.register_channel(
            topic, "cdr", self._schemas[message_type],
            {"offered_qos_profiles": qos_text(topic), "topic_type_hash": type_hash},
        )
        self._channels[topic] = channel
        self._topics[topic] = RecordedTopic(topic, message_type, type_hash, 0)
        return channel

    def _flush(self) -> None:
        free = shutil.disk_usage(self.folder).free
        self._writer.flush()
        self._file.sync()
        if free < self._settings.min_free_bytes:
            raise OSError(0, self._too_little(free))

    def _stop(self, reason: str) -> None:
        """End the file in the room that is left; from here on messages are only counted."""
        try:
            with self.path.open("rb") as file:
                contents = mcap_file.scan(file, os.fstat(file.fileno()).st_size, verify=False)
            mcap_file.finish(self.path, contents)
            state = "what was written is readable"
            self._take_counts(contents)
        except (OSError, ValueError) as error:
            state = f"the file could not be ended ({error}); `vla-driving recover` reads it"
        with self._lock:
            while not self._queue.empty():
                self._queue.get()
            self.fault = (
                f"{self.folder}: recording stopped: {reason}; {self.written} messages kept, "
                f"{state}; free some space before the next drive"
            )

    def _take_counts(self, contents: mcap_file.Contents) -> None:
        counts = contents.message_counts()
        self._counts = {t: counts.get(c, 0) for t, c in self._channels.items()}
        self.written = sum(self._counts.values())
        self._last_ns = max((c.message_end_time for c in contents.chunks), default=0)

    def _write_metadata(self) -> None:
        topics = [replace(t, messages=self._counts.get(n, 0)) for n, t in self._topics.items()]
        notes = {"lost_messages": str(self.lost)} | ({"fault": self.fault} if self.fault else {})
        # Without it the bag is still read: it repeats what the file itself says.
        with contextlib.suppress(OSError):
            write_metadata(
                self.folder, self.path.name, topics, self._first_ns or 0, self._last_ns, notes
            )


class _File:
    """Unbuffered file whose every byte is written or an OSError raised."""

    def __init__(self, path: Path) -> None:
        self._raw = path.open("wb", buffering=0)

    def write(self, data: bytes) -> int:
        mcap_file.write_all(self._raw, data)
        return len(data)

    def tell(self) -> int:
        return self._raw.tell()

    def flush(self) -> None:
        """Nothing is held back."""

    def sync(self) -> None:
        os.fdatasync(self._raw.fileno())

    def close(self) -> None:
        self._raw.close()
