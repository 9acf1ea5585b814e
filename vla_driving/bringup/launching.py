"""Launch descriptions for ROS's own `launch`, made from the same table as the small supervisor.

Only the files in launch/ import this: `launch` and `launch_ros` come with a ROS distribution.
"""

from __future__ import annotations

import asyncio
import os
import signal
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import launch
import yaml
from launch.actions import (
    DeclareLaunchArgument,
    EmitEvent,
    LogInfo,
    OpaqueCoroutine,
    OpaqueFunction,
    RegisterEventHandler,
    SetEnvironmentVariable,
)
from launch.event_handlers import OnProcessExit, OnShutdown
from launch.events import Shutdown, matches_action
from launch.events.process import SignalProcess
from launch_ros.actions import LifecycleNode, Node
from launch_ros.event_handlers import OnStateTransition
from launch_ros.events.lifecycle import ChangeState
from launch_ros.ros_adapters import get_ros_node
from lifecycle_msgs.msg import Transition

from vla_driving.bringup import environment, parameters
from vla_driving.bringup.processes import (
    COMPOSED,
    COMPOSED_UNLESS_TOLD,
    Death,
    Process,
    Set,
    select,
)
from vla_driving.bringup.standstill import PROPOSES, CarWatch, bring_to_rest
from vla_driving.contract.events import DriveEvent, Severity
from vla_driving.contract.messages import to_message
from vla_driving.contract.topics import BY_NAME
from vla_driving.nodes.qos import profile
from vla_driving.paths import config

_EVERY = "/**"
_SOURCE = "launch"
# A terminal sends Ctrl-C to every process at once, and launch passes it on: the nodes leave it to
# launch, which stops the car and then ends them by SIGTERM.
_NO_INTERRUPTS = "env --ignore-signal=INT"
_PATIENCE_S = 10.0
_ERROR = "errorprocessing"
# Transition, state meanwhile, state after it, state after it has failed, word for it.
_STEPS = (
    (Transition.TRANSITION_CONFIGURE, "configuring", "inactive", "unconfigured", "configure"),
    (Transition.TRANSITION_ACTIVATE, "activating", "active", "inactive", "activate"),
)


class DriveEndedError(RuntimeError):
    """Raised into launch, which then shuts down and exits with 1: one line."""


class _CarIsDown(launch.Event):
    """The car stands, or the grace time is over, after a death."""

    name = "vla_driving.CarIsDown"

    def __init__(self, line: str) -> None:
        self.line = line


@dataclass(frozen=True)
class ParameterArgument:
    """A launch argument that sets one parameter of a node, or of all with node `/**`.

    Left empty it leaves the parameter as the files have it; otherwise it is read as YAML.
    """

    name: str
    node: str
    parameter: str
    description: str

    def declaration(self) -> DeclareLaunchArgument:
        """The argument, empty by default."""
        where = "every node" if self.node == _EVERY else self.node
        text = f"{self.description} ({self.parameter} of {where}; empty: as in params_file)"
        return DeclareLaunchArgument(self.name, default_value="", description=text)


_COMMON = (
    ParameterArgument("vehicle", _EVERY, "vehicle", "name in config/vehicles, or a path"),
    ParameterArgument("model", _EVERY, "model", "name in models, or a path"),
    ParameterArgument("large_model", _EVERY, "large_model", "a slow model beside it: slow_model"),
)
_BAG_FOLDER = ParameterArgument("bag_folder", "event_recorder", "folder", "where the bag goes")

Actions = list[Any]


def describe(
    which: Set,
    arguments: Sequence[ParameterArgument] = (),
    declarations: Sequence[DeclareLaunchArgument] = (),
    always: Sequence[tuple[str, str, Any]] = (),
    when_up: Callable[[], Actions] = list,
) -> launch.LaunchDescription:
    """Launch description of a set of the table.

    `arguments` add to the common ones; `always` are (node, parameter, value) that hold in any case;
    `when_up` gives actions for the moment when every node is active.
    """
    settings = [*_COMMON, *arguments]
    recorder = any(p.name == _BAG_FOLDER.node for p in select(which))
    optional = recorder and which != Set.RECORD
    if recorder:
        settings.append(_BAG_FOLDER)
    return launch.LaunchDescription([
        *(SetEnvironmentVariable(k, v) for k, v in environment.additions(os.environ).items()),
        *_declarations(which, optional),
        *(setting.declaration() for setting in settings),
        *declarations,
        OpaqueFunction(function=_start, args=[which, settings, always, when_up]),
    ])


