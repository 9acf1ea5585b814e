"""Contract objects straight from and to the bytes that DDS carries.

rclpy makes a Python object of every nested message before anybody can count them; here lists are
counted first and read as blocks, and nothing is made only to be written. The layout is worked out
once a type, from the message definition and the rules of contract/messages.py. Format: plain CDR,
little-endian (OMG DDS-XTypes 1.3, 7.4.3): numbers aligned to their size, strings and lists preceded
by their length.
"""

from __future__ import annotations

import enum
import operator
import struct
import typing
from collections.abc import Callable, Sequence
from functools import cache
from typing import Any, TypeVar

import numpy as np

from vla_driving.contract.clock import SECOND
from vla_driving.contract.messages import (
    LONGEST,
    MalformedMessage,
    fields_of,
    frame_of,
    message_class,
)
from vla_driving.contract.scene import ObjectClass, SceneObject, SceneObjects
from vla_driving.contract.trajectory import Trajectories, Trajectory

T = TypeVar("T")
_Reader = Callable[["_Source"], Any]
_Writer = Callable[["_Sink", Any], None]

_CODES = {
    "boolean": "?", "octet": "B", "uint8": "B", "int8": "b", "uint16": "H", "int16": "h",
    "uint32": "I", "int32": "i", "uint64": "Q", "int64": "q", "float": "f", "double": "d",
}
_SINGLE = np.dtype("<f4")
_COUNT_AFTER = tuple(struct.Struct(f"<{-phase % 4}xI") for phase in range(4))
_HEAD = 4
_PLAIN_CDR = b"\x00\x01"
_LONGEST = 64
"""Of a list that has no limit of its own."""


def read(cls: type[T], data: bytes, most_bytes: int) -> T:
    """Contract object of type `cls` from a serialised message. Raises MalformedMessage."""
    name = cls.__name__
    if len(data) > most_bytes:
        raise MalformedMessage(f"{name} of {len(data):,} bytes (limit {most_bytes:,}) rejected")
    if data[:2] != _PLAIN_CDR:
        raise MalformedMessage(
            f"{name} begins with {data[:2].hex() or 'nothing'}, plain little-endian CDR with "
            f"{_PLAIN_CDR.hex()}"
        )
    source = _Source(data[_HEAD:])
    try:
        value = _struct_reader(typing.cast(Any, cls))(source)
    except (ValueError, TypeError, OverflowError) as error:
        raise MalformedMessage(f"{name}.{error}") from None
    if source.left > 3:  # more than what fills up to four bytes
        raise MalformedMessage(f"{name} of {len(data):,} bytes has {source.left:,} too many")
    return typing.cast(T, value)


def write(value: Any) -> bytes:
    """Serialised message of a contract object. Raises struct.error for a number out of range."""
    sink = _Sink()
    _struct_writer(typing.cast(Any, type(value)))(sink, value)
    return _PLAIN_CDR + bytes(_HEAD - len(_PLAIN_CDR)) + bytes(sink.body)


class _Source:
    """Bytes and how far they are read. What would go beyond their end raises ValueError."""

    def __init__(self, body: bytes) -> None:
        self._body = body
        self._at = 0

    @property
    def left(self) -> int:
        """Bytes not read yet."""
        return len(self._body) - self._at

    def numbers(self, codes: str) -> tuple[Any, ...]:
        """Numbers of these struct codes, each aligned to its size."""
        packed = _packed(codes, self._at % 8)
        begin = self._advance(packed.size)
        return packed.unpack_from(self._body, begin)

    def count(self, longest: int) -> int:
        """Length of the list that follows."""
        (count,) = self.numbers("I")
        if count > longest:
            raise ValueError(f"{count} entries, at most {longest}")
        return int(count)

    def text(self) -> str:
        (size,) = self.numbers("I")
        begin = self._advance(size)
        return str(self._body[begin : self._at].removesuffix(b"\0"), "utf-8")

    def block(self, dtype: np.dtype[Any], count: int) -> np.ndarray[Any, Any]:
        """(count,) array of entries that need no more than the alignment to four bytes."""
        self._at += -self._at % 4 if count else 0
        begin = self._advance(count * dtype.itemsize)
        return np.ndarray(count, dtype, self._body, begin).copy()

    def _advance(self, size: int) -> int:
        begin = self._at
        if begin + size > len(self._body):
            raise ValueError(f"the message ends early, after {_HEAD + len(self._body):,} bytes")
        self._at = begin + size
        return begin


