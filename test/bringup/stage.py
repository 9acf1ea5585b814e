"""Starting real nodes of the table with the real supervisor."""

import os
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

from vla_driving.bringup.child import StartOptions
from vla_driving.bringup.processes import COMPOSED, PROCESSES, Process
from vla_driving.bringup.supervisor import Supervisor

ROOT = Path(__file__).parents[2]
STANDING = {"bench_vehicle": {"speed": 0.0}}


def rows(*names: str) -> tuple[Process, ...]:
    return tuple(process for process in (*PROCESSES, COMPOSED) if process.name in names)


def unknown_row() -> Process:
    return replace(PROCESSES[0], name="no_such_node")


def supervisor(
    processes: tuple[Process, ...], folder: Path, show: Callable[[str], None],
    overrides: Any = None, grace_s: float = 5.0,
) -> Supervisor:
    options = StartOptions(
        (ROOT / "config/stack.yaml",), folder, overrides=overrides or STANDING
    )
    return Supervisor(processes, options, grace_s=grace_s, listen_s=1.0, show=show)


def pids_of(folder: Path) -> list[int]:
    """Running processes whose environment names this log folder."""
    found = []
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit() or int(entry.name) == os.getpid():
            continue
        try:
            surroundings = (entry / "environ").read_bytes()
        except OSError:
            continue
        if f"ROS_LOG_DIR={folder}".encode() in surroundings:
            found.append(int(entry.name))
    return found


def wait_until(condition: Callable[[], bool], timeout_s: float = 60.0) -> bool:
    end = time.monotonic() + timeout_s
    while time.monotonic() < end:
        if condition():
            return True
        time.sleep(0.05)
    return condition()
