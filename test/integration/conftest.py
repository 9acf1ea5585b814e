"""These tests start the real processes; without ROS there is nothing to start."""

import pytest

collect_ignore_glob: list[str] = []
try:
    import rclpy  # noqa: F401
    import vla_driving_msgs.msg  # noqa: F401
except ImportError:
    collect_ignore_glob = ["test_*.py"]

LONGEST_S = 600.0
"""Of one test that says nothing else, on a machine that does much besides."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """All of them are marked, so that `-m "not integration"` leaves them out."""
    for item in items:
        if "integration" in item.path.parts:
            item.add_marker(pytest.mark.integration)
            if item.get_closest_marker("timeout") is None:
                item.add_marker(pytest.mark.timeout(LONGEST_S))
