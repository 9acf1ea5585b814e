"""Frames in, commands out, over real processes and real DDS; and what bad input does to them."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from rcl_interfaces.msg import Parameter, ParameterType, ParameterValue
from rcl_interfaces.srv import SetParameters
from sensor_msgs.msg import Image
from vla_driving_msgs import msg as msgs

from vla_driving.contract.checksum import command_checksum, plan_checksum
from vla_driving.contract.messages import from_message, set_stamp, stamp_of
from vla_driving.contract.plan import Plan
from vla_driving.contract.supervision import Engagement
from vla_driving.contract.topics import TOPICS, camera_topic
from vla_driving.contract.vehicle import CommandSource, ControlCommand
from vla_driving.nodes.camera_to_plan import HANDED_OVER

from .rig import CAMERA, SAFETY, Rig, Stack, running

COMMAND = "vla/control_command"


@pytest.fixture(scope="module")
def drive(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Rig, Stack]]:
    """One stack for all tests here; each leaves it running."""
    with running(tmp_path_factory.mktemp("drive") / "out") as pair:
        yield pair


@pytest.fixture
def rig(drive: tuple[Rig, Stack]) -> Rig:
    """The rig, with the car driving by itself."""
    rig, _ = drive
    if rig.newest(SAFETY) is None or rig.newest(SAFETY).engagement != Engagement.ENABLED:
        rig.engage()
    return rig


def test_a_frame_becomes_a_plan_an_approved_plan_and_a_command(rig: Rig) -> None:
    command = rig.wait(
        "a command that follows a plan",
        lambda: next((c for c in rig.seen(COMMAND) if c.source == CommandSource.PLAN), None),
    )
    frame = stamp_of(command.frame_stamp)
    assert any(stamp_of(f.header.stamp) == frame for f in rig.seen("vla/frames"))
    assert any(stamp_of(p.header.stamp) == frame for p in rig.seen("vla/plan"))
    assert any(stamp_of(a.frame_stamp) == frame for a in rig.seen("vla/approved_plan"))
    assert command.engaged and rig.speed > 0.0


def test_checksums_hold_over_the_wire(rig: Rig) -> None:
    command = from_message(ControlCommand, rig.newest(COMMAND))
    plan = from_message(Plan, rig.newest("vla/plan"))
    assert command.checksum == command_checksum(command)
    assert plan.checksum == plan_checksum(plan)


def test_every_node_reports_its_health(rig: Rig) -> None:
    names = {"camera_ingest", "vla_inference", "safety_monitor", "controller_bridge"}

    def reported() -> bool:
        states = [status for array in rig.seen("diagnostics") for status in array.status]
        return names <= {s.name.removeprefix("vla_driving: ") for s in states}

    rig.wait("diagnostics of every node", reported)


@pytest.mark.parametrize(
    ("name", "shares"),
    [("camera_to_plan", True), ("safety_monitor", False), ("controller_bridge", False)],
)
def test_who_checks_and_controls_shares_no_memory_with_others(
    drive: tuple[Rig, Stack], name: str, shares: bool
) -> None:
    """Fast DDS lets one who is stopped in the middle of a message hold up all others there."""
    maps = drive[1].node(name).memory_maps()
    assert any(m.path.startswith("/dev/shm/fastrtps") for m in maps) == shares


CAMERA_INFO = "camera/front/camera_info"


def test_who_speaks_and_listens_is_what_the_table_says(rig: Rig) -> None:
    nodes = {"camera_ingest", "vla_inference", "safety_monitor", "controller_bridge"}
    for topic in TOPICS:
        name = camera_topic(topic.name, "front")
        listeners = {i.node_name for i in rig.node.get_subscriptions_info_by_topic(name)}
        speakers = {i.node_name for i in rig.node.get_publishers_info_by_topic(name)}
        expected = set(topic.subscribers) & nodes
        if topic.name in HANDED_OVER:
            expected.discard("vla_inference")
        if topic.publisher != "camera driver" or name in ("camera/front/image", CAMERA_INFO):
            assert listeners & nodes == expected, name
        everyone = topic.publisher == "every node"
        named = set(topic.publisher.split(", "))
        assert speakers & nodes == (nodes if everyone else named & nodes), name


def test_the_plan_says_what_made_it(rig: Rig) -> None:
    plan = rig.newest("vla/plan")
    assert plan.model_name == "pilot" and plan.runtime and plan.reasoning
    assert {s.stage for s in plan.stages} == {"preprocess", "forward", "decode"}


def test_the_driver_who_brakes_has_the_car_at_once(rig: Rig) -> None:
    rig.driver = {"brake_override": True}
    rig.wait("a command that lets go", lambda: not rig.newest(COMMAND).engaged)
    rig.wait(
        "the safety monitor to let go", lambda: rig.newest(SAFETY).engagement == Engagement.DISABLED
    )
    rig.driver = {}
    assert rig.newest(COMMAND).source == CommandSource.STANDBY


def test_a_broken_image_is_named_and_the_next_good_one_taken(rig: Rig) -> None:
    image = Image(height=144, width=256, encoding="rgb8", step=768, data=bytes(1000))
    # Alone on the topic: one that comes between two good ones may rightly be left out as early.
    picture, rig.picture = rig.picture, None

    def told() -> bool:
        set_stamp(image.header.stamp, rig.now_ns())
        rig.publish(CAMERA, image)
        return any(e.name == "image_undecodable" for e in rig.seen("vla/event"))

    rig.wait("the broken image to be named", told)
    rig.picture = picture
    assert "1000" in rig.event("image_undecodable", "front").text
    last = rig.newest("vla/plan").sequence
    rig.wait("plans to go on", lambda: rig.newest("vla/plan").sequence > last)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"gear": 99}, "gear: 99"),
        ({"faults": ["fault"] * 40}, "faults: 40 entries, at most 32"),
    ],
)
def test_a_malformed_vehicle_state_is_named(rig: Rig, change: dict[str, Any], words: str) -> None:
    message = msgs.VehicleState(**change)

    def told() -> bool:
        set_stamp(message.header.stamp, rig.now_ns())
        rig.publish("vehicle/state", message)
        return any(words in line for line in rig.events())

    rig.wait(f"an event that says {words}", told)


def test_a_plan_of_a_stranger_is_not_driven(rig: Rig) -> None:
    stranger = msgs.Plan(sequence=10**6, model_name="stranger", model_version="0")
    trajectory = msgs.Trajectory(probability=1.0)
    trajectory.x = np.full(64, np.nan, np.float32)
    stranger.candidates = [trajectory]
    set_stamp(stranger.header.stamp, rig.now_ns())
    rig.publish("vla/plan", stranger)
    rig.wait(
        "a check to refuse it",
        lambda: any("plan" in e.subject or "plan" in e.name for e in rig.seen("vla/event")),
    )
    assert "vla/plan has 2 publishers (limit 1)" in rig.event("publishers").text
    rig.leave("vla/plan")
    assert all(np.isfinite(a.trajectory.x).all() for a in rig.seen("vla/approved_plan"))
    assert all(np.isfinite(c.steering_angle) for c in rig.seen(COMMAND))


def test_a_camera_that_goes_silent_stops_the_car_and_coming_back_needs_the_driver(
    rig: Rig,
) -> None:
    picture, rig.picture = rig.picture, None
    rig.standstill()
    rig.wait(
        "the stop to be complete", lambda: rig.newest(SAFETY).engagement == Engagement.STOPPED
    )
    assert rig.newest(SAFETY).alert_text
    assert rig.newest(COMMAND).hazard_lights
    rig.picture = picture
    rig.wait("ready again", lambda: rig.newest(SAFETY).ready)
    assert rig.speed < 0.05
    rig.engage()


def test_nobody_changes_limits_while_the_car_drives(drive: tuple[Rig, Stack]) -> None:
    rig, _ = drive
    client = rig.node.create_client(SetParameters, "safety_monitor/set_parameters")
    rig.wait("the parameter service", client.service_is_ready)
    for name, value, words in (
        (
            "plan.max_shift",
            ParameterValue(type=ParameterType.PARAMETER_DOUBLE, double_value=5.0), "read-only",
        ),
        (
            "use_sim_time",
            ParameterValue(type=ParameterType.PARAMETER_BOOL, bool_value=True),
            "no parameter changes while the node runs",
        ),
    ):
        request = SetParameters.Request(parameters=[Parameter(name=name, value=value)])
        future = client.call_async(request)
        rig.wait("an answer", future.done)
        result = future.result().results[0]
        assert not result.successful and words in result.reason
        rig.event("parameter_refused", name)


def test_it_ends_when_asked_and_leaves_nothing_behind(
    tmp_path: Path, drive: tuple[Rig, Stack]
) -> None:
    rig, stack = drive
    children = stack.process.children(recursive=True)
    assert stack.end() == 0
    assert not any(child.is_running() for child in children)
    assert rig.speed < 0.05, "an engaged car is stopped before the stack goes down"
