"""Pictures, video and page of a drive."""

from __future__ import annotations

import dataclasses
import json
import re
import shutil
from html.parser import HTMLParser
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import av
import numpy as np
import pytest
from synthetic_drive import ROOT, START, Script, big_picture, camera, write_drive
from test_summary import MODEL, rates

from vla_driving.contract.cameras import Camera
from vla_driving.contract.plan import PlanSource
from vla_driving.contract.trajectory import integrate
from vla_driving.contract.vehicle import load_vehicle
from vla_driving.replay import canvas
from vla_driving.replay.charts import Band, band_chart, histogram, line_chart, path_map
from vla_driving.replay.drive import Drive, Window, load_drive
from vla_driving.replay.moments import Moment, moments, picture_topic
from vla_driving.replay.outputs import Outputs, Source, demo_outputs
from vla_driving.replay.scene_view import (
    SceneView,
    intent_colour,
    ribbon_colour,
    scaled,
    smooth,
)
from vla_driving.replay.summary import drive_window
from vla_driving.replay.video import HEIGHT, WIDTH, Painter

SCRIPT = Script(duration=4.0, degraded=(2.0, 3.0), lost_plans=(25,))


def source(**changes: Any) -> Source:
    vehicle = load_vehicle(ROOT / "config/vehicles/metadrive_sedan.yaml")
    return dataclasses.replace(Source(MODEL, camera(), camera(), vehicle, rates()), **changes)


