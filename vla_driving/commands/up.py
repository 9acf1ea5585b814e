"""`vla-driving up`: the stack on this machine, until Ctrl-C."""

from __future__ import annotations

import argparse
import math
import time
from collections.abc import Callable
from pathlib import Path

from vla_driving.bringup.processes import Set, select
from vla_driving.bringup.supervisor import Supervisor
from vla_driving.commands.options import (
    Overrides,
    add_separate_option,
    add_stack_options,
    for_every_node,
    fresh_folder,
    start_options,
)


def add_parser(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Options of the command."""
    parser = commands.add_parser(
        "up", help="start the stack: on a car, with a video as its camera, or in the simulator"
    )
    source = parser.add_mutually_exclusive_group()
    source.add_argument(
        "--camera", metavar="FILE", help="a video or a folder of pictures as the front camera"
    )
    source.add_argument("--sim", metavar="SCENARIO", help="drive a scenario in the simulator")
    parser.add_argument(
        "--camera-file", metavar="NAME", default="assumed",
        help="with --camera: what filmed it, a name in config/cameras or a path",
    )
    parser.add_argument(
        "--speed", type=float, help="with --camera: speed of the car that filmed it, m/s"
    )
    parser.add_argument("--once", action="store_true", help="with --camera: no loop at the end")
    parser.add_argument("--no-record", action="store_true", help="write no bag")
    parser.add_argument(
        "--no-reasoner", action="store_true", help="listen to no instructions, answer nothing"
    )
    parser.add_argument(
        "--duration", type=float, metavar="S", help="end after this many seconds"
    )
    parser.add_argument(
        "--out", type=Path, help="folder for bag and logs; default out/drives/<time>"
    )
    add_separate_option(parser)
    parser.add_argument(
        "--large-model", metavar="NAME",
        help="a large model beside the compact one: name in models, or a path; docs/model.md",
    )
    add_stack_options(parser)
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Start and watch; 0 where everybody lived until asked to end."""
    out = arguments.out or fresh_folder(Path("out/drives"))
    which, overrides = _what(arguments)
    overrides.setdefault("event_recorder", {})["folder"] = str(out / "bag")
    left_out = {"event_recorder": arguments.no_record,
                "reasoner": arguments.no_reasoner and which != Set.BENCH}
    without = frozenset(name for name, out_of_it in left_out.items() if out_of_it)
    options = start_options(arguments, out, overrides)
    print(f"logs and bag: {out}", flush=True)
    rows = select(which, without, composed=not arguments.separate,
                  large=arguments.large_model is not None)
    with Supervisor(rows, options) as supervisor:
        supervisor.start()
        supervisor.watch(until=until_elapsed(arguments.duration))
    for dead in supervisor.deaths:
        print(f"failed: {dead.line}")
    return 1 if supervisor.deaths else 0


def until_elapsed(duration_s: float | None) -> Callable[[], bool]:
    """True once this many seconds have passed since the call; never for None."""
    end = math.inf if duration_s is None else time.monotonic() + duration_s
    return lambda: time.monotonic() >= end


def _what(arguments: argparse.Namespace) -> tuple[Set, Overrides]:
    if arguments.sim:
        return Set.SIM, {"simulator": {"scenario": arguments.sim}}
    if not arguments.camera:
        return Set.CAR, {}
    overrides = for_every_node({"cameras": [arguments.camera_file]})
    overrides["camera_ingest"] |= {
        "sources": [str(Path(arguments.camera).absolute())], "loop": not arguments.once
    }
    if arguments.speed is not None:
        overrides["bench_vehicle"]["speed"] = arguments.speed
    return Set.BENCH, overrides
