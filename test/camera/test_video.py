from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vla_driving.camera.decoding import decode
from vla_driving.camera.images import DecodeError, VideoPacket
from vla_driving.camera.video import VideoDecoder

from .streams import packets, scene

CODECS = ("h264", "h265")


def shown(stream: Sequence[bytes | None], codec: str) -> list[int | str]:
    """Number of each image that came out, or its error; None is a packet lost on the way."""
    decoder, found = VideoDecoder(), list[int | str]()
    for k, data in enumerate(stream):
        if data is None:
            continue
        try:
            frames = decoder.decode(VideoPacket(data, codec), k)
            found += [frame.pts for frame in frames if frame.pts is not None]
        except DecodeError as error:
            found.append(str(error))
    return found


def numbers(found: list[int | str]) -> list[int]:
    return [k for k in found if isinstance(k, int)]


@pytest.mark.parametrize("codec", CODECS)
def test_every_packet_gives_its_image_at_once_with_its_stamp(codec: str) -> None:
    decoder = VideoDecoder()
    for k, data in enumerate(packets(codec)):
        stamp = 1_700_000_000_000_000_000 + 100_000_000 * k
        (frame,) = decoder.decode(VideoPacket(data, codec), stamp)
        assert frame.pts == stamp
        rgb = decode(frame)
        assert np.abs(rgb.astype(int) - scene(k)).mean() < 12


@pytest.mark.parametrize("codec", CODECS)
def test_nothing_is_shown_before_a_keyframe(codec: str) -> None:
    found = shown(list(packets(codec))[4:], codec)
    assert numbers(found) == list(range(6, 26))
    assert found[2] == f"{codec} waits for a keyframe (it has just begun; 3 packets left out)"


@pytest.mark.parametrize("codec", CODECS)
def test_after_a_lost_packet_nothing_is_shown_until_the_next_keyframe(codec: str) -> None:
    stream: list[bytes | None] = list(packets(codec))
    stream[14] = None
    found = shown(stream, codec)
    assert numbers(found) == [*range(14), *range(20, 30)]
    assert len(found) == 29


def test_a_loss_says_how_many() -> None:
    stream: list[bytes | None] = list(packets("h264"))
    stream[14] = stream[15] = None
    assert "2 images were lost on the way" in str(shown(stream, "h264")[14])


def test_a_keyframe_lost_with_others_is_noticed_too() -> None:
    stream: list[bytes | None] = list(packets("h264"))
    stream[9] = stream[10] = stream[11] = None
    assert numbers(shown(stream, "h264")) == [*range(9), *range(20, 30)]


@pytest.mark.parametrize("codec", CODECS)
@pytest.mark.parametrize("broken", [b"", b"\1", b"\0\0\1", b"\xff" * 300])
def test_a_broken_packet_is_named_and_costs_the_images_up_to_a_keyframe(
    codec: str, broken: bytes
) -> None:
    stream: list[bytes | None] = list(packets(codec))
    stream[14] = broken
    found = shown(stream, codec)
    assert numbers(found) == [*range(14), *range(20, 30)]
    assert str(found[14]).startswith(f"{codec} packet of {len(broken)} bytes holds no image")


@pytest.mark.parametrize("share", [0.2, 0.5, 0.95])
def test_a_truncated_packet_is_refused(share: float) -> None:
    """H.264; libavcodec does not always notice where an H.265 packet ends too early."""
    stream: list[bytes | None] = list(packets("h264"))
    stream[14] = packets("h264")[14][: int(share * len(packets("h264")[14]))]
    assert numbers(shown(stream, "h264")) == [*range(14), *range(20, 30)]


@pytest.mark.parametrize(
    "words", ["h264", "libx264", "h264_nvenc", "h264;yuv420p;bgr8;bgr8", "H264"]
)
def test_encoders_that_name_themselves_are_understood(words: str) -> None:
    (frame,) = VideoDecoder().decode(VideoPacket(packets("h264")[0], words), 7)
    assert (frame.width, frame.height, frame.pts) == (160, 96, 7)


def test_a_change_of_codec_and_of_size_is_followed() -> None:
    take = VideoDecoder().decode
    sizes = [
        take(VideoPacket(packets(codec, width=width)[0], codec), k)[0].width
        for k, (codec, width) in enumerate((("h264", 160), ("h265", 160), ("h265", 192)))
    ]
    assert sizes == [160, 160, 192]


def test_other_formats_are_refused_by_name() -> None:
    with pytest.raises(DecodeError, match="video format 'vp9' is not supported; supported: h264,"):
        VideoDecoder().decode(VideoPacket(b"abc", "vp9"), 0)


@settings(max_examples=60, deadline=None)
@given(st.sampled_from(CODECS), st.data())
def test_flipped_bytes_never_break_out_and_it_recovers(codec: str, data: st.DataObject) -> None:
    stream: list[bytes | None] = list(packets(codec))
    for k in data.draw(st.lists(st.integers(0, 9), min_size=1, max_size=4)):
        broken = bytearray(packets(codec)[k])
        at = data.draw(st.integers(0, len(broken) - 1))
        broken[at] = data.draw(st.integers(0, 255))
        stream[k] = bytes(broken)
    found = numbers(shown(stream, codec))
    assert found[-20:] == list(range(10, 30))


def test_a_damaged_header_that_asks_for_a_delay_is_forgotten_at_the_next_keyframe() -> None:
    stream: list[bytes | None] = list(packets("h264"))
    broken = bytearray(packets("h264")[0])
    broken[23] = 32
    stream[0] = bytes(broken)
    assert numbers(shown(stream, "h264"))[-20:] == list(range(10, 30))


@settings(deadline=None)
@given(st.sampled_from(CODECS), st.binary(max_size=200))
def test_noise_behind_a_start_code_shows_nothing(codec: str, noise: bytes) -> None:
    assert numbers(shown([b"\0\0\0\1" + noise], codec)) == []
