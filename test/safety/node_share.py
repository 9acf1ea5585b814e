"""The safety monitor's share of one core in the running stack: `python test/safety/node_share.py`.

The simulator drives a scenario; user and system time of the monitor's process, all its threads, are
counted over `--seconds` from its activation on.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import sys
import time
from collections.abc import Callable
from pathlib import Path

import psutil

from vla_driving import paths
from vla_driving.assurance.sources import source_hash
from vla_driving.bench.domain import own_domain
from vla_driving.bringup.child import StartOptions
from vla_driving.bringup.lifecycle import BringupError
from vla_driving.bringup.processes import Set, select
from vla_driving.bringup.supervisor import Supervisor

MODULE = "vla_driving.nodes.safety_monitor"
WARM_UP_S = 5.0
SHOW_EVERY_S = 5.0


def measure(seconds: float, scenario: str, logs: Path) -> tuple[float, float]:
    """User and system time of the monitor, each as a share of one core. Raises BringupError."""
    os.environ.update(own_domain(os.environ))
    options = StartOptions(
        (paths.config("stack.yaml"),), logs, overrides={"simulator": {"scenario": scenario}}
    )
    rows = select(Set.SIM, frozenset({"event_recorder"}))
    with Supervisor(rows, options, stop_car_first=False) as supervisor:
        supervisor.start()
        supervisor.watch(until=_elapsed(WARM_UP_S, "warming up"))
        monitor = _monitor(supervisor.pids)
        before, begin_s = monitor.cpu_times(), time.monotonic()
        supervisor.watch(until=_elapsed(seconds, "counting"))
        if not monitor.is_running() or supervisor.interrupted:
            raise BringupError("the monitor did not live to the end of the count")
        after, passed_s = monitor.cpu_times(), time.monotonic() - begin_s
    return (after.user - before.user) / passed_s, (after.system - before.system) / passed_s


def _monitor(pids: tuple[int, ...]) -> psutil.Process:
    for pid in pids:
        process = psutil.Process(pid)
        if MODULE in process.cmdline():
            return process
    raise BringupError(f"none of the stack's processes runs {MODULE}")


def _elapsed(seconds: float, what: str) -> Callable[[], bool]:
    """True once `seconds` have passed since now; says every few seconds how far it is."""
    begin_s = told_s = time.monotonic()

    def over() -> bool:
        nonlocal told_s
        now_s = time.monotonic()
        if now_s - told_s >= SHOW_EVERY_S:
            told_s = now_s
            print(f"{what}: {now_s - begin_s:.0f} of {seconds:.0f} s", flush=True)
        return now_s - begin_s >= seconds

    return over


def main() -> int:
    """Print the share and write it; 1 where the stack did not live."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=30.0)
    parser.add_argument("--scenario", default="straight", help="a name in config/scenarios")
    parser.add_argument("--json", type=Path, default=Path("out/safety/node_share.json"))
    arguments = parser.parse_args()
    logs = Path("out/safety/node_share")
    shutil.rmtree(logs, ignore_errors=True)
    try:
        user, system = measure(arguments.seconds, arguments.scenario, logs)
    except BringupError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    figures = {
        "node_core_share": round(user + system, 4),
        "user": round(user, 4),
        "system": round(system, 4),
        "seconds": arguments.seconds,
        "source_hash": source_hash(),
    }
    arguments.json.parent.mkdir(parents=True, exist_ok=True)
    arguments.json.write_text(json.dumps(figures, indent=1) + "\n", encoding="utf-8")
    print(f"safety_monitor: {user + system:.1%} of a core ({user:.1%} user, {system:.1%} system)")
    return 0


if __name__ == "__main__":
    sys.exit(main())
