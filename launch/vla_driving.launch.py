"""The car: `ros2 launch vla_driving vla_driving.launch.py`; cameras and vehicle are outside."""

from launch import LaunchDescription

from vla_driving.bringup.launching import ParameterArgument, describe
from vla_driving.bringup.processes import Set


def generate_launch_description() -> LaunchDescription:
    """The four nodes and the recorder."""
    return describe(
        Set.CAR,
        [
            ParameterArgument(
                "cameras", "/**", "cameras", "list of names in config/cameras, or paths"
            ),
            ParameterArgument(
                "sources", "camera_ingest", "sources",
                "one a camera: topic, compressed_topic, or a video file",
            ),
        ],
    )
