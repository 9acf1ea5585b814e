"""What H.264 and H.265 streams say of themselves: keyframes, and images that were lost before one.

ITU-T H.264 (08/2021) 7.3 and 7.4.3, ITU-T H.265 (08/2021) 7.4.2.2.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from vla_driving.camera.images import DecodeError

_H264_SLICE, _H264_IDR, _H264_SPS = 1, 5, 7
_H265_SLICES, _H265_KEYFRAMES, _H265_SPS = range(32), range(16, 24), 33
_WITH_CHROMA = frozenset({100, 110, 122, 244, 44, 83, 86, 118, 128, 138, 139, 134, 135})
"""Values of profile_idc whose parameter sets state the format of colours."""
_HEAD = 600
"""Bytes of a unit that are looked at: parameter sets and slice headers are shorter."""


@dataclass(frozen=True)
class Unit:
    """What one packet holds: whether it can be decoded without any before it, or continues them."""

    keyframe: bool
    lost: int = 0
    """Images that must have been there between the last packet and this one."""
    parameters: bytes = b""
    """The sequence parameter set before the image, empty where there is none."""


class H264Stream:
    """Follows frame_num from packet to packet: libavcodec hides a lost image and says nothing."""

    def __init__(self) -> None:
        self._bits = 0
        self._separate_planes = False
        self._may_gap = False
        self._last: int | None = None

    def read(self, packet: bytes) -> Unit:
        """Raises DecodeError where the packet holds no slice of an image."""
        parameters = b""
        for unit in unit_heads(packet):
            kind = unit[0] & 31
            if kind == _H264_SPS:
                self._read_parameters(unit)
                parameters = unit.split(b"\0\0\1")[0]
            elif kind in (_H264_SLICE, _H264_IDR):
                return self._read_slice(unit, kind == _H264_IDR, parameters)
        raise DecodeError(f"h264 packet of {len(packet)} bytes holds no image")

    def _read_slice(self, unit: bytes, keyframe: bool, parameters: bytes) -> Unit:
        if not self._bits:
            return Unit(keyframe, 0, parameters)
        bits = _Bits(unit[1:40])
        for _ in range(3):  # first_mb_in_slice, slice_type, pic_parameter_set_id
            bits.exp_golomb()
        if self._separate_planes:
            bits.take(2)
        number, last = bits.take(self._bits), self._last
        is_reference = bool(unit[0] >> 5 & 3)
        lost = 0
        if not keyframe and last is not None and not self._may_gap:
            # The first image after a reference counts on; those that nobody refers to do not.
            ahead = (number - last) % (1 << self._bits)
            lost = max(0, ahead - 1)
        if is_reference:
            self._last = number
        return Unit(keyframe, lost, parameters)

    def _read_parameters(self, unit: bytes) -> None:
        bits = _Bits(unit[1:])
        profile = bits.take(8)
        bits.take(16)
        bits.exp_golomb()
        self._separate_planes = False
        if profile in _WITH_CHROMA:
            chroma = bits.exp_golomb()
            if chroma == 3:
                self._separate_planes = bool(bits.take(1))
            bits.exp_golomb()
            bits.exp_golomb()
            bits.take(1)
            if bits.take(1):
                _pass_scaling_lists(bits, 12 if chroma == 3 else 8)
        self._bits = bits.exp_golomb() + 4
        order = bits.exp_golomb()
        if order == 0:
            bits.exp_golomb()
        elif order == 1:
            bits.take(1)
            bits.exp_golomb()
            bits.exp_golomb()
            for _ in range(bits.exp_golomb()):
                bits.exp_golomb()
        bits.exp_golomb()
        self._may_gap = bool(bits.take(1))
        if self._bits > 16:
            raise DecodeError(f"h264 header: frame_num of {self._bits} bits, at most 16")


class H265Stream:
    """Keyframes alone: libavcodec refuses an H.265 image whose references were lost."""

    def read(self, packet: bytes) -> Unit:
        """Raises DecodeError where the packet holds no slice of an image."""
        parameters = b""
        for unit in unit_heads(packet):
            kind = unit[0] >> 1 & 63
            if kind == _H265_SPS:
                parameters = unit.split(b"\0\0\1")[0]
            elif kind in _H265_SLICES:
                return Unit(kind in _H265_KEYFRAMES, 0, parameters)
        raise DecodeError(f"h265 packet of {len(packet)} bytes holds no image")


def unit_heads(packet: bytes) -> Iterator[bytes]:
    """The first bytes of each unit behind a start code of Annex B, none of them empty."""
    begin = packet.find(b"\0\0\1")
    while begin >= 0:
        if head := packet[begin + 3 : begin + 3 + _HEAD]:
            yield head
        begin = packet.find(b"\0\0\1", begin + 3)


class _Bits:
    """Bits of a unit, most significant first; past its end they are refused."""

    def __init__(self, unit: bytes) -> None:
        payload = unit.replace(b"\0\0\3", b"\0\0")
        self._bits = int.from_bytes(payload, "big")
        self._left = 8 * len(payload)

    def take(self, count: int) -> int:
        if count > self._left:
            raise DecodeError("h264 header is truncated")
        self._left -= count
        return self._bits >> self._left & (1 << count) - 1

    def exp_golomb(self) -> int:
        """ue(v), 9.1."""
        zeros = 0
        while not self.take(1):
            zeros += 1
            if zeros > 32:
                raise DecodeError("h264 header is corrupt")
        return (1 << zeros) - 1 + self.take(zeros)


def _pass_scaling_lists(bits: _Bits, count: int) -> None:
    """7.3.2.1.1.1; a list ends early where the next scale becomes 0."""
    for k in range(count):
        if not bits.take(1):
            continue
        last = following = 8
        for _ in range(16 if k < 6 else 64):
            if following:
                code = bits.exp_golomb()
                delta = (code + 1) // 2 if code % 2 else -(code // 2)
                following = (last + delta) % 256
            last = following or last
