"""Encoded video of a picture that slides by: sharp, and never twice the same."""

from __future__ import annotations

from fractions import Fraction
from functools import cache

import av
import cv2
import numpy as np

from vla_driving.contract.frames import Image

ENCODERS = {"h264": "libx264", "h265": "libx265"}
_PARAMETERS = {
    "h264": {"x264-params": "repeat-headers=1:bframes=0"},
    "h265": {"x265-params": "log-level=none:repeat-headers=1:bframes=0"},
}


def scene(k: int, width: int = 160, height: int = 96) -> Image:
    """Picture number k."""
    rough = np.random.default_rng(0).integers(20, 235, (16, 24, 3), np.uint8)
    size = (3 * width, 2 * height)
    wide = np.asarray(cv2.resize(rough, size, interpolation=cv2.INTER_CUBIC), np.uint8)
    left, top = 2 * k % (2 * width), k % height
    return np.ascontiguousarray(wide[top : top + height, left : left + width])


@cache
def packets(
    codec: str, count: int = 30, gop: int = 10, width: int = 160, height: int = 96
) -> tuple[bytes, ...]:
    """`count` packets in Annex B, one an image, a keyframe every `gop`."""
    context = av.CodecContext.create(ENCODERS[codec], "w")
    assert isinstance(context, av.VideoCodecContext)
    context.width, context.height, context.pix_fmt = width, height, "yuv420p"
    context.time_base, context.gop_size = Fraction(1, 10), gop
    context.options = {"preset": "ultrafast", "tune": "zerolatency", **_PARAMETERS[codec]}
    made: list[bytes] = []
    for k in range(count):
        frame = av.VideoFrame.from_ndarray(scene(k, width, height), "rgb24")
        frame.pts = k
        made += [bytes(packet) for packet in context.encode(frame)]
    return tuple(made + [bytes(packet) for packet in context.encode(None)])
