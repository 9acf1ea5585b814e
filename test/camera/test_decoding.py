from __future__ import annotations

from array import array

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from vla_driving.camera.decoding import DecodeError, decode
from vla_driving.camera.images import CompressedImage, RawImage

from .scenes import picture

LAYOUTS = {
    "rgb8": lambda rgb: rgb,
    "bgr8": lambda rgb: rgb[:, :, ::-1],
    "rgba8": lambda rgb: np.dstack([rgb, np.full(rgb.shape[:2], 7, np.uint8)]),
    "bgra8": lambda rgb: np.dstack([rgb[:, :, ::-1], np.full(rgb.shape[:2], 7, np.uint8)]),
}


def raw(rgb: np.ndarray, encoding: str, padding: int = 0) -> RawImage:
    stored = LAYOUTS[encoding](rgb)
    rows = stored.reshape(rgb.shape[0], -1)
    rows = np.hstack([rows, np.full((rgb.shape[0], padding), 99, np.uint8)])
    return RawImage(rgb.shape[0], rgb.shape[1], encoding, rows.shape[1], rows.tobytes())


@given(
    st.sampled_from(sorted(LAYOUTS)), st.integers(1, 40), st.integers(1, 40), st.integers(0, 9)
)
def test_raw_images_come_back_as_rgb(
    encoding: str, width: int, height: int, padding: int
) -> None:
    rgb = picture(width, width, height)
    np.testing.assert_array_equal(decode(raw(rgb, encoding, padding)), rgb)


def test_grey_is_three_times_the_same() -> None:
    grey = picture()[:, :, 0]
    decoded = decode(RawImage(48, 64, "mono8", 64, grey.tobytes()))
    for channel in range(3):
        np.testing.assert_array_equal(decoded[:, :, channel], grey)


def test_any_holder_of_bytes_will_do() -> None:
    rgb = picture()
    for data in (rgb.tobytes(), bytearray(rgb.tobytes()), memoryview(rgb.tobytes()),
                 array("B", rgb.tobytes()), rgb.reshape(-1)):
        np.testing.assert_array_equal(decode(RawImage(48, 64, "rgb8", 192, data)), rgb)


@pytest.mark.parametrize(
    ("image", "line"),
    [
        (RawImage(2, 2, "yuv422", 4, b"12345678"),
         "encoding 'yuv422' is not supported; supported: rgb8, bgr8, rgba8, bgra8, mono8"),
        (RawImage(2, 2, "rgb8", 5, b"0123456789"), "step 5 is below 6 bytes of 2 pixels rgb8"),
        (RawImage(2, 2, "rgb8", 6, b"0123456789"), "10 bytes instead of 12 (2 rows of 6)"),
        (RawImage(2, 2, "rgb8", 6, b"0123456789012"), "13 bytes instead of 12 (2 rows of 6)"),
        (RawImage(0, 2, "rgb8", 6, b""), "size 2x0 is empty"),
        (RawImage(2, 1, "mono8", 1, np.zeros(4, np.uint8)[::2]),
         "data of type ndarray is no row of bytes: ndarray is not C-contiguous"),
        (CompressedImage(b""), "compressed image is empty"),
        (CompressedImage(b"no picture at all"),
         "compressed image of 17 bytes is truncated or no jpeg or png"),
    ],
)
def test_bad_images_are_one_line(image: RawImage | CompressedImage, line: str) -> None:
    with pytest.raises(DecodeError) as caught:
        decode(image)
    assert str(caught.value) == line


@pytest.mark.parametrize("suffix", [".png", ".jpg"])
@pytest.mark.parametrize("padding", [0, 16])
def test_compressed_images_come_back(suffix: str, padding: int) -> None:
    rgb = np.repeat(np.repeat(picture(1, 8, 6), 8, axis=0), 8, axis=1)
    _, data = cv2.imencode(suffix, rgb[:, :, ::-1], [cv2.IMWRITE_JPEG_QUALITY, 98])
    decoded = decode(CompressedImage(data.tobytes() + b"\0" * padding))
    difference = np.abs(decoded.astype(int) - rgb)
    assert difference.max() == 0 if suffix == ".png" else difference.mean() < 10


@given(st.sampled_from([".png", ".jpg"]), st.floats(0.0, 0.98))
def test_truncated_compressed_images_are_refused(suffix: str, share: float) -> None:
    data = cv2.imencode(suffix, picture())[1].tobytes()
    with pytest.raises(DecodeError):
        decode(CompressedImage(data[: int(len(data) * share)]))


@given(st.binary(max_size=300), st.sampled_from([b"\xff\xd8", b"\x89PNG\r\n\x1a\n"]))
def test_garbage_is_a_picture_or_a_decode_error(garbage: bytes, head: bytes) -> None:
    try:
        decoded = decode(CompressedImage(head + garbage + b"\xff\xd9"))
    except DecodeError:
        return
    assert decoded.dtype == np.uint8
    assert decoded.ndim == 3
