"""Devices and network streams through PyAV: from opening to pictures, until they break off."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from typing import Any, Protocol

import av

from vla_driving.camera.images import CompressedImage, DecodeError, Picture, VideoPacket
from vla_driving.camera.settings import LiveSettings
from vla_driving.camera.sources import SourceError
from vla_driving.camera.video import VideoDecoder
from vla_driving.contract.clock import SECOND, Nanoseconds

SCHEMES = ("rtsp", "rtsps", "tcp", "udp", "http", "https")
"""Of the addresses that are opened as streams."""
DEVICE = "/dev/video"
_ANNEX_B = {"h264": "h264_mp4toannexb", "hevc": "hevc_mp4toannexb"}


@dataclass(frozen=True, eq=False)
class Shot:
    """A picture and its time on the source's clock, None where it states none."""

    time_ns: Nanoseconds | None
    picture: Picture


class Connect(Protocol):
    """Opens a source and gives its shots as they come. Raises SourceError with one line."""

    def __call__(self) -> AbstractContextManager[Iterator[Shot]]:
        """To be closed by leaving the context."""


def is_live(source: str) -> bool:
    """Whether a word in camera_ingest.sources is a device or a stream rather than a file."""
    return source.startswith(DEVICE) or "://" in source


def feed(
    source: str, width: int, height: int, rate_hz: float, settings: LiveSettings
) -> Connect:
    """A device is asked for this size and rate; a stream has its own.

    Raises SourceError where the address is of an unknown kind.
    """
    if source.startswith(DEVICE):
        options = {"video_size": f"{width}x{height}", "framerate": f"{rate_hz:g}"}
        if settings.pixel_format != "auto":
            options["input_format"] = settings.pixel_format
        return _connect(source, "v4l2", options, settings)
    scheme = source.split("://")[0].lower()
    if scheme not in SCHEMES:
        raise SourceError(f"{source}: {scheme}:// is none of {', '.join(SCHEMES)}")
    options = {"fflags": "nobuffer", "analyzeduration": "500000"}
    if scheme.startswith("rtsp"):
        # Over UDP a lost packet costs every image up to the next keyframe.
        options["rtsp_transport"] = "tcp"
    return _connect(source, None, options, settings)


def _connect(
    source: str, container_format: str | None, options: dict[str, str], settings: LiveSettings
) -> Connect:
    @contextmanager
    def connect() -> Iterator[Iterator[Shot]]:
        try:
            container = av.open(
                source, format=container_format, options=options,
                timeout=(settings.open_timeout, settings.read_timeout),
            )
        except (av.FFmpegError, OSError, ValueError) as error:
            raise SourceError(f"{source}: cannot be opened: {_line(error)}") from None
        with container:
            if not container.streams.video:
                raise SourceError(f"{source}: holds no video stream")
            yield _told(source, _shots(container, container.streams.video[0]))

    return connect


def _told(source: str, shots: Iterator[Shot]) -> Iterator[Shot]:
    try:
        yield from shots
    except (av.FFmpegError, OSError) as error:
        raise SourceError(f"{source}: broke off: {_line(error)}") from None


def _shots(container: av.container.InputContainer, stream: Any) -> Iterator[Shot]:
    codec = stream.codec_context.name
    if codec in _ANNEX_B:
        return _decoded(container, stream, codec)
    stream.codec_context.thread_count = 1
    return _independent(container, stream, codec == "mjpeg")


def _independent(
    container: av.container.InputContainer, stream: Any, is_jpeg: bool
) -> Iterator[Shot]:
    """Pictures that stand alone; a jpeg is handed on as it is, to be decoded at the right size."""
    for packet in container.demux(stream):
        if packet.size == 0:
            continue
        if is_jpeg:
            yield Shot(_time_ns(packet), CompressedImage(bytes(packet)))
            continue
        for frame in packet.decode():
            yield Shot(_time_ns(frame), frame)


def _decoded(container: av.container.InputContainer, stream: Any, codec: str) -> Iterator[Shot]:
    """H.264 and H.265; what cannot be decoded is left out up to the next keyframe."""
    headers = stream.codec_context.extradata or b""
    to_annex_b = None
    if headers[:1] == b"\1":
        to_annex_b = av.BitStreamFilterContext(_ANNEX_B[codec], stream)
        headers = b""
    decoder = VideoDecoder()
    for packet in container.demux(stream):
        for part in to_annex_b.filter(packet) if to_annex_b else [packet]:
            if part.size == 0:
                continue
            data = headers + bytes(part) if part.is_keyframe else bytes(part)
            time_ns = _time_ns(part)
            try:
                frames = decoder.decode(VideoPacket(data, codec), time_ns or 0)
            except DecodeError:
                continue
            for frame in frames:
                yield Shot(None if time_ns is None else frame.pts, frame)


def _time_ns(timed: Any) -> Nanoseconds | None:
    if timed.pts is None or timed.time_base is None:
        return None
    return int(timed.pts * timed.time_base * SECOND)


def _line(error: Exception) -> str:
    return " ".join(str(error).split())
