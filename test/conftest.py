"""Every test process has a ROS domain of its own and never leaves this machine."""

import os

import hypothesis
import pytest
from marks import Marks, add_option

os.environ["ROS_AUTOMATIC_DISCOVERY_RANGE"] = "LOCALHOST"
os.environ.setdefault("HOME", "/tmp")  # rclpy keeps its logs below it


@pytest.fixture(scope="session", autouse=True)
def own_domain() -> None:
    """A domain that other test runs on this machine are not likely to use; 1 to 99 are people's."""
    os.environ["ROS_DOMAIN_ID"] = str(100 + os.getpid() % 100)


def pytest_addoption(parser: pytest.Parser) -> None:
    add_option(parser)


def pytest_configure(config: pytest.Config) -> None:
    # How long an example takes is the machine's business, not the code's.
    hypothesis.settings.register_profile("untimed", deadline=None)
    hypothesis.settings.load_profile("untimed")
    config.pluginmanager.register(Marks(config), "marks")
