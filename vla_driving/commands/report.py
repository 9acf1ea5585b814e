"""`vla-driving report`: summary, video and page of any recorded drive."""

from __future__ import annotations

import argparse
from pathlib import Path

from vla_driving.commands.drive_source import drive_source
from vla_driving.commands.options import add_stack_options
from vla_driving.replay.outputs import demo_outputs


def add_parser(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Options of the command."""
    parser = commands.add_parser("report", help="make summary, video and report of a bag")
    parser.add_argument("bag", type=Path)
    parser.add_argument("--out", type=Path, default=Path("out/report"))
    add_stack_options(parser)
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Write them; 0 where the drive broke no rule."""
    outputs = demo_outputs(arguments.bag, arguments.out, drive_source(arguments))
    for path in outputs.files:
        print(f"wrote {path}")
    for line in outputs.failures:
        print(f"failed: {line}")
    return 1 if outputs.failures else 0
