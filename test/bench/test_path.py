"""What the feeder notes becomes figures; and one short run of the real processes."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("rclpy", reason="needs ROS 2: run make")
pytest.importorskip("vla_driving_msgs", reason="needs the built messages: run make")

import cv2

from vla_driving.bench import path
from vla_driving.bench.domain import own_domain
from vla_driving.bench.feeder import Driver, frame_stamp, header_stamp, load, restamped
from vla_driving.bench.path import PathError, growth, summary
from vla_driving.bench.recorded import DriveWriter, settings_of
from vla_driving.contract.cameras import load_camera
from vla_driving.contract.scene import ObjectList
from vla_driving.contract.supervision import Engagement
from vla_driving.contract.vehicle import load_vehicle
from vla_driving.nodes.parameters import StackSettings, named_file
from vla_driving.simulation.bench_vehicle import BenchVehicle, BenchVehicleSettings

ROAD = Path(__file__).parents[1] / "integration/road.png"


def frame(command_ms: float | None, **fields: Any) -> dict[str, Any]:
    return {
        "sent_s": 0.0, "engaged": True, "plan_ms": 9.0, "approved_ms": 10.0,
        "command_ms": command_ms, "forward_ms": 4.0, "actor_ms": 5.0, **fields,
    }


def noted(frames: list[dict[str, Any]], missed: int = 0) -> dict[str, Any]:
    count = {"safety_monitor": {"vla/plan missed_deadlines": str(3 + missed)}}
    before = {"safety_monitor": {"vla/plan missed_deadlines": "3"}}
    return {
        "frames": frames, "duration_s": 60.0, "late_ms_p99": 0.1,
        "diagnostics_before": before, "diagnostics": count,
    }


def test_times_of_frames_become_quantiles() -> None:
    figures = summary(noted([frame(float(ms)) for ms in range(10, 30)]), [100.0, 101.0])
    assert figures["frame_to_command_ms"] == {"p50": 20.0, "p99": 29.0, "max": 29.0}
    assert figures["overhead_ms_p99"] == 25.0 and figures["missed_deadlines"] == 0.0
    assert figures["rss_growth_mb"] == 1.0 and figures["minutes"] == 1.0
    stages: Any = figures["stages_ms"]
    assert stages["plan to approved plan p50"] == 1.0


@pytest.mark.parametrize(
    ("frames", "missed", "expected"),
    [
        ([frame(12.0), frame(None)], 0, 1.0),
        ([frame(12.0), frame(50.1)], 0, 1.0),
        ([frame(12.0), frame(None), frame(60.0)], 2, 4.0),
    ],
)
def test_late_frames_lost_frames_and_gaps_are_missed_deadlines(
    frames: list[dict[str, Any]], missed: int, expected: float
) -> None:
    assert summary(noted(frames, missed), [])["missed_deadlines"] == expected


def test_no_command_at_all_is_no_figure() -> None:
    with pytest.raises(PathError, match="none of 2 frames"):
        summary(noted([frame(None), frame(None)]), [])


def test_growth_is_from_the_first_tenth_to_the_last() -> None:
    assert growth([100.0] * 50 + [104.0] * 50) == 4.0
    assert growth([100.0]) == 0.0 == growth([])


def test_a_stamp_is_replaced_in_the_bytes() -> None:
    from rclpy.serialization import deserialize_message, serialize_message
    from sensor_msgs.msg import Image

    cdr = bytearray(serialize_message(Image(height=2, width=3, encoding="rgb8")))
    fresh = restamped(cdr, 5_000_000_007)
    assert header_stamp(fresh) == 5_000_000_007
    image = deserialize_message(fresh, Image)
    assert (image.header.stamp.sec, image.header.stamp.nanosec) == (5, 7)
    assert (image.height, image.width, image.encoding) == (2, 3, "rgb8")


@pytest.mark.parametrize("kind", ["ApprovedPlan", "ControlCommand"])
@pytest.mark.parametrize("frame_id", ["", "base_link", "a_longer_name_than_that"])
def test_the_frame_behind_a_message_is_found_in_its_bytes(kind: str, frame_id: str) -> None:
    from rclpy.serialization import serialize_message
    from vla_driving_msgs import msg as msgs

    message = getattr(msgs, kind)(sequence=2**63, plan_sequence=7)
    message.header.frame_id = frame_id
    message.frame_stamp.sec, message.frame_stamp.nanosec = 1_700_000_000, 123
    assert frame_stamp(serialize_message(message)) == 1_700_000_000 * 10**9 + 123


def test_the_driver_engages_once_and_hands_back_before_the_bag_begins_anew() -> None:
    driver = Driver()
    assert driver.inputs(5.0, 20.0, 100.0) == {}, "not ready"
    driver.ready = True
    assert driver.inputs(0.1, 20.0, 100.0) == {}, "the bag has just begun"
    assert driver.inputs(5.0, 20.0, 100.0) == {"engage_button": True}
    assert driver.inputs(5.3, 20.0, 100.3) == {}, "a button is let go"
    assert driver.inputs(5.5, 20.0, 100.5) == {"engage_button": True}, "and pressed anew"
    driver.engagement = Engagement.ENABLED
    assert driver.inputs(6.0, 20.0, 101.0) == {}
    assert driver.inputs(19.8, 0.2, 115.0) == {"brake_override": True}
    driver.engagement = Engagement.STOPPED
    assert driver.inputs(6.0, 20.0, 101.0) == {"brake_override": True}


@pytest.fixture
def bag(tmp_path: Path) -> Path:
    """Three seconds of a car that stands on a road."""
    stack = settings_of(StackSettings, "")
    camera = load_camera(named_file(stack.cameras[0], "cameras"))
    vehicle = load_vehicle(named_file(stack.vehicle, "vehicles"))
    car = BenchVehicle(BenchVehicleSettings(0.0, False, 1.0), vehicle)
    picture = cv2.imread(str(ROAD))
    assert picture is not None
    random = np.random.default_rng(1)
    writer = DriveWriter(tmp_path / "drive", camera)
    for step in range(150):
        now_ns = 10**9 + step * 20_000_000
        writer.put("vehicle/state", car.step(now_ns))
        if step % 5 == 0:
            noisy = np.clip(picture[:, :, ::-1] + random.integers(-2, 3, picture.shape), 0, 255)
            writer.put_image(noisy.astype(np.uint8), now_ns)
            writer.put("vehicle/objects", ObjectList(now_ns, step, "radar", ()))
            writer.put("vla/driver_state", car.driver(now_ns))
    writer.close()
    return tmp_path / "drive"


def test_a_bag_is_read_in_the_order_of_time(bag: Path) -> None:
    entries = load(bag)
    offsets = [entry.offset_ns for entry in entries]
    assert offsets == sorted(offsets) and offsets[0] == 0
    assert {entry.topic for entry in entries} == {
        "vehicle/state", "vehicle/objects", "vla/driver_state", "camera/front/image"
    }


@pytest.mark.integration
def test_a_short_run_gives_every_figure(
    bag: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in own_domain({}).items():
        monkeypatch.setenv(name, value)
    lines: list[str] = []
    figures = path.measure(0.05, lines.append, tmp_path, warm_up_s=3.0)
    for key in ("frame_to_command_ms", "overhead_ms_p99", "missed_deadlines", "rss_growth_mb"):
        assert key in figures
    assert figures["frames"] == pytest.approx(30, abs=10)
    assert any("frame to command" in line or "processes are up" in line for line in lines)
