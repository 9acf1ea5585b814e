from __future__ import annotations

from array import array
from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vla_driving.camera.encodings import LAYOUTS, decode_raw
from vla_driving.camera.images import DecodeError, RawImage

from .scenes import picture

Rows = np.ndarray
PACKED: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "rgb8": lambda rgb: rgb,
    "bgr8": lambda rgb: rgb[:, :, ::-1],
    "rgba8": lambda rgb: np.dstack([rgb, np.full(rgb.shape[:2], 7, np.uint8)]),
    "bgra8": lambda rgb: np.dstack([rgb[:, :, ::-1], np.full(rgb.shape[:2], 7, np.uint8)]),
}
MOSAICS = {"rggb": (0, 1, 1, 2), "bggr": (2, 1, 1, 0), "gbrg": (1, 2, 0, 1), "grbg": (1, 0, 2, 1)}
"""Channel at (0, 0), (0, 1), (1, 0) and (1, 1)."""
COLOURS = {"red": (200, 30, 40), "green": (20, 180, 60), "blue": (50, 60, 210)}


def stored(rows: Rows, width: int, height: int, encoding: str, padding: int = 0) -> RawImage:
    rows = rows.reshape(rows.shape[0], -1)
    rows = np.hstack([rows, np.full((rows.shape[0], padding), 99, np.uint8)])
    return RawImage(height, width, encoding, rows.shape[1], rows.tobytes())


def raw(rgb: np.ndarray, encoding: str, padding: int = 0) -> RawImage:
    return stored(PACKED[encoding](rgb), rgb.shape[1], rgb.shape[0], encoding, padding)


def bt601(rgb: np.ndarray) -> np.ndarray:
    """(H, W, 3) Y, U, V of ITU-R BT.601 with 16 to 235 for black to white."""
    r, g, b = np.moveaxis(rgb.astype(float), -1, 0)
    y = 16 + 0.257 * r + 0.504 * g + 0.098 * b
    u = 128 - 0.148 * r - 0.291 * g + 0.439 * b
    v = 128 + 0.439 * r - 0.368 * g - 0.071 * b
    return np.stack([y, u, v], axis=-1).round().astype(np.uint8)


