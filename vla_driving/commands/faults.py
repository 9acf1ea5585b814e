"""`vla-driving faults`: every fault of the table injected into the running stack, and measured."""

from __future__ import annotations

import argparse
import json
import shutil
import signal
from pathlib import Path
from typing import Any

from vla_driving.bringup.faults.campaign import Campaign, in_turns
from vla_driving.bringup.faults.kept import Kept, campaign_key
from vla_driving.bringup.faults.stand import FaultStand
from vla_driving.commands.options import Overrides, add_stack_options, start_options
from vla_driving.contract.cameras import load_camera
from vla_driving.contract.settings import read_yaml
from vla_driving.contract.vehicle import load_vehicle
from vla_driving.nodes.parameters import named_file
from vla_driving.replay.faults.table import FaultCase, choose
from vla_driving.replay.faults.verdict import quantile, table

KEPT = "runs.jsonl"


def add_parser(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Options of the command."""
    parser = commands.add_parser(
        "faults", help="inject every fault into the running stack and measure the reactions"
    )
    parser.add_argument(
        "--fault", action="append", default=[], metavar="WORDS",
        help="only faults with this in their name; may be given several times",
    )
    parser.add_argument(
        "--runs", type=int, metavar="N", help="of each fault, instead of the table's numbers"
    )
    parser.add_argument("--quick", action="store_true", help="one run of each fault")
    parser.add_argument("--minutes", type=float, default=60.0, metavar="M",
                        help="ends after that, with what there is (default: %(default)g)")
    parser.add_argument(
        "--anew", action="store_true", help="forget the runs that are kept of these sources"
    )
    parser.add_argument("--min-speed", type=float, default=8.0, metavar="M/S",
                        help="the car must do before a fault is injected")
    parser.add_argument("--scenario", default="faults", help="name in config/scenarios, or a path")
    parser.add_argument("--out", type=Path, default=Path("out/faults.json"))
    parser.add_argument("--verbose", action="store_true", help="show what every node says")
    add_stack_options(parser)
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Inject, measure, write; 0 where every fault passed."""
    if arguments.runs is not None and arguments.runs < 1:
        raise ValueError(f"--runs {arguments.runs}: expected at least 1")
    if arguments.out.suffix != ".json" or arguments.out.is_dir():
        raise ValueError(f"--out {arguments.out}: expected a file that ends with .json")
    cases = choose(tuple(arguments.fault))
    # Ends as by Ctrl-C, so that everything started goes down in order.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    out: Path = arguments.out
    work = out.parent / out.stem
    for stale in ("log", "bag"):
        shutil.rmtree(work / stale, ignore_errors=True)
    if arguments.anew:
        (work / KEPT).unlink(missing_ok=True)
    kept = Kept(work / KEPT, campaign_key(_conditions(arguments)))
    plan = [(case, _count(case, arguments)) for case in cases]
    missing = len(in_turns(plan, kept))
    _print(f"{sum(n for _, n in plan)} runs of {len(plan)} faults; logs in {work / 'log'}")
    if missing < sum(n for _, n in plan):
        _print(f"{missing} are missing, the others are kept in {work / KEPT}; --anew forgets them")
    rows, handling = _inject(arguments, work, plan, kept)
    for line in [*table(rows), *handling, f"wrote {out}"]:
        _print(line)
    return 0 if all(r["pass"] for r in rows) else 1


def _inject(
    arguments: argparse.Namespace, work: Path, plan: list[tuple[FaultCase, int]], kept: Kept
) -> tuple[list[dict[str, Any]], list[str]]:
    extra: Overrides = {
        "simulator": {"scenario": arguments.scenario},
        "event_recorder": {"folder": str(work / "bag" / "{time}")},
    }
    options = start_options(arguments, work, extra)
    stack = read_yaml(options.params_files[0])["/**"]["ros__parameters"]
    vehicle = load_vehicle(named_file(arguments.vehicle or stack["vehicle"], "vehicles"))
    camera = load_camera(named_file(stack["cameras"][0], "cameras"))

    def show(line: str) -> None:
        if arguments.verbose:
            _print(line)

    try:
        with FaultStand(options, camera, arguments.min_speed, show) as stand:
            campaign = Campaign(stand, vehicle, kept, _print, arguments.minutes)
            for rows in campaign.run(plan):
                _write(rows, arguments.out)  # as far as it is
            rows = campaign.rows(plan)
            _write(rows, arguments.out)
            return rows, _handling(stand)
    finally:
        # The recorder records, as in a drive; an hour of images is of no use to anybody.
        shutil.rmtree(work / "bag", ignore_errors=True)


def _write(rows: list[dict[str, Any]], out: Path) -> None:
    out.write_text(json.dumps(rows, indent=2) + "\n", encoding="utf-8")


def _conditions(arguments: argparse.Namespace) -> dict[str, Any]:
    """What a run depends on, besides the sources."""
    files = [path.read_text(encoding="utf-8") for path in arguments.params]
    names = ("min_speed", "scenario", "settings", "vehicle", "model")
    return {"params": files, **{name: getattr(arguments, name) for name in names}}


def _handling(stand: FaultStand) -> list[str]:
    """What the relays themselves cost, which is part of every time above."""
    return [
        f"relay of {topic}: handing a message on takes {quantile(ms, 0.5):.2f} ms (median), "
        f"{quantile(ms, 0.99):.2f} ms (p99)"
        for topic, ms in stand.handling_ms.items() if ms
    ]


def _count(case: FaultCase, arguments: argparse.Namespace) -> int:
    return 1 if arguments.quick else arguments.runs or case.runs


def _print(line: str) -> None:
    print(line, flush=True)
