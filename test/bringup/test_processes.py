"""The table of processes, the environment and the output, by themselves."""

from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest
import yaml

from vla_driving.bringup import environment
from vla_driving.bringup.child import StartOptions, ros_arguments
from vla_driving.bringup.faults.stand import LEASE_S
from vla_driving.bringup.lifecycle import BringupError
from vla_driving.bringup.output import Output
from vla_driving.bringup.processes import (
    COMPOSED,
    PROCESSES,
    SLOW_MODEL,
    Death,
    Set,
    select,
)
from vla_driving.contract.topics import TOPICS
from vla_driving.paths import config

ROOT = Path(__file__).parents[2]


def test_every_node_of_the_topic_table_is_started_and_has_its_parameters() -> None:
    nodes = {process.name for process in PROCESSES}
    speakers = {topic.publisher for topic in TOPICS} & {
        "camera_ingest", "vla_inference", "safety_monitor", "controller_bridge", "simulator",
    }
    assert speakers <= nodes
    groups = yaml.safe_load((ROOT / "config/stack.yaml").read_text())
    assert nodes <= set(groups)
    for process in (*PROCESSES, COMPOSED, SLOW_MODEL):
        assert set(process.nodes) <= nodes | {"slow_model"} <= set(groups)
        assert (ROOT / (process.module.replace(".", "/") + ".py")).is_file()
        assert process.consequence
    assert len(nodes) == len(PROCESSES)


@pytest.mark.parametrize("which", [Set.CAR, Set.SIM, Set.BENCH])
@pytest.mark.parametrize("composed", [True, False])
def test_downstream_is_up_before_plans_flow(which: Set, composed: bool) -> None:
    rows = select(which, composed=composed)
    assert (COMPOSED in rows) == composed
    names = [node for process in rows for node in process.nodes]
    chain = ["controller_bridge", "safety_monitor", "vla_inference", "camera_ingest"]
    assert names[0] == "event_recorder"
    assert [name for name in names if name in chain] == chain
    assert names[-1] == "camera_ingest"


def test_only_recorder_and_reasoner_may_be_left_out() -> None:
    left = select(Set.SIM, frozenset({"event_recorder"}))
    assert "event_recorder" not in {process.name for process in left}
    with pytest.raises(ValueError, match=r"'safety_monitor' cannot be left out of set 'sim'"):
        select(Set.SIM, frozenset({"safety_monitor"}))
    assert [p.name for p in PROCESSES if p.death == Death.REPORT] == ["event_recorder", "reasoner"]


@pytest.mark.parametrize("composed", [True, False])
def test_a_large_model_has_loaded_before_frames_come_and_nobody_stops_for_it(
    composed: bool,
) -> None:
    rows = select(Set.SIM, composed=composed, large=True)
    names = [node for process in rows for node in process.nodes]
    assert names.index("slow_model") + 1 == names.index("vla_inference")
    assert SLOW_MODEL.death == Death.REPORT
    assert SLOW_MODEL not in select(Set.SIM, composed=composed)
    assert SLOW_MODEL not in select(Set.RECORD, large=True)


def test_a_process_gets_its_merged_parameters_under_its_namespace(tmp_path: Path) -> None:
    given: Any = {"loop": True, "health.dark_level": 13.0, "sources": ["my film.mp4"]}
    options = StartOptions(
        (ROOT / "config/stack.yaml",), tmp_path, "/car", {"camera_ingest": given}
    )
    camera = next(p for p in PROCESSES if p.name == "camera_ingest")
    *before, written = ros_arguments(camera, options)
    assert before == ["--ros-args", "-r", "__ns:=/car", "--params-file"]
    found = yaml.safe_load(Path(written).read_text())["/**"]["ros__parameters"]
    assert (found["loop"], found["sources"]) == (True, ["my film.mp4"])
    assert found["health"]["dark_level"] == 13.0
    assert found["rates"]["command"] == 100.0


