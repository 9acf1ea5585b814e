"""Many drives on all cores: one process each, as MetaDrive allows one world a process."""

from __future__ import annotations

import logging
import multiprocessing
import os
import signal
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path
from typing import Any

from vla_driving.score.drive import Task, drive
from vla_driving.score.drivers import POLICIES, Models
from vla_driving.score.film import Film
from vla_driving.score.keep import Kept
from vla_driving.score.rig import Rig

Say = Callable[[str], None]
BLIND_COST = 0.2
"""What a drive without pictures takes, against one with them: for the time that is left."""
TRIES = 2
DRIVES_A_PROCESS = 40
"""Then a fresh one takes over: what MetaDrive leaves in memory goes with the old one."""

_rig: Rig | None = None


def drive_all(
    tasks: Sequence[Task], kept: Kept, models: Models, workers: int, say: Say
) -> dict[str, dict[str, Any]]:
    """Drive what has no result yet; all results by the tasks' names.

    A drive that cannot be done, twice, is left out and told. Raises KeyboardInterrupt as it comes:
    what was done until then is kept.
    """
    found = {task.name: row for task in tasks if (row := kept.read(task)) is not None}
    todo = [task for task in tasks if task.name not in found]
    if found:
        say(f"{len(found)} of {len(tasks)} drives are there already")
    clock = _Clock(todo)
    for task, row in _driven(todo, kept, models, workers, say):
        clock.done(task)
        found[task.name] = row
        say(f"{clock}  {task.policy} {task.scenario.name} {task.case}: "
            f"{row['blame'] or row['ended']}")
    return found


def _driven(
    todo: Sequence[Task], kept: Kept, models: Models, workers: int, say: Say
) -> Iterator[tuple[Task, dict[str, Any]]]:
    waiting = deque((task, 1) for task in todo)
    while waiting:
        yield from _shift(waiting, kept, models, workers, say)


def _shift(
    waiting: deque[tuple[Task, int]], kept: Kept, models: Models, workers: int, say: Say
) -> Iterator[tuple[Task, dict[str, Any]]]:
    """As many drives as a set of processes does before the next set takes over."""
    left = workers * DRIVES_A_PROCESS
    running: dict[Future[dict[str, Any]], tuple[Task, int]] = {}
    spawn = multiprocessing.get_context("spawn")
    pool = ProcessPoolExecutor(workers, spawn, _prepare)
    try:
        while running or (waiting and left):
            while waiting and left and len(running) < workers:
                task, number = waiting.popleft()
                future = pool.submit(_work, task, models, kept.video(task))
                running[future] = (task, number)
                left -= 1
            for future in wait(running, return_when=FIRST_COMPLETED).done:
                task, number = running[future]
                try:
                    row = future.result()
                except BrokenProcessPool:
                    raise
                except Exception as error:  # whatever a drive ends with, the others go on
                    say(f"{task.name}: failed: {type(error).__name__}: {error}")
                    waiting.extend([(task, number + 1)] if number < TRIES else [])
                else:
                    kept.write(task, row)
                    yield task, row
                del running[future]
    except BrokenProcessPool:
        say(f"a process died in one of {', '.join(t.name for t, _ in running.values())}")
        waiting.extend((task, n + 1) for task, n in running.values() if n < TRIES)
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


def _prepare() -> None:
    global _rig
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent says when to end
    # Several drives at once: each keeps to its own core.
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    logging.disable(logging.WARNING)
    _rig = Rig()


def _work(task: Task, models: Models, video: Path) -> dict[str, Any]:
    assert _rig is not None
    return driven(task, _rig, models, video)


def driven(task: Task, rig: Rig, models: Models, video: Path) -> dict[str, Any]:
    """One task, and its film where it failed and one is wanted; as it is kept."""
    sees = POLICIES[task.policy].sees
    film = Film(task.film_s) if task.film and sees else None
    result = drive(task, rig, models, film)
    if task.film and not sees and not result.success:
        film = Film()
        drive(task, rig, models, film)  # the same drive again, now with pictures
    row = result.as_dict()
    row["film"] = film is not None and not result.success
    if film is not None and row["film"]:
        what = f'told "{task.words[-1][1]}"' if task.words else result.blame
        title = f"{task.policy}, {task.scenario.name}: {what}"
        film.write(video, title, rig.camera, rig.vehicle)
    return row


class _Clock:
    """Done, spent and left."""

    def __init__(self, todo: Sequence[Task]) -> None:
        self._began = time.monotonic()
        self._count, self._done = len(todo), 0
        self._work, self._worked = sum(map(_cost, todo)), 0.0

    def done(self, task: Task) -> None:
        """One more."""
        self._done += 1
        self._worked += _cost(task)

    def __str__(self) -> str:
        spent = time.monotonic() - self._began
        left = spent * (self._work - self._worked) / max(self._worked, 1e-9)
        return f"[{self._done}/{self._count}, {spent / 60:.1f} min, {left / 60:.1f} left]"


def _cost(task: Task) -> float:
    return 1.0 if POLICIES[task.policy].sees else BLIND_COST
