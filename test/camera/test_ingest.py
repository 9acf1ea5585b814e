from __future__ import annotations

import dataclasses
import itertools
import math
from typing import Any

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vla_driving.camera.faults import REACTIONS
from vla_driving.camera.images import CameraImage, CompressedImage, RawImage, VideoPacket
from vla_driving.camera.info import CameraInfo
from vla_driving.camera.ingest import CameraIngest, CameraInputs, CameraOutputs
from vla_driving.camera.warp import Warp
from vla_driving.contract.frames import FrameStatus
from vla_driving.contract.settings import SettingsError

from .scenes import MILLISECOND, SETTINGS, START, camera, image, picture
from .streams import packets

VIEW = camera(width=40, height=20, cx=19.5, cy=13.5)


def jpeg(rgb: np.ndarray) -> bytes:
    return bytes(cv2.imencode(".jpg", rgb)[1])


JPEG = jpeg(picture())


def ingest(*names: str, **changes: Any) -> CameraIngest:
    """Cameras of these names, the first the reference, and a model that sees with all."""
    names = names or ("front",)
    return CameraIngest(
        dataclasses.replace(SETTINGS, reference=names[0], **changes),
        [camera(n) for n in names], [dataclasses.replace(VIEW, name=n) for n in names],
        "pilot/1.0.0", 10.0, dict.fromkeys(names, 10.0),
    )


def step(core: CameraIngest, now_ms: float, *images: CameraImage) -> CameraOutputs:
    return core.step(CameraInputs(images, moving=True), START + round(now_ms * MILLISECOND))


def statuses(outputs: CameraOutputs) -> dict[str, FrameStatus]:
    assert outputs.frames is not None
    return {f.name: f.status for f in outputs.frames.frames}


def test_an_image_becomes_a_set_of_the_models_size() -> None:
    content = picture(7)
    outputs = step(ingest(), 10, image(0, content=content))
    frames = outputs.frames
    assert frames is not None
    assert outputs.faults == ()
    assert (frames.stamp_ns, frames.sequence, frames.model) == (START, 1, "pilot/1.0.0")
    (frame,) = frames.frames
    assert frame.image is not None
    np.testing.assert_array_equal(frame.image, content[10:30, 12:52])


@pytest.mark.parametrize(
    ("camera_hz", "expected"),
    [(10.0, 20), (10.4, 20), (9.6, 19), (20.0, 20), (25.0, 20), (30.0, 20)],
)
def test_sets_come_at_their_rate_whatever_the_cameras(camera_hz: float, expected: int) -> None:
    core, sets = ingest(), 0
    for k in range(int(2 * camera_hz)):
        stamp = k * 1000.0 / camera_hz
        sets += step(core, stamp + 5, image(stamp)).frames is not None
    assert abs(sets - expected) <= 1


def test_order_is_the_models_and_unneeded_cameras_are_ignored() -> None:
    core = CameraIngest(
        SETTINGS, [camera("left"), camera("rear"), camera("front")],
        [dataclasses.replace(VIEW, name=n) for n in ("front", "left")], "m/1.0.0", 10.0,
        dict.fromkeys(("front", "left"), 10.0),
    )
    outputs = step(core, 5, image(1, "left"), image(0, "rear"), image(0, "front"))
    assert list(statuses(outputs)) == ["front", "left"]
    assert outputs.faults == ()


def test_a_late_camera_is_marked_and_never_black() -> None:
    core = ingest("front", "left")
    assert step(core, 5, image(0)).frames is None
    outputs = step(core, 40)
    assert statuses(outputs) == {"front": FrameStatus.OK, "left": FrameStatus.MISSING}
    assert outputs.frames is not None
    assert outputs.frames.frames[1].image is None
    (fault,) = outputs.faults
    assert (fault.name, fault.subject) == ("camera_missing", "left")


