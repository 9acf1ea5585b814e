"""The simulator as the car: `ros2 launch vla_driving sim.launch.py scenario:=NAME`."""

from launch import LaunchDescription

from vla_driving.bringup.launching import ParameterArgument, describe
from vla_driving.bringup.processes import Set


def generate_launch_description() -> LaunchDescription:
    """Simulator, the four nodes and the recorder."""
    return describe(
        Set.SIM,
        [
            ParameterArgument(
                "scenario", "simulator", "scenario", "name in config/scenarios, or a path"
            ),
            ParameterArgument("seed", "simulator", "seed", "another road, -1 for the scenario's"),
        ],
    )
