"""One process of the set: started in a session of its own, never left over, asked to end nicely."""

from __future__ import annotations

import contextlib
import importlib.util
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from vla_driving.bringup import environment, parameters
from vla_driving.bringup.lifecycle import BringupError
from vla_driving.bringup.output import Output, pump
from vla_driving.bringup.processes import Process

Value = bool | int | float | str | list[str] | list[float] | list[int]


@dataclass(frozen=True)
class StartOptions:
    """What every process is started with: parameter files in order, then `overrides` by node.

    Names of nested parameters are dotted, as in ROS; `remappings` rename topics, by process.
    """

    params_files: tuple[Path, ...]
    log_folder: Path
    namespace: str = "/"
    overrides: Mapping[str, Mapping[str, Value]] = field(default_factory=dict)
    remappings: Mapping[str, Mapping[str, str]] = field(default_factory=dict)

    def check(self) -> None:
        """Raises BringupError for a parameter file that is not there."""
        for path in self.params_files:
            if not path.is_file():
                raise BringupError(f"parameter file {path}: no such file")


def ros_arguments(process: Process, options: StartOptions) -> list[str]:
    """--ros-args of a process; its parameters are written beside its log. Raises SettingsError."""
    file = options.log_folder / f"{process.name}.yaml"
    parameters.write(
        {
            node: parameters.merged(options.params_files, node, options.overrides.get(node, {}))
            for node in process.nodes
        },
        file,
    )
    renamed = options.remappings.get(process.name, {})
    return [
        "--ros-args", "-r", f"__ns:={options.namespace}", "--params-file", str(file),
        *(word for old, new in renamed.items() for word in ("-r", f"{old}:={new}")),
    ]


class Child:
    """A running process of the table."""

    def __init__(
        self, process: Process, options: StartOptions, surroundings: Mapping[str, str],
        show: Callable[[str], None],
    ) -> None:
        """Start it. Raises BringupError where its program is not there."""
        self.process = process
        command = [*_wrapper(), *_program(process), *ros_arguments(process, options)]
        self.output = Output(process.name, options.log_folder / f"{process.name}.log", show)
        self._popen = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
            env={**surroundings, **(environment.apart(surroundings) if process.apart else {})},
            start_new_session=True,
        )
        assert self._popen.stdout is not None and self._popen.stderr is not None
        self._pumps = [
            pump(self._popen.stdout, self.output, is_error=False),
            pump(self._popen.stderr, self.output, is_error=True),
        ]

    @property
    def pid(self) -> int:
        """Process id, also that of its session."""
        return self._popen.pid

    @property
    def running(self) -> bool:
        """Whether it has not ended yet."""
        return self._popen.poll() is None

    @property
    def return_code(self) -> int:
        """Its exit code, or minus the signal that ended it; 0 while it runs."""
        return self._popen.poll() or 0

    def cause_of_death(self) -> str:
        """Signal or exit code, and what it said last."""
        for thread in self._pumps:
            thread.join(timeout=2.0)
        code = self.return_code
        said = self.output.complaint()
        if code < 0:
            how = f"killed by {_signal_name(-code)}"
            return f"{how} (its last line: {said})" if said else how
        how = f"ended with exit code {code}"
        return f"{how}: {said}" if said else how

    def end(self, patience_s: float) -> None:
        """Ask it to end (SIGINT), insist (SIGTERM), make it (SIGKILL, with all it has started)."""
        for number, wait_s in ((signal.SIGINT, patience_s), (signal.SIGTERM, 1.0)):
            if not self.running:
                break
            self._popen.send_signal(number)
            try:
                self._popen.wait(timeout=wait_s)
            except subprocess.TimeoutExpired:
                continue
        self.kill()
        for thread in self._pumps:
            thread.join(timeout=1.0)
        self.output.close()

    def send(self, number: signal.Signals) -> None:
        """Send one signal to its whole session."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._popen.pid, number)

    def kill(self) -> None:
        """SIGKILL to its whole session."""
        _kill_session(self._popen)
        self._popen.wait()


def _program(process: Process) -> list[str]:
    try:
        found = importlib.util.find_spec(process.module) is not None
    except ModuleNotFoundError:
        found = False
    if not found:
        raise BringupError(
            f"{process.name}: its program {process.module} is not installed: "
            "run make, or install vla_driving again"
        )
    return [sys.executable, "-m", process.module]


def _wrapper() -> list[str]:
    # The kernel kills it when the supervisor dies, however it dies: nothing is left over.
    setpriv = shutil.which("setpriv")
    if setpriv is None:
        raise BringupError("setpriv is missing: apt-get install util-linux")
    return [setpriv, "--pdeathsig", "KILL", "--"]


def _kill_session(popen: subprocess.Popen[bytes]) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.killpg(popen.pid, signal.SIGKILL)


def _signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"