class _Sink:
    """Bytes that grow."""

    def __init__(self) -> None:
        self.body = bytearray()

    def numbers(self, codes: str, numbers: Sequence[Any]) -> None:
        """Numbers of these struct codes, each aligned to its size."""
        packed = _packed(codes, len(self.body) % 8)
        try:
            self.body += packed.pack(*numbers)
        except OverflowError:  # a double beyond single precision is infinite, as through rclpy
            with np.errstate(over="ignore"):
                single = [float(np.float32(n)) if isinstance(n, float) else n for n in numbers]
            self.body += packed.pack(*single)

    def text(self, text: str) -> None:
        encoded = text.encode(errors="replace") + b"\0"
        self.body += _COUNT_AFTER[len(self.body) % 4].pack(len(encoded)) + encoded

    def block(self, items: Any) -> None:
        """Floats in single precision."""
        self.body += bytes(-len(self.body) % 4) if len(items) else b""
        with np.errstate(over="ignore"):
            self.body += np.ascontiguousarray(items, _SINGLE).tobytes()


@cache
def _packed(codes: str, phase: int) -> struct.Struct:
    """Struct of the codes with the padding they need where `phase` bytes lie before."""
    layout, at = "<", phase
    for code in codes:
        size = struct.calcsize("<" + code)
        layout += f"{-at % size}x{code}"
        at += -at % size + size
    return struct.Struct(layout)


@cache
def _struct_reader(cls: Any) -> _Reader:
    """Reads all that the message of `cls` holds, then picks what the contract names."""
    parts = _parts(cls)
    make = _maker(cls, tuple(name for names, _ in parts for name in names))

    def read_struct(source: _Source) -> Any:
        values: list[Any] = []
        for names, read_part in parts:
            try:
                values += read_part(source)
            except ValueError as error:
                raise ValueError(f"{names[0]}: {error}") from None
        return make(values)

    return read_struct


def _parts(cls: Any) -> list[tuple[tuple[str, ...], _Reader]]:
    """Names and reader of each stretch of the message: numbers in a row are one."""
    hints = {attribute: (name, hint) for name, attribute, hint in fields_of(cls)}
    parts: list[tuple[tuple[str, ...], _Reader]] = []
    names: tuple[str, ...] = ()
    codes = ""
    for name, kind in [*_wire(message_class(cls.__name__)), ("", "")]:
        if kind in _CODES:
            names, codes = (*names, name), codes + _CODES[kind]
            continue
        if codes:
            parts.append((names, _numbers(codes)))
            names, codes = (), ""
        if kind:
            field, hint = hints.get(name, (name, None))
            longest = LONGEST.get((cls.__name__, field), _LONGEST)
            parts.append(((name,), _one(_value_reader(kind, hint, longest))))
    return parts


def _wire(message: Any) -> list[tuple[str, str]]:
    """Names and types of a message's fields, with headers and times opened up."""
    found: list[tuple[str, str]] = []
    for name, kind in message.get_fields_and_field_types().items():
        if kind == "std_msgs/Header":
            found += [("stamp.sec", "int32"), ("stamp.nanosec", "uint32"), ("frame_id", "string")]
        elif kind == "builtin_interfaces/Time":
            found += [(f"{name}.sec", "int32"), (f"{name}.nanosec", "uint32")]
        else:
            found.append((name, kind))
    return found


def _numbers(codes: str) -> _Reader:
    return lambda source: source.numbers(codes)


def _one(read_value: _Reader) -> _Reader:
    return lambda source: (read_value(source),)


def _value_reader(kind: str, hint: Any, longest: int) -> _Reader:
    """Reader of one field that is not a number."""
    if kind == "string":
        return _Source.text
    if kind.startswith("float["):
        return lambda source: source.block(_SINGLE, int(kind[len("float[") : -1]))
    if kind == "sequence<float>":
        return lambda source: source.block(_SINGLE, source.count(longest))
    if kind == "sequence<string>":
        return lambda source: tuple(source.text() for _ in range(source.count(longest)))
    if kind.startswith("sequence<"):
        return _list_reader(typing.get_args(hint)[0], longest)
    return _struct_reader(hint)


def _list_reader(cls: Any, longest: int) -> _Reader:
    """Reader of a list of messages: at once where all of them are of one size."""
    wire = _wire(message_class(cls.__name__))
    dtype = _row(wire)
    if dtype is None:
        read_struct = _struct_reader(cls)
        return lambda source: tuple(read_struct(source) for _ in range(source.count(longest)))
    if cls is SceneObject:
        return lambda source: _objects(source.block(dtype, source.count(longest)))
    if cls is Trajectory:
        numbers = dtype.itemsize // _SINGLE.itemsize
        return lambda source: _trajectories(source, source.count(longest), numbers)
    make = _maker(cls, tuple(name for name, _ in wire))

    def read_list(source: _Source) -> tuple[Any, ...]:
        rows = source.block(dtype, source.count(longest))
        columns = (rows[name] if "[" in kind else rows[name].tolist() for name, kind in wire)
        return tuple(map(make, zip(*columns, strict=True)))

    return read_list


def _trajectories(source: _Source, count: int, numbers: int) -> Trajectories:
    return Trajectories(source.block(_SINGLE, count * numbers).reshape(count, numbers))


