"""Which sources a piece of evidence belongs to."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from pathlib import Path

from vla_driving import paths

ROOMS = ("contract", "control", "safety")
"""What decides about the car, besides the limits in config/."""


def source_hash(root: Path | None = None, more: Iterable[str] = ()) -> str:
    """Sixteen digits that change with any file of ROOMS or any limit of the shipped configuration.

    `root` is the source tree; this one if left out. `more`: rooms and files that count as well.
    """
    root = root or paths.share()
    rooms = [root / "vla_driving" / name for name in (*ROOMS, *more)]
    files = [path for room in rooms for path in ([room] if room.is_file() else room.rglob("*.py"))]
    files += (root / "config" / "vehicles").glob("*.yaml")
    files.append(root / "config" / "stack.yaml")
    digest = hashlib.sha256()
    for path in sorted(files):
        digest.update(path.relative_to(root).as_posix().encode())
        digest.update(b"\0" + path.read_bytes() + b"\0")
    return digest.hexdigest()[:16]
