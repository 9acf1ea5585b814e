"""Episodes on disk: WebP frames and their labels, one .npz a file, and batches drawn from them.

The same seeds give the same bytes. A file is written whole or not at all, so that collecting can
be stopped and resumed at any time.
"""

from __future__ import annotations

from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from vla_driving.contract.frames import Image
from vla_driving.contract.trajectory import POINTS
from vla_driving.learning.tensors import HEIGHT, SHAPES, WIDTH, FloatArray

QUALITY = 80
LABELS: dict[str, tuple[int, ...]] = {
    "speed": (),
    "navigation": SHAPES["navigation"],
    "acceleration": (POINTS,),
    "curvature": (POINTS,),
    "lane_lines": SHAPES["lane_lines"],
    "objects": SHAPES["objects"],
}
"""Label arrays and the shape of one frame's entry, float32."""


class DatasetError(ValueError):
    """One line that names the file and what is wrong with it."""


@dataclass(frozen=True, eq=False)
class Sample:
    """One frame and the truth about it: speed in m/s; controls, lines, objects as in SHAPES."""

    image: Image
    speed: float
    navigation: FloatArray
    acceleration: FloatArray
    curvature: FloatArray
    lane_lines: FloatArray
    objects: FloatArray


@dataclass(frozen=True, eq=False)
class Frames:
    """N frames: images (N, H, W, 3) uint8 and the label arrays (N, ...) by name."""

    images: npt.NDArray[np.uint8]
    labels: dict[str, FloatArray]

    def __len__(self) -> int:
        return len(self.images)


def write_episode(path: Path, samples: Iterable[Sample]) -> int:
    """Write an episode; returns its number of frames. An empty one is a file without frames."""
    pictures: list[bytes] = []
    columns: dict[str, list[FloatArray]] = {name: [] for name in LABELS}
    for sample in samples:
        pictures.append(_encode(sample.image))
        for name, shape in LABELS.items():
            columns[name].append(np.asarray(getattr(sample, name), np.float32).reshape(shape))
    arrays: dict[str, Any] = {
        n: np.array(v, np.float32).reshape(-1, *LABELS[n]) for n, v in columns.items()
    }
    sizes = np.array([len(p) for p in pictures], np.int64)
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_suffix(".part")
    with temporary.open("wb") as file:
        np.savez(file, pictures=np.frombuffer(b"".join(pictures), np.uint8), size=sizes, **arrays)
    temporary.replace(path)
    return len(pictures)


def read_episode(path: Path) -> Frames:
    """Read an episode. Raises DatasetError."""
    try:
        with np.load(path) as data:
            content = {name: data[name] for name in ("pictures", "size", *LABELS)}
    except FileNotFoundError:
        raise DatasetError(f"{path}: no such file") from None
    except (OSError, ValueError, KeyError) as error:
        raise DatasetError(
            f"{path}: not an episode ({error}); delete it and collect again"
        ) from None
    size = content["size"]
    images = np.empty((len(size), HEIGHT, WIDTH, 3), np.uint8)
    end = np.cumsum(size)
    for k, (last, length) in enumerate(zip(end, size, strict=True)):
        images[k] = _decode(content["pictures"][last - length:last], path)
    return Frames(images, {n: content[n].astype(np.float32) for n in LABELS})


def read_size(path: Path) -> int:
    """Number of frames in an episode. Raises DatasetError."""
    try:
        with np.load(path) as data:
            return len(data["size"])
    except (OSError, ValueError, KeyError) as error:
        raise DatasetError(
            f"{path}: not an episode ({error}); delete it and collect again"
        ) from None


def read_all(paths: Iterable[Path]) -> Frames:
    """All frames of several episodes in the order of `paths`. Raises DatasetError."""
    with ThreadPoolExecutor() as pool:
        parts = list(pool.map(read_episode, paths))
    if not parts:
        raise DatasetError("no episodes: run python -m vla_driving.learning.collect first")
    return Frames(
        np.concatenate([p.images for p in parts]),
        {n: np.concatenate([p.labels[n] for p in parts]) for n in LABELS},
    )


def _encode(image: Image) -> bytes:
    if image.shape != (HEIGHT, WIDTH, 3) or image.dtype != np.uint8:
        raise DatasetError(
            f"image: expected uint8 {(HEIGHT, WIDTH, 3)}, got {image.dtype} {image.shape}"
        )
    done, buffer = cv2.imencode(
        ".webp", image[..., ::-1], [cv2.IMWRITE_WEBP_QUALITY, QUALITY]
    )
    if not done:
        raise DatasetError("image: could not be encoded")
    return bytes(buffer)


def _decode(buffer: npt.NDArray[np.uint8], path: Path) -> Image:
    image = cv2.imdecode(np.ascontiguousarray(buffer), cv2.IMREAD_COLOR)
    if image is None or image.shape != (HEIGHT, WIDTH, 3):
        raise DatasetError(f"{path}: holds a broken picture; delete it and collect again")
    return np.ascontiguousarray(image[..., ::-1])
