"""Clips on disk: one drive a file, a frame each 0.2 s with the truth about it, read strictly.

The same seeds give the same bytes. A file is written whole or not at all, so that collecting can
be stopped and resumed at any time.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import cv2
import numpy as np
import numpy.typing as npt

from vla_driving.contract.frames import Image
from vla_driving.contract.navigation import MAX_ROUTE_POINTS
from vla_driving.contract.trajectory import POINTS
from vla_driving.learning.dataset import DatasetError
from vla_driving.learning.tensors import HEIGHT, SHAPES, WIDTH, FloatArray

FORMAT = 1
FRAME_S = 0.2
QUALITY = 80
LABELS: dict[str, tuple[int, ...]] = {
    "time": (),
    "pose": (3,),
    "speed": (),
    "yaw_rate": (),
    "measured_acceleration": (),
    "fresh": (),
    "navigation": SHAPES["navigation"],
    "route_points": (MAX_ROUTE_POINTS, 2),
    "intent": (),
    "command_speed": (),
    "time_gap": (),
    "intent_state": (),
    "acceleration": (POINTS,),
    "curvature": (POINTS,),
    "lane_lines": SHAPES["lane_lines"],
    "objects": SHAPES["objects"],
    "cause": (),
    "cause_distance": (),
    "cause_object": (),
    "lateral": (),
}
"""Labels of one frame and their shapes, float32; docs/learning.md says what each one is."""
DRIVERS = ("teacher", "idm", "expert", "pilot")
ENDS = ("arrived", "time", "stood", "pulled_over", "collision", "lost", "discomfort")


@dataclass(frozen=True)
class Header:
    """What a file holds. A drive that failed as teaching is recorded, but has no frames."""

    seed: int
    kind: str
    driver: str
    ended: str
    taught: bool
    frames: int


@dataclass(frozen=True, eq=False)
class Moment:
    """One frame and its labels by name, as in LABELS."""

    image: Image
    labels: dict[str, Any]


@dataclass(frozen=True, eq=False)
class Clip:
    """One drive: labels (N, ...) by name, and frames that are decoded when asked for."""

    path: Path
    header: Header
    labels: dict[str, FloatArray]
    pictures: npt.NDArray[np.uint8]
    ends: npt.NDArray[np.int64]

    def __len__(self) -> int:
        return self.header.frames

    def image(self, i: int) -> Image:
        """Frame `i`, (H, W, 3) uint8. Raises DatasetError."""
        first = int(self.ends[i - 1]) if i else 0
        coded = np.ascontiguousarray(self.pictures[first:self.ends[i]])
        image = cv2.imdecode(coded, cv2.IMREAD_COLOR) if len(coded) else None
        if image is None or image.shape != (HEIGHT, WIDTH, 3):
            raise _broken(self.path, f"picture {i} cannot be decoded")
        return np.ascontiguousarray(image[..., ::-1])

    def decode(self, first: int = 0, last: int | None = None) -> npt.NDArray[np.uint8]:
        """(N, H, W, 3) frames `first` up to before `last`. Raises DatasetError."""
        chosen = range(len(self))[first:last]
        images = np.empty((len(chosen), HEIGHT, WIDTH, 3), np.uint8)
        for k, i in enumerate(chosen):
            images[k] = self.image(i)
        return images


def clip_path(folder: Path, seed: int) -> Path:
    """Where the clip of a seed lies."""
    return folder / f"{seed // 100:02d}" / f"{seed:05d}.npz"


def clip_paths(folder: Path) -> list[Path]:
    """All clips below a folder, in order."""
    return sorted(folder.rglob("*.npz"))


def write_clip(path: Path, header: Header, moments: Sequence[Moment]) -> None:
    """Write a clip of as many `moments` as its header says. Raises DatasetError."""
    if len(moments) != header.frames:
        raise DatasetError(f"{path}: {len(moments)} frames, the header says {header.frames}")
    coded = [_encode(m.image) for m in moments]
    arrays: dict[str, Any] = {
        name: np.array([m.labels[name] for m in moments], np.float32).reshape(-1, *shape)
        for name, shape in LABELS.items()
    }
    text = json.dumps({"format": FORMAT, **dataclasses.asdict(header)}, sort_keys=True)
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_suffix(".part")
    with temporary.open("wb") as file:
        np.savez(
            file, header=np.frombuffer(text.encode(), np.uint8),
            pictures=np.frombuffer(b"".join(coded), np.uint8),
            sizes=np.array([len(c) for c in coded], np.int64), **arrays,
        )
    temporary.replace(path)


def read_header(path: Path) -> Header:
    """What a file holds, without its frames. Raises DatasetError."""
    return _header(path, _load(path, ("header",))["header"])


def read_clip(path: Path) -> Clip:
    """Read a clip; its pictures stay coded. Raises DatasetError."""
    content = _load(path, ("header", "pictures", "sizes", *LABELS))
    header = _header(path, content["header"])
    for name, shape in LABELS.items():
        array = content[name]
        if array.shape != (header.frames, *shape) or array.dtype != np.float32:
            raise _broken(path, f"{name}: {array.dtype} {array.shape}")
        if not np.isfinite(array).all():
            raise _broken(path, f"{name}: not all numbers are finite")
    ends = np.cumsum(content["sizes"])
    if len(ends) != header.frames or (len(ends) and ends[-1] != len(content["pictures"])):
        raise _broken(path, "pictures and their sizes do not fit")
    return Clip(path, header, {n: content[n] for n in LABELS}, content["pictures"], ends)


def _load(path: Path, names: Sequence[str]) -> dict[str, npt.NDArray[Any]]:
    try:
        with np.load(path) as data:
            return {name: data[name] for name in names}
    except FileNotFoundError:
        raise DatasetError(f"{path}: no such file") from None
    except (OSError, ValueError, KeyError, EOFError, BadZipFile) as error:
        raise _broken(path, str(error)) from None


def _header(path: Path, coded: npt.NDArray[np.uint8]) -> Header:
    try:
        values = json.loads(bytes(coded))
        version = values.pop("format")
        header = Header(**values)
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise _broken(path, f"header: {error}") from None
    if version != FORMAT:
        raise _broken(path, f"format {version} instead of {FORMAT}")
    if header.driver not in DRIVERS or header.ended not in ENDS:
        raise _broken(path, f"header: driver {header.driver!r}, ended {header.ended!r}")
    return header


def _broken(path: Path, what: str) -> DatasetError:
    return DatasetError(f"{path}: not a clip ({what}); delete it and collect again")


def _encode(image: Image) -> bytes:
    if image.shape != (HEIGHT, WIDTH, 3) or image.dtype != np.uint8:
        raise DatasetError(
            f"image: expected uint8 {(HEIGHT, WIDTH, 3)}, got {image.dtype} {image.shape}"
        )
    done, buffer = cv2.imencode(".webp", image[..., ::-1], [cv2.IMWRITE_WEBP_QUALITY, QUALITY])
    if not done:
        raise DatasetError("image: could not be encoded")
    return bytes(buffer)