def yuv_rows(rgb: np.ndarray, encoding: str) -> Rows:
    """Rows of bytes of one of the YUV encodings, written out from their definitions."""
    y, u, v = np.moveaxis(bt601(rgb), -1, 0)
    height, width = y.shape
    if encoding in ("nv12", "nv21"):
        colours = (u, v) if encoding == "nv12" else (v, u)
        pairs = np.stack([c[::2, ::2] for c in colours], axis=-1).reshape(height // 2, width)
        return np.vstack([y, pairs])
    rows = np.empty((height, 2 * width), np.uint8)
    first = 1 if encoding in ("yuv422", "uyvy") else 0
    rows[:, first::2] = y
    rows[:, 1 - first :: 4] = u[:, ::2]
    rows[:, 3 - first :: 4] = v[:, ::2]
    return rows


@settings(deadline=None)
@given(st.sampled_from(sorted(PACKED)), st.integers(1, 40), st.integers(1, 40), st.integers(0, 9))
def test_packed_images_come_back_as_rgb(
    encoding: str, width: int, height: int, padding: int
) -> None:
    rgb = picture(width, width, height)
    np.testing.assert_array_equal(decode_raw(raw(rgb, encoding, padding)), rgb)


def test_grey_is_three_times_the_same() -> None:
    grey = picture()[:, :, 0]
    decoded = decode_raw(stored(grey, 64, 48, "mono8", 3))
    for channel in range(3):
        np.testing.assert_array_equal(decoded[:, :, channel], grey)


@pytest.mark.parametrize("padding", [0, 6])
@pytest.mark.parametrize("colour", sorted(COLOURS))
@pytest.mark.parametrize(
    "encoding", ["yuv422", "uyvy", "yuv422_yuy2", "yuyv", "nv12", "nv21"]
)
def test_yuv_images_keep_their_colours_and_places(
    encoding: str, colour: str, padding: int
) -> None:
    rgb = np.full((24, 32, 3), 90, np.uint8)
    rgb[4:12, 8:20] = COLOURS[colour]
    decoded = decode_raw(stored(yuv_rows(rgb, encoding), 32, 24, encoding, padding))
    np.testing.assert_allclose(decoded.astype(int), rgb, atol=4)


@pytest.mark.parametrize("pattern", sorted(MOSAICS))
def test_mosaics_get_their_colours_back(pattern: str) -> None:
    rgb = np.empty((40, 48, 3), np.uint8)
    for k, colour in enumerate(COLOURS.values()):
        rgb[:, 16 * k : 16 * (k + 1)] = colour
    mosaic = np.empty((40, 48), np.uint8)
    for k, channel in enumerate(MOSAICS[pattern]):
        mosaic[k // 2 :: 2, k % 2 :: 2] = rgb[k // 2 :: 2, k % 2 :: 2, channel]
    decoded = decode_raw(stored(mosaic, 48, 40, f"bayer_{pattern}8", 5))
    away_from_edges = np.abs(np.arange(48) % 16 - 7.5) < 5
    np.testing.assert_array_equal(decoded[4:-4, away_from_edges], rgb[4:-4, away_from_edges])


@pytest.mark.parametrize("size", [(104, 56), (100, 52)])
@pytest.mark.parametrize("reduction", [2, 4, 8])
@pytest.mark.parametrize("encoding", sorted(LAYOUTS))
def test_every_encoding_can_be_averaged(
    encoding: str, reduction: int, size: tuple[int, int]
) -> None:
    """Of a size that divides, and of one that does not."""
    width, height = size
    v, u = np.mgrid[0:height, 0:width]
    rgb = np.dstack([60 + u, 40 + 2 * v, 200 - u // 2 - v // 2]).astype(np.uint8)
    if encoding in PACKED:
        image = raw(rgb, encoding, 4)
    elif encoding == "mono8":
        image = stored(rgb[..., 0], width, height, encoding, 4)
    elif encoding.startswith("bayer"):
        mosaic = np.empty((height, width), np.uint8)
        for k, channel in enumerate(MOSAICS[encoding[6:10]]):
            mosaic[k // 2 :: 2, k % 2 :: 2] = rgb[k // 2 :: 2, k % 2 :: 2, channel]
        image = stored(mosaic, width, height, encoding, 4)
    else:
        image = stored(yuv_rows(rgb, encoding), width, height, encoding, 4)
    whole, small = decode_raw(image), decode_raw(image, reduction)
    assert small.shape == (-(-height // reduction), -(-width // reduction), 3)
    rows, columns = height // reduction, width // reduction
    expected = whole[: rows * reduction, : columns * reduction].reshape(
        rows, reduction, columns, reduction, 3
    ).mean((1, 3))
    np.testing.assert_allclose(small[:rows, :columns], expected, atol=4)


def test_any_holder_of_bytes_will_do() -> None:
    rgb = picture()
    for data in (rgb.tobytes(), bytearray(rgb.tobytes()), memoryview(rgb.tobytes()),
                 array("B", rgb.tobytes()), rgb.reshape(-1)):
        np.testing.assert_array_equal(decode_raw(RawImage(48, 64, "rgb8", 192, data)), rgb)


@pytest.mark.parametrize(
    ("image", "line"),
    [
        (RawImage(2, 2, "rgb8", 5, b"0123456789"), "step 5 is below 6 bytes of 2 pixels rgb8"),
        (RawImage(2, 2, "rgb8", 6, b"0123456789"), "10 bytes instead of 12 (2 rows of 6)"),
        (RawImage(2, 2, "rgb8", 6, b"0123456789012"), "13 bytes instead of 12 (2 rows of 6)"),
        (RawImage(2, 2, "rgb8", 6, b"1"), "1 bytes instead of 12 (2 rows of 6)"),
        (RawImage(0, 2, "rgb8", 6, b""), "size 2x0 is empty"),
        (RawImage(2, 4, "nv12", 4, bytes(8)), "8 bytes instead of 12 (3 rows of 4)"),
        (RawImage(3, 4, "nv12", 4, bytes(16)),
         "size 4x3 does not divide into the 2x2 pixels of nv12"),
        (RawImage(2, 3, "yuyv", 6, bytes(12)),
         "size 3x2 does not divide into the 2x1 pixels of yuyv"),
        (RawImage(2, 3, "bayer_rggb8", 3, bytes(6)),
         "size 3x2 does not divide into the 2x2 pixels of bayer_rggb8"),
        (RawImage(2**32 - 1, 2**32 - 2, "rgb8", 2**32 - 1, b"1"),
         "step 4294967295 is below 12884901882 bytes of 4294967294 pixels rgb8"),
        (RawImage(2**32 - 1, 2, "rgb8", 2**32 - 1, b"1"),
         f"1 bytes instead of {(2**32 - 1) ** 2} (4294967295 rows of 4294967295)"),
        (RawImage(2, 1, "mono8", 1, np.zeros(4, np.uint8)[::2]),
         "data of type ndarray is no row of bytes: ndarray is not C-contiguous"),
    ],
)
def test_images_that_contradict_themselves_are_one_line(image: RawImage, line: str) -> None:
    with pytest.raises(DecodeError) as caught:
        decode_raw(image)
    assert str(caught.value) == line


def test_an_unknown_encoding_is_named_with_those_that_are_known() -> None:
    with pytest.raises(DecodeError, match="encoding '16UC1' is not supported; supported: rgb8, "):
        decode_raw(RawImage(2, 2, "16UC1", 4, bytes(8)))


@settings(deadline=None)
@given(
    st.sampled_from(sorted(LAYOUTS)), st.integers(0, 40), st.integers(0, 40), st.integers(0, 200),
    st.binary(max_size=2000),
)
def test_garbage_is_an_image_or_a_decode_error(
    encoding: str, width: int, height: int, step: int, data: bytes
) -> None:
    try:
        decoded = decode_raw(RawImage(height, width, encoding, step, data))
    except DecodeError:
        return
    assert decoded.shape == (height, width, 3)
