"""Each node stalled by SIGSTOP and killed by SIGKILL while the car drives: it always stops."""

import signal
from pathlib import Path

import pytest

from vla_driving.contract.supervision import Engagement
from vla_driving.contract.vehicle import CommandSource

from .rig import SAFETY, Rig, one_line, running

PROCESSES = (
    ("camera_to_plan",),
    ("camera_ingest", "--separate"),
    ("vla_inference", "--separate"),
    ("safety_monitor",),
    ("controller_bridge",),
)


@pytest.mark.parametrize(("name", "options"), [(name, rest) for name, *rest in PROCESSES])
@pytest.mark.requirement("SR-12")
def test_a_stalled_process_stops_the_car_and_a_dead_one_ends_the_drive(
    name: str, options: list[str], tmp_path: Path
) -> None:
    with running(tmp_path / "out", *options) as (rig, stack):
        rig.engage()
        node = stack.node(name)

        node.send_signal(signal.SIGSTOP)
        rig.standstill()
        node.send_signal(signal.SIGCONT)
        if name == "controller_bridge":
            _take_the_car_back(rig)
        rig.wait("ready again", lambda: rig.newest(SAFETY).ready)
        assert rig.speed < 0.05, "only the driver sets the car in motion again"
        rig.engage()

        node.send_signal(signal.SIGKILL)
        rig.standstill()
        assert stack.exit_code() == 1
    line = one_line(stack.said(), name, "died", "SIGKILL")
    assert line.startswith("[supervisor]")
    rig_events = [e for e in rig.seen("vla/event") if e.name == "node_died"]
    assert [e.subject for e in rig_events] == [name]


def _stopped(rig: Rig) -> bool:
    return bool(rig.newest(SAFETY).engagement == Engagement.STOPPED)


def _take_the_car_back(rig: Rig) -> None:
    """A gateway that stopped for want of commands asks for the driver's foot first."""
    rig.wait("the monitor to see the gateway's fault", lambda: _stopped(rig))
    rig.driver = {"brake_override": True}
    rig.wait("the car to be handed back", lambda: not rig.newest("vla/control_command").engaged)
    rig.driver = {}


@pytest.mark.requirement("SR-17")
def test_without_the_safety_monitor_the_bridge_stops_with_hazard_lights(tmp_path: Path) -> None:
    with running(tmp_path / "out") as (rig, stack):
        rig.engage()
        stack.node("safety_monitor").kill()
        rig.wait(
            "the bridge's own stop",
            lambda: rig.newest("vla/control_command").source == CommandSource.STOP,
        )
        rig.standstill()
        last = rig.newest("vla/control_command")
        assert last.hazard_lights and last.acceleration <= 0.0


@pytest.mark.requirement("SR-19")
def test_without_plans_the_monitor_stops_the_car_in_its_lane(tmp_path: Path) -> None:
    with running(tmp_path / "out") as (rig, stack):
        rig.engage()
        stack.node("camera_to_plan").kill()
        rig.standstill()
        rig.wait("a completed stop", lambda: _stopped(rig))
        assert any("plan" in line for line in rig.events())
