"""These tests start the real processes; without ROS there is nothing to start."""

import pytest

collect_ignore: list[str] = []
try:
    import rclpy  # noqa: F401
    import vla_driving_msgs.msg  # noqa: F401
except ImportError:
    collect_ignore = [
        "test_drive.py", "test_deaths.py", "test_refusals.py", "test_demo.py", "test_faults.py",
        "test_cameras.py", "test_slow_model.py",
    ]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """All of them are marked, so that `-m "not integration"` leaves them out."""
    for item in items:
        if "integration" in item.path.parts:
            item.add_marker(pytest.mark.integration)
