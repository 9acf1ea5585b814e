from __future__ import annotations

from fractions import Fraction
from typing import Any

import av
import numpy as np
import pytest

from vla_driving.camera.decoding import decode, size_of
from vla_driving.camera.images import CompressedImage, DecodeError, RawImage

from .scenes import picture


def frame(width: int = 64, height: int = 48) -> av.VideoFrame:
    smooth = np.mgrid[0:height, 0:width].sum(axis=0).astype(np.uint8)
    made = av.VideoFrame.from_ndarray(np.dstack([smooth, smooth, smooth]), "rgb24")
    made.time_base = Fraction(1, 10)
    return made.reformat(format="yuv420p")


def test_sizes_are_known_before_decoding() -> None:
    assert size_of(picture()) == (64, 48)
    assert size_of(RawImage(48, 64, "rgb8", 192, b"")) == (64, 48)
    assert size_of(frame(64, 48)) == (64, 48)


def test_a_decoded_frame_becomes_rgb() -> None:
    decoded = decode(frame())
    expected = np.mgrid[0:48, 0:64].sum(axis=0)
    assert decoded.shape == (48, 64, 3)
    assert np.abs(decoded[..., 1] - expected).max() <= 4


@pytest.mark.parametrize("reduction", [2, 4, 8])
def test_a_decoded_frame_is_averaged(reduction: int) -> None:
    decoded = decode(frame(61, 47), reduction)
    assert decoded.shape == (-(-47 // reduction), -(-61 // reduction), 3)
    expected = np.mgrid[0:47, 0:61].sum(axis=0)
    assert abs(float(decoded.mean()) - expected.mean()) < 3


@pytest.mark.parametrize("reduction", [1, 2, 4, 8])
def test_an_array_is_averaged(reduction: int) -> None:
    rgb = picture(3, 61, 47)
    decoded = decode(rgb, reduction)
    assert decoded.shape == (-(-47 // reduction), -(-61 // reduction), 3)
    block = rgb[:reduction, :reduction].reshape(-1, 3).mean(axis=0)
    np.testing.assert_allclose(decoded[0, 0], block, atol=2)


@pytest.mark.parametrize(
    "wrong", [np.zeros((4, 4), np.uint8), np.zeros((4, 4, 3), np.float32)], ids=["grey", "float"]
)
def test_other_arrays_are_refused(wrong: Any) -> None:
    with pytest.raises(DecodeError, match=r"is no \(height, width, 3\) uint8"):
        decode(wrong)


def test_a_compressed_image_is_sized_by_its_header() -> None:
    with pytest.raises(DecodeError, match="compressed image is empty"):
        size_of(CompressedImage(b""))
