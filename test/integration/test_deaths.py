"""Each node stalled by SIGSTOP and killed by SIGKILL while the car drives: it always stops."""

import signal
import time
from pathlib import Path

import pytest
from patience import CLOCK_STEP_S

from vla_driving.contract.supervision import Engagement
from vla_driving.contract.vehicle import CommandSource

from .rig import COMMAND, SAFETY, one_line, running

STOPPING = (Engagement.MINIMAL_RISK, Engagement.STOPPED)
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

        stalled_until = time.monotonic() + 2.0 * CLOCK_STEP_S
        node.send_signal(signal.SIGSTOP)
        rig.standstill()
        rig.wait("a long stall", lambda: time.monotonic() > stalled_until)
        node.send_signal(signal.SIGCONT)
        rig.wait("a completed stop", lambda: rig.engagement == Engagement.STOPPED)
        rig.wait_until_ready()
        assert rig.speed < 0.05, "only the driver sets the car in motion again"
        rig.engage()

        node.send_signal(signal.SIGKILL)
        rig.standstill()
        rig.event("node_died", name)
        assert stack.exit_code() == 1
    line = one_line(stack.said(), name, "died", "SIGKILL")
    assert line.startswith("[supervisor]")
    rig_events = [e for e in rig.seen("vla/event") if e.name == "node_died"]
    assert [e.subject for e in rig_events] == [name]


@pytest.mark.requirement("SR-17")
def test_without_the_safety_monitor_the_bridge_stops_with_hazard_lights(tmp_path: Path) -> None:
    with running(tmp_path / "out") as (rig, stack):
        rig.engage()
        stack.node("safety_monitor").kill()
        rig.event("node_died", "safety_monitor")
        rig.wait(
            "the bridge's own stop", lambda: rig.newest(COMMAND).source == CommandSource.STOP
        )
        rig.standstill()
        last = rig.newest(COMMAND)
        assert last.source == CommandSource.STOP
        assert last.hazard_lights and last.acceleration <= 0.0


@pytest.mark.requirement("SR-19")
def test_without_plans_the_monitor_stops_the_car_in_its_lane(tmp_path: Path) -> None:
    with running(tmp_path / "out") as (rig, stack):
        rig.engage()
        stack.node("camera_to_plan").kill()
        rig.event("node_died", "camera_to_plan")
        rig.standstill()
        # It goes down with the others as soon as the car stands, maybe before it has said so.
        stop = rig.wait(
            "a stop of the monitor's",
            lambda: next((s for s in rig.seen(SAFETY) if s.engagement in STOPPING), None),
        )
        assert stop.alert_text
        assert rig.wait("its cause", rig.causes)
        assert rig.newest(SAFETY).engagement in STOPPING