def test_a_camera_that_falls_behind_is_stale() -> None:
    core = ingest("front", "left")
    step(core, 5, image(0), image(0, "left"))
    outputs = step(core, 140, image(100))
    outputs = outputs if outputs.frames else step(core, 180)
    assert statuses(outputs) == {"front": FrameStatus.OK, "left": FrameStatus.STALE}
    assert outputs.frames is not None
    left = outputs.frames.frames[1]
    assert left.status_value == pytest.approx(0.1)
    assert left.status_limit == pytest.approx(0.025)


def test_skew_above_the_warning_is_told() -> None:
    outputs = step(ingest("front", "left"), 20, image(0), image(15, "left"))
    assert statuses(outputs)["left"] == FrameStatus.OK
    (fault,) = outputs.faults
    assert fault.name == "camera_skew"
    assert fault.value == pytest.approx(0.015)


def test_a_lost_reference_is_told_once_a_period() -> None:
    core = ingest("front", "left")
    assert step(core, 0).frames is None
    step(core, 5, image(0), image(0, "left"))
    told = [k for k in range(10, 1000, 10) if step(core, k, image(k, "left")).frames]
    assert told[0] == 190
    assert {b - a for a, b in itertools.pairwise(told)} == {100}
    outputs = step(core, 1100, image(1095, "left"))
    assert statuses(outputs) == {"front": FrameStatus.STALE, "left": FrameStatus.OK}
    assert "camera_stale" in [f.name for f in outputs.faults]
    assert outputs.frames is not None
    front = outputs.frames.frames[0]
    assert front.status_value == pytest.approx(1.095)
    assert front.status_limit == pytest.approx(0.18)


def test_stamps_of_sets_go_forward_through_a_loss_whatever_comes_late() -> None:
    core, stamps = ingest(), list[int]()
    images = {5: 0, 105: 100, 700: 205, 710: 600, 805: 800}
    for now in range(0, 900, 5):
        sent = [image(images[now])] if now in images else []
        outputs = step(core, now, *sent)
        if outputs.frames:
            stamps.append(outputs.frames.stamp_ns)
    assert stamps == sorted(set(stamps))
    assert START + 205 * MILLISECOND in stamps and START + 800 * MILLISECOND in stamps


