"""Video files and folders of pictures as cameras, at their own rate."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import av

from vla_driving.camera.compressed import decode_compressed
from vla_driving.camera.decoding import size_of
from vla_driving.camera.images import CompressedImage, DecodeError, Picture
from vla_driving.contract.cameras import Camera, Mount
from vla_driving.contract.clock import SECOND, Nanoseconds
from vla_driving.contract.frames import Image
from vla_driving.contract.settings import SettingsError

MAX_MISSING = 0.05
"""Share of the images that a video states and may lack: edit lists leave a few out."""
_PICTURES = (".jpg", ".jpeg", ".png")


class SourceError(SettingsError):
    """One line: the file and what is wrong with it."""


@dataclass(frozen=True, eq=False)
class StampedImage:
    """A picture and its time after the first one of the source."""

    offset_ns: Nanoseconds
    image: Picture


class Source(Protocol):
    """A file as a camera; `width` and `height` in pixels, `rate_hz` nominal."""

    @property
    def width(self) -> int:
        """Pixels."""

    @property
    def height(self) -> int:
        """Pixels."""

    @property
    def rate_hz(self) -> float:
        """Nominal rate."""

    def images(self, loop: bool) -> Iterator[StampedImage]:
        """Images in order, without end where `loop` is True. Raises SourceError on the way."""


def open_source(path: Path, rate_hz: float) -> Source:
    """A video file, or a folder of pictures that counts as taken at `rate_hz`.

    Raises SourceError where there is nothing that can be shown.
    """
    if path.is_dir():
        return PictureFolder(path, rate_hz)
    return VideoFile(path)


class VideoFile:
    """Any video that PyAV decodes, at the times it holds."""

    def __init__(self, path: Path) -> None:
        self.path = path
        first = next(self._decode(), None)
        if first is None:
            raise SourceError(f"{path}: holds no video image")
        self.width, self.height = size_of(first.image)
        with self._open() as container:
            rate = container.streams.video[0].average_rate
        if not rate:
            raise SourceError(f"{path}: states no frame rate")
        self.rate_hz = float(rate)

    def images(self, loop: bool) -> Iterator[StampedImage]:
        """See Source.images."""
        return _repeated(self._decode, round(SECOND / self.rate_hz), loop)

    def _open(self) -> av.container.InputContainer:
        try:
            container = av.open(str(self.path))
        except FileNotFoundError:
            raise SourceError(f"{self.path}: no such file") from None
        except (av.FFmpegError, OSError) as error:
            raise SourceError(f"{self.path}: is no readable video: {_line(error)}") from None
        if not container.streams.video:
            container.close()
            raise SourceError(f"{self.path}: holds no video stream")
        return container

    def _decode(self) -> Iterator[StampedImage]:
        start: float | None = None
        offset_ns, count = -1, 0
        with self._open() as container:
            stream = container.streams.video[0]
            stream.codec_context.thread_count = 1
            try:
                for frame in container.decode(stream):
                    if frame.time is None:
                        raise SourceError(f"{self.path}: holds an image without a time")
                    start = frame.time if start is None else start
                    offset_ns, before = round((frame.time - start) * SECOND), offset_ns
                    if offset_ns <= before:
                        raise SourceError(
                            f"{self.path}: times do not increase at {frame.time:.3f} s"
                        )
                    count += 1
                    yield StampedImage(offset_ns, frame)
            except av.FFmpegError as error:
                at = max(0, offset_ns) / SECOND
                raise SourceError(
                    f"{self.path}: corrupt after {at:.3f} s: {_line(error)}"
                ) from None
            # A file cut between two images reads as if it ended there.
            if count < stream.frames * (1.0 - MAX_MISSING) - 1:
                raise SourceError(
                    f"{self.path}: breaks off after {count} of {stream.frames} images"
                )


class PictureFolder:
    """jpeg and png files of one size in the order of their names."""

    def __init__(self, path: Path, rate_hz: float) -> None:
        self.path = path
        self.rate_hz = rate_hz
        self._files = sorted(f for f in path.iterdir() if f.suffix.lower() in _PICTURES)
        if not self._files:
            raise SourceError(f"{path}: holds no {', '.join(_PICTURES)} file")
        self.height, self.width = _read(self._files[0]).shape[:2]

    def images(self, loop: bool) -> Iterator[StampedImage]:
        """See Source.images."""
        return _repeated(self._decode, round(SECOND / self.rate_hz), loop)

    def _decode(self) -> Iterator[StampedImage]:
        for k, file in enumerate(self._files):
            image = _read(file)
            if image.shape[:2] != (self.height, self.width):
                raise SourceError(
                    f"{file}: {image.shape[1]}x{image.shape[0]} pixels, the first picture has"
                    f" {self.width}x{self.height}"
                )
            yield StampedImage(round(k * SECOND / self.rate_hz), image)


def assumed_camera(
    name: str, width: int, height: int, horizontal_fov: float
) -> tuple[Camera, str]:
    """A camera for a video of which nothing is known, and the warning that goes with it.

    Without distortion, square pixels, `horizontal_fov` rad wide, level, 1.3 m above the road and
    1.5 m before the rear axle.
    """
    focal = 0.5 * width / math.tan(0.5 * horizontal_fov)
    camera = Camera(
        name=name, width=width, height=height, fx=focal, fy=focal,
        cx=0.5 * (width - 1), cy=0.5 * (height - 1),
        mount=Mount(x=1.5, y=0.0, z=1.3, roll=0.0, pitch=0.0, yaw=0.0),
        distortion_model="none", distortion=(),
    )
    return camera, (
        f"camera {name!r}: no camera file, so {math.degrees(horizontal_fov):.0f} degrees of view,"
        " a level mount at 1.3 m and no distortion are assumed; plans are only as right as that is"
    )


def _repeated(
    decode: Callable[[], Iterator[StampedImage]], period_ns: Nanoseconds, loop: bool
) -> Iterator[StampedImage]:
    begin_ns = 0
    while True:
        end_ns = None
        for stamped in decode():
            end_ns = begin_ns + stamped.offset_ns
            yield StampedImage(end_ns, stamped.image)
        if not loop or end_ns is None:
            return
        begin_ns = end_ns + period_ns


def _read(file: Path) -> Image:
    try:
        return decode_compressed(CompressedImage(file.read_bytes()))
    except OSError as error:
        raise SourceError(f"{file}: cannot be read: {error.strerror}") from None
    except DecodeError as error:
        raise SourceError(f"{file}: {error}") from None


def _line(error: Exception) -> str:
    return " ".join(str(error).split())
