"""Hypothesis strategies for contract objects."""

import dataclasses
import enum
import typing

import numpy as np
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from vla_driving.contract.frames import CameraFrame, FrameStatus
from vla_driving.contract.trajectory import POINTS, Trajectory

STAMPS = st.integers(0, 2**31 * 10**9 - 1)
SINGLES = st.floats(width=32, allow_nan=False)
WORDS = st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=12)


def objects(cls: type) -> st.SearchStrategy[typing.Any]:
    """Any valid object of a contract dataclass."""
    if cls is CameraFrame:
        return _camera_frames()
    hints = typing.get_type_hints(cls)
    fixed = cls is Trajectory
    return st.builds(
        cls,
        **{
            field.name: _values(hints[field.name], field.name, fixed)
            for field in dataclasses.fields(cls)
        },
    )


def _values(hint: typing.Any, name: str, fixed: bool) -> st.SearchStrategy[typing.Any]:
    origin = typing.get_origin(hint)
    if origin is tuple:
        inner = typing.get_args(hint)[0]
        return st.lists(_values(inner, name, fixed), max_size=2).map(tuple)
    if origin is np.ndarray:
        length = POINTS if fixed else 5
        return hnp.arrays(np.float32, length, elements=SINGLES)
    if dataclasses.is_dataclass(hint):
        return objects(typing.cast(type, hint))
    if issubclass(hint, enum.IntEnum):
        return st.sampled_from(hint)
    if name.endswith("_ns"):
        return STAMPS
    if name in ("checksum", "collisions"):
        return st.integers(0, 2**32 - 1)
    return {
        int: st.integers(0, 2**64 - 1), float: SINGLES, bool: st.booleans(), str: WORDS
    }[hint]


@st.composite
def _camera_frames(draw: st.DrawFn) -> CameraFrame:
    shape = draw(st.tuples(st.integers(1, 4), st.integers(1, 4), st.just(3)))
    image = draw(st.none() | hnp.arrays(np.uint8, shape))
    return CameraFrame(
        draw(WORDS), draw(STAMPS), draw(st.sampled_from(FrameStatus)),
        draw(SINGLES), draw(SINGLES), image,
    )


