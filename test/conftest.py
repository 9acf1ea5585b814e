"""Every test process has a ROS domain of its own and never leaves this machine."""

import os

import pytest

os.environ["ROS_AUTOMATIC_DISCOVERY_RANGE"] = "LOCALHOST"
os.environ.setdefault("HOME", "/tmp")  # rclpy keeps its logs below it


@pytest.fixture(scope="session", autouse=True)
def own_domain() -> None:
    """A domain that other test runs on this machine are not likely to use; 1 to 99 are people's."""
    os.environ["ROS_DOMAIN_ID"] = str(100 + os.getpid() % 100)
