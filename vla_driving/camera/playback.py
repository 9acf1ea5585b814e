"""Plays a file's images at their own pace on the stack's clock."""

from __future__ import annotations

import queue
import threading
from collections.abc import Iterator

from vla_driving.camera.images import CameraImage
from vla_driving.camera.sources import SourceError, StampedImage
from vla_driving.contract.clock import Nanoseconds


class Prefetch(Iterator[StampedImage]):
    """A few images ahead, read by a thread of its own."""

    AHEAD = 3

    def __init__(self, images: Iterator[StampedImage]) -> None:
        self._ready: queue.Queue[StampedImage | BaseException] = queue.Queue(self.AHEAD)
        self._closed = threading.Event()
        self._thread = threading.Thread(target=self._run, args=(images,), daemon=True)
        self._thread.start()

    def __next__(self) -> StampedImage:
        """Waits for the next image; raises what reading it raised."""
        if self._closed.is_set():
            raise StopIteration
        item = self._ready.get()
        if isinstance(item, StampedImage):
            return item
        self._closed.set()
        raise item

    def close(self) -> None:
        """Read no further."""
        self._closed.set()
        self._thread.join()

    def _run(self, images: Iterator[StampedImage]) -> None:
        try:
            for image in images:
                if not self._offer(image):
                    return
            self._offer(StopIteration())
        except Exception as error:  # told where the images are taken
            self._offer(error)

    def _offer(self, item: StampedImage | BaseException) -> bool:
        while not self._closed.is_set():
            try:
                self._ready.put(item, timeout=0.1)
            except queue.Full:
                continue
            return True
        return False


class Playback:
    """The images of one source, each at its time after the first; those missed are left out."""

    def __init__(self, camera: str, source: str, images: Iterator[StampedImage]) -> None:
        self.camera = camera
        self._source = source
        self._images = images
        self._next: StampedImage | None = None
        self._origin_ns: Nanoseconds | None = None
        self._ended = False
        self._fault: str | None = None

    def step(self, now_ns: Nanoseconds) -> CameraImage | None:
        """The newest image whose time has come since the step before, or None."""
        if self._origin_ns is None:
            self._origin_ns = now_ns
        newest: StampedImage | None = None
        while not self._ended:
            if self._next is None:
                self._next = self._read()
            if self._next is None or self._origin_ns + self._next.offset_ns > now_ns:
                break
            newest, self._next = self._next, None
        if newest is None:
            return None
        return CameraImage(self.camera, self._origin_ns + newest.offset_ns, newest.image)

    def take_fault(self) -> str | None:
        """The line that says why the source ended, once."""
        fault, self._fault = self._fault, None
        return fault

    def _read(self) -> StampedImage | None:
        try:
            image = next(self._images, None)
        except SourceError as error:
            image, self._fault = None, str(error)
        if image is None:
            self._ended = True
            self._fault = self._fault or f"{self._source}: end of the file"
        return image