def _declarations(which: Set, recorder: bool) -> list[DeclareLaunchArgument]:
    found = [
        DeclareLaunchArgument(
            "params_file", default_value=str(config("stack.yaml")),
            description="ROS parameter file with every parameter of every node",
        ),
        DeclareLaunchArgument(
            "overrides_file", default_value="",
            description="a second parameter file, whose values win; empty for none",
        ),
        DeclareLaunchArgument(
            "namespace", default_value="/", description="namespace of every node and topic"
        ),
        DeclareLaunchArgument(
            "grace_time", default_value="10.0",
            description="s that the car may take to stand after a node died, before all go down",
        ),
    ]
    if which in COMPOSED.sets:
        found.append(
            DeclareLaunchArgument(
                "composed", default_value=str(COMPOSED_UNLESS_TOLD).lower(),
                choices=["true", "false"],
                description=f"{' and '.join(reversed(COMPOSED.nodes))} in one process, frames "
                "handed over in memory",
            )
        )
    if recorder:
        found.append(
            DeclareLaunchArgument(
                "record", default_value="true", choices=["true", "false"],
                description="whether event_recorder writes a bag",
            )
        )
    return found


def _start(
    context: launch.LaunchContext, which: Set, settings: Sequence[ParameterArgument],
    always: Sequence[tuple[str, str, Any]], when_up: Callable[[], Actions],
) -> Actions:
    given = context.launch_configurations
    without = frozenset({"event_recorder"} if given.get("record") == "false" else ())
    rows = select(which, without, composed=given.get("composed") == "true",
                  large=bool(given.get("large_model")))
    drive = _Drive(context, given["namespace"], float(given["grace_time"]), len(rows))
    files = [Path(given[name]) for name in ("params_file", "overrides_file") if given[name]]
    overrides = [
        *((s.node, s.parameter, yaml.safe_load(given[s.name])) for s in settings if given[s.name]),
        *always,
    ]
    patience = str(float(given["grace_time"]) + _PATIENCE_S)
    nodes = [_nodes(row, given["namespace"], files, overrides, patience) for row in rows]
    chain = [n for found, row in zip(nodes, rows, strict=True) if row.lifecycle for n in found]
    return [
        *(n for found in nodes for n in found),
        *(drive.mourner(found[0], row) for found, row in zip(nodes, rows, strict=True)),
        drive.undertaker(),
        drive.closer([found[0] for found in nodes], any(PROPOSES in row.nodes for row in rows)),
        *_bring_up(chain, drive, when_up),
    ]


class _NoProcess(Node):
    """Starts nothing."""

    def execute(self, context: launch.LaunchContext) -> None:
        """See Node."""


class _Guest(LifecycleNode, _NoProcess):
    """A lifecycle node in the process of another one: its states are managed, nothing is started.

    LifecycleNode hands on to its next base to start the process: here that is _NoProcess.
    """


def _nodes(
    row: Process, namespace: str, files: Sequence[Path],
    overrides: Sequence[tuple[str, str, Any]], patience_s: str,
) -> list[Node]:
    """The nodes of a process; the first one stands for it."""
    file = Path(launch.logging.launch_config.log_dir) / f"{row.name}.yaml"
    merged = {
        name: parameters.merged(
            files, name, {key: value for node, key, value in overrides if node in (_EVERY, name)}
        )
        for name in row.nodes
    }
    parameters.write(merged, file)
    common = {"package": "vla_driving", "executable": row.executable, "namespace": namespace}
    kind = LifecycleNode if row.lifecycle else Node
    first, *guests = row.nodes
    return [
        kind(
            **common, name=first, parameters=[str(file)], output="screen",
            exec_name=row.name, prefix=_NO_INTERRUPTS, sigterm_timeout=patience_s,
            additional_env=environment.apart(os.environ) if row.apart else {},
        ),
        *(_Guest(**common, name=guest) for guest in guests),
    ]


def _bring_up(
    nodes: Sequence[LifecycleNode], drive: _Drive, when_up: Callable[[], Actions]
) -> Actions:
    """Configure one after the other, then activate in the same order."""
    steps = [(node, step) for step in _STEPS for node in nodes]
    actions: Actions = []
    for k, (node, (_, begin, goal, back, word)) in enumerate(steps):
        failure = [OpaqueFunction(function=_fail, args=[node, word])]
        following = (
            [_change(*steps[k + 1])] if k + 1 < len(steps)
            else [OpaqueFunction(function=drive.is_up), *when_up()]
        )
        for state, entities in ((goal, following), (back, failure), (_ERROR, failure)):
            actions.append(
                RegisterEventHandler(
                    OnStateTransition(
                        target_lifecycle_node=node, start_state=begin, goal_state=state,
                        entities=entities,
                    )
                )
            )
    return [*actions, _change(*steps[0])]


