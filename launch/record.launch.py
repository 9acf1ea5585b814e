"""The recorder beside a stack that runs already: `ros2 launch vla_driving record.launch.py`."""

from launch import LaunchDescription

from vla_driving.bringup.launching import describe
from vla_driving.bringup.processes import Set


def generate_launch_description() -> LaunchDescription:
    """event_recorder."""
    return describe(Set.RECORD)
