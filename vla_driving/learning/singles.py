"""Frames of pilot 0.2: single images without pose, route or cause, as clips without a memory.

They teach driving and what is in the scene. What they do not know is marked, and not taught:
objects beyond the second have a probability below 0, causes are below 0.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from vla_driving.learning.clips import LABELS, Clip, Header
from vla_driving.learning.dataset import DatasetError

UNKNOWN = -1.0
PERIOD_S = 0.3


def read_singles(folder: Path, frames: int) -> list[Clip]:
    """About so many frames of the episodes below a folder, whole episodes drawn at random.

    Raises DatasetError.
    """
    paths = sorted(folder.rglob("*.npz"))
    np.random.default_rng(0).shuffle(paths)
    clips: list[Clip] = []
    for path in paths:
        if sum(map(len, clips)) >= frames:
            break
        clip = _read(path)
        if len(clip):
            clips.append(clip)
    return clips


def _read(path: Path) -> Clip:
    try:
        with np.load(path) as data:
            known = {n: data[n].astype(np.float32) for n in data if n not in ("pictures", "size")}
            pictures, sizes = data["pictures"], data["size"]
    except (OSError, ValueError, KeyError) as error:
        raise DatasetError(f"{path}: not an episode ({error}); leave its folder out") from None
    count = len(sizes)
    labels = {n: np.zeros((count, *shape), np.float32) for n, shape in LABELS.items()}
    for name in ("speed", "navigation", "acceleration", "curvature", "lane_lines"):
        labels[name] = known[name]
    labels["objects"][:, 2:, 0] = UNKNOWN
    labels["objects"][:, :2] = known["objects"]
    labels["time"] = (PERIOD_S * np.arange(count)).astype(np.float32)
    labels["fresh"][:] = 1.0
    labels["route_points"][:] = np.nan
    for name in ("cause", "cause_object", "cause_distance"):
        labels[name][:] = UNKNOWN
    header = Header(int(path.stem), "everyday", "teacher", "time", True, count)
    return Clip(path, header, labels, pictures, np.cumsum(sizes))
