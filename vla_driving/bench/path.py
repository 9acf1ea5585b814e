"""Frame arrival to control command: the whole stack at 20 Hz, fed from a bag, stage by stage."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import psutil

from vla_driving import paths
from vla_driving.bench.domain import own_domain
from vla_driving.bench.drive import FRAME_RATE_HZ, record
from vla_driving.bench.figures import Figures, Show, quantile
from vla_driving.bringup import environment
from vla_driving.bringup.child import StartOptions
from vla_driving.bringup.processes import COMPOSED_UNLESS_TOLD, Set, select
from vla_driving.bringup.supervisor import Supervisor

DRIVE_S = 30.0
WARM_UP_S = 20.0
RATES = {"rates.camera": FRAME_RATE_HZ, "rates.frames": FRAME_RATE_HZ, "rates.plan": FRAME_RATE_HZ}
PERIOD_MS = 1000.0 / FRAME_RATE_HZ
"""A frame without a command when the next one comes has missed its deadline."""
RSS_EVERY_S = 5.0
CHAIN = ("camera_ingest", "vla_inference", "safety_monitor", "controller_bridge")


class PathError(RuntimeError):
    """One line: what died or was not answered."""


def measure(
    minutes: float, show: Show, out: Path, composed: bool = COMPOSED_UNLESS_TOLD,
    warm_up_s: float = WARM_UP_S,
) -> Figures:
    """Figures of a run of `minutes`, after `warm_up_s` that do not count.

    The drive is simulated once and kept below `out`. Raises PathError, BringupError, and what
    recording the drive raises.
    """
    bag = _drive(out, show)
    os.environ.update(own_domain(os.environ))
    noted = out / "path.json"
    noted.unlink(missing_ok=True)
    resident: list[float] = []
    options = StartOptions(
        (paths.config("stack.yaml"),), out / "log", overrides=dict.fromkeys(CHAIN, RATES)
    )
    rows = select(Set.REPLAY, composed=composed)
    fed = False

    def complain(line: str) -> None:
        # Without its inputs the stack rightly complains; that is no part of the run.
        if not fed and ("[ERROR]" in line or "[FATAL]" in line or line.startswith("[supervisor]")):
            show(line)

    with Supervisor(rows, options, show=complain, stop_car_first=False) as supervisor:
        supervisor.start()
        feeder = _Feeder(bag, noted, warm_up_s, 60.0 * minutes, out / "log", show)
        next_s = 0.0

        def over() -> bool:
            nonlocal next_s, fed
            if feeder.warm and time.monotonic() >= next_s:
                next_s = time.monotonic() + RSS_EVERY_S
                resident.append(_resident_mb(supervisor.pids))
            fed = not feeder.running
            return fed

        try:
            supervisor.watch(until=over)
        finally:
            feeder.end()
        if supervisor.deaths:
            raise PathError(supervisor.deaths[0].line)
    if not noted.is_file():
        raise PathError(f"the feeder ended without figures: {feeder.last}")
    return summary(json.loads(noted.read_text(encoding="utf-8")), resident)


def summary(noted: Mapping[str, Any], resident_mb: Sequence[float]) -> Figures:
    """Figures from what the feeder noted and the memory of all processes over time, in MB.

    Raises PathError where no frame led to a command.
    """
    frames = noted["frames"]
    answered = [f for f in frames if f["command_ms"] is not None]
    accounted = [f for f in answered if f["forward_ms"] is not None]
    if not accounted:
        raise PathError(f"none of {len(frames)} frames led to a command")
    times = [f["command_ms"] for f in answered]
    late = sum(t > PERIOD_MS for t in times) + len(frames) - len(answered)
    gaps = _missed_gaps(noted["diagnostics_before"], noted["diagnostics"])
    return {
        "frame_to_command_ms": {**_spread(times), "max": max(times)},
        "overhead_ms_p99": quantile([f["command_ms"] - f["forward_ms"] for f in accounted], 0.99),
        "missed_deadlines": float(late + sum(gaps.values())),
        "missed_frames": float(late),
        "missed_gaps": {name: float(count) for name, count in gaps.items() if count},
        "frames": float(len(frames)),
        "minutes": noted["duration_s"] / 60.0,
        "engaged_share": sum(f["engaged"] for f in frames) / len(frames),
        "rss_growth_mb": growth(resident_mb),
        "rss_mb": resident_mb[-1] if resident_mb else 0.0,
        "feeder_late_ms_p99": noted["late_ms_p99"],
        "stages_ms": _stages(accounted, noted["diagnostics"]),
    }


def growth(resident_mb: Sequence[float]) -> float:
    """Mean of the last tenth of the samples less that of the first, MB; 0 for fewer than two."""
    if len(resident_mb) < 2:
        return 0.0
    tenth = max(1, len(resident_mb) // 10)
    return (sum(resident_mb[-tenth:]) - sum(resident_mb[:tenth])) / tenth


def _stages(
    frames: Sequence[Mapping[str, Any]], diagnostics: Mapping[str, Mapping[str, str]]
) -> dict[str, float]:
    """Durations by stage as the feeder saw them, and as each node says of its last 512."""
    parts = {
        "image to plan": [f["plan_ms"] for f in frames if f["plan_ms"] is not None],
        "of it forward": [f["forward_ms"] for f in frames],
        "of it the rest of the actor": [f["actor_ms"] - f["forward_ms"] for f in frames],
        "plan to approved plan": [
            f["approved_ms"] - f["plan_ms"] for f in frames
            if f["approved_ms"] is not None and f["plan_ms"] is not None
        ],
        "approved plan to command": [
            f["command_ms"] - f["approved_ms"] for f in frames if f["approved_ms"] is not None
        ],
    }
    found = {
        f"{name} {share}": value
        for name, times in parts.items() if times
        for share, value in _spread(times).items()
    }
    for node in CHAIN:
        for key, text in diagnostics.get(node, {}).items():
            if "_ms_p" in key and "period" not in key:
                found[f"{node}: {key.replace('_ms_', ' ')}"] = float(text)
    return found


def _spread(times: Sequence[float]) -> dict[str, float]:
    return {"p50": quantile(list(times), 0.5), "p99": quantile(list(times), 0.99)}


def _missed_gaps(
    before: Mapping[str, Mapping[str, str]], after: Mapping[str, Mapping[str, str]]
) -> dict[str, int]:
    """Deadlines that the nodes' own inputs missed meanwhile, by node and topic."""
    found = {}
    for node in CHAIN:
        for key, text in after.get(node, {}).items():
            if key.endswith(" missed_deadlines"):
                topic = key.removesuffix(" missed_deadlines")
                found[f"{node} {topic}"] = int(text) - int(before.get(node, {}).get(key, "0"))
    return found


