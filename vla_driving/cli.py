"""`vla-driving`: everything that a person starts by hand."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

from vla_driving import __version__
from vla_driving.bringup import environment
from vla_driving.bringup.lifecycle import BringupError
from vla_driving.commands import (
    bench,
    calibrate,
    demo,
    doctor,
    engine,
    faults,
    record,
    report,
    say,
    score,
    up,
)

COMMANDS = (up, say, demo, record, report, calibrate, engine, faults, bench, score, doctor)


def parser() -> argparse.ArgumentParser:
    """All commands and their options."""
    result = argparse.ArgumentParser(
        prog="vla-driving", description="In-vehicle autonomy stack: start, record, look at drives."
    )
    result.add_argument("--version", action="version", version=__version__)
    commands = result.add_subparsers(metavar="command", required=True)
    for command in COMMANDS:
        command.add_parser(commands)
    return result


def main(arguments: Sequence[str] | None = None) -> None:
    """Run one command; an error that a person can mend ends it with one line and exit code 2."""
    environment.prepare_own()
    chosen = parser().parse_args(arguments)
    try:
        code = chosen.run(chosen)
    except (ValueError, BringupError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        code = 2
    raise SystemExit(code)


if __name__ == "__main__":
    main()
