"""`vla-driving doctor`: what this machine has, what it lacks, and what to do about it."""

from __future__ import annotations

import argparse
import importlib.metadata
import importlib.util
import os
import platform
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

from vla_driving import __version__, paths
from vla_driving.contract.settings import SettingsError
from vla_driving.vla.manifest import load_model

MIN_SHARED_MEMORY_MB = 128
MIN_FREE_DISK_GB = 2


class Problem(Exception):
    """One line: what is missing and what to do."""


def add_parser(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Options of the command."""
    parser = commands.add_parser("doctor", help="say what this machine has and lacks")
    parser.set_defaults(run=run)


def run(_arguments: argparse.Namespace) -> int:
    """Print one line a finding; 0 where nothing that is needed is missing."""
    failed = False
    for name, look in FINDINGS:
        try:
            print(f"ok       {name}: {look()}")
        except (Problem, SettingsError, ValueError) as problem:
            failed = True
            print(f"missing  {name}: {problem}")
    for name in _optional():
        print(f"absent   {name}: optional")
    return 1 if failed else 0


def _python() -> str:
    return f"{platform.python_version()}, vla_driving {__version__}"


def _package(module: str, hint: str) -> Callable[[], str]:
    def look() -> str:
        spec = importlib.util.find_spec(module)
        if spec is None:
            raise Problem(hint)
        return str(Path(spec.origin).parent) if spec.origin else module

    return look


def _runtimes() -> str:
    found = [m for m in ("openvino", "onnxruntime", "tensorrt") if importlib.util.find_spec(m)]
    if not found:
        raise Problem("none of openvino, onnxruntime, tensorrt: pip install openvino")
    return ", ".join(f"{m} {importlib.metadata.version(m)}" for m in found)


def _models() -> str:
    folders = [p.parent for p in sorted(paths.share().glob("models/*/manifest.yaml"))]
    if not folders:
        raise Problem("no folder in models/ holds a manifest.yaml")
    return ", ".join(load_model(folder).manifest.title for folder in folders)


def _shared_memory() -> str:
    size = shutil.disk_usage("/dev/shm").total // 2**20
    if size < MIN_SHARED_MEMORY_MB:
        raise Problem(
            f"/dev/shm holds {size} MB, DDS wants {MIN_SHARED_MEMORY_MB}: in a container, "
            "start it with --shm-size=512m"
        )
    return f"{size} MB"


def _disk() -> str:
    free = shutil.disk_usage(".").free / 1e9
    if free < MIN_FREE_DISK_GB:
        raise Problem(f"{free:.1f} GB free here, a drive wants {MIN_FREE_DISK_GB}")
    return f"{free:.0f} GB free"


def _cores() -> str:
    count = len(os.sched_getaffinity(0))
    if count < 2:
        raise Problem("1 core: the stack and a simulator need 2")
    return str(count)


FINDINGS: tuple[tuple[str, Callable[[], str]], ...] = (
    ("python", _python),
    ("cores", _cores),
    ("rclpy", _package("rclpy", "source /opt/ros/jazzy/setup.bash, or run make setup")),
    ("messages", _package("vla_driving_msgs", "colcon build, or run make setup")),
    ("runtimes", _runtimes),
    ("models", _models),
    ("shared memory", _shared_memory),
    ("disk", _disk),
)


def _optional() -> Iterator[str]:
    for module, use in (
        ("launch_ros", "ros2 launch; vla-driving up starts the same nodes without it"),
        ("metadrive", "the simulator"),
        ("tensorrt", "NVIDIA GPUs"),
        ("torch", "training"),
    ):
        if importlib.util.find_spec(module) is None:
            yield f"{module} ({use})"
