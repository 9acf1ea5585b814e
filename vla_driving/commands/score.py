"""`vla-driving score`: routes and instructions in closed loop through the whole stack."""

from __future__ import annotations

import argparse
import os
import signal
from pathlib import Path

from vla_driving import paths


def add_parser(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Options of the command."""
    parser = commands.add_parser(
        "score", help="drive routes in closed loop and write figures, page and films of failures"
    )
    parser.add_argument("--routes", type=int, default=100, help="how many (100)")
    parser.add_argument(
        "--seeds", metavar="A:B",
        help="of the routes, to before B; 20000 on if left out, without those looked at before",
    )
    parser.add_argument("--maps", help="kinds of map, parted by commas; all if left out")
    parser.add_argument("--traffic", type=float, default=0.1, help="cars per 10 m of lane (0.1)")
    parser.add_argument(
        "--policy", default="stack,idm,expert,baseline",
        help="who drives, parted by commas: stack, idm, expert, baseline, stack_fp32, unchecked, "
             "teacher",
    )
    parser.add_argument("--model", type=Path, help="folder of the stack's model; models/pilot")
    parser.add_argument("--baseline", type=Path, help="folder of the baseline; models/baseline")
    parser.add_argument(
        "--controls", type=int, default=20, metavar="N",
        help="routes of each control that must fail (20), 0 for none",
    )
    parser.add_argument(
        "--wordings", type=int, default=4, metavar="N",
        help="of each intent and split (4), 0 for no instructions",
    )
    parser.add_argument("--workers", type=int, default=len(os.sched_getaffinity(0)))
    parser.add_argument("--out", type=Path, default=Path("out/score"))
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Drive, judge, write; 0 where every drive could be done, however it went."""
    # The simulator's libraries are loaded for this command alone.
    from vla_driving.score.board import Order, score
    from vla_driving.score.drivers import Models

    model = arguments.model or paths.model("pilot")
    order = Order(
        routes=arguments.routes, seeds=_span(arguments.seeds), maps=_names(arguments.maps or ""),
        traffic=arguments.traffic, policies=_names(arguments.policy),
        models=Models(
            stack=model.absolute(),
            baseline=(arguments.baseline or paths.model("baseline")).absolute(),
        ),
        controls=arguments.controls, wordings=arguments.wordings, workers=arguments.workers,
    )
    # Ends as by Ctrl-C, so that the processes started end too.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    return score(order, arguments.out, lambda line: print(line, flush=True))


def _names(text: str) -> tuple[str, ...]:
    return tuple(name.strip() for name in text.split(",") if name.strip())


def _span(text: str | None) -> tuple[int, int] | None:
    if text is None:
        return None
    first, colon, beyond = text.partition(":")
    if not (colon and first.isdigit() and beyond.isdigit() and int(first) < int(beyond)):
        raise ValueError(f"--seeds {text}: expected A:B with A below B, such as 10000:10100")
    return int(first), int(beyond)
