"""The supervisor with real nodes over real DDS: start, deaths, refusals, nothing left over."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from stage import ROOT, pids_of, rows, supervisor, unknown_row, wait_until

pytest.importorskip("rclpy", reason="needs ROS 2: run make")
pytest.importorskip("vla_driving_msgs", reason="needs the built messages: run make")

from vla_driving.bringup.lifecycle import BringupError

pytestmark = pytest.mark.integration


def test_up_and_down_in_order_with_nothing_left(tmp_path: Path) -> None:
    lines: list[str] = []
    pair = rows("bench_vehicle", "controller_bridge")
    with supervisor(pair, tmp_path, lines.append) as stack:
        stack.start()
        assert len(pids_of(tmp_path)) == 2
        services = {name for name, _ in stack._node.get_service_names_and_types()}
        assert "/controller_bridge/change_state" in services
    assert pids_of(tmp_path) == []
    assert stack.deaths == []
    assert (tmp_path / "bench_vehicle.log").exists()
    assert any("all 2 processes are up and active" in line for line in lines)


def test_a_domain_in_use_is_refused(tmp_path: Path) -> None:
    first = supervisor(rows("bench_vehicle"), tmp_path / "1", print)
    second = supervisor(rows("bench_vehicle"), tmp_path / "2", print)
    with first:
        first.start()
        with second, pytest.raises(BringupError) as refusal:
            second.start()
        assert len(pids_of(tmp_path / "1")) == 1, "the first goes on"
        assert pids_of(tmp_path / "2") == []
        assert first._find_deaths() == []
    text = str(refusal.value)
    assert f"ROS domain {os.environ['ROS_DOMAIN_ID']} already runs /" in text
    assert "ROS_DOMAIN_ID" in text


def test_a_killed_node_is_told_and_ends_the_drive(tmp_path: Path) -> None:
    from vla_driving_msgs.msg import DriveEvent

    lines: list[str] = []
    events: list[DriveEvent] = []
    pair = rows("bench_vehicle", "controller_bridge")
    with supervisor(pair, tmp_path, lines.append) as stack:
        stack._node.create_subscription(DriveEvent, "vla/event", events.append, 10)
        stack.start()
        victim = next(c for c in stack._children if c.process.name == "controller_bridge")
        os.kill(victim.pid, signal.SIGKILL)
        stack.watch()
        assert len(pids_of(tmp_path)) == 1, "the others go on until the car stands"
        wait_until(lambda: stack._executor.spin_once(0.1) or any(_died(e) for e in events), 30.0)
    assert pids_of(tmp_path) == []
    assert [dead.process.name for dead in stack.deaths] == ["controller_bridge"]
    assert stack.deaths[0].return_code == -signal.SIGKILL
    text = "controller_bridge died: killed by SIGKILL"
    assert [line for line in lines if text in line]
    assert [e.subject for e in events if _died(e)] == ["controller_bridge"]
    assert not [line for line in lines if "not seen standing" in line], "it stood from the start"


def _died(event: object) -> bool:
    return getattr(event, "name", "") == "node_died"


def test_a_moving_car_gets_the_grace_time(tmp_path: Path) -> None:
    lines: list[str] = []
    pair = rows("bench_vehicle", "controller_bridge")
    moving = {"bench_vehicle": {"speed": 5.0}}
    with supervisor(pair, tmp_path, lines.append, moving, grace_s=1.0) as stack:
        stack.start()
        victim = next(c for c in stack._children if c.process.name == "controller_bridge")
        os.kill(victim.pid, signal.SIGKILL)
        stack.watch()
    assert [line for line in lines if "not seen standing" in line]


def test_a_missing_program_is_named(tmp_path: Path) -> None:
    with (
        supervisor((unknown_row(),), tmp_path, lambda line: None) as stack,
        pytest.raises(BringupError, match=r"no_such_node: its program .* is not installed"),
    ):
        stack.start()


@pytest.mark.parametrize(
    ("override", "words"),
    [
        ({"speed": -5.0}, ("bench_vehicle", "speed", "-5.0")),
        ({"no_such": 1}, ("bench_vehicle", "no_such")),
        ({"vehicle": "no_such_car"}, ("bench_vehicle", "no_such_car")),
    ],
)
def test_a_bad_parameter_is_the_one_line_it_is(
    override: dict[str, object], words: tuple[str, ...], tmp_path: Path
) -> None:
    with (
        supervisor(
            rows("bench_vehicle"), tmp_path, lambda line: None, {"bench_vehicle": override}
        ) as stack,
        pytest.raises(BringupError) as refusal,
    ):
        stack.start()
    text = str(refusal.value)
    assert "\n" not in text
    assert all(word in text for word in words)
    assert pids_of(tmp_path) == []


_ALONE = """
import sys, pathlib
sys.path.insert(0, {tests!r})
from stage import rows, supervisor
with supervisor(rows("bench_vehicle"), pathlib.Path({folder!r}), print) as stack:
    stack.start()
    print("UP", flush=True)
    stack.watch()
print("DOWN", flush=True)
"""


def _alone(folder: Path) -> subprocess.Popen[str]:
    code = _ALONE.format(tests=str(Path(__file__).parent), folder=str(folder))
    process = subprocess.Popen(
        [sys.executable, "-c", code], stdout=subprocess.PIPE, text=True, cwd=ROOT
    )
    assert process.stdout is not None
    for line in process.stdout:
        if line.startswith("UP"):
            break
    return process


def test_nothing_is_left_when_the_supervisor_is_killed(tmp_path: Path) -> None:
    process = _alone(tmp_path)
    assert pids_of(tmp_path)
    process.kill()
    process.wait()
    assert wait_until(lambda: pids_of(tmp_path) == [], 60.0)
    assert process.stdout is not None
    process.stdout.close()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_shuts_down_in_order(number: signal.Signals, tmp_path: Path) -> None:
    process = _alone(tmp_path)
    process.send_signal(number)
    output, _ = process.communicate(timeout=120)
    assert process.returncode == 0
    assert "DOWN" in output
    assert pids_of(tmp_path) == []
