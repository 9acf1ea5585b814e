"""The environment of every process of the stack, set in one place."""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path

from vla_driving.paths import config

# Large messages are allocated and freed at the rate of the camera: without these the allocator
# maps, clears and unmaps their pages every time (1080p between processes: p50 30 to 15 ms).
_MALLOC = {
    "MALLOC_MMAP_THRESHOLD_": "1073741824",
    "MALLOC_TRIM_THRESHOLD_": "2147483648",
    "MALLOC_TOP_PAD_": "67108864",
}
# One thread a process: small matrices lose more to waking threads than they gain.
_THREADS = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
_PYTHON = {"PYTHONUNBUFFERED": "1"}
_PROFILES = ("FASTRTPS_DEFAULT_PROFILES_FILE", "FASTDDS_DEFAULT_PROFILES_FILE")
_SHARED, _APART, _APART_LOCALHOST = (
    "fastdds.xml", "fastdds_apart.xml", "fastdds_apart_localhost.xml"
)
_RANGE = "ROS_AUTOMATIC_DISCOVERY_RANGE"


def additions(base: Mapping[str, str]) -> dict[str, str]:
    """What is to be added to the environment `base`; what it has already stays as it is."""
    wanted = _MALLOC | _THREADS | _PYTHON
    if not base.get("HOME"):
        wanted["HOME"] = tempfile.gettempdir()  # rclpy keeps its logs below it
    if not any(name in base for name in _PROFILES):
        wanted[_PROFILES[0]] = str(config(_SHARED))
    added = {name: value for name, value in wanted.items() if not base.get(name)}
    prefixes = [p for p in base.get("AMENT_PREFIX_PATH", "").split(os.pathsep) if p]
    # ROS from wheels lies in the interpreter's own prefix and does not say so by itself.
    if _is_ament_prefix(Path(sys.prefix)) and sys.prefix not in prefixes:
        added["AMENT_PREFIX_PATH"] = os.pathsep.join([sys.prefix, *prefixes])
    return added


def apart(base: Mapping[str, str]) -> dict[str, str]:
    """What a process has otherwise that shares no memory with others (`Process.apart`).

    Nothing where the user has a profile of their own.
    """
    given = [base[name] for name in _PROFILES if base.get(name)]
    if any(file != str(config(_SHARED)) for file in given):
        return {}
    if base.get(_RANGE) == "LOCALHOST":
        # Under that name rmw_fastrtps adds shared memory to whatever a profile says.
        return {_PROFILES[0]: str(config(_APART_LOCALHOST)), _RANGE: "SYSTEM_DEFAULT"}
    return {_PROFILES[0]: str(config(_APART))}


def child_environment(base: Mapping[str, str], log_folder: Path) -> dict[str, str]:
    """Environment of a process: `base`, the additions, ROS logs into `log_folder`."""
    return {**base, **additions(base), "ROS_LOG_DIR": str(log_folder)}


def prepare_own() -> None:
    """Make the same additions to this process, before it initialises rclpy."""
    os.environ.update(additions(os.environ))


def _is_ament_prefix(prefix: Path) -> bool:
    return (prefix / "share" / "ament_index").is_dir()
