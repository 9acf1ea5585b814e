"""Collects clips: somebody drives the lessons, the privileged teacher says at each frame how to.

In a first round the teacher itself drives and is pushed off course on purpose; in later ones the
pilot drives and the teacher corrects it (DAgger, Ross, Gordon and Bagnell 2011). Each clip follows
from its seed, the simulator's version and the pilot, and is one file; what is there is left alone,
so that several processes may share a folder by taking different seeds.
"""

from __future__ import annotations

import argparse
import itertools
import math
import sys
import time
from collections import Counter
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from multiprocessing import get_context
from pathlib import Path

from vla_driving.contract.settings import SettingsError
from vla_driving.learning.clips import (
    Header,
    clip_path,
    clip_paths,
    read_clip,
    read_header,
    write_clip,
)
from vla_driving.learning.dataset import DatasetError
from vla_driving.learning.driving import Setting, load_setting
from vla_driving.learning.lesson_drive import FAILED, LONGEST_S, Pilot, record
from vla_driving.learning.lessons import lesson
from vla_driving.learning.scenes import TRAIN_SEEDS
from vla_driving.simulation.metadrive import SimulatorError


@dataclass
class _Tally:
    """How far collecting has come, and how long the rest will take."""

    clips: int
    frames: int | None
    began: float = field(default_factory=time.monotonic)
    done_clips: int = 0
    total: int = 0
    made: int = 0
    made_clips: int = 0

    def count(self, header: Header, new: bool) -> None:
        self.done_clips += 1
        self.total += header.frames
        if new:
            self.made += header.frames
            self.made_clips += 1

    @property
    def full(self) -> bool:
        return self.frames is not None and self.total >= self.frames

    def line(self, header: Header, map_: str, command: str) -> str:
        """One line: this clip, and all so far."""
        spent = max(time.monotonic() - self.began, 1e-3)
        left = (self.clips - self.done_clips) * spent / max(self.made_clips, 1)
        if self.frames is not None and self.made:
            left = min(left, max(0, self.frames - self.total) * spent / self.made)
        return (
            f"seed {header.seed} ({header.kind}, {map_}{command}): {header.driver} "
            f"{header.ended}, {header.frames} frames; {self.total} in all, "
            f"{3600.0 * self.made / spent:.0f} frames/h, {left / 3600.0:.1f} h left"
        )


def collect_clips(
    folder: Path, seeds: Sequence[int], setting: Setting, pilot: Pilot | None = None,
    frames: int | None = None, say: Callable[[str], None] = print, longest_s: float = LONGEST_S,
) -> int:
    """Clips of `seeds` into `folder` until there are `frames`; returns how many there are.

    Raises SettingsError for a seed that may not teach, SimulatorError, DatasetError.
    """
    for seed in seeds:
        if seed not in TRAIN_SEEDS:
            raise SettingsError(f"seed {seed}: only 0 to {TRAIN_SEEDS[-1]} may teach")
    tally = _Tally(len(seeds), frames)
    for seed in seeds:
        path = clip_path(folder, seed)
        if path.is_file():
            tally.count(read_header(path), new=False)
        else:
            task = lesson(seed)
            header, moments = record(setting, task, pilot, longest_s)
            write_clip(path, header, moments)
            tally.count(header, new=True)
            said = "".join(f", {t.value}" for t in task.talk)
            say(tally.line(header, task.scenario.map, said))
        if tally.full:
            break
    return tally.total


def failures(folder: Path) -> list[int]:
    """Seeds of the lessons below `folder` in which a pilot failed, to be driven again by the next.

    What a pilot gets wrong in closed loop is where its teaching is worth most.
    """
    headers = [read_header(p) for p in clip_paths(folder)]
    return [h.seed for h in headers if h.driver == "pilot" and h.ended in FAILED]


def summary(folder: Path) -> list[str]:
    """What a folder holds, a line each: clips and frames by kind, end and driver."""
    headers = [read_header(p) for p in clip_paths(folder)]
    lines = [f"{len(headers)} clips, {sum(h.frames for h in headers)} frames"]
    for name in ("kind", "driver", "ended", "taught"):
        counts = Counter(str(getattr(h, name)) for h in headers)
        lines.append(f"{name}: " + ", ".join(f"{k} {n}" for k, n in sorted(counts.items())))
    return lines


def check(folder: Path) -> int:
    """Read every clip strictly; returns how many there are. Raises DatasetError."""
    paths = clip_paths(folder)
    for path in paths:
        read_clip(path).decode()
    return len(paths)


def shares(seeds: Sequence[int], workers: int) -> list[Sequence[int]]:
    """The seeds in `workers` stretches of nearly the same length, in order."""
    borders = [len(seeds) * k // workers for k in range(workers + 1)]
    return [seeds[a:b] for a, b in itertools.pairwise(borders)]


def collect_in_processes(
    folder: Path, seeds: Sequence[int], workers: int,
    driver: Callable[[], Pilot] | None = None, frames: int | None = None,
) -> None:
    """As `collect_clips`, by processes of their own, each with its share of seeds and frames.

    `driver` makes the pilot that drives and can be pickled. Which clips come about follows from
    the arguments, not from who is faster. Raises SimulatorError, SettingsError, DatasetError.
    """
    parts = [part for part in shares(seeds, workers) if part]
    each = None if frames is None else math.ceil(frames / len(parts))
    with ProcessPoolExecutor(len(parts), get_context("spawn")) as pool:
        running = [pool.submit(_share, folder, part, driver, each) for part in parts]
        for future in running:
            future.result()


def _share(
    folder: Path, seeds: Sequence[int], driver: Callable[[], Pilot] | None, frames: int | None
) -> int:
    pilot = None if driver is None else driver()
    return collect_clips(folder, seeds, load_setting(), pilot, frames, _say)


def _pilot(folder: Path) -> Pilot:
    from vla_driving.learning.pilot_driver import PilotDriver

    return PilotDriver(folder)


def main(arguments: list[str] | None = None) -> int:
    """Command line: collect clips below --folder."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--folder", type=Path, required=True)
    parser.add_argument("--first", type=int, default=0, help="first seed")
    parser.add_argument("--last", type=int, default=TRAIN_SEEDS[-1], help="last seed")
    parser.add_argument("--frames", type=int, help="stop at so many frames")
    parser.add_argument("--workers", type=int, default=1, help="processes, each with its seeds")
    parser.add_argument("--pilot", type=Path, help="model folder that drives, not the teacher")
    parser.add_argument(
        "--again", type=Path, help="first the lessons that a pilot failed below this folder"
    )
    parser.add_argument("--summary", action="store_true", help="say what there is and end")
    parser.add_argument("--check", action="store_true", help="read all that there is and end")
    options = parser.parse_args(arguments)
    try:
        if options.check:
            print(f"{check(options.folder)} clips are sound")
        if options.check or options.summary:
            print("\n".join(summary(options.folder)))
            return 0
        seeds = list(range(options.first, options.last + 1))
        if options.again is not None:
            seeds = list(dict.fromkeys([*failures(options.again), *seeds]))
        driver = None if options.pilot is None else partial(_pilot, options.pilot)
        if options.workers > 1:
            collect_in_processes(options.folder, seeds, options.workers, driver, options.frames)
        else:
            _share(options.folder, seeds, driver, options.frames)
    except (SettingsError, SimulatorError, DatasetError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    return 0


def _say(line: str) -> None:
    print(line, flush=True)


if __name__ == "__main__":
    sys.exit(main())
