"""H.264 and H.265 packets to images: one decoder a camera, from a keyframe on, never a guess."""

from __future__ import annotations

import av

from vla_driving.camera.images import DecodeError, VideoPacket, as_bytes
from vla_driving.camera.nal import H264Stream, H265Stream
from vla_driving.contract.clock import Nanoseconds

MAX_PIXELS = 8192 * 8192
CODECS = {"h264": "h264", "h265": "hevc", "hevc": "hevc"}
"""libavcodec's name by the word in a message's format."""
_OPTIONS = {
    "flags": "low_delay",
    # Errors are to be told, not painted over.
    "err_detect": "explode",
    "max_pixels": str(MAX_PIXELS),
}


class WaitsForKeyframe(DecodeError):
    """Nothing is wrong with this packet, but it continues images that are not there."""


class VideoDecoder:
    """Decodes one camera's packets in order.

    After a loss or an error nothing is shown until the next keyframe: what is decoded in between
    looks whole and is not.
    """

    def __init__(self) -> None:
        self._codec = ""
        self._context: av.VideoCodecContext | None = None
        self._stream: H264Stream | H265Stream = H265Stream()
        self._parameters = b""
        self._left_out = 0
        self._waits_because = ""

    def decode(self, packet: VideoPacket, stamp_ns: Nanoseconds) -> list[av.VideoFrame]:
        """Images that are complete with this packet, mostly one; `pts` is their packet's stamp.

        Raises DecodeError where there is none that can be trusted.
        """
        data = as_bytes(packet.data).tobytes()
        codec = CODECS.get(_codec_word(packet.format))
        if codec is None:
            raise DecodeError(
                f"video format {packet.format!r} is not supported; supported: {', '.join(CODECS)}"
            )
        if codec != self._codec:
            self._begin(codec)
        try:
            unit = self._stream.read(data)
        except DecodeError as error:
            self._lose(str(error))
            raise
        if unit.lost and not self._waits_because:
            self._lose(f"{unit.lost} images were lost on the way")
        if unit.keyframe:
            self._waits_because, self._left_out = "", 0
            if unit.parameters and unit.parameters != self._parameters:
                # A decoder never shortens the delay that an earlier set asked for.
                self._parameters, self._context = unit.parameters, None
        elif self._waits_because:
            self._left_out += 1
            raise WaitsForKeyframe(
                f"{packet.format} waits for a keyframe ({self._waits_because};"
                f" {self._left_out} packets left out)"
            )
        return self._decode(data, stamp_ns)

    def _decode(self, data: bytes, stamp_ns: Nanoseconds) -> list[av.VideoFrame]:
        if self._context is None:
            self._context = _opened(self._codec)
        packet = av.Packet(data)
        packet.pts = packet.dts = stamp_ns
        try:
            frames = self._context.decode(packet)
        except (av.FFmpegError, ValueError, MemoryError) as error:
            line = f"corrupt packet of {len(data)} bytes: {' '.join(str(error).split())}"
            self._lose(line)
            raise DecodeError(f"{self._codec}: {line}") from None
        if any(frame.is_corrupt for frame in frames):
            self._lose("an image came out damaged")
            raise DecodeError(f"{self._codec}: an image came out damaged")
        return frames

    def _begin(self, codec: str) -> None:
        self._codec = codec
        self._stream = H264Stream() if codec == "h264" else H265Stream()
        self._context = None
        self._waits_because, self._left_out = "it has just begun", 0

    def _lose(self, why: str) -> None:
        if not self._waits_because:
            self._waits_because = why
        # A new one: flushed, it would still hand out what it had half decoded.
        self._context = None


def _opened(codec: str) -> av.VideoCodecContext:
    context = av.CodecContext.create(codec, "r")
    assert isinstance(context, av.VideoCodecContext)
    context.thread_count = 1
    context.options = dict(_OPTIONS)
    return context


def _codec_word(text: str) -> str:
    """h264 of "h264", "libx264", "h264_nvenc", "h264;yuv420p;...": encoders name themselves too."""
    head = text.split(";")[0].lower()
    if "264" in head:
        return "h264"
    return "h265" if "265" in head or "hevc" in head else head
