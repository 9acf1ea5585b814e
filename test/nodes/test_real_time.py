"""Real-time options are asked for, and what is not permitted is said."""

import os
import resource
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vla_driving.contract.settings import SettingsError
from vla_driving.nodes import real_time
from vla_driving.nodes.real_time import RealTimeSettings, parse_cpus, take

ALL = RealTimeSettings(scheduling=True, cpus="all", lock_memory=False)


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[tuple[Any, ...]]:
    """What was asked of the system, which grants everything and changes nothing."""
    calls: list[tuple[Any, ...]] = []
    monkeypatch.setattr(os, "setpriority", lambda _, who, n: calls.append(("nice", who, n)))
    monkeypatch.setattr(
        os, "sched_setscheduler",
        lambda who, policy, param: calls.append((policy, who, param.sched_priority)),
    )
    monkeypatch.setattr(os, "sched_setaffinity", lambda who, cpus: calls.append(("cpu", who, cpus)))
    monkeypatch.setattr(real_time, "_lock_memory", lambda: calls.append(("lock",)))
    monkeypatch.setattr(real_time, "_has_group_of_its_own", lambda: False)
    return calls


@pytest.fixture
def group(
    asked: list[tuple[Any, ...]], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> Path:
    """What the kernel says of a session that this process has started."""
    file = tmp_path / "autogroup"
    file.write_text("/autogroup-17 nice 0\n")
    monkeypatch.setattr(real_time, "_has_group_of_its_own", lambda: True)
    monkeypatch.setattr(real_time, "_AUTOGROUP", file)
    return file


def test_a_session_that_is_scheduled_as_one_gets_the_niceness_too(group: Path) -> None:
    report = take(ALL, niceness=-5, priority=0, threads=(0,))
    assert group.read_text() == "-5"
    assert report.line == "real time: niceness -5, niceness -5 of its session"


def test_the_niceness_of_a_session_is_not_set_twice(group: Path) -> None:
    group.write_text("/autogroup-17 nice 5\n")
    group.chmod(0o400)
    before_ns = group.stat().st_mtime_ns
    assert take(ALL, niceness=5, priority=0, threads=(0,)).refused == ()
    assert group.stat().st_mtime_ns == before_ns


def test_a_session_of_others_is_left_alone() -> None:
    code = "from vla_driving.nodes import real_time; print(real_time._has_group_of_its_own())"
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=200
    )
    assert done.stdout.strip() == "False"


def test_every_thread_gets_what_the_node_asks_for(asked: list[tuple[Any, ...]]) -> None:
    report = take(ALL, niceness=-5, priority=30, threads=(1, 2))
    assert asked == [
        ("nice", 1, -5), ("nice", 2, -5), (os.SCHED_FIFO, 1, 30), (os.SCHED_FIFO, 2, 30)
    ]
    assert report.line == "real time: niceness -5, SCHED_FIFO 30" and report.remedy == ""


def test_what_is_switched_off_is_not_asked_for(asked: list[tuple[Any, ...]]) -> None:
    off = RealTimeSettings(scheduling=False, cpus="all", lock_memory=False)
    assert take(off, -5, 30, (0,)).granted == () and asked == []


def test_cores_and_memory(asked: list[tuple[Any, ...]]) -> None:
    core = min(os.sched_getaffinity(0))
    report = take(RealTimeSettings(False, str(core), True), 0, 0, (7,))
    assert asked == [("cpu", 7, frozenset({core})), ("lock",)]
    assert report.granted == (f"cores {core}", "memory locked")


def test_what_is_not_permitted_is_said_and_the_rest_is_taken(
    asked: list[tuple[Any, ...]], monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise PermissionError

    monkeypatch.setattr(os, "sched_setscheduler", refuse)
    report = take(ALL, -5, 30, (0,))
    assert report.granted == ("niceness -5",) and report.refused == ("SCHED_FIFO 30",)
    assert "not permitted: SCHED_FIFO 30" in report.line and "\n" not in report.line
    assert "CAP_SYS_NICE" in report.remedy


def test_a_thread_that_has_ended_is_no_refusal(
    asked: list[tuple[Any, ...]], monkeypatch: pytest.MonkeyPatch
) -> None:
    def gone(*_: object) -> None:
        raise ProcessLookupError

    monkeypatch.setattr(os, "sched_setscheduler", gone)
    assert take(ALL, 0, 30, (0,)).refused == ()


def test_a_limited_memory_lock_is_refused_rather_than_failing_later(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(resource, "getrlimit", lambda _: (8 << 20, 8 << 20))
    monkeypatch.setattr(real_time, "_has_capability", lambda _: False)
    report = take(RealTimeSettings(False, "all", True), 0, 0, (0,))
    assert report.refused == ("memory locked",)


@given(st.sets(st.sampled_from(sorted(os.sched_getaffinity(0))), min_size=1))
def test_a_list_of_cores_is_read(cores: set[int]) -> None:
    assert parse_cpus(",".join(map(str, cores))) == frozenset(cores)


def test_a_range_of_cores_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {0, 1, 2, 3, 4})
    assert parse_cpus("0-2,4") == frozenset({0, 1, 2, 4})
    assert parse_cpus("all") is None


@pytest.mark.parametrize("text", ["", "two", "0-", "1-0", "9999", "-1"])
def test_cores_that_are_not_there_are_named(text: str) -> None:
    with pytest.raises(SettingsError, match=r"real_time\.cpus"):
        parse_cpus(text)


def test_this_very_process_lists_its_threads() -> None:
    assert os.getpid() in real_time.threads_of_process()


def test_a_process_that_does_not_rest_loses_its_priority(
    asked: list[tuple[Any, ...]], monkeypatch: pytest.MonkeyPatch
) -> None:
    seconds = iter(range(0, 1000, 2))
    monkeypatch.setattr(real_time.Guard, "PERIOD_S", 0.001)
    monkeypatch.setattr(time, "process_time", lambda: float(next(seconds)))
    monkeypatch.setattr(time, "monotonic", iter(map(float, range(1000))).__next__)
    told: list[float] = []
    lost = threading.Event()

    def give_up(cores: float) -> None:
        told.append(cores)
        lost.set()

    guard = real_time.Guard(30, give_up)
    assert lost.wait(10.0)
    guard.stop()
    assert told == [2.0]
    own = threading.get_native_id()
    assert (os.SCHED_FIFO, 0, 31) in asked, "it stands above what it watches"
    assert (os.SCHED_OTHER, own, 0) in asked


def test_a_busy_moment_costs_no_priority(
    asked: list[tuple[Any, ...]], monkeypatch: pytest.MonkeyPatch
) -> None:
    used = iter([0.0, 1.0, 2.0, 2.1, 3.1, 4.1, *(4.2 + 0.1 * k for k in range(1000))])
    looks, enough = iter(map(float, range(2000))), threading.Event()
    monkeypatch.setattr(real_time.Guard, "PERIOD_S", 0.001)

    def process_time() -> float:
        value = next(used)
        if value > 5.0:
            enough.set()
        return value

    monkeypatch.setattr(time, "process_time", process_time)
    monkeypatch.setattr(time, "monotonic", looks.__next__)
    told: list[float] = []
    guard = real_time.Guard(30, told.append)
    assert enough.wait(10.0)
    guard.stop()
    assert told == [] and all(call[0] != os.SCHED_OTHER for call in asked)