def _change(node: LifecycleNode, step: tuple[int, str, str, str, str]) -> EmitEvent:
    return EmitEvent(
        event=ChangeState(lifecycle_node_matcher=matches_action(node), transition_id=step[0])
    )


def _fail(context: launch.LaunchContext, node: LifecycleNode, word: str) -> None:
    raise DriveEndedError(f"{node.node_name} did not {word}: see its error above")


class _Drive:
    """What happens when a process ends: told, sent as an event, and the car brought to rest."""

    def __init__(
        self, context: launch.LaunchContext, namespace: str, grace_s: float, size: int
    ) -> None:
        self._namespace = namespace
        self._grace_s = grace_s
        self._size = size
        self._up = False
        row = BY_NAME["vla/event"]
        self._node = get_ros_node(context)
        self._events = self._node.create_publisher(
            type(to_message(_event("", 0, "", 0))),
            f"{namespace.rstrip('/')}/{row.name}", profile(row.delivery),
        )

    def is_up(self, context: launch.LaunchContext) -> Actions:
        """Every node is active: from now on a death stops the car before all go down."""
        self._up = True
        return [LogInfo(msg=f"all {self._size} processes are up and active")]

    def mourner(self, node: Node, row: Process) -> RegisterEventHandler:
        """Handler for the end of one process."""

        def on_exit(event: Any, context: launch.LaunchContext) -> Actions | None:
            if context.is_shutdown:
                return None
            line = f"{row.name} died: {_how(event.returncode)}; {row.consequence}"
            stamp_ns = int(self._node.get_clock().now().nanoseconds)
            event_message = to_message(_event(row.name, event.returncode, line, stamp_ns))
            self._events.publish(event_message)
            if row.death == Death.REPORT and self._size > 1:
                return [LogInfo(msg=line)]
            if row.death == Death.END or not self._up or self._size == 1:
                raise DriveEndedError(line)
            return [LogInfo(msg=line), OpaqueCoroutine(coroutine=self._wait, args=[line])]

        return RegisterEventHandler(OnProcessExit(target_action=node, on_exit=on_exit))

    def undertaker(self) -> RegisterEventHandler:
        """Handler that ends the launch once the car is down."""

        def end(context: launch.LaunchContext) -> None:
            raise DriveEndedError(context.locals.event.line)

        return RegisterEventHandler(
            launch.EventHandler(
                matcher=lambda event: isinstance(event, _CarIsDown),
                entities=[OpaqueFunction(function=end)],
            )
        )

    def closer(self, nodes: Sequence[Node], drives: bool) -> RegisterEventHandler:
        """Handler of the end of launch: after Ctrl-C the car stands before the nodes go."""

        def on_shutdown(event: Shutdown, context: launch.LaunchContext) -> Actions:
            stop_first = drives and self._up and event.due_to_sigint
            return [OpaqueCoroutine(coroutine=self._close, args=[nodes, stop_first])]

        return RegisterEventHandler(OnShutdown(on_shutdown=on_shutdown))

    async def _close(
        self, context: launch.LaunchContext, nodes: Sequence[Node], stop_first: bool
    ) -> None:
        if stop_first:
            say = launch.logging.get_logger("launch.user").info
            await context.asyncio_loop.run_in_executor(
                None, bring_to_rest, self._namespace, self._grace_s, say
            )
        for node in nodes:
            if node.process_details is not None:
                event = SignalProcess(
                    signal_number=signal.SIGTERM, process_matcher=matches_action(node)
                )
                await context.emit_event(event)

    async def _wait(self, context: launch.LaunchContext, line: str) -> None:
        car = CarWatch(self._node, self._namespace)
        end = time.monotonic() + self._grace_s
        while time.monotonic() < end and not car.settled:
            await asyncio.sleep(0.1)
        await context.emit_event(_CarIsDown(line))


def _how(code: int) -> str:
    if code >= 0:
        return f"ended with exit code {code}"
    try:
        return f"killed by {signal.Signals(-code).name}"
    except ValueError:
        return f"killed by signal {-code}"


def _event(node: str, value: float, text: str, stamp_ns: int) -> DriveEvent:
    return DriveEvent(
        stamp_ns, Severity.CRITICAL, _SOURCE, "node_died", node, float(value), 0.0, "", text
    )
