"""The clock that jumps: for those who are told to, in reading it and in waiting by it."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from vla_driving.bringup.faults.clock import MovableClock
from vla_driving.contract.clock import SECOND

pytestmark = pytest.mark.skipif(
    not (shutil.which("cc") or shutil.which("gcc")), reason="no C compiler is installed"
)


def elsewhere(clock: MovableClock, code: str) -> float:
    """What a process with that clock prints."""
    done = subprocess.run(
        [sys.executable, "-c", code], env={**os.environ, **clock.environment},
        capture_output=True, text=True, check=True, timeout=200,
    )
    return float(done.stdout)


@pytest.mark.parametrize("offset_s", [-3600, 3600])
def test_time_jumps_there_and_not_here_and_intervals_stay(tmp_path: Path, offset_s: int) -> None:
    clock = MovableClock(tmp_path)
    difference = "import time; print({})"
    realtime = difference.format("time.time() - time.clock_gettime(time.CLOCK_TAI)")
    here = float(subprocess.run(
        [sys.executable, "-c", realtime], capture_output=True, text=True, check=True, timeout=200,
    ).stdout)
    try:
        assert elsewhere(clock, realtime) == pytest.approx(here, abs=10.0)
        clock.set(offset_s * SECOND)
        assert elsewhere(clock, realtime) - here == pytest.approx(offset_s, abs=10.0)
    finally:
        clock.close()


def test_who_waits_by_it_waits_no_longer(tmp_path: Path) -> None:
    clock = MovableClock(tmp_path)
    clock.set(3600 * SECOND)
    code = (
        "import ctypes, time\n"
        "libc = ctypes.CDLL(None)\n"
        "class T(ctypes.Structure):\n"
        "    _fields_ = [('s', ctypes.c_long), ('n', ctypes.c_long)]\n"
        "semaphore = ctypes.create_string_buffer(64)\n"
        "libc.sem_init(semaphore, 0, 0)\n"
        "until = T(int(time.time()) + 1, 0)\n"
        "begin = time.monotonic()\n"
        "libc.sem_timedwait(semaphore, ctypes.byref(until))\n"
        "print(time.monotonic() - begin)\n"
    )
    try:
        assert elsewhere(clock, code) < 30.0
    finally:
        clock.close()
