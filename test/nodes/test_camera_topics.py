"""What drivers send becomes images, each kind from its own message."""

import array
from types import SimpleNamespace
from typing import Any

import pytest
from sensor_msgs.msg import CameraInfo, CompressedImage, Image
from vla_driving_msgs.msg import CompressedVideo

from vla_driving.camera import images
from vla_driving.contract.settings import SettingsError
from vla_driving.contract.topics import BY_NAME
from vla_driving.nodes.camera_topics import KINDS, info_of, kind_of
from vla_driving.nodes.cameras import is_installed

STAMP_NS = 12_000_000_034


def stamped(message: Any, field: str = "header") -> Any:
    time = message.timestamp if field == "timestamp" else message.header.stamp
    time.sec, time.nanosec = divmod(STAMP_NS, 1_000_000_000)
    return message


def test_an_image_keeps_its_layout() -> None:
    sent = Image(height=2, width=3, encoding="mono8", step=4, data=array.array("B", range(8)))
    image = KINDS["topic"].image("front", stamped(sent))
    assert (image.camera, image.stamp_ns) == ("front", STAMP_NS)
    raw = image.payload
    assert isinstance(raw, images.RawImage)
    assert (raw.height, raw.width, raw.encoding, raw.step) == (2, 3, "mono8", 4)
    assert bytes(images.as_bytes(raw.data)) == bytes(range(8))


def test_a_compressed_image_keeps_its_format() -> None:
    sent = CompressedImage(format="rgb8; jpeg compressed bgr8", data=array.array("B", b"abc"))
    payload = KINDS["compressed_topic"].image("front", stamped(sent)).payload
    assert isinstance(payload, images.CompressedImage)
    assert (payload.format, bytes(payload.data)) == ("rgb8; jpeg compressed bgr8", b"abc")


@pytest.mark.parametrize("word", ["video_topic", "foxglove_topic"])
def test_a_video_packet_is_stamped_by_its_timestamp(word: str) -> None:
    sent = CompressedVideo(format="h265", data=array.array("B", b"abc"))
    image = KINDS[word].image("front", stamped(sent, "timestamp"))
    assert image.stamp_ns == STAMP_NS
    assert isinstance(image.payload, images.VideoPacket)
    assert (image.payload.format, bytes(image.payload.data)) == ("h265", b"abc")


def test_a_packet_of_ffmpeg_image_transport_names_its_encoder() -> None:
    header = SimpleNamespace(stamp=SimpleNamespace(sec=12, nanosec=34))
    sent = SimpleNamespace(header=header, encoding="libx264", data=b"abc", width=4, height=2)
    image = KINDS["ffmpeg_topic"].image("front", sent)
    assert image.stamp_ns == STAMP_NS
    assert isinstance(image.payload, images.VideoPacket)
    assert image.payload.format == "libx264"


def test_camera_info_is_read_from_its_matrix() -> None:
    sent = CameraInfo(width=64, height=48, distortion_model="plumb_bob", d=[0.1, 0.0, 0.0, 0.0])
    sent.k = [50.0, 0.0, 31.5, 0.0, 51.0, 23.5, 0.0, 0.0, 1.0]
    info = info_of("front", sent)
    assert (info.width, info.height, info.fx, info.fy) == (64, 48, 50.0, 51.0)
    assert (info.cx, info.cy, info.distortion) == (31.5, 23.5, (0.1, 0.0, 0.0, 0.0))


def test_every_kind_is_a_row_of_the_table_and_files_are_none() -> None:
    assert {kind.row for kind in KINDS.values()} <= set(BY_NAME)
    assert kind_of("topic") is KINDS["topic"]
    assert kind_of("/dev/video0") is None
    assert kind_of("drive.mp4") is None


@pytest.mark.parametrize("word", ["foxglove_topic", "ffmpeg_topic"])
def test_a_package_that_is_not_installed_is_named(word: str) -> None:
    row = BY_NAME[KINDS[word].row]
    if is_installed(row):
        assert kind_of(word) is KINDS[word]
        return
    package = row.type.split("/")[0]
    with pytest.raises(SettingsError, match=f"'{word}' needs the ROS package {package}"):
        kind_of(word)
