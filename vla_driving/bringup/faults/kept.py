"""What a campaign has measured so far, on disk: one that was cut off goes on where it was."""

from __future__ import annotations

import hashlib
import json
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from vla_driving import paths
from vla_driving.replay.faults.evidence import Run

_CODE = (
    "bringup", "camera", "contract", "control", "nodes", "recording", "replay/faults", "safety",
    "simulation", "vla",
)
_REPEATED = "repeated"


def campaign_key(conditions: Mapping[str, Any]) -> str:
    """Sixteen digits that change with whatever runs, its configuration, or the conditions.

    Models count by their manifests, which hold the hashes of their files.
    """
    root = paths.share()
    files = [path for room in _CODE for path in (root / "vla_driving" / room).rglob("*.py")]
    files += [path for path in (root / "config").rglob("*") if path.is_file()]
    files += (root / "models").glob("*/manifest.yaml")
    digest = hashlib.sha256(json.dumps(dict(conditions), sort_keys=True, default=str).encode())
    for path in sorted(files):
        digest.update(path.relative_to(root).as_posix().encode())
        digest.update(b"\0" + path.read_bytes() + b"\0")
    return digest.hexdigest()[:16]


class Kept:
    """Runs as lines of JSON, each written when it is over; the first line holds the key.

    `runs` and `repeated` (set-ups that failed) are by fault. A file of another key, or one that
    cannot be read, is begun anew.
    """

    def __init__(self, path: Path, key: str) -> None:
        self.runs: dict[str, list[Run]] = defaultdict(list)
        self.repeated: dict[str, int] = defaultdict(int)
        self._path = path
        lines = path.read_text(encoding="utf-8").splitlines() if path.is_file() else []
        if lines[:1] == [json.dumps({"key": key})]:
            for line in lines[1:]:
                self._read(line)
        else:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(json.dumps({"key": key}) + "\n", encoding="utf-8")

    def add(self, run: Run, repeated: int) -> None:
        """Keep a run and how often it could not be set up before."""
        self._take(run, repeated)
        with self._path.open("a", encoding="utf-8") as file:
            file.write(json.dumps({**asdict(run), _REPEATED: repeated}) + "\n")

    def _take(self, run: Run, repeated: int) -> None:
        self.runs[run.fault].append(run)
        self.repeated[run.fault] += repeated

    def _read(self, line: str) -> None:
        try:
            entry = json.loads(line)
            repeated = int(entry.pop(_REPEATED))
            run = Run(**{**entry, "problems": tuple(entry["problems"])})
        except (ValueError, TypeError, KeyError):  # the last line of a run that was cut off
            return
        self._take(run, repeated)
