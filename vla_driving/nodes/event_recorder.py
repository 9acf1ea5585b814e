"""event_recorder: every topic of the table, as it came over the wire, into a bag."""

from __future__ import annotations

import sys
from typing import Any, ClassVar

from vla_driving.contract.events import DriveEvent, Severity
from vla_driving.contract.topics import Topic
from vla_driving.nodes.cameras import is_installed, known_cameras, topic_names
from vla_driving.nodes.process import run
from vla_driving.nodes.stack_node import StackNode
from vla_driving.recording.bag_writer import BagWriter
from vla_driving.recording.settings import (
    EventRecorderSettings,
    bag_folder,
    recorded_topics,
)


class EventRecorder(StackNode):
    """Listens to everything and commands nothing; a full disk stops the bag, never the car."""

    NAME: ClassVar[str] = "event_recorder"
    SETTINGS: ClassVar[type] = EventRecorderSettings
    REAL_TIME: ClassVar[int] = 10

    def configure(self) -> None:
        """Open the bag and subscribe. Raises ValueError where the bag cannot be made."""
        self._writer: BagWriter | None = None
        self._fault_told = False
        topics = [row for row in recorded_topics(self.settings) if is_installed(row)]
        self._writer = BagWriter(bag_folder(self.settings, self.now_ns()), self.settings)
        cameras = known_cameras(self.stack)
        for row in topics:
            for topic in topic_names(row, cameras):
                self._record(row, topic)
        self.every(1.0, self._look_after)

    def release(self) -> None:
        """End the bag so that every reader opens it."""
        if self._writer is not None:
            self._writer.close()
            self._writer = None

    def diagnose(self) -> dict[str, str]:
        """Messages written and left out."""
        if self._writer is None:
            return {}
        return {
            "bag": str(self._writer.folder),
            "messages_written": str(self._writer.written),
            "messages_lost": str(self._writer.lost),
        }

    def _record(self, row: Topic, topic: str) -> None:
        absolute = self.resolve_topic_name(topic)

        def take(cdr: bytes) -> None:
            # Jazzy's events executor hands over no DDS time stamps: arrival is when it is taken.
            arrival_ns = self.now_ns()
            if self._writer is not None:
                self._writer.write(absolute, row.type, cdr, arrival_ns, arrival_ns)

        self.listen_raw(row.name, take, topic)

    def _look_after(self) -> None:
        writer = self._writer
        if writer is None or writer.fault is None or self._fault_told:
            return
        self._fault_told = True
        self.tell(
            DriveEvent(
                self.now_ns(), Severity.ERROR, self.NAME, "recording_stopped", str(writer.folder),
                float(writer.written), 0.0, "messages", writer.fault,
            )
        )


NODE_CLASS = EventRecorder


def main(_args: Any = None) -> None:
    """Run the node."""
    # The thread that writes hands the interpreter over at once when a message waits to be stamped:
    # with the default of 5 ms the bag would show a jitter that the stack does not have.
    sys.setswitchinterval(0.0005)
    run(EventRecorder)


if __name__ == "__main__":
    main()
