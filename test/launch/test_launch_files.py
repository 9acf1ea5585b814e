"""The launch files: read everywhere, run for real where ROS's launch is installed."""

import ast
import importlib.util
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).parents[2]
FILES = sorted((ROOT / "launch").glob("*.launch.py"))
NAMES = ["record.launch.py", "replay.launch.py", "sim.launch.py", "vla_driving.launch.py"]
ALLOWED = {"launch", "launch_ros", "vla_driving"}


def _missing() -> str:
    """What is missing for a real launch; empty where nothing is."""
    for module in ("launch.actions", "launch_ros.actions"):
        try:
            importlib.import_module(module)
        except ImportError as error:
            return f"{module} does not import ({error}): it comes with a ROS 2 distribution"
    from ament_index_python.packages import PackageNotFoundError, get_package_prefix

    try:
        get_package_prefix("vla_driving")
    except (PackageNotFoundError, LookupError):
        return "vla_driving is in no ament prefix: colcon build, then source install/setup.bash"
    return ""


MISSING = _missing()
real = pytest.mark.skipif(bool(MISSING), reason=f"launch not run for real: {MISSING}")


def test_the_launch_files_are_those_that_the_docs_name() -> None:
    assert [path.name for path in FILES] == NAMES


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_a_launch_file_compiles_and_imports_nothing_odd(path: Path) -> None:
    tree = ast.parse(path.read_text(), filename=str(path))
    assert ast.get_docstring(tree)
    functions = {node.name for node in tree.body if isinstance(node, ast.FunctionDef)}
    assert "generate_launch_description" in functions
    imported = {
        alias.name if isinstance(node, ast.Import) else str(node.module)
        for node in ast.walk(tree) if isinstance(node, ast.Import | ast.ImportFrom)
        for alias in node.names
    }
    assert {name.split(".")[0] for name in imported} <= ALLOWED
    for name in imported:
        if name.startswith("vla_driving"):
            assert importlib.util.find_spec(name) is not None, name


@real
@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_every_argument_is_documented(path: Path) -> None:
    from launch.launch_description_sources import get_launch_description_from_python_launch_file

    description = get_launch_description_from_python_launch_file(str(path))
    arguments = description.get_launch_arguments()
    assert {"params_file", "namespace", "vehicle", "grace_time"} <= {a.name for a in arguments}
    assert all(a.description and a.description != "no description given" for a in arguments)


_RUN = """
import sys, launch
from launch.actions import IncludeLaunchDescription
from launch.launch_description_sources import PythonLaunchDescriptionSource
arguments = [tuple(a.split(":=", 1)) for a in sys.argv[2:]]
service = launch.LaunchService(noninteractive=True)
service.include_launch_description(launch.LaunchDescription([
    IncludeLaunchDescription(PythonLaunchDescriptionSource(sys.argv[1]), launch_arguments=arguments)
]))
sys.exit(service.run())
"""


class Launched:
    """A launch file run in a process of its own."""

    def __init__(self, name: str, folder: Path, *arguments: str) -> None:
        self._log = folder / "launch.txt"
        with self._log.open("w") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-c", _RUN, str(ROOT / "launch" / name), *arguments],
                stdout=log, stderr=subprocess.STDOUT,
                env={**os.environ, "ROS_LOG_DIR": str(folder / "log")}, start_new_session=True,
            )

    @property
    def text(self) -> str:
        return self._log.read_text()

    def wait_for(self, words: str, timeout_s: float = 180.0) -> None:
        end = time.monotonic() + timeout_s
        while words not in self.text:
            assert self.process.poll() is None, self.text
            assert time.monotonic() < end, self.text
            time.sleep(0.1)

    def pid_of(self, node: str) -> int:
        match = re.search(rf"\[{node}-\d+\]: process started with pid \[(\d+)\]", self.text)
        assert match, self.text
        return int(match[1])

    def end(self) -> int:
        try:
            return self.process.wait(timeout=120)
        finally:
            if self.process.poll() is None:
                os.killpg(self.process.pid, signal.SIGKILL)
                self.process.wait()


@real
@pytest.mark.integration
def test_up_active_and_down_by_a_signal(tmp_path: Path) -> None:
    bag = f"bag_folder:={tmp_path / 'bag'}"
    run = Launched("record.launch.py", tmp_path, bag, "namespace:=/car")
    run.wait_for("all 1 processes are up and active")
    os.kill(run.process.pid, signal.SIGINT)
    assert run.end() == 0
    assert "process has finished cleanly" in run.text
    assert list((tmp_path / "bag").glob("*.mcap"))


@real
@pytest.mark.integration
def test_a_killed_node_ends_the_launch_with_its_name(tmp_path: Path) -> None:
    run = Launched("record.launch.py", tmp_path, f"bag_folder:={tmp_path / 'bag'}")
    run.wait_for("up and active")
    os.kill(run.pid_of("event_recorder"), signal.SIGKILL)
    assert run.end() == 1
    assert "event_recorder died: killed by SIGKILL" in run.text


@real
@pytest.mark.integration
def test_the_car_stops_after_a_death_before_all_go_down(tmp_path: Path) -> None:
    run = Launched("vla_driving.launch.py", tmp_path, "record:=false", "grace_time:=3.0")
    run.wait_for("all 3 processes are up and active")
    os.kill(run.pid_of("safety_monitor"), signal.SIGKILL)
    assert run.end() == 1
    assert "safety_monitor died: killed by SIGKILL; controller_bridge stops the car" in run.text


@real
@pytest.mark.integration
def test_ctrl_c_brings_an_engaged_car_to_rest_first(tmp_path: Path) -> None:
    from patience import PATIENT
    from rig import Rig

    overrides: dict[str, Any] = {}
    for setting in PATIENT:
        name, value = setting.split("=")
        node, parameter = name.split(".", 1)
        group = overrides.setdefault(node, {"ros__parameters": {}})["ros__parameters"]
        *branches, leaf = parameter.split(".")
        for branch in branches:
            group = group.setdefault(branch, {})
        group[leaf] = float(value)
    file = tmp_path / "patient.yaml"
    file.write_text(yaml.safe_dump(overrides))
    run = Launched(
        "vla_driving.launch.py", tmp_path, "record:=false", f"overrides_file:={file}"
    )
    rig = Rig()
    try:
        run.wait_for("up and active")
        rig.engage()
        os.kill(run.process.pid, signal.SIGINT)
        assert run.end() == 0
        assert rig.speed < 0.05
    finally:
        rig.close()
    assert "stopping the car first" in run.text and "the car stands" in run.text


@real
@pytest.mark.integration
def test_in_processes_of_their_own(tmp_path: Path) -> None:
    run = Launched("vla_driving.launch.py", tmp_path, "record:=false", "composed:=false")
    run.wait_for("all 4 processes are up and active")
    os.kill(run.process.pid, signal.SIGINT)
    assert run.end() == 0
    assert run.text.count("process has finished cleanly") == 4


@real
@pytest.mark.integration
def test_a_node_that_cannot_be_configured_ends_the_launch(tmp_path: Path) -> None:
    run = Launched("vla_driving.launch.py", tmp_path, "record:=false", "vehicle:=no_such_car")
    assert run.end() == 1
    assert "no_such_car.yaml: no such file" in run.text
    assert "controller_bridge did not configure" in run.text