@pytest.fixture(scope="module")
def bag(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_drive(tmp_path_factory.mktemp("drive") / "bag", SCRIPT)


@pytest.fixture(scope="module")
def done(bag: Path) -> tuple[Outputs, list[tuple[str, float]]]:
    told: list[tuple[str, float]] = []
    out = demo_outputs(bag, bag.parent / "out", source(), lambda w, s: told.append((w, s)))
    return out, told


def loaded(bag: Path) -> tuple[Drive, Window]:
    drive = load_drive(bag)
    window = drive_window(drive)
    assert window is not None
    return drive, window


def all_moments(bag: Path) -> list[Moment]:
    drive, window = loaded(bag)
    topic = picture_topic(drive, "front")
    assert topic == "camera/front/image"
    return list(moments(bag, drive, window, "front", topic))


def test_writes_summary_video_and_report(done: tuple[Outputs, Any]) -> None:
    out = done[0]
    assert [p.name for p in out.files] == ["summary.json", "drive.mp4", "report.html"]
    assert out.failures == [] == out.summary["failures"]
    assert json.loads(out.files[0].read_text()) == out.summary


def test_a_full_disk_is_told_before_anything_is_written(
    bag: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda _: SimpleNamespace(free=3 << 20))
    with pytest.raises(OSError, match=r"3 MiB free.*free some space.*vla-driving report"):
        demo_outputs(bag, tmp_path / "out", source())
    assert not list((tmp_path / "out").iterdir())


def test_progress_grows_to_one(done: tuple[Outputs, list[tuple[str, float]]]) -> None:
    shares = [share for _, share in done[1]]
    assert shares == sorted(shares) and shares[-1] == 1.0 and len(shares) > 20


def test_the_video_holds_every_picture_at_its_time(done: tuple[Outputs, Any]) -> None:
    with av.open(str(done[0].files[1])) as container:
        stream = container.streams.video[0]
        assert (stream.width, stream.height) == (WIDTH, HEIGHT)
        times = [float(frame.time or 0.0) for frame in container.decode(stream)]
    assert times == pytest.approx([k / 10 for k in range(30)], abs=2e-3)


def test_a_moment_holds_what_was_made_of_its_picture(bag: Path) -> None:
    shown = all_moments(bag)
    assert len(shown) == 30
    for moment in shown:
        lost = moment.stamp_ns == START + 2_500_000_000
        assert (moment.plan is None) == lost
        if not lost:
            assert moment.plan is not None and moment.plan.stamp_ns == moment.stamp_ns
            assert moment.latency_ms == 70.0
            assert moment.command is not None
            assert moment.command.frame_stamp_ns == moment.stamp_ns
        assert moment.vehicle is not None and moment.vehicle.stamp_ns == moment.stamp_ns


def test_the_approved_trajectory_is_moved_back_to_the_picture(bag: Path) -> None:
    moment = all_moments(bag)[10]
    assert moment.approved is not None and moment.plan is not None and moment.vehicle is not None
    # Decided 0.08 s (its first multiple of 20 ms) after the exposure, while the car drove on.
    shift = moment.approved.trajectory.x - moment.plan.candidates[0].x
    assert np.allclose(shift[:20], 0.08 * moment.vehicle.speed, atol=0.1)


def test_frame_sets_serve_where_no_image_was_recorded(tmp_path: Path) -> None:
    bag = write_drive(tmp_path / "bag", Script(duration=2.0, images=False))
    drive, window = loaded(bag)
    assert picture_topic(drive, "front") == "vla/frames"
    shown = list(moments(bag, drive, window, "front", "vla/frames"))
    assert [m.picture.shape for m in shown] == [(144, 256, 3)] * 10
    assert list(moments(bag, drive, window, "rear", "vla/frames")) == []


def test_without_pictures_there_is_no_video_and_the_page_says_so(tmp_path: Path) -> None:
    script = Script(duration=2.0, images=False, frame_sets=False)
    out = demo_outputs(write_drive(tmp_path / "bag", script), tmp_path / "out", source())
    assert [p.name for p in out.files] == ["summary.json", "report.html"]
    assert "No picture of the camera" in out.files[1].read_text()
    assert any("no frame in the drive" in line for line in out.failures)


def test_a_bag_cut_short_still_becomes_a_report(bag: Path, tmp_path: Path) -> None:
    (tmp_path / "bag").mkdir()
    data = (bag / "bag_0.mcap").read_bytes()
    (tmp_path / "bag" / "bag_0.mcap").write_bytes(data[: len(data) * 7 // 10])
    out = demo_outputs(tmp_path / "bag", tmp_path / "out", source())
    assert len(out.files) == 3 and 0.5 < out.summary["duration_s"] < 3.0
    assert "cut short" in out.files[2].read_text()


def test_no_bag_and_an_empty_bag_name_what_is_missing(tmp_path: Path) -> None:
    missing = demo_outputs(tmp_path / "none", tmp_path / "out", source())
    assert missing.files == () and "no such bag" in missing.failures[0]
    write_drive(tmp_path / "empty", Script(duration=0.0))
    empty = demo_outputs(tmp_path / "empty", tmp_path / "out", source())
    assert empty.failures == ["the bag holds no message: nothing was recorded"]


class _Page(HTMLParser):
    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.links: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.links += [v or "" for k, v in attrs if k in ("src", "href")]
        if tag not in ("meta", "img", "br"):
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """A closed tag opens nothing."""

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


def test_the_page_is_well_formed_and_asks_nothing_of_the_network(
    done: tuple[Outputs, Any]
) -> None:
    text = done[0].files[2].read_text()
    page = _Page(text)
    assert page.open == []
    outside = [link for link in page.links if not link.startswith("data:image/jpeg")]
    assert set(outside) == {"drive.mp4"}
    assert not re.search(r"https?://", text)
    for words in ("lane_lost", "vla/control_command", "reached", "Key frames", "passed"):
        assert words in text


def test_words_from_the_drive_are_escaped(bag: Path, tmp_path: Path) -> None:
    out = demo_outputs(
        bag, tmp_path / "out", source(dead_nodes=("<script>x</script>",))
    )
    text = out.files[2].read_text()
    assert "&lt;script&gt;x" in text and "<script>" not in text
    assert '<span class="badge bad">failed</span>' in text


def test_a_report_is_the_same_each_time(bag: Path, tmp_path: Path) -> None:
    first, second = (
        demo_outputs(bag, tmp_path / name, source()).files[2].read_bytes() for name in "ab"
    )
    assert first == second


# Drawing.


def big_camera() -> Camera:
    return scaled(camera(), WIDTH, HEIGHT)


def test_a_scaled_camera_sees_the_same_corners() -> None:
    small, big = camera(), big_camera()
    points = [[10.0, 2.0, 0.0], [30.0, -3.0, 1.0]]
    a, b = small.project(points)[0], big.project(points)[0]
    assert np.allclose((a + 0.5) * 4, b + 0.5)


def painted(moment: Moment) -> np.ndarray:
    image = big_picture(1.5)
    SceneView(big_camera(), 1.85).draw(image, moment)
    return image


def changed(moment: Moment, point: tuple[float, float, float]) -> bool:
    (x, y), = np.rint(big_camera().project([point])[0]).astype(int)
    area = np.s_[y - 1 : y + 2, x - 1 : x + 2]
    return bool(np.any(painted(moment)[area] != big_picture(1.5)[area]))


def bare(bag: Path) -> Moment:
    """A moment with its approved trajectory alone."""
    return dataclasses.replace(all_moments(bag)[5], plan=None, objects=None)


def test_the_ribbon_lies_on_the_trajectory_as_wide_as_the_car(bag: Path) -> None:
    moment = bare(bag)
    assert moment.approved is not None
    trajectory = moment.approved.trajectory
    for k in (3, 8, 15):
        x, y = float(trajectory.x[k]), float(trajectory.y[k])
        assert changed(moment, (x, y, 0.0))
        assert changed(moment, (x, y + 0.8, 0.0)) and changed(moment, (x, y - 0.8, 0.0))
        assert not changed(moment, (x, y + 1.5, 0.0)) and not changed(moment, (x, y - 1.5, 0.0))


def test_a_trajectory_that_ends_at_rest_has_a_stop_line_there(bag: Path) -> None:
    moment = bare(bag)
    assert moment.approved is not None
    stop = integrate(8.0, np.full(64, -3.0), np.zeros(64))
    approved = dataclasses.replace(moment.approved, trajectory=stop)
    drawn = painted(dataclasses.replace(moment, approved=approved))
    (x, y), = np.rint(big_camera().project([[float(stop.x[-1]), 0.4, 0.0]])[0]).astype(int)
    red, green, blue = drawn[y, x].astype(int)
    assert red > 180 and green < 120 and blue < 120


def test_a_smoothed_line_passes_through_its_points() -> None:
    x = np.array([0.0, 3.0, 10.0, 30.0])
    y = np.array([1.0, 1.5, 1.0, -4.0])
    fine_x, fine_y = smooth(x, y, 0.5)
    assert np.allclose(np.interp(x, fine_x, fine_y), y, atol=0.02)
    assert np.abs(np.diff(fine_y, 2)).max() < 0.2
    assert [list(v) for v in smooth([0.0, 1.0], [0.0, 1.0])] == [[0.0, 1.0], [0.0, 1.0]]


def test_nothing_is_drawn_of_a_plan_to_hold(bag: Path) -> None:
    moment = bare(bag)
    assert moment.approved is not None
    holding = dataclasses.replace(
        moment, approved=dataclasses.replace(moment.approved, hold=True)
    )
    assert np.array_equal(painted(holding), big_picture(1.5))


def test_the_ribbon_says_who_drives(bag: Path) -> None:
    moment = bare(bag)
    assert moment.approved is not None
    for change, colour in (
        ({"engaged": False}, canvas.GREY),
        ({"source": PlanSource.FALLBACK}, canvas.RED),
    ):
        approved = dataclasses.replace(moment.approved, **change)
        assert ribbon_colour(dataclasses.replace(moment, approved=approved)) == colour
    assert intent_colour(0.0) == canvas.BLUE
    assert (intent_colour(2.0), intent_colour(-3.0)) == (canvas.GREEN, canvas.ORANGE)


def test_objects_are_boxed_where_they_are(bag: Path) -> None:
    moment = dataclasses.replace(all_moments(bag)[5], approved=None, objects=None)
    assert moment.plan is not None
    lead = moment.plan.objects[0]
    alone = dataclasses.replace(
        moment.plan, candidates=moment.plan.candidates[:1], lane_lines=(), objects=(lead,)
    )
    drawn = painted(dataclasses.replace(moment, plan=alone))
    none = painted(dataclasses.replace(moment, plan=dataclasses.replace(alone, objects=())))
    rows, columns = np.nonzero((drawn != none).any(2))
    (left, _), (right, _) = big_camera().project(
        [[lead.x, lead.y + 0.9, 0.5], [lead.x, lead.y - 0.9, 0.5]]
    )[0]
    assert columns.min() == pytest.approx(left, abs=25)
    assert columns.max() == pytest.approx(right, abs=25)
    assert rows.max() < HEIGHT * 0.6


def test_anything_missing_is_painted_without_complaint(bag: Path) -> None:
    vehicle = load_vehicle(ROOT / "config/vehicles/metadrive_sedan.yaml")
    painter = Painter(camera(), vehicle)
    moment = all_moments(bag)[5]
    optional = ("plan", "approved", "vehicle", "safety", "objects", "command", "latency_ms")
    lacks: list[dict[str, Any]] = [{name: None} for name in optional]
    for changes in [*lacks, dict.fromkeys(optional)]:
        image = painter.paint(dataclasses.replace(moment, **changes))
        assert image.shape == (HEIGHT, WIDTH, 3) and image.dtype == np.uint8


def test_blending_is_exact_at_its_ends_on_lines_and_areas() -> None:
    for mask in (np.eye(200, dtype=np.uint8) * 255, np.full((200, 200), 255, np.uint8)):
        image = np.full((200, 200, 3), 40, np.uint8)
        canvas.blend(image, mask, (200, 100, 0))
        assert (image[mask > 0] == (200, 100, 0)).all() and (image[mask == 0] == 40).all()


def test_text_is_cut_to_the_room_it_has() -> None:
    words = "a sentence that is far too long for the room that it is given on the screen"
    short = canvas.shortened(words, 20, 200)
    assert short.endswith("...") and canvas.text_width(short, 20) <= 200
    assert canvas.shortened("short", 20, 200) == "short"


def test_text_at_the_rim_is_cut_off_not_refused() -> None:
    image = np.zeros((40, 60, 3), np.uint8)
    canvas.text(image, "wide words – é", -20, -5, 24)
    canvas.text(image, "wide words", 50, 30, 24)
    assert image.any()


# Charts.


def test_charts_of_nothing_say_so() -> None:
    none = np.empty(0)
    for chart in (line_chart([], "s", "m"), histogram([], "ms", 1.0), path_map(none, none, [])):
        assert "in this bag" in chart


def test_a_flat_way_and_a_single_value_are_charted() -> None:
    x = np.zeros(5)
    assert "nan" not in path_map(x, x, ["green"] * 5)
    assert "nan" not in histogram([0.0], "ms", None)
    assert "nan" not in band_chart([("level", [Band(0.0, 1.0, "green", "nominal")])], 0.0)


def test_no_output_is_left_where_the_folder_cannot_be_made(bag: Path, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(OSError, match="file"):
        demo_outputs(bag, tmp_path / "file" / "out", source())
