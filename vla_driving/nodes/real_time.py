"""Real-time options of the operating system: taken where permitted, said where not."""

from __future__ import annotations

import contextlib
import ctypes
import os
import resource
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from vla_driving.contract.settings import SettingsError, described

ALL_CPUS = "all"
FIFO = "SCHED_FIFO"
_LOCK_NOW, _LOCK_LATER, _LOCK_ON_FAULT = 1, 2, 4
"""MCL_CURRENT, MCL_FUTURE, MCL_ONFAULT of mlockall(2)."""
_CAP_IPC_LOCK = 14
_AUTOGROUP = Path("/proc/self/autogroup")
_REMEDY = (
    "on a car, grant CAP_SYS_NICE and CAP_IPC_LOCK or set LimitRTPRIO, LimitNICE and LimitMEMLOCK"
)


@dataclass(frozen=True)
class RealTimeSettings:
    """What a node asks of the operating system."""

    scheduling: bool = described("take the node's own SCHED_FIFO priority and niceness")
    cpus: str = described("cores it may run on, as 0-1,3; or all")
    lock_memory: bool = described("keep its memory from being swapped out, by mlockall")


@dataclass(frozen=True)
class RealTime:
    """What was asked for, in words: granted and refused."""

    granted: tuple[str, ...] = ()
    refused: tuple[str, ...] = ()

    @property
    def line(self) -> str:
        """One line for the log and for diagnostics."""
        granted = ", ".join(self.granted) or "nothing"
        if not self.refused:
            return f"real time: {granted}"
        refused = ", ".join(self.refused)
        return f"real time: {granted}; not permitted: {refused}: it may jitter on a busy computer"

    @property
    def remedy(self) -> str:
        """What to do about what was refused; empty where nothing was."""
        return _REMEDY if self.refused else ""

    @property
    def first(self) -> bool:
        """Whether it runs before everybody else under SCHED_FIFO."""
        return any(words.startswith(FIFO) for words in self.granted)


def take(
    settings: RealTimeSettings, niceness: int, priority: int, threads: Iterable[int]
) -> RealTime:
    """Ask for all of it, for `threads` (0: the calling one); memory is the whole process's.

    `priority` is one of SCHED_FIFO, 0 for none. Raises SettingsError for cores that are not there.
    """
    granted, refused = [], []
    tasks = tuple(threads)
    for words, ask in _wishes(settings, niceness, priority, tasks):
        try:
            ask()
        except OSError:
            refused.append(words)
        else:
            granted.append(words)
    return RealTime(tuple(granted), tuple(refused))


class Guard:
    """Takes SCHED_FIFO away from a process that does not rest: the others are not to starve.

    Its thread stands above those it watches. Linux's own limit leaves 5 % to all others together.
    """

    MOST_CORES = 0.9
    LOOKS = 3
    PERIOD_S = 1.0

    def __init__(self, priority: int, give_up: Callable[[float], None]) -> None:
        """`give_up` is told the cores in use, from the guard's thread, after all was given back."""
        self._priority = priority
        self._give_up = give_up
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run, name="real_time_guard", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Watch no more; returns when the thread has ended."""
        self._ended.set()
        self._thread.join()

    def _run(self) -> None:
        with contextlib.suppress(OSError):
            os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(self._priority + 1))
        busy, used_s, looked_s = 0, time.process_time(), time.monotonic()
        while not self._ended.wait(self.PERIOD_S):
            now_used_s, now_s = time.process_time(), time.monotonic()
            cores = (now_used_s - used_s) / (now_s - looked_s)
            used_s, looked_s = now_used_s, now_s
            busy = busy + 1 if cores > self.MOST_CORES else 0
            if busy == self.LOOKS:
                give_back(threads_of_process())
                self._give_up(cores)
                return


def give_back(threads: Iterable[int]) -> None:
    """Have threads share the processor like everybody else again."""
    for thread in threads:
        with contextlib.suppress(ProcessLookupError):  # ended meanwhile
            os.sched_setscheduler(thread, os.SCHED_OTHER, os.sched_param(0))


def threads_of_process() -> tuple[int, ...]:
    """Every thread of this process by its id in the kernel."""
    return tuple(int(task.name) for task in Path("/proc/self/task").iterdir())


def parse_cpus(text: str) -> frozenset[int] | None:
    """Cores of a list such as 0-1,3; None for all. Raises SettingsError."""
    if text == ALL_CPUS:
        return None
    cores: set[int] = set()
    try:
        for part in text.split(","):
            first, dash, last = part.partition("-")
            cores.update(range(int(first), int(last if dash else first) + 1))
    except ValueError:
        raise SettingsError(f"real_time.cpus: {text!r} is not a list as 0-1,3 or all") from None
    if absent := cores - os.sched_getaffinity(0):
        raise SettingsError(
            f"real_time.cpus: {text!r}: this process may not use core {min(absent)}, only "
            f"{', '.join(map(str, sorted(os.sched_getaffinity(0))))}"
        )
    if not cores:
        raise SettingsError(f"real_time.cpus: {text!r} names no core")
    return frozenset(cores)


def _wishes(
    settings: RealTimeSettings, niceness: int, priority: int, threads: tuple[int, ...]
) -> Iterator[tuple[str, Callable[[], None]]]:
    def each(act: Callable[[int], object]) -> Callable[[], None]:
        def ask() -> None:
            for thread in threads:
                with contextlib.suppress(ProcessLookupError):  # ended meanwhile
                    act(thread)

        return ask

    if settings.scheduling and niceness:
        yield f"niceness {niceness}", each(
            lambda thread: os.setpriority(os.PRIO_PROCESS, thread, niceness)
        )
        if _has_group_of_its_own():
            yield f"niceness {niceness} of its session", lambda: _set_group_niceness(niceness)
    if settings.scheduling and priority:
        parameters = os.sched_param(priority)
        yield f"{FIFO} {priority}", each(
            lambda thread: os.sched_setscheduler(thread, os.SCHED_FIFO, parameters)
        )
    if (cores := parse_cpus(settings.cpus)) is not None:
        yield f"cores {settings.cpus}", each(lambda thread: os.sched_setaffinity(thread, cores))
    if settings.lock_memory:
        yield "memory locked", _lock_memory


def _has_group_of_its_own() -> bool:
    """Whether the kernel shares out processor time by sessions (sched(7), autogroup).

    Then niceness counts within a session alone. That of others in the session is not for a node to
    choose: it must have started the session, as it does under the supervisor.
    """
    return os.getsid(0) == os.getpid() and _AUTOGROUP.is_file()


def _set_group_niceness(niceness: int) -> None:
    # Not twice: without privileges the kernel takes one change every 0.1 s.
    if _AUTOGROUP.read_text().split()[-1:] != [str(niceness)]:
        _AUTOGROUP.write_text(str(niceness))


def _lock_memory() -> None:
    # With a limit the call may succeed and a later allocation fail: then rather not at all.
    unlimited = resource.getrlimit(resource.RLIMIT_MEMLOCK)[0] == resource.RLIM_INFINITY
    if not (unlimited or _has_capability(_CAP_IPC_LOCK)):
        raise PermissionError("memory lock is limited")
    # Pages are locked as they are first used: room that is only reserved stays unused.
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.mlockall(_LOCK_NOW | _LOCK_LATER | _LOCK_ON_FAULT):
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))


def _has_capability(number: int) -> bool:
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("CapEff:"):
            return bool(int(line.split()[1], 16) >> number & 1)
    return False
