from __future__ import annotations

import dataclasses
import itertools
import threading

import av
import numpy as np
import pytest

from vla_driving.camera.decoding import decode
from vla_driving.camera.feeds import Shot, feed, is_live
from vla_driving.camera.images import CompressedImage
from vla_driving.camera.live import LiveCamera
from vla_driving.camera.sources import SourceError

from .scenes import LIVE
from .servers import RtspServer, Server, closed_port, jpegs, transport_stream
from .streams import packets, scene

QUICK = dataclasses.replace(LIVE, open_timeout=30.0, read_timeout=0.3)


def shots(address: str, count: int) -> list[Shot]:
    with feed(address, 160, 96, 10.0, LIVE)() as coming:
        return list(itertools.islice(coming, count))


def number(shot: Shot) -> int:
    """Which picture of `scene` it shows."""
    rgb = decode(shot.picture).astype(int)
    differences = [np.abs(rgb - scene(k)).mean() for k in range(40)]
    return int(np.argmin(differences))


def test_what_is_live_and_what_is_a_file() -> None:
    for source in ("/dev/video0", "rtsp://10.0.0.3/front", "udp://239.0.0.1:5004"):
        assert is_live(source)
    for source in ("drive.mp4", "/data/drives/front.mkv", "pictures"):
        assert not is_live(source)


@pytest.mark.parametrize("codec", ["h264", "h265"])
def test_a_stream_comes_in_order_with_its_times(codec: str) -> None:
    with Server(transport_stream(codec), then_stay=True) as server:
        found = shots(server.address, 10)
    numbers = [number(shot) for shot in found]
    assert numbers == list(range(numbers[0], numbers[0] + 10))
    assert numbers[0] % 10 == 0
    times = [shot.time_ns for shot in found]
    assert None not in times
    assert np.diff(np.array(times)).tolist() == [100_000_000] * 9


def test_rtsp_is_spoken() -> None:
    with RtspServer(packets("h264"), then_stay=True) as server:
        found = shots(server.address, 10)
    numbers = [number(shot) for shot in found]
    assert numbers == list(range(numbers[0], numbers[0] + 10))
    assert isinstance(found[0].picture, av.VideoFrame)
    assert found[1].time_ns is not None and found[0].time_ns is not None
    assert found[1].time_ns - found[0].time_ns == 100_000_000


def test_images_of_a_damaged_stream_are_left_out_up_to_a_keyframe() -> None:
    stream = list(packets("h264", 40))
    del stream[24]
    with RtspServer(stream, then_stay=True) as server:
        found = [number(shot) for shot in shots(server.address, 12)]
    begin = found[0]
    whole = [k for k in range(begin, 40) if not 24 <= k < 30]
    assert begin in (0, 10, 20)
    assert found == whole[:12]


def test_jpegs_are_handed_on_as_they_are() -> None:
    with Server(jpegs(40) * 10) as server:
        found = shots(server.address, 3)
    assert all(isinstance(shot.picture, CompressedImage) for shot in found)
    numbers = [number(shot) for shot in found]
    assert numbers == [(numbers[0] + k) % 40 for k in range(3)]


def test_a_stream_that_falls_silent_breaks_off_in_time() -> None:
    with (
        Server(transport_stream("h264"), then_stay=True) as server,
        pytest.raises(SourceError, match=r"tcp://127\.0\.0\.1:\d+/camera: broke off"),
        feed(server.address, 160, 96, 10.0, QUICK)() as coming,
    ):
        list(coming)


@pytest.mark.parametrize(
    ("source", "line"),
    [
        ("/dev/video99", "/dev/video99: cannot be opened: "),
        ("gopher://127.0.0.1/1", "gopher:// is none of rtsp, rtsps, tcp, udp, http, https"),
    ],
)
def test_what_cannot_be_opened_is_one_line_with_its_name(source: str, line: str) -> None:
    with pytest.raises(SourceError, match=line) as caught, feed(source, 160, 96, 10.0, LIVE)():
        pass
    assert "\n" not in str(caught.value)


def test_nobody_at_an_address_is_one_line() -> None:
    with (
        closed_port() as address,
        pytest.raises(SourceError, match="cannot be opened"),
        feed(address, 160, 96, 10.0, LIVE)(),
    ):
        pass


def test_noise_is_no_stream() -> None:
    with (
        Server([b"\x01\x02\x03" * 5000]) as server,
        pytest.raises(SourceError, match="cannot be opened"),
        feed(server.address, 160, 96, 10.0, LIVE)(),
    ):
        pass


def test_a_camera_on_the_network_that_goes_and_comes_is_opened_again() -> None:
    come = threading.Event()
    with Server(transport_stream("h264")) as server:
        connect = feed(server.address, 160, 96, 10.0, LIVE)
        camera = LiveCamera("front", connect, LIVE, come.set)
        seen: list[bool] = []
        images = 0
        while seen.count(True) < 2 and come.wait(60.0):
            come.clear()
            seen += [well for well, _ in camera.take_news()]
            images += camera.take(0) is not None
        camera.close()
    assert server.clients >= 2
    assert images >= 2
    assert seen[:3] == [False, True, False]