def _objects(rows: np.ndarray[Any, Any]) -> SceneObjects:
    for value in set(rows["classification"].tolist()):
        ObjectClass(value)
    return SceneObjects(rows)


def _row(wire: list[tuple[str, str]]) -> np.dtype[Any] | None:
    """Layout of a message of one size that needs no padding behind it; None for any other."""
    fields: list[Any] = []
    for name, kind in wire:
        base, _, size = kind.partition("[")
        if base not in _CODES:
            return None
        fields.append((name, "<" + _CODES[base], (int(size[:-1]),) if size else ()))
    dtype = np.dtype(fields, align=True)
    # numpy pads the end of a row and CDR does not, so only rows without padding are the same.
    assert dtype.names is not None and dtype.fields is not None
    end = max(dtype.fields[name][1] + dtype[name].itemsize for name in dtype.names)
    return dtype if dtype.alignment <= 4 and end == dtype.itemsize else None


def _maker(cls: Any, names: tuple[str, ...]) -> Callable[[Sequence[Any]], Any]:
    """Makes a `cls` of values that come in the order of `names`."""
    fields = fields_of(cls)
    order = [names.index(_first_of(name, attribute)) for name, attribute, _ in fields]
    stamps = [(at, order[at] + 1) for at, field in enumerate(fields) if field[0].endswith("_ns")]
    kinds = [
        (at, hint) for at, (_, _, hint) in enumerate(fields)
        if isinstance(hint, type) and issubclass(hint, enum.IntEnum)
    ]

    def make(values: Sequence[Any]) -> Any:
        picked = [values[k] for k in order]
        for at, k in stamps:
            picked[at] = picked[at] * SECOND + values[k]
        for at, kind in kinds:
            try:
                picked[at] = kind(picked[at])
            except ValueError as error:
                raise ValueError(f"{fields[at][0]}: {error}") from None
        return cls(*picked)

    return make


def _first_of(name: str, attribute: str) -> str:
    """What a field of the contract begins with in the message."""
    return f"{attribute}.sec" if name.endswith("_ns") else attribute


@cache
def _struct_writer(cls: Any) -> _Writer:
    """Writes the message of `cls` stretch by stretch; numbers in a row are one."""
    if cls is Trajectory:
        return _write_trajectory
    hints = {attribute: (name, hint) for name, attribute, hint in fields_of(cls)}
    parts: list[_Writer] = []
    names: list[str] = []
    codes = ""
    for name, kind in [*_wire(message_class(cls.__name__)), ("", "")]:
        if kind in _CODES and not name.endswith((".sec", ".nanosec")):
            names.append(hints[name][0])
            codes += _CODES[kind]
            continue
        if names:
            parts.append(_write_numbers(codes, names))
            names, codes = [], ""
        if name.endswith(".sec"):
            parts.append(_write_time(hints[name.removesuffix(".sec")][0]))
        elif name == "frame_id" and name not in hints:
            parts.append(_write_frame)
        elif kind and kind not in _CODES:
            parts.append(_write_field(hints[name][0], kind, hints[name][1]))

    def write_struct(sink: _Sink, value: Any) -> None:
        for part in parts:
            part(sink, value)

    return write_struct


def _write_trajectory(sink: _Sink, value: Trajectory) -> None:
    sink.body += bytes(-len(sink.body) % 4) + value.as_travelled


def _write_numbers(codes: str, names: list[str]) -> _Writer:
    get = operator.attrgetter(*names)
    if len(names) == 1:
        return lambda sink, value: sink.numbers(codes, (get(value),))
    return lambda sink, value: sink.numbers(codes, get(value))


def _write_time(name: str) -> _Writer:
    return lambda sink, value: sink.numbers("iI", divmod(getattr(value, name), SECOND))


def _write_frame(sink: _Sink, value: Any) -> None:
    sink.text(frame_of(value))


def _write_field(name: str, kind: str, hint: Any) -> _Writer:
    """Writer of one field that is not a number."""
    get = operator.attrgetter(name)
    if kind == "string":
        return lambda sink, value: sink.text(get(value))
    if kind.startswith("float["):
        return lambda sink, value: sink.block(get(value))
    if not kind.startswith("sequence<"):
        write_nested = _struct_writer(hint)
        return lambda sink, value: write_nested(sink, get(value))
    if kind == "sequence<float>":
        write_all: _Writer = _Sink.block
    elif kind == "sequence<string>":
        write_all = _each(_Sink.text)
    else:
        write_all = _each(_struct_writer(typing.get_args(hint)[0]))

    def write_list(sink: _Sink, value: Any) -> None:
        items = get(value)
        sink.numbers("I", (len(items),))
        write_all(sink, items)

    return write_list


def _each(write_one: _Writer) -> _Writer:
    def write_each(sink: _Sink, items: Any) -> None:
        for item in items:
            write_one(sink, item)

    return write_each