def _drive(out: Path, show: Show) -> Path:
    """The bag to be fed, simulated where it is not there yet."""
    bag = out / "drive"
    if not (bag / "metadata.yaml").is_file():
        shutil.rmtree(bag, ignore_errors=True)
        # In a process of its own: MetaDrive's memory and threads would stay in this one.
        code = f"from pathlib import Path; from {record.__module__} import record; "
        code += f"record(Path({str(bag)!r}), {DRIVE_S}, lambda line: print(line, flush=True))"
        with subprocess.Popen(
            [sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
            text=True, env=environment.child_environment(os.environ, out),
        ) as process:
            last = ""
            assert process.stdout is not None
            for line in process.stdout:
                last = line.strip()
                if last.startswith("drive for the bench"):
                    show(last)
        if process.returncode:
            raise PathError(f"the drive for the bench was not simulated: {last}")
    return bag


class _Feeder:
    """The feeding process and what it says."""

    def __init__(
        self, bag: Path, noted: Path, warm_up_s: float, duration_s: float, log: Path, show: Show
    ) -> None:
        self.warm = False
        self.last = "it said nothing"
        self._show = show
        self._process = subprocess.Popen(
            [
                sys.executable, "-m", "vla_driving.bench.feeder", "--bag", str(bag),
                "--warm-up", str(warm_up_s), "--duration", str(duration_s), "--out", str(noted),
            ],
            env=environment.child_environment(os.environ, log), text=True,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        )
        self._thread = threading.Thread(target=self._read, daemon=True)
        self._thread.start()

    @property
    def running(self) -> bool:
        """Whether it has not ended yet."""
        return self._process.poll() is None

    def end(self) -> None:
        """End it where it still runs."""
        if self.running:
            self._process.terminate()
        self._process.wait()
        self._thread.join()

    def _read(self) -> None:
        assert self._process.stdout is not None
        with self._process.stdout as lines:
            for line in lines:
                if line.startswith("WARM"):
                    self.warm = True
                else:
                    self.last = line.strip()
                    self._show(self.last)


def _resident_mb(pids: Sequence[int]) -> float:
    return sum(psutil.Process(pid).memory_info().rss for pid in pids) / 2**20
