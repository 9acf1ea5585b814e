"""A bag's inputs through the stack: `ros2 launch vla_driving replay.launch.py bag:=FOLDER`.

rosbag2 plays what cameras, vehicle and people sent, and the clock; what the stack itself sent is
left out and made anew. Ends with the bag.
"""

from launch import Action, LaunchDescription
from launch.actions import DeclareLaunchArgument, EmitEvent, ExecuteProcess, RegisterEventHandler
from launch.event_handlers import OnProcessExit
from launch.events import Shutdown
from launch.substitutions import LaunchConfiguration

from vla_driving.bringup.launching import describe
from vla_driving.bringup.processes import Set, select
from vla_driving.contract.topics import TOPICS

CLOCK_HZ = "200"


def own_topics() -> str:
    """Regular expression of the topics that the replayed set sends itself."""
    nodes = {node for process in select(Set.REPLAY) for node in process.nodes} | {"every node"}
    names = [topic.name for topic in TOPICS if topic.publisher in nodes]
    return f".*/({'|'.join(names)})$"


def play() -> list[Action]:
    """The player, and the end of everything with its end."""
    player = ExecuteProcess(
        cmd=[
            "ros2", "bag", "play", LaunchConfiguration("bag"),
            "--rate", LaunchConfiguration("rate"), "--clock", CLOCK_HZ,
            "--exclude-regex", own_topics(), "--disable-keyboard-controls",
        ],
        output="screen",
    )
    end = EmitEvent(event=Shutdown(reason="the bag has been played"))
    return [RegisterEventHandler(OnProcessExit(target_action=player, on_exit=[end])), player]


def generate_launch_description() -> LaunchDescription:
    """The four nodes on the bag's clock."""
    return describe(
        Set.REPLAY,
        declarations=[
            DeclareLaunchArgument("bag", description="rosbag2 folder to play"),
            DeclareLaunchArgument("rate", default_value="1.0", description="speed of playing"),
        ],
        always=[("/**", "use_sim_time", True)],
        when_up=play,
    )
