"""Frames in, commands out, over real processes and real DDS; and what bad input does to them."""

import contextlib
from collections.abc import Iterator
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
from vla_driving.contract.topics import TOPICS, Topic, camera_topic
from vla_driving.contract.vehicle import CommandSource, ControlCommand
from vla_driving.nodes.camera_to_plan import HANDED_OVER

from .rig import CAMERA, COMMAND, SAFETY, Rig, Stack, running

CAMERA_INFO = "camera/front/camera_info"
NODES = frozenset({"camera_ingest", "vla_inference", "safety_monitor", "controller_bridge"})


@pytest.fixture(scope="module")
def drive(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Rig, Stack]]:
    """One stack for all tests here; each leaves it running."""
    with running(tmp_path_factory.mktemp("drive") / "out") as pair:
        yield pair


@pytest.fixture
def rig(drive: tuple[Rig, Stack]) -> Rig:
    """The rig, with the car driving by itself."""
    rig, _ = drive
    if not rig.drives:
        rig.engage()
    return rig


def test_a_frame_becomes_a_plan_an_approved_plan_and_a_command(rig: Rig) -> None:

    def behind_it() -> Any:
        """A command whose frame was seen on every topic; images may be lost on the way."""
        seen = {stamp_of(f.header.stamp) for f in rig.seen("vla/frames")}
        seen &= {stamp_of(p.header.stamp) for p in rig.seen("vla/plan")}
        seen &= {stamp_of(a.frame_stamp) for a in rig.seen("vla/approved_plan")}
        commands = (c for c in rig.seen(COMMAND) if c.source == CommandSource.PLAN)
        return next((c for c in commands if stamp_of(c.frame_stamp) in seen), None)

    assert rig.wait("a command that follows a frame's plan", behind_it).engaged


def test_checksums_hold_over_the_wire(rig: Rig) -> None:
    command = from_message(ControlCommand, rig.heard(COMMAND))
    plan = from_message(Plan, rig.heard("vla/plan"))
    assert command.checksum == command_checksum(command)
    assert plan.checksum == plan_checksum(plan)


def test_every_node_reports_its_health(rig: Rig) -> None:
    def reported() -> bool:
        states = [status for array in rig.seen("diagnostics") for status in array.status]
        return {s.name.removeprefix("vla_driving: ") for s in states} >= NODES

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


def test_who_speaks_and_listens_is_what_the_table_says(rig: Rig) -> None:
    with contextlib.suppress(AssertionError):  # who was met a moment ago may have no name yet
        rig.wait("everybody to be known", lambda: _known(rig) == _expected())
    assert _known(rig) == _expected()


Known = dict[str, tuple[set[str], set[str]]]
"""Speakers and listeners among NODES, by topic; no listeners where it depends on the camera."""


def _known(rig: Rig) -> Known:
    known = {}
    for topic in TOPICS:
        name = camera_topic(topic.name, "front")
        speakers = {i.node_name for i in rig.node.get_publishers_info_by_topic(name)}
        listeners = {i.node_name for i in rig.node.get_subscriptions_info_by_topic(name)}
        known[name] = speakers & NODES, listeners & NODES if _fixed(topic) else set()
    return known


def _expected() -> Known:
    expected = {}
    for topic in TOPICS:
        speakers = set(topic.publisher.split(", ")) & NODES
        listeners = set(topic.subscribers) & NODES
        if topic.name in HANDED_OVER:
            listeners.discard("vla_inference")
        expected[camera_topic(topic.name, "front")] = (
            set(NODES) if topic.publisher == "every node" else speakers,
            listeners if _fixed(topic) else set(),
        )
    return expected


def _fixed(topic: Topic) -> bool:
    """Whether its listeners do not depend on what kind of image the camera sends."""
    name = camera_topic(topic.name, "front")
    return topic.publisher != "camera driver" or name in (CAMERA, CAMERA_INFO)


def test_the_plan_says_what_made_it(rig: Rig) -> None:
    plan = rig.heard("vla/plan")
    assert plan.model_name == "pilot" and plan.runtime and plan.reasoning
    assert {s.stage for s in plan.stages} == {"preprocess", "forward", "decode"}


def test_the_driver_who_brakes_has_the_car_at_once(rig: Rig) -> None:
    def let_go() -> bool:
        """Whether it was this that ended the drive, and no stop that came before it."""
        rig.hand_back()
        return rig.engagement == Engagement.DISABLED

    rig.while_it_drives("braking", let_go)
    rig.wait("standby", lambda: rig.newest(COMMAND).source == CommandSource.STANDBY)


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
    last = rig.heard("vla/plan").sequence
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

    def refused() -> bool:
        set_stamp(stranger.header.stamp, rig.now_ns())
        rig.publish("vla/plan", stranger)
        return any(e.name == "plan_refused" for e in rig.seen("vla/event"))

    rig.wait("the safety monitor to refuse it", refused)
    assert "vla/plan has 2 publishers (limit 1)" in rig.event("publishers").text
    rig.leave("vla/plan")
    assert all(np.isfinite(a.trajectory.x).all() for a in rig.seen("vla/approved_plan"))
    assert all(np.isfinite(c.steering_angle) for c in rig.seen(COMMAND))


def test_a_camera_that_goes_silent_stops_the_car_and_coming_back_needs_the_driver(
    rig: Rig,
) -> None:
    picture, rig.picture = rig.picture, None
    rig.standstill()
    rig.wait("the stop to be complete", lambda: rig.engagement == Engagement.STOPPED)
    assert rig.newest(SAFETY).alert_text
    rig.wait("hazard lights", lambda: rig.newest(COMMAND).hazard_lights)
    rig.picture = picture
    rig.wait_until_ready()
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
    rig: Rig, drive: tuple[Rig, Stack]
) -> None:
    _, stack = drive
    children = stack.process.children(recursive=True)
    assert stack.end() == 0
    assert not any(child.is_running() for child in children)
    assert rig.speed < 0.05, "an engaged car is stopped before the stack goes down"
