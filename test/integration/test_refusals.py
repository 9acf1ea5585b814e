"""What cannot work is refused at the start, with one line that names it."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from vla_driving import paths

from .rig import one_line


def refused(tmp_path: Path, *options: str) -> str:
    """What `vla-driving up` prints when it refuses; fails where it does not."""
    command = [sys.executable, "-m", "vla_driving.cli", "up", "--no-record",
               "--out", str(tmp_path / "out"), *options]
    done = subprocess.run(command, capture_output=True, text=True, timeout=500, check=False)
    assert done.returncode == 2, done.stdout + done.stderr
    return done.stderr


@pytest.mark.parametrize(
    ("setting", "words"),
    [
        ("safety_monitor.plan.max_shift=99.0", ("safety_monitor", "max_shift", "99.0", "to")),
        ("controller_bridge.lateral.gain=1.0", ("controller_bridge", "unknown", "lateral.gain")),
        ("camera_ingest.loop=maybe", ("camera_ingest", "loop", "expected bool", "'maybe'")),
        ("camera_ingest.sources=[gopher://car/front]", ("camera_ingest", "gopher:// is none of")),
        ("nobody.x=1", ("--set nobody.x=1", "camera_ingest")),
    ],
)
def test_a_bad_parameter(tmp_path: Path, setting: str, words: tuple[str, ...]) -> None:
    line = one_line(refused(tmp_path, "--set", setting), "error:", *words)
    assert "Traceback" not in line


def test_a_camera_file_that_is_not_there(tmp_path: Path) -> None:
    text = refused(tmp_path, "--camera", str(tmp_path / "nothing.mp4"))
    one_line(text, "camera_ingest", "nothing.mp4: no such file")


def test_a_camera_file_that_is_no_video(tmp_path: Path) -> None:
    path = tmp_path / "noise.mp4"
    path.write_bytes(bytes(range(256)) * 64)
    text = refused(tmp_path, "--camera", str(path))
    one_line(text, "camera_ingest", "noise.mp4", "no readable video")


def test_a_model_that_was_tampered_with(tmp_path: Path) -> None:
    model = tmp_path / "pilot"
    shutil.copytree(paths.model("pilot"), model)
    network = next(model.glob("*.onnx"))
    network.write_bytes(network.read_bytes()[:-1] + b"x")
    one_line(refused(tmp_path, "--model", str(model)), network.name, "sha256")


def test_a_vehicle_file_with_a_wrong_value(tmp_path: Path) -> None:
    text = paths.config("vehicles/metadrive_sedan.yaml").read_text()
    path = tmp_path / "car.yaml"
    path.write_text(text.replace("wheelbase: 2.469", "wheelbase: 24.69"))
    one_line(refused(tmp_path, "--vehicle", str(path)), "car.yaml: wheelbase", "24.69", "10.0 m")


def test_a_parameter_file_that_is_not_there(tmp_path: Path) -> None:
    one_line(refused(tmp_path, "--params", "nothing.yaml"), "error:", "nothing.yaml")
