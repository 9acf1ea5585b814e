"""What the processes say: shown with the node's name in front, kept in one log file each."""

from __future__ import annotations

import re
import threading
from collections import deque
from collections.abc import Callable
from pathlib import Path
from typing import IO

_KEPT_LINES = 50
# "[ERROR] [1700000000.123456789] [camera_ingest]: text", as rclpy writes it.
_LOG_LINE = re.compile(r"^\[(?P<level>[A-Z]+)\] \[[\d.]+\] \[[^\]]*\]: (?P<text>.*)$")


class Output:
    """The last lines of one process, and its log file."""

    def __init__(self, name: str, file: Path, show: Callable[[str], None]) -> None:
        self.name = name
        self._show = show
        self._errors: deque[str] = deque(maxlen=_KEPT_LINES)
        self._lock = threading.Lock()
        self._file: IO[str] | None = file.open("a", encoding="utf-8")

    def take(self, line: str, is_error: bool) -> None:
        """One line of stdout or, with `is_error`, of stderr."""
        with self._lock:
            if is_error and line.strip():
                self._errors.append(line)
            self._keep(line)
        self._show(f"[{self.name}] {line}")

    def _keep(self, line: str) -> None:
        if self._file is None:
            return
        try:
            self._file.write(line + "\n")
            self._file.flush()
        except OSError as error:
            self._file = None
            self._show(f"[{self.name}] no longer logged to a file: {error}")

    def complaint(self) -> str:
        """The last line of stderr that tells what went wrong, without its log prefix; may be empty.

        An error that was logged is preferred to what came after it; what is no error is none.
        """
        with self._lock:
            errors = list(self._errors)
        for line in reversed(errors):
            match = _LOG_LINE.match(line)
            if match and match["level"] in ("ERROR", "FATAL"):
                return match["text"]
            if not match and line.startswith("error: "):
                return line.removeprefix("error: ")
        unlogged = [line for line in errors if not _LOG_LINE.match(line)]
        return unlogged[-1].strip() if unlogged else ""

    def close(self) -> None:
        """Close the log file."""
        with self._lock:
            if self._file is not None:
                self._file.close()
                self._file = None


def pump(pipe: IO[bytes], output: Output, is_error: bool) -> threading.Thread:
    """Start a thread that hands the lines of a pipe over until it is closed."""

    def read() -> None:
        with pipe:
            for line in pipe:
                output.take(line.decode(errors="replace").rstrip("\r\n"), is_error)

    thread = threading.Thread(target=read, name=f"{pipe.name} of {output.name}", daemon=True)
    thread.start()
    return thread
