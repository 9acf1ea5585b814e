from __future__ import annotations

import argparse
import itertools
import math
from pathlib import Path

import numpy as np
import pytest

from vla_driving.camera.mounting import CalibrationRefused, Measured, MountEstimate
from vla_driving.commands import calibrate
from vla_driving.commands.drive_images import NoImages, Seen, from_bag, from_video
from vla_driving.contract.cameras import Camera, Mount, load_camera

CAMERA = Camera(
    name="front", width=64, height=48, fx=50.0, fy=50.0, cx=31.5, cy=23.5,
    mount=Mount(1.5, 0.0, 1.3, 0.01, 0.0, 0.0), distortion_model="plumb_bob",
    distortion=(-0.1, 0.01, 0.0, 0.0),
)
ESTIMATE = MountEstimate(
    pitch=Measured(0.05, 0.001, 0.003), yaw=Measured(-0.02, 0.002, 0.005),
    height=Measured(1.42, 0.01, 0.03), why_no_height="", stretches=9, pairs=150,
)


@pytest.fixture
def pictures(tmp_path: Path) -> Path:
    cv2 = pytest.importorskip("cv2")
    folder = tmp_path / "pictures"
    folder.mkdir()
    for k in range(5):
        cv2.imwrite(str(folder / f"{k}.png"), np.full((48, 64, 3), 20 * k, np.uint8))
    return folder


def test_the_snippet_is_a_camera_file_with_what_was_measured(tmp_path: Path) -> None:
    path = tmp_path / "front.yaml"
    path.write_text(calibrate.snippet(CAMERA, ESTIMATE), encoding="utf-8")
    found = load_camera(path)
    assert found.mount == Mount(1.5, 0.0, 1.42, 0.01, 0.05, -0.02)
    assert found.distortion == CAMERA.distortion
    assert found.matrix().tolist() == CAMERA.matrix().tolist()


def test_it_says_how_sure_it_is() -> None:
    said = calibrate.lines(CAMERA, ESTIMATE)
    assert said[0] == (
        "pitch +2.86 degrees (down is positive), standard deviation 0.06 (0.17 between stretches);"
        " the file has +0.00"
    )
    assert said[2].startswith("height 1.420 m, standard deviation 0.010")
    assert said[3] == "from 9 straight stretches of 2 s, 150 pairs of images"


def test_a_height_that_is_unknown_stays_and_says_why() -> None:
    unknown = MountEstimate(ESTIMATE.pitch, ESTIMATE.yaw, None, "no speed", 9, 150)
    assert calibrate.lines(CAMERA, unknown)[2] == (
        "height not measured, 1.30 m of the file stays: no speed"
    )
    assert "z: 1.3\n" in calibrate.snippet(CAMERA, unknown)


def test_speeds_of_a_video_come_from_a_table_or_are_the_same(
    pictures: Path, tmp_path: Path
) -> None:
    assert [s.speed for s in from_video(pictures, 8.0, None)] == [8.0] * 5
    assert [s.speed for s in from_video(pictures, None, None)] == [None] * 5
    table = tmp_path / "speeds.csv"
    table.write_text("0.05,10\n0.3,15\n", encoding="utf-8")
    speeds = [s.speed for s in from_video(pictures, None, table)]
    assert speeds[0] is None
    assert speeds[4] is None
    np.testing.assert_allclose(np.array(speeds[1:4], float), [11.0, 13.0, 15.0])


@pytest.mark.parametrize("text", ["fast\n", "1,2,3\n", "1,2\n0,3\n", "0,nan\n"])
def test_a_table_that_is_none_is_one_line(text: str, pictures: Path, tmp_path: Path) -> None:
    table = tmp_path / "speeds.csv"
    table.write_text(text, encoding="utf-8")
    with pytest.raises(NoImages, match=r"speeds\.csv: expected lines of seconds,m/s"):
        next(from_video(pictures, None, table))


def test_images_without_anything_to_follow_are_refused(pictures: Path) -> None:
    images = from_video(pictures, 10.0, None)
    with pytest.raises(CalibrationRefused, match="0 straight stretches of 2 s in 5 images"):
        calibrate.measure(CAMERA, images, 3)


def test_an_interrupt_ends_the_drive_and_not_the_measurement(pictures: Path) -> None:
    def until_interrupted() -> itertools.chain[Seen]:
        def interrupt() -> Seen:
            raise KeyboardInterrupt

        return itertools.chain(from_video(pictures, 10.0, None), (interrupt() for _ in range(1)))

    with pytest.raises(CalibrationRefused, match="in 5 images"):
        calibrate.measure(CAMERA, until_interrupted(), 3)


def test_a_bag_that_is_not_there_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="no such bag"):
        next(from_bag(tmp_path / "none", "front"))


def test_a_speed_without_a_video_is_refused() -> None:
    parser = argparse.ArgumentParser()
    calibrate.add_parser(parser.add_subparsers())
    arguments = parser.parse_args(["calibrate", "metadrive_front", "--live", "--speed", "10"])
    with pytest.raises(CalibrationRefused, match="--speed and --speeds go with --video"):
        arguments.run(arguments)
    assert math.isclose(arguments.duration, 600.0)
