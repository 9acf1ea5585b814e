"""Settings classes become declared parameters; what does not fit is refused with its name."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest

rclpy = pytest.importorskip("rclpy", reason="needs ROS 2")

from rclpy.node import Node
from rclpy.parameter import Parameter

from vla_driving.contract.settings import (
    SettingsError,
    choice,
    described,
    quantity,
)
from vla_driving.nodes.parameters import leaves, read


@dataclass(frozen=True)
class Limits:
    speed: float = quantity("m/s", 0.0, 40.0, "top speed")


@dataclass(frozen=True)
class Settings:
    limits: Limits
    threads: int = quantity("threads", 1, 8, "how many")
    runtime: str = choice("openvino", "tensorrt", doc="what runs the network")
    cameras: tuple[str, ...] = described("camera names")


GOOD: dict[str, Any] = {
    "limits.speed": 20.0, "threads": 2, "runtime": "openvino", "cameras": ["front"]
}


@pytest.fixture(scope="module")
def context() -> Iterator[Any]:
    context = rclpy.Context()
    rclpy.init(context=context)
    yield context
    rclpy.try_shutdown(context=context)


def declared(context: Any, values: dict[str, Any]) -> tuple[Node, Settings]:
    overrides = [Parameter(name, value=value) for name, value in values.items()]
    node = Node("tested", context=context, parameter_overrides=overrides)
    try:
        (settings,) = read(node, Settings)
    except SettingsError:
        node.destroy_node()
        raise
    return node, settings


def test_nested_settings_have_dotted_names() -> None:
    assert [leaf.name for leaf in leaves(Settings)] == list(GOOD)


def test_parameters_are_declared_with_type_range_and_description(context: Any) -> None:
    node, settings = declared(context, GOOD)
    try:
        assert settings == Settings(Limits(20.0), 2, "openvino", ("front",))
        speed = node.describe_parameter("limits.speed")
        assert speed.description == "top speed [m/s]" and speed.read_only
        assert speed.floating_point_range[0].to_value == 40.0
        threads = node.describe_parameter("threads")
        assert threads.integer_range[0].from_value == 1
        assert "tensorrt" in node.describe_parameter("runtime").additional_constraints
    finally:
        node.destroy_node()


def test_a_running_node_refuses_changes(context: Any) -> None:
    node, _ = declared(context, GOOD)
    try:
        result = node.set_parameters([Parameter("limits.speed", value=30.0)])[0]
        assert not result.successful and "read-only" in result.reason
        assert node.get_parameter("limits.speed").value == 20.0
    finally:
        node.destroy_node()


def test_a_whole_number_serves_as_a_float(context: Any) -> None:
    node, settings = declared(context, {**GOOD, "limits.speed": 20})
    node.destroy_node()
    assert settings.limits.speed == 20.0


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"limits.speed": 41.0}, ["limits: speed", "41.0", "0.0 to 40.0 m/s"]),
        ({"limits.speed": "fast"}, ["speed", "'fast'", "finite number"]),
        ({"threads": 0}, ["threads", "0", "1 to 8"]),
        ({"runtime": "magic"}, ["runtime", "'magic'", "openvino, tensorrt"]),
        ({"limits.sped": 1.0}, ["unknown parameter 'limits.sped'"]),
        ({"threads": None}, ["threads"]),
    ],
)
def test_what_does_not_fit_is_named(
    context: Any, change: dict[str, Any], words: list[str]
) -> None:
    with pytest.raises(SettingsError) as caught:
        declared(context, {**GOOD, **change})
    line = str(caught.value)
    assert "\n" not in line and "node tested" in line
    for word in words:
        assert word in line


def test_a_missing_parameter_is_named(context: Any) -> None:
    values = {name: value for name, value in GOOD.items() if name != "runtime"}
    with pytest.raises(SettingsError, match="parameter 'runtime' is missing"):
        declared(context, values)
