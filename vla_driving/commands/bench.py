"""`vla-driving bench`: how fast the stack is on this machine, beside the plain ways and targets."""

from __future__ import annotations

import argparse
import importlib
import json
import time
from pathlib import Path

from vla_driving.bench import host
from vla_driving.bench.figures import Figures, Show
from vla_driving.bench.targets import judged, table, with_gain

PARTS = ("camera", "four_cameras", "model", "transport", "path")
FOLDER = Path("out/bench")


def add_parser(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Options of the command."""
    parser = commands.add_parser(
        "bench", help="measure images, hand-overs, the model, and frame to command"
    )
    parser.add_argument("--minutes", type=float, default=10.0, help="of frame to command")
    parser.add_argument("--rounds", type=int, default=5, help="of everything else: the median")
    parser.add_argument(
        "--only", choices=PARTS, action="append", help="this part; may be given several times"
    )
    parser.add_argument(
        "--separate", action="store_true",
        help="frame to command with camera_ingest and vla_inference in a process each",
    )
    parser.add_argument(
        "--out", type=Path, help="default out/bench.json, with --only out/bench_PART.json"
    )
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Measure and write; 0 where everything could be measured, whatever the figures."""
    parts = tuple(arguments.only or PARTS)
    if arguments.rounds < 1 or arguments.minutes <= 0.0:
        raise ValueError("--rounds is at least 1 and --minutes more than 0")
    out = arguments.out or Path("out", "_".join(("bench", *(arguments.only or ()))) + ".json")
    busy = [host.busy_share()]
    if busy[0] > host.BUSY_SHARE:
        print(f"this machine is busy ({busy[0]:.0%} of its cores): the figures will show it")
    begin = time.monotonic()
    figures: Figures = {}
    failures = []
    for part in parts:
        show = _shower(part, begin)
        try:
            figures |= _measure(part, arguments, show)
        except (ValueError, RuntimeError, OSError, ImportError) as error:
            failures.append(f"{part}: {error}")
            show(f"failed: {error}")
    busy.append(host.busy_share())
    figures = with_gain(figures)
    content = {
        **figures,
        "rounds": arguments.rounds,
        "composed": not arguments.separate,
        "targets": judged(figures),
        "failures": failures,
        "host": {**host.describe(), "busy_before": busy[0], "busy_after": busy[1]},
    }
    out.parent.mkdir(parents=True, exist_ok=True)
    out.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")
    for line in table(figures):
        print(line)
    for failure in failures:
        print(f"failed: {failure}")
    print(f"wrote {out}")
    return 1 if failures else 0


def _measure(part: str, arguments: argparse.Namespace, show: Show) -> Figures:
    # Each part is imported for itself: one that lacks its libraries leaves the others alone.
    file = "camera" if part == "four_cameras" else part
    module = importlib.import_module(f"vla_driving.bench.{file}")
    found: Figures
    if part == "four_cameras":
        found = module.four_cameras(arguments.rounds, show)
    elif part == "path":
        found = module.measure(
            arguments.minutes, show, FOLDER.absolute(), composed=not arguments.separate
        )
    else:
        found = module.measure(arguments.rounds, show)
    return found


def _shower(part: str, begin: float) -> Show:
    def show(line: str) -> None:
        print(f"  {time.monotonic() - begin:5.0f} s  {part}: {line}", flush=True)

    return show
