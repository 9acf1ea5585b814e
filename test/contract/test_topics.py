"""The topic table is complete and consistent."""

import dataclasses
import re
from pathlib import Path

import yaml

from vla_driving.contract.rates import Rates
from vla_driving.contract.settings import from_mapping
from vla_driving.contract.topics import BY_NAME, TOPICS, camera_topic

ROOT = Path(__file__).parents[2]
RATES = from_mapping(
    Rates,
    yaml.safe_load((ROOT / "config/stack.yaml").read_text())["/**"]["ros__parameters"]["rates"],
    "stack.yaml",
).as_dict()


def test_names_are_unique_and_relative() -> None:
    assert len(BY_NAME) == len(TOPICS)
    assert not any(topic.name.startswith("/") for topic in TOPICS)


def test_every_rate_is_a_rate_of_the_stack_and_used() -> None:
    used = {topic.rate for topic in TOPICS if topic.rate}
    assert used == {field.name for field in dataclasses.fields(Rates)}


def test_own_types_have_a_message_file_and_every_top_level_message_a_topic() -> None:
    own = {t.type.rsplit("/")[-1] for t in TOPICS if t.type.startswith("vla_driving_msgs")}
    files = {path.stem: path.read_text() for path in (ROOT / "msg").glob("*.msg")}
    assert own <= set(files)
    stamped = r"^(std_msgs/Header|builtin_interfaces/Time timestamp)"
    headed = {name for name, text in files.items() if re.search(stamped, text, re.M)}
    assert headed == own


def test_deadlines_are_longer_than_the_period() -> None:
    for topic in TOPICS:
        deadline, rate = topic.deadline_s(RATES), topic.rate_hz(RATES)
        assert deadline is None or (rate is not None and deadline > 1.0 / rate)


def test_camera_topics_take_the_camera_name() -> None:
    assert camera_topic("camera/{camera}/image", "front") == "camera/front/image"
