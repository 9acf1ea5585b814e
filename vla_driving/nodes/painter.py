"""Drawing in a thread of its own, so that whoever asks for pictures keeps its time."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable
from typing import Generic, TypeVar

Tool = TypeVar("Tool")
Scene = TypeVar("Scene")


class Painter(Generic[Tool, Scene]):
    """Hands each scene to one thread; while it draws, the newest waits and older ones are lost."""

    def __init__(self, prepare: Callable[[], Tool], draw: Callable[[Tool, Scene], None]) -> None:
        """Both are called from the thread, to which OpenGL ties what `prepare` opens.

        Raises what `prepare` raises.
        """
        self.lost = 0
        self._prepare = prepare
        self._draw = draw
        self._tools: list[Tool] = []
        self._scene: deque[Scene] = deque(maxlen=1)
        self._shown, self._prepared = threading.Event(), threading.Event()
        self._closing = False
        self._error: Exception | None = None
        self._thread = threading.Thread(target=self._run, name="painter", daemon=True)
        self._thread.start()
        self._prepared.wait()
        self._raise()

    @property
    def tool(self) -> Tool:
        """What `prepare` made."""
        return self._tools[0]

    def show(self, scene: Scene) -> None:
        """Have a scene drawn; never waits. Raises what drawing an earlier one has raised."""
        self._raise()
        self.lost += len(self._scene)
        self._scene.append(scene)
        self._shown.set()

    def close(self) -> None:
        """Draw nothing more; returns when the thread has ended."""
        self._closing = True
        self._shown.set()
        self._thread.join()

    def _raise(self) -> None:
        if self._error is not None:
            raise self._error

    def _run(self) -> None:
        try:
            self._tools.append(self._prepare())
            self._prepared.set()
            while not self._closing:
                self._shown.wait()
                self._shown.clear()
                while self._scene and not self._closing:
                    self._draw(self._tools[0], self._scene.popleft())
        except Exception as error:  # it would end this thread alone, and nobody would know
            self._error = error
            self._prepared.set()
