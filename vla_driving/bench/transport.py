"""Hand-over of a frame to the model: in memory, between processes, and the plain way beside both.

The plain way is what a first rclpy program does: sensor_msgs/Image filled with `.tobytes()`,
default QoS, default Fast DDS transports, default allocator, the default executor.
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

from vla_driving.bench.domain import own_domain
from vla_driving.bench.figures import Figures, Show, quantile
from vla_driving.bringup import environment

PASSES = 100
_TIMEOUT_S = 90.0
_OURS = ("FASTRTPS_DEFAULT_PROFILES_FILE", "FASTDDS_DEFAULT_PROFILES_FILE")


class TransportError(RuntimeError):
    """One line: which end, and what it said last."""


def measure(rounds: int, show: Show, passes: int = PASSES) -> Figures:
    """99 % quantiles in ms, the median over rounds; the three ways take turns in each round.

    Raises TransportError.
    """
    found: dict[str, list[float]] = {"composed": [], "dds": [], "plain": []}
    for number in range(rounds):
        for way, rounds_ms in found.items():
            durations = _composed(passes) if way == "composed" else _between(way, passes)
            rounds_ms.append(quantile(durations, 0.99))
            show(f"hand-over, round {number + 1} of {rounds}: {way} {rounds_ms[-1]:.2f} ms p99")
    return {f"handover_{way}_ms_p99": statistics.median(ms) for way, ms in found.items()}


def _composed(passes: int) -> list[float]:
    return _result(_start(["composed", "--passes", str(passes)], _tuned()))


def _between(way: str, passes: int) -> list[float]:
    option, surroundings = (["--plain"], _plain()) if way == "plain" else ([], _tuned())
    receiver = _start(["receive", "--passes", str(passes), *option], surroundings)
    sender = _start(["send", *option], surroundings)
    try:
        return _result(receiver)
    finally:
        sender.kill()
        sender.communicate()


def _start(arguments: Sequence[str], surroundings: Mapping[str, str]) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "vla_driving.bench.ends", *arguments], env=dict(surroundings),
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )


def _result(process: subprocess.Popen[str]) -> list[float]:
    try:
        output, complaint = process.communicate(timeout=_TIMEOUT_S)
    except subprocess.TimeoutExpired:
        process.kill()
        process.communicate()
        raise TransportError(f"hand-over: no answer within {_TIMEOUT_S:.0f} s") from None
    durations = json.loads(output) if process.returncode == 0 else []
    if not durations:
        last = (complaint.strip().splitlines() or ["no frame arrived"])[-1]
        raise TransportError(f"hand-over: {last}")
    return [float(duration) for duration in durations]


def _tuned() -> dict[str, str]:
    return environment.child_environment(own_domain(os.environ), Path(tempfile.gettempdir()))


def _plain() -> dict[str, str]:
    added = environment.additions({})
    surroundings = {
        name: value for name, value in os.environ.items()
        if name not in _OURS and not name.startswith("MALLOC_")
    }
    for name in ("HOME", "AMENT_PREFIX_PATH"):
        if name in added:
            surroundings.setdefault(name, added[name])
    return own_domain(surroundings)
