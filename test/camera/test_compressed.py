from __future__ import annotations

import struct

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vla_driving.camera.compressed import compressed_size, decode_compressed
from vla_driving.camera.images import CompressedImage, DecodeError

from .scenes import picture

BEST = [cv2.IMWRITE_JPEG_QUALITY, 98]


def coarse() -> np.ndarray:
    """64x48 pixels of colour that a jpeg keeps."""
    return np.repeat(np.repeat(picture(1, 8, 6), 8, axis=0), 8, axis=1)


def file(rgb: np.ndarray, suffix: str = ".jpg") -> bytes:
    return bytes(cv2.imencode(suffix, rgb[:, :, ::-1], BEST)[1])


def difference(image: CompressedImage, rgb: np.ndarray) -> float:
    return float(np.abs(decode_compressed(image).astype(int) - rgb).mean())


@pytest.mark.parametrize("suffix", [".png", ".jpg"])
@pytest.mark.parametrize("padding", [0, 16])
def test_compressed_images_come_back(suffix: str, padding: int) -> None:
    image = CompressedImage(file(coarse(), suffix) + b"\0" * padding)
    assert compressed_size(image) == (64, 48)
    assert difference(image, coarse()) <= (0 if suffix == ".png" else 10)


@pytest.mark.parametrize(
    "words",
    ["", "jpeg", "jpg", "rgb8", "rgb8; jpeg compressed bgr8", "bgr8; jpeg compressed bgr8",
     "bgra8; jpeg compressed bgr8", "bayer_rggb8; jpeg compressed bgr8", "bgr8; jpeg compressed "],
)
def test_a_jpeg_is_a_jpeg_whatever_its_format_field_adds(words: str) -> None:
    assert difference(CompressedImage(file(coarse()), words), coarse()) < 10


def test_a_target_of_rgb_means_channels_that_lie_swapped_in_the_file() -> None:
    swapped = file(coarse()[:, :, ::-1])
    image = CompressedImage(swapped, "rgb8; jpeg compressed rgb8")
    assert difference(image, coarse()) < 10


@pytest.mark.parametrize("words", ["bayer_grbg8; png compressed ", "bayer_grbg8; png compressed"])
def test_a_mosaic_in_a_file_gets_its_colours_back(words: str) -> None:
    mosaic = np.empty((16, 24), np.uint8)
    mosaic[:] = 70
    mosaic[0::2, 1::2], mosaic[1::2, 0::2] = 200, 30
    image = CompressedImage(bytes(cv2.imencode(".png", mosaic)[1]), words)
    np.testing.assert_array_equal(
        decode_compressed(image), np.full((16, 24, 3), (200, 70, 30), np.uint8)
    )


@pytest.mark.parametrize("suffix", [".png", ".jpg"])
@pytest.mark.parametrize("reduction", [2, 4, 8])
def test_reduced_images_are_averages(suffix: str, reduction: int) -> None:
    rgb = np.repeat(np.repeat(picture(1, 13, 7), 8, axis=0), 8, axis=1)[:51, :99]
    decoded = decode_compressed(CompressedImage(file(rgb, suffix)), reduction)
    assert decoded.shape == (-(-51 // reduction), -(-99 // reduction), 3)
    inside = rgb[:48, :96]
    expected = cv2.resize(inside, (96 // reduction, 48 // reduction), interpolation=cv2.INTER_AREA)
    found = decoded[: 48 // reduction, : 96 // reduction].astype(int)
    assert np.abs(found - expected).mean() < 12


def test_a_tag_that_says_turn_me_is_not_followed() -> None:
    plain = file(coarse())
    exif = b"Exif\0\0II*\0\x08\0\0\0\x01\0\x12\x01\x03\0\x01\0\0\0\x06\0\0\0\0\0\0\0"
    segment = b"\xff\xe1" + struct.pack(">H", len(exif) + 2) + exif
    turned = plain[:2] + segment + plain[2:]
    followed = cv2.imdecode(np.frombuffer(turned, np.uint8), cv2.IMREAD_COLOR)
    assert followed is not None and followed.shape[:2] == (64, 48)
    assert difference(CompressedImage(turned), coarse()) < 10


@pytest.mark.parametrize(
    ("image", "line"),
    [
        (CompressedImage(b""), "compressed image is empty"),
        (CompressedImage(b"no picture at all"),
         "compressed image of 17 bytes is truncated or no jpeg or png"),
        (CompressedImage(b"\xff", "h264"),
         "compressed image (format 'h264') of 1 bytes is truncated or no jpeg or png"),
        (CompressedImage(b"\xff\xd8\xff\xd9"),
         "compressed image of 4 bytes is a jpeg without a frame header"),
    ],
)
def test_bad_files_are_one_line(image: CompressedImage, line: str) -> None:
    with pytest.raises(DecodeError) as caught:
        decode_compressed(image)
    assert str(caught.value) == line


def test_giant_declared_sizes_are_refused_before_memory_is_taken() -> None:
    jpeg = bytearray(file(coarse()))
    at = jpeg.index(b"\xff\xc0")
    jpeg[at + 5 : at + 9] = struct.pack(">HH", 65535, 65535)
    png = bytearray(file(coarse(), ".png"))
    png[16:24] = struct.pack(">II", 2**31 - 1, 2**31 - 1)
    for data, size in ((jpeg, "65535x65535"), (png, "2147483647x2147483647")):
        with pytest.raises(DecodeError, match=f"says it has {size} pixels, 1 to 8192 a side"):
            decode_compressed(CompressedImage(bytes(data)))


@settings(deadline=None)
@given(st.sampled_from([".png", ".jpg"]), st.floats(0.0, 0.98))
def test_truncated_files_are_refused(suffix: str, share: float) -> None:
    data = bytes(cv2.imencode(suffix, picture())[1])
    with pytest.raises(DecodeError):
        decode_compressed(CompressedImage(data[: int(len(data) * share)]))


@settings(deadline=None)
@given(st.binary(max_size=300), st.sampled_from([b"\xff\xd8", b"\x89PNG\r\n\x1a\n"]))
def test_garbage_is_a_picture_or_a_decode_error(garbage: bytes, head: bytes) -> None:
    try:
        decoded = decode_compressed(CompressedImage(head + garbage + b"\xff\xd9"))
    except DecodeError:
        return
    assert decoded.dtype == np.uint8
    assert decoded.ndim == 3


@settings(deadline=None)
@given(st.data())
def test_flipped_bytes_never_break_out(data: st.DataObject) -> None:
    whole = bytearray(file(coarse()))
    for _ in range(data.draw(st.integers(1, 6))):
        whole[data.draw(st.integers(0, len(whole) - 1))] = data.draw(st.integers(0, 255))
    try:
        decoded = decode_compressed(CompressedImage(bytes(whole)))
    except DecodeError:
        return
    assert decoded.shape[2] == 3
