"""`vla-driving record`: a bag of the stack that runs in this domain; `recover`: mend a cut one."""

from __future__ import annotations

import argparse
from pathlib import Path

from vla_driving.bringup.processes import Set, select
from vla_driving.bringup.supervisor import Supervisor
from vla_driving.commands.options import add_stack_options, fresh_folder, start_options
from vla_driving.commands.up import until_elapsed
from vla_driving.recording.bag_reader import recover


def add_parser(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Options of both commands."""
    parser = commands.add_parser("record", help="record the running stack until Ctrl-C")
    parser.add_argument(
        "--out", type=Path, help="folder for bag and log; default out/drives/<time>"
    )
    parser.add_argument("--duration", type=float, metavar="S", help="end after this many seconds")
    add_stack_options(parser)
    parser.set_defaults(run=run)
    parser = commands.add_parser("recover", help="make a bag readable that was cut short")
    parser.add_argument("bag", type=Path)
    parser.set_defaults(run=run_recover)


def run(arguments: argparse.Namespace) -> int:
    """Record; 0 where the recorder lived until asked to end."""
    out = arguments.out or fresh_folder(Path("out/drives"))
    options = start_options(arguments, out, {"event_recorder": {"folder": str(out / "bag")}})
    print(f"recording to {out / 'bag'}", flush=True)
    with Supervisor(select(Set.RECORD), options) as supervisor:
        supervisor.start()
        supervisor.watch(until=until_elapsed(arguments.duration))
    return 1 if supervisor.deaths else 0


def run_recover(arguments: argparse.Namespace) -> int:
    """Mend the bag and say what was found."""
    for found in recover(arguments.bag):
        print(found)
    return 0
