"""Results of single drives on disk, each under a key of everything that it follows from."""

from __future__ import annotations

import dataclasses
import hashlib
import json
from pathlib import Path
from typing import Any

from vla_driving import paths
from vla_driving.score.drive import Task
from vla_driving.score.drivers import Models

ROOMS = ("contract", "camera", "vla", "safety", "control", "simulation")
OTHERS = (
    "learning/teacher.py", "learning/driving.py", "score/rig.py", "score/loop.py",
    "score/unchecked.py", "score/drivers.py", "score/drive.py", "score/track.py", "score/blame.py",
    "score/comfort.py", "score/interventions.py", "score/reasons.py",
)
"""Sources besides ROOMS that decide about a drive; how it is shown decides nothing."""
_BASELINE = ("baseline",)


def sources_hash() -> str:
    """Sixteen digits that change with any source or shipped setting that a drive follows from."""
    root = paths.share()
    code = root / "vla_driving"
    files = [path for room in ROOMS for path in (code / room).rglob("*") if path.is_file()]
    files += [code / name for name in OTHERS]
    files += [*(root / "config" / "vehicles").glob("*.yaml"), root / "config" / "stack.yaml"]
    files += (root / "config" / "cameras").glob("*.yaml")
    digest = hashlib.sha256()
    for path in sorted(f for f in files if f.suffix != ".pyc" and f.is_file()):
        digest.update(path.relative_to(root).as_posix().encode())
        digest.update(b"\0" + path.read_bytes() + b"\0")
    return digest.hexdigest()[:16]


def model_hash(folder: Path) -> str:
    """Of a model's manifest, which holds the hashes of its files; empty where there is none."""
    manifest = folder / "manifest.yaml"
    if not manifest.is_file():
        return ""
    return hashlib.sha256(manifest.read_bytes()).hexdigest()[:16]


class Kept:
    """Drives that are done, below `folder`."""

    def __init__(self, folder: Path, models: Models, sees: frozenset[str]) -> None:
        """`sees` are the policies that drive a model."""
        self.folder = folder
        self.sources = sources_hash()
        self._models = {name: model_hash(getattr(models, name)) for name in ("stack", "baseline")}
        self._sees = sees

    def key(self, task: Task) -> str:
        """Everything that the task's result follows from."""
        model = ""
        if task.policy in self._sees:
            model = self._models["baseline" if task.policy in _BASELINE else "stack"]
        text = json.dumps([self.sources, model, dataclasses.asdict(task)], sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()[:24]

    def path(self, task: Task) -> Path:
        """Of the task's result."""
        return self.folder / "drives" / f"{task.name}.json"

    def video(self, task: Task) -> Path:
        """Of the task's film."""
        return self.folder / task.video

    def read(self, task: Task) -> dict[str, Any] | None:
        """A result that still holds, or None."""
        try:
            content = json.loads(self.path(task).read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return None
        if content.get("key") != self.key(task):
            return None
        row: dict[str, Any] = content["drive"]
        lacks_film = row["film"] and not self.video(task).is_file()
        return None if lacks_film else row

    def write(self, task: Task, row: dict[str, Any]) -> None:
        """Keep a result."""
        path = self.path(task)
        path.parent.mkdir(parents=True, exist_ok=True)
        text = json.dumps({"key": self.key(task), "drive": row})
        part = path.with_suffix(".part")
        part.write_text(text + "\n", encoding="utf-8")
        part.replace(path)
