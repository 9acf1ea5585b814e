"""A few frames by each of the three ways, between real processes."""

import pytest

pytest.importorskip("rclpy", reason="needs ROS 2: run make")
pytest.importorskip("vla_driving_msgs", reason="needs the built messages: run make")

from vla_driving.bench import transport

pytestmark = pytest.mark.integration


def test_every_way_is_measured() -> None:
    lines: list[str] = []
    figures = transport.measure(1, lines.append, passes=5)
    assert list(figures) == [
        "handover_composed_ms_p99", "handover_dds_ms_p99", "handover_plain_ms_p99"
    ]
    assert all(isinstance(value, float) and value > 0.0 for value in figures.values())
    assert len(lines) == 3
