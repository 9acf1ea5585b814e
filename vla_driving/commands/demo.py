"""`vla-driving demo`: simulator and stack, 60 s of road with traffic, and what came of it."""

from __future__ import annotations

import argparse
import json
import shutil
from pathlib import Path
from typing import Any

from vla_driving.bringup.processes import Set, select
from vla_driving.bringup.progress import DriveProgress
from vla_driving.bringup.supervisor import Supervisor
from vla_driving.commands.drive_source import drive_source
from vla_driving.commands.options import (
    Overrides,
    add_separate_option,
    add_stack_options,
    start_options,
)
from vla_driving.contract.clock import Nanoseconds
from vla_driving.replay.outputs import REPORT, SUMMARY, VIDEO, Outputs, demo_outputs

ENGAGE_WITHIN_S = 60.0
RECORDER = "event_recorder"


def add_parser(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Options of the command."""
    parser = commands.add_parser(
        "demo", help="drive the simulated car and write bag, video, report and summary"
    )
    parser.add_argument("--scenario", default="demo", help="name in config/scenarios, or a path")
    parser.add_argument("--seed", type=int, help="instead of the scenario's")
    parser.add_argument(
        "--duration", type=float, default=60.0, metavar="S", help="of the drive, once engaged"
    )
    parser.add_argument("--out", type=Path, default=Path("out/demo"))
    parser.add_argument("--verbose", action="store_true", help="show what every node says")
    add_separate_option(parser)
    add_stack_options(parser)
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Drive, then write what came of it; 0 where nothing failed."""
    out: Path = arguments.out
    _clear(out)
    print("starting simulator and stack", flush=True)
    dead, end_ns = _drive(arguments, out)
    print("writing summary, video and report", flush=True)
    outputs = demo_outputs(out / "bag", out, drive_source(arguments, dead, end_ns), _Steps())
    return _tell(outputs, out)


def _drive(
    arguments: argparse.Namespace, out: Path
) -> tuple[tuple[str, ...], Nanoseconds | None]:
    """Names of the nodes that died, and the end of the drive; None where it was cut short."""
    simulator: dict[str, object] = {"scenario": arguments.scenario}
    if arguments.seed is not None:
        simulator["seed"] = arguments.seed
    extra: Overrides = {"simulator": simulator, RECORDER: {"folder": str(out / "bag")}}
    options = start_options(arguments, out, extra)
    over = False

    def show(line: str) -> None:
        if arguments.verbose or ("[INFO]" not in line and not over):
            print(line, flush=True)

    rows = select(Set.SIM, composed=not arguments.separate)
    with Supervisor(rows, options, show=show, stop_car_first=False) as supervisor:
        supervisor.start()
        progress = DriveProgress(supervisor.node, arguments.duration, ENGAGE_WITHIN_S, _print)
        supervisor.watch(until=progress.done)
        if progress.outcome:
            _print(progress.outcome)
            # The bag ends with the drive: bringing the stack down is no fault of it.
            supervisor.deactivate(RECORDER)
            over = True
    return tuple(d.process.name for d in supervisor.deaths), progress.ended_ns or None


def _clear(out: Path) -> None:
    """Remove what an earlier demo wrote, and nothing else."""
    for name in ("bag", "log"):
        shutil.rmtree(out / name, ignore_errors=True)
    for name in (SUMMARY, VIDEO, REPORT):
        (out / name).unlink(missing_ok=True)


def _tell(outputs: Outputs, out: Path) -> int:
    summary = outputs.summary
    shown = {k: summary.get(k) for k in SHOWN if k in summary}
    print(json.dumps(shown, indent=2))
    for target in summary.get("targets", []):
        mark = "reached" if target["reached"] else "MISSED"
        held = f"{target['value']} ({target['sense']} {target['limit']})"
        print(f"{mark}: {target['meaning']}: {held}")
    for said in summary.get("instructions", []):
        print(f"said at {said['at_s']:.1f} s: {said['text']!r}: {_became(said)}")
    for path in (out / "bag", *outputs.files):
        print(f"wrote {path}")
    for line in outputs.failures:
        print(f"failed: {line}")
    return 1 if outputs.failures else 0


def _became(said: dict[str, Any]) -> str:
    """What became of an instruction: every answer to it in one line."""
    answers = (f"{a['status'].lower()} ({a['text'].removeprefix('refused: ')})"
               for a in said["answers"])
    return ", then ".join(answers) or "no answer"


SHOWN = (
    "duration_s", "real_time_factor", "distance_m", "route_completion", "collisions", "off_road",
    "engaged_fraction", "latency_ms", "command_period_ms", "safety", "model",
)


def _print(line: str) -> None:
    print(f"  {line}", flush=True)


class _Steps:
    """Shows each kind of work once, and its share of all now and then."""

    def __init__(self) -> None:
        self._shown = -1.0

    def __call__(self, words: str, share: float) -> None:
        if share >= self._shown + 0.2 or share >= 1.0:
            self._shown = share
            _print(f"{100 * share:3.0f} %  {words}")