def test_each_node_of_a_shared_process_gets_its_own_parameters(tmp_path: Path) -> None:
    options = StartOptions(
        (ROOT / "config/stack.yaml",), tmp_path, "/car",
        {"camera_ingest": {"loop": False}, "vla_inference": {"plan_validity": 0.4}},
    )
    written = ros_arguments(COMPOSED, options)[-1]
    groups = yaml.safe_load(Path(written).read_text())
    assert list(groups) == ["/**/vla_inference", "/**/camera_ingest"]
    doer, eyes = (group["ros__parameters"] for group in groups.values())
    assert (doer["plan_validity"], eyes["loop"]) == (0.4, False)
    assert "loop" not in doer and eyes["rates"] == doer["rates"]


def test_a_missing_parameter_file_is_named() -> None:
    with pytest.raises(BringupError, match=r"parameter file no/such.yaml: no such file"):
        StartOptions((Path("no/such.yaml"),), Path("log")).check()


def test_the_environment_leaves_what_the_user_has_set() -> None:
    added = environment.additions({})
    assert added["OMP_NUM_THREADS"] == "1"
    assert added["HOME"]
    assert Path(added["FASTRTPS_DEFAULT_PROFILES_FILE"]).is_file()
    own = {"OMP_NUM_THREADS": "4", "HOME": "/x", "FASTDDS_DEFAULT_PROFILES_FILE": "mine.xml"}
    added = environment.additions(own)
    assert not {"OMP_NUM_THREADS", "HOME", "FASTRTPS_DEFAULT_PROFILES_FILE"} & set(added)
    whole = environment.child_environment(own, Path("/log"))
    assert whole["OMP_NUM_THREADS"] == "4"
    assert whole["ROS_LOG_DIR"] == "/log"


@pytest.mark.parametrize(
    ("lines", "complaint"),
    [
        ([], ""),
        (["something"], "something"),
        (["[ERROR] [17.5] [node]: bad value", "[INFO] [17.6] [node]: bye"], "bad value"),
        (["error: node x: parameter 'y' is missing"], "node x: parameter 'y' is missing"),
        (["Traceback (most recent call last):", "KeyError: 'z'"], "KeyError: 'z'"),
        (["[INFO] [17.6] [node]: ready"], ""),
    ],
)
def test_the_complaint_is_the_line_that_tells(
    lines: list[str], complaint: str, tmp_path: Path
) -> None:
    shown: list[str] = []
    output = Output("node", tmp_path / "node.log", shown.append)
    for line in lines:
        output.take(line, is_error=True)
    output.take("chatter", is_error=False)
    output.close()
    assert output.complaint() == complaint
    assert shown[-1] == "[node] chatter"
    assert (tmp_path / "node.log").read_text().splitlines() == [*lines, "chatter"]


@pytest.mark.parametrize("library", ["FASTRTPS", "FASTDDS"])
def test_a_profile_of_the_user_holds_for_all_processes(library: str) -> None:
    assert environment.apart({f"{library}_DEFAULT_PROFILES_FILE": "/mine.xml"}) == {}


def test_who_is_apart_has_a_profile_without_shared_memory() -> None:
    added = environment.additions({})
    local = {"ROS_AUTOMATIC_DISCOVERY_RANGE": "LOCALHOST"}
    for base in ({}, added, local, {**added, **local}):
        file = environment.apart(base)["FASTRTPS_DEFAULT_PROFILES_FILE"]
        kinds = {e.text for e in ElementTree.parse(file).iter() if e.tag.endswith("}type")}
        assert kinds == {"UDPv4"}
    assert {p.name for p in PROCESSES if p.apart} == {"safety_monitor", "controller_bridge"}


def test_all_profiles_hold_a_silent_process_for_equally_long() -> None:
    """Fast DDS finds a process again only where both sides have given it up, or neither has."""
    files = sorted(config("fastdds.xml").parent.glob("fastdds*.xml"))
    leases = [
        float(seconds.text or "nan")
        for file in files
        for lease in ElementTree.parse(file).iter() if lease.tag.endswith("}leaseDuration")
        for seconds in lease
    ]
    # Processes that stand still for some seconds, as on a busy computer, are heard again after it.
    assert len(leases) == len(files) == 3 and set(leases) == {10.0}
    assert max(leases) < LEASE_S < max(leases) + 1.0
