"""Plays a file's images at their own pace on the stack's clock."""

from __future__ import annotations

from collections.abc import Iterator

from vla_driving.camera.images import CameraImage
from vla_driving.camera.sources import SourceError, StampedImage
from vla_driving.contract.clock import Nanoseconds


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
