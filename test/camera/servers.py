"""Cameras on the network of this machine: bytes over TCP, and RTSP as far as a client needs it."""

from __future__ import annotations

import io
import re
import socket
import struct
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from fractions import Fraction
from types import TracebackType

import av
import cv2

from .streams import packets, scene

TICKS = 9000
"""Of RTP's 90 kHz clock from image to image at 10 Hz."""
_SDP = (
    "v=0\r\no=- 0 0 IN IP4 127.0.0.1\r\ns=camera\r\nc=IN IP4 0.0.0.0\r\nt=0 0\r\n"
    "m=video 0 RTP/AVP 96\r\na=rtpmap:96 H264/90000\r\na=fmtp:96 packetization-mode=1\r\n"
    "a=control:trackID=0\r\n"
)


class Server:
    """Serves one client after the other on 127.0.0.1, in a thread of its own."""

    SCHEME = "tcp"

    def __init__(self, chunks: Sequence[bytes], then_stay: bool = False) -> None:
        """Sends `chunks` and closes, or stays silent on the line until it is left."""
        self._chunks = chunks
        self._stay = then_stay
        self._left = threading.Event()
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.address = f"{self.SCHEME}://127.0.0.1:{self._listener.getsockname()[1]}/camera"
        self.clients = 0
        self._thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self) -> Server:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._left.set()
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._thread.join()

    def _run(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            self.clients += 1
            with client:
                try:
                    self.greet(client)
                    for chunk in self._chunks:
                        client.sendall(chunk)
                except OSError:
                    continue
                if self._stay:
                    self._left.wait()

    def greet(self, client: socket.socket) -> None:
        """What the protocol wants before the stream."""


class RtspServer(Server):
    """RFC 2326 with RTP between the answers (10.12), of H.264 (RFC 6184)."""

    SCHEME = "rtsp"

    def __init__(self, access_units: Sequence[bytes], then_stay: bool = False) -> None:
        super().__init__(list(_rtp(access_units)), then_stay)

    def greet(self, client: socket.socket) -> None:
        """Answers up to PLAY."""
        reader = client.makefile("rb")
        while True:
            request = b""
            while not request.endswith(b"\r\n\r\n"):
                line = reader.readline()
                if not line:
                    raise OSError("the client went")
                request += line
            method = request.split(b" ", 1)[0].decode()
            match = re.search(rb"CSeq: *(\d+)", request)
            assert match is not None
            client.sendall(self._answer(method, int(match[1])))
            if method == "PLAY":
                return

    def _answer(self, method: str, number: int) -> bytes:
        lines, body = [f"RTSP/1.0 200 OK\r\nCSeq: {number}\r\nSession: 1"], ""
        if method == "OPTIONS":
            lines.append("Public: OPTIONS, DESCRIBE, SETUP, PLAY, TEARDOWN")
        elif method == "DESCRIBE":
            body = _SDP
            lines += [f"Content-Base: {self.address}/", "Content-Type: application/sdp"]
        elif method == "SETUP":
            lines.append("Transport: RTP/AVP/TCP;unicast;interleaved=0-1")
        lines.append(f"Content-Length: {len(body)}")
        return ("\r\n".join(lines) + "\r\n\r\n" + body).encode()


def _rtp(access_units: Sequence[bytes]) -> Iterator[bytes]:
    sequence = 0
    for k, data in enumerate(access_units):
        units = [unit for unit in re.split(b"\0?\0\0\1", data) if unit]
        for unit in units:
            last = unit is units[-1]
            head = struct.pack(">BBHII", 0x80, 96 | last << 7, sequence & 0xFFFF, k * TICKS, 7)
            yield struct.pack(">cBH", b"$", 0, len(head) + len(unit)) + head + unit
            sequence += 1


def transport_stream(codec: str, count: int = 30) -> list[bytes]:
    """MPEG transport stream of `packets` at 10 Hz, cut into pieces."""
    buffer = io.BytesIO()
    with av.open(buffer, "w", format="mpegts") as container:
        stream = container.add_stream({"h264": "libx264", "h265": "libx265"}[codec], rate=10)
        assert isinstance(stream, av.VideoStream)
        stream.width, stream.height, stream.pix_fmt = 160, 96, "yuv420p"
        for k, data in enumerate(packets(codec, count)):
            packet = av.Packet(data)
            packet.stream, packet.time_base = stream, Fraction(1, 10)
            packet.pts = packet.dts = k
            packet.is_keyframe = k % 10 == 0
            container.mux(packet)
    whole = buffer.getvalue()
    return [whole[k : k + 1316] for k in range(0, len(whole), 1316)]


def jpegs(count: int) -> list[bytes]:
    """One jpeg after the other, as some cameras send them."""
    return [bytes(cv2.imencode(".jpg", scene(k)[:, :, ::-1])[1]) for k in range(count)]


@contextmanager
def closed_port() -> Iterator[str]:
    """An address that nobody answers at."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    yield f"tcp://127.0.0.1:{port}"