@given(
    st.lists(st.tuples(st.sampled_from([100, 100, 100, 210, 500]), st.integers(5, 600)),
             min_size=1, max_size=12),
    st.integers(0, 700),
)
@settings(max_examples=60, deadline=None)
def test_stamps_of_sets_only_go_forward(exposures: list[tuple[int, int]], first_ms: int) -> None:
    """However long the camera is silent before and between, and however late its images come."""
    arrivals: dict[int, list[CameraImage]] = {}
    stamp = first_ms
    for gap, latency in exposures:
        arrivals.setdefault(20 * ((stamp + latency) // 20 + 1), []).append(image(stamp))
        stamp += gap
    core, stamps = ingest(), list[int]()
    for now in range(0, stamp + 1300, 20):
        outputs = step(core, now, *arrivals.get(now, ()))
        if outputs.frames:
            stamps.append(outputs.frames.stamp_ns)
    assert stamps == sorted(set(stamps))


def test_the_first_image_may_be_older_than_the_silence_that_was_told() -> None:
    """A camera that starts late sends what it exposed long ago: no set goes back for that."""
    core = ingest()
    told = [o.frames.stamp_ns for o in (step(core, k) for k in range(0, 400, 20)) if o.frames]
    assert len(told) >= 2
    late = step(core, 400, image(-20))
    assert late.frames is None
    assert late.counters.skipped == 1
    outputs = step(core, 420, image(410))
    assert outputs.frames is not None
    assert outputs.frames.stamp_ns > told[-1]


def test_after_a_clock_that_was_set_back_sets_follow_the_new_one() -> None:
    core = ingest()
    step(core, 905, image(900))
    sets = [step(core, 1000 + k, image(k)).frames for k in range(100, 900, 100)]
    assert any(s is not None and s.stamp_ns < START + 900 * MILLISECOND for s in sets)


def test_a_reference_that_never_came_is_missing() -> None:
    core = ingest()
    outputs = [step(core, k) for k in range(0, 500, 50)]
    sets = [o for o in outputs if o.frames]
    assert sets
    assert statuses(sets[0]) == {"front": FrameStatus.MISSING}
    assert sum(len(o.events) for o in outputs) == 1


def test_an_old_image_is_stale() -> None:
    outputs = step(ingest(), 400, image(0))
    assert statuses(outputs) == {"front": FrameStatus.STALE}
    assert outputs.frames is not None
    assert outputs.frames.frames[0].status_value == pytest.approx(0.4)


@pytest.mark.parametrize(
    ("content", "name"),
    [
        (RawImage(48, 64, "yuv444", 192, b""), "image_undecodable"),
        (RawImage(48, 64, "yuv422", 100, bytes(4800)), "image_undecodable"),
        (RawImage(2**32 - 1, 2**32 - 1, "rgb8", 2**32 - 1, b"1"), "image_wrong_size"),
        (CompressedImage(b"\xff"), "image_undecodable"),
        (CompressedImage(JPEG[: len(JPEG) // 2], "jpeg"), "image_undecodable"),
        (VideoPacket(b"\1", "h264"), "image_undecodable"),
        (RawImage(48, 64, "rgb8", 192, b"short"), "image_undecodable"),
        (picture(0, 65, 48), "image_wrong_size"),
    ],
)
def test_a_bad_image_is_missing_and_named(content: Any, name: str) -> None:
    core = ingest()
    step(core, 0)
    outputs = step(core, 200, image(195, content=content))
    assert statuses(outputs) == {"front": FrameStatus.MISSING}
    assert {f.name for f in outputs.faults} == {name, "camera_missing"}
    assert outputs.counters.dropped == 1
    assert outputs.frames is not None
    assert outputs.frames.frames[0].status_value == pytest.approx(0.2)
    recovered = step(core, 305, image(300))
    assert statuses(recovered) == {"front": FrameStatus.OK}
    assert recovered.faults == ()


def test_a_size_that_changes_in_mid_stream_is_named_and_costs_those_images_alone() -> None:
    core = ingest()
    step(core, 5, image(0))
    large = step(core, 105, image(100, content=CompressedImage(jpeg(picture(0, 640, 480)))))
    assert statuses(large) == {"front": FrameStatus.MISSING}
    detail = next(f.detail for f in large.faults if f.name == "image_wrong_size")
    assert detail == "image 640x480 instead of 64x48 of its camera file"
    after = step(core, 205, image(200))
    assert statuses(after) == {"front": FrameStatus.OK}
    assert after.faults == ()


def test_video_packets_are_shown_and_a_lost_one_is_no_old_image() -> None:
    core = CameraIngest(
        SETTINGS, [camera(width=160, height=96, cx=79.5, cy=47.5)], [VIEW], "m/1.0.0", 10.0,
        {"front": 10.0},
    )
    found: list[FrameStatus] = []
    for k, data in enumerate(packets("h264")):
        sent = [] if k == 13 else [image(100 * k, content=VideoPacket(data, "h264"))]
        outputs = step(core, 100 * k + 5, *sent)
        if outputs.frames:
            found.append(outputs.frames.frames[0].status)
        if outputs.frames and outputs.frames.frames[0].status == FrameStatus.OK:
            assert outputs.frames.stamp_ns == START + 100 * k * MILLISECOND
        if 14 <= k < 20:
            assert "video_waits" in [f.name for f in outputs.faults]
    ok, stale = FrameStatus.OK, FrameStatus.STALE
    assert found == [ok] * 13 + [stale] * 6 + [ok] * 10


def test_health_comes_with_every_set() -> None:
    core = ingest("front", "left")
    outputs = step(core, 5, image(0), image(0, "left"))
    assert [r.name for r in outputs.health] == ["front", "left"]
    for k in range(1, 12):
        outputs = step(core, 100 * k + 40, image(100 * k))
        assert (outputs.frames is None) == (outputs.health == ())
    assert outputs.frames is not None
    front, left = outputs.health
    frame = outputs.frames.frames[1]
    assert (left.status, left.status_value) == (frame.status, frame.status_value)
    assert front.rate == pytest.approx(10.0)
    assert 150 < front.brightness < 200
    assert math.isnan(left.brightness)


@pytest.mark.parametrize(("every_ms", "off"), [(100, None), (110, None), (140, 8.0), (70, 12.0)])
def test_a_rate_that_is_off_is_told_with_value_and_limit(every_ms: int, off: float | None) -> None:
    core = ingest()
    for k in range(40):
        outputs = step(core, every_ms * k + 5, image(every_ms * k))
    faults = [f for f in outputs.faults if f.name == "camera_rate_off"]
    assert [f.limit for f in faults] == ([off] if off else [])
    for fault in faults:
        assert fault.value == pytest.approx(1000 / every_ms)
    if outputs.frames:
        assert statuses(outputs) == {"front": FrameStatus.OK}


def test_what_a_driver_says_against_the_camera_file_is_told_until_it_agrees() -> None:
    core = ingest()
    agrees = CameraInfo("front", 64, 48, 50.0, 50.0, 31.5, 23.5, "plumb_bob", (0.0,) * 5)
    wide = dataclasses.replace(agrees, fx=30.0, fy=30.0)
    for info, names in ((agrees, []), (wide, ["camera_info_contradicts"]), (agrees, [])):
        outputs = core.step(CameraInputs((), True, (info,)), START)
        assert [f.name for f in outputs.faults] == names


def test_intrinsics_of_the_driver_are_awaited_taken_once_and_kept() -> None:
    core = ingest(intrinsics="camera_info")
    outputs = step(core, 10, image(0))
    assert statuses(outputs) == {"front": FrameStatus.MISSING}
    assert [f.name for f in outputs.faults] == ["camera_info_awaited", "camera_missing"]
    said = CameraInfo("front", 64, 48, 50.0, 50.0, 31.5, 23.5, "plumb_bob", ())
    for bad, detail in (
        (dataclasses.replace(said, fx=math.nan), "camera_info: its intrinsics are not finite"),
        (dataclasses.replace(said, fx=0.0), "camera_info: it is not calibrated (fx is 0)"),
        (dataclasses.replace(said, fx=900.0, fy=900.0), "camera 'front' sees "),
    ):
        outputs = core.step(
            CameraInputs((image(100),), True, (bad,)), START + 110 * MILLISECOND
        )
        contradiction = [f for f in outputs.faults if f.name == "camera_info_contradicts"]
        assert [f.detail[: len(detail)] for f in contradiction] == [detail]
    half = dataclasses.replace(said, fx=45.0, fy=45.0)
    outputs = core.step(
        CameraInputs((image(200, content=picture(7)),), True, (half,)), START + 210 * MILLISECOND
    )
    assert statuses(outputs) == {"front": FrameStatus.OK}
    assert outputs.faults == ()
    assert outputs.frames is not None
    expected = Warp(camera(fx=45.0, fy=45.0), VIEW)(picture(7))
    np.testing.assert_array_equal(outputs.frames.frames[0].image, expected)
    changed = CameraInputs((image(300),), True, (said,))
    outputs = core.step(changed, START + 310 * MILLISECOND)
    assert [f.name for f in outputs.faults] == ["camera_info_contradicts"]
    assert statuses(outputs) == {"front": FrameStatus.OK}


def test_a_stamp_of_the_future_or_a_jump_is_named() -> None:
    core = ingest()
    assert [f.name for f in step(core, 0, image(900)).faults] == ["stamp_in_future"]
    assert step(core, 10, image(0)).faults == ()
    outputs = step(core, 5000, image(200))
    assert "stamp_jumped" in [f.name for f in outputs.faults]
    assert statuses(outputs) == {"front": FrameStatus.STALE}


def test_repeated_stamps_stay_a_fault_until_a_good_one() -> None:
    core = ingest()
    step(core, 5, image(0))
    first, second = step(core, 10, image(0)), step(core, 20, image(0))
    assert [f.name for f in first.faults] == ["stamp_repeated"]
    assert [f.name for f in second.faults] == ["stamp_repeated"]
    assert len(first.events) == 1
    assert second.events == ()
    outputs = step(core, 105, image(100))
    assert outputs.faults == ()
    assert outputs.counters.dropped == 2


def test_a_clock_set_back_is_followed() -> None:
    core = ingest()
    step(core, 5, image(0))
    earlier = -60_000.0
    made = [step(core, 100 * k, image(earlier + 100 * k)) for k in range(1, 10)]
    assert made[-1].frames is not None
    assert made[-1].frames.stamp_ns < START


def test_frozen_images_are_marked_while_the_car_moves() -> None:
    same = picture(3)
    for moving, last in ((True, FrameStatus.FROZEN), (False, FrameStatus.OK)):
        core = ingest()
        for k in range(4):
            now = START + (k * 100 + 5) * MILLISECOND
            outputs = core.step(CameraInputs((image(k * 100, content=same),), moving), now)
        assert statuses(outputs) == {"front": last}


def test_cameras_that_do_not_fit_are_refused_by_name() -> None:
    left = dataclasses.replace(VIEW, name="left")
    with pytest.raises(SettingsError, match=r"m/1\.0\.0 needs a camera 'left'; there are: front"):
        CameraIngest(SETTINGS, [camera()], [left], "m/1.0.0", 10.0, {})
    with pytest.raises(SettingsError, match="two files name a camera 'front'"):
        CameraIngest(SETTINGS, [camera(), camera()], [VIEW], "m/1.0.0", 10.0, {})
    rear = dataclasses.replace(SETTINGS, reference="rear")
    with pytest.raises(SettingsError, match=r"camera_ingest\.reference: 'rear'"):
        CameraIngest(rear, [camera()], [VIEW], "m/1.0.0", 10.0, {})


def test_a_partial_view_and_a_misplaced_lens_are_told_once() -> None:
    far = dataclasses.replace(camera().mount, z=2.4)
    core = CameraIngest(
        SETTINGS, [camera(mount=far)], [dataclasses.replace(VIEW, fx=25.0)], "m/1.0.0", 10.0,
        {"front": 10.0},
    )
    outputs = step(core, 5, image(0))
    assert [e.name for e in outputs.events] == ["view_incomplete", "lens_misplaced"]
    assert step(core, 105, image(100)).events == ()


@settings(max_examples=60, deadline=None)
@given(
    st.lists(
        st.tuples(
            st.sampled_from(["front", "left", "nobody"]), st.integers(-300, 300),
            st.sampled_from([None, b"junk", np.zeros((2, 2), np.float64)]), st.booleans(),
        ),
        max_size=25,
    )
)
def test_a_step_never_raises_and_marks_what_it_lacks(arrivals: list[Any]) -> None:
    core, now = ingest("front", "left"), 0
    for name, shift, content, moving in arrivals:
        now += 40
        stamp = START + (now + shift) * MILLISECOND
        payload = picture(now) if content is None else content
        if isinstance(content, bytes):
            payload = RawImage(48, 64, "rgb8", 192, content)
        arrived = CameraImage(name, stamp, payload)
        outputs = core.step(CameraInputs((arrived,), moving), START + now * MILLISECOND)
        assert all(f.name in REACTIONS for f in outputs.faults)
        for frame in outputs.frames.frames if outputs.frames else ():
            assert (frame.image is None) <= (frame.status != FrameStatus.OK)
