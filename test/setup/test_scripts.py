"""The set-up scripts' choices and their errors, with stand-ins for the system's commands.

A whole set-up is what `make test` has just run; here are the machines this one is not.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

SCRIPTS = Path(__file__).parents[2] / "scripts"
REAL = ("bash", "cat", "cut", "df", "dirname", "env", "flock", "grep", "awk", "mkdir", "tail", "tr")


class Machine:
    """A PATH with the few real commands the scripts use and whatever a test puts there."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.bin = root / "bin"
        self.bin.mkdir()
        for name in REAL:
            found = shutil.which(name)
            assert found, name
            (self.bin / name).symlink_to(found)

    def command(self, name: str, script: str) -> Path:
        """Put a shell script in the PATH."""
        path = self.bin / name
        path.write_text(f"#!{self.bin}/bash\n{script}\n")
        path.chmod(0o755)
        return path

    def python(self, name: str, version: str) -> None:
        """Put an interpreter in the PATH that says no unless it is 3.11 or 3.12."""
        supported = version.startswith(("3.11", "3.12"))
        self.command(
            name,
            f'case $2 in *executable*) echo {self.bin / name} ;; esac\n'
            f"exit {0 if supported else 1}",
        )

    def shell(self, script: str, **variables: str) -> subprocess.CompletedProcess[str]:
        """Run the script with the set-up's functions at hand."""
        parts = ("report", "find_python", "system_packages")
        sourced = "".join(f". {SCRIPTS / part}.sh\n" for part in parts)
        return subprocess.run(
            ["bash", "-c", sourced + script],
            cwd=self.root,
            env={"PATH": str(self.bin), "VLA_ROS_ROOT": str(self.root / "ros"), **variables},
            capture_output=True,
            text=True,
            timeout=200,
            check=False,
        )

    def error(self, script: str, **variables: str) -> str:
        """The one line with which the script fails."""
        result = self.shell(script, **variables)
        assert result.returncode == 1
        (line,) = result.stderr.splitlines()
        return line


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    return Machine(tmp_path)


def test_first_supported_python_is_taken(machine: Machine) -> None:
    machine.python("python3", "3.13.1")
    machine.python("python3.12", "3.12.3")
    found = machine.shell("find_python ''").stdout.strip()
    assert found == str(machine.bin / "python3.12")


def test_interpreter_named_by_the_user_is_the_only_candidate(machine: Machine) -> None:
    machine.python("python3", "3.12.3")
    machine.python("python3.13", "3.13.1")
    assert machine.shell("find_python ''", VLA_PYTHON="python3.13").returncode == 1
    found = machine.shell("find_python ''", VLA_PYTHON=sys.executable).stdout.strip()
    assert found == os.path.realpath(sys.executable)


def test_distribution_is_used_where_it_is_installed(machine: Machine) -> None:
    assert machine.shell("ros_distribution").stdout == ""
    (machine.root / "ros").mkdir()
    (machine.root / "ros" / "setup.bash").write_text("")
    assert machine.shell("ros_distribution").stdout.strip() == str(machine.root / "ros")


def test_distribution_ties_the_environment_to_the_systems_python(machine: Machine) -> None:
    machine.python("python3", "3.12.3")
    machine.python("python3.11", "3.11.2")
    found = machine.shell("find_python /opt/ros/jazzy").stdout.strip()
    assert found in ("", os.path.realpath("/usr/bin/python3"))


def test_every_missing_system_package_is_listed(machine: Machine) -> None:
    machine.command(
        "python3.12", 'case $2 in *version_info*) echo 3.12 ;; *) exit 1 ;; esac'
    )
    machine.command("ldconfig", 'echo "	libGL.so.1 (libc6,x86-64) => /lib/libGL.so.1"')
    listed = machine.shell("missing_system_packages python3.12").stdout.split()
    assert set(listed) - {"libgl1-mesa-dri"} == {
        "python3.12-venv", "python3.12-dev", "g++", "libegl1",
    }


def test_without_root_or_sudo_the_command_is_named(machine: Machine) -> None:
    machine.command("id", "echo 1000")
    machine.command("apt-get", "exit 1")
    machine.command("sudo", "exit 1")
    line = machine.error("install_system_packages log g++ libegl1")
    assert "sudo apt-get install -y --no-install-recommends g++ libegl1" in line


def test_without_apt_the_packages_are_named(machine: Machine) -> None:
    assert "g++ libegl1" in machine.error("install_system_packages log g++ libegl1")


def test_apt_runs_through_sudo_where_not_root(machine: Machine) -> None:
    machine.command("id", "echo 1000")
    machine.command("sudo", 'shift; [ $# = 0 ] || exec "$@"')
    machine.command("true", "")
    machine.command("apt-get", f'echo "$*" >>{machine.root}/calls')
    assert machine.shell("install_system_packages log g++").returncode == 0
    calls = (machine.root / "calls").read_text().splitlines()
    assert calls == ["update", "install -y --no-install-recommends g++"]


@pytest.mark.parametrize(
    ("logged", "said"),
    [
        ("OSError: [Errno 28] No space left on device", "the disk is full"),
        ("Failed to establish a new connection: [Errno -3] Temporary failure in name resolution",
         "the network cannot be reached"),
        ("E: Failed to fetch http://mirror/x.deb", "the network cannot be reached"),
        ("ninja: build stopped: subcommand failed.", "build stopped"),
    ],
)
def test_failure_is_told_in_one_line(machine: Machine, logged: str, said: str) -> None:
    (machine.root / "log").write_text(f"== step\n{logged}\n")
    line = machine.error(f"fail_from_log {machine.root}/log 'packages: run failed'")
    assert "packages: run failed" in line
    assert said in line


def test_bootstrap_refuses_an_unknown_target(machine: Machine) -> None:
    assert "unknown target 'everything'" in machine.error(f"{SCRIPTS}/bootstrap.sh everything")


def test_bootstrap_refuses_a_named_python_that_does_not_fit(machine: Machine) -> None:
    checkout = machine.root / "checkout"
    shutil.copytree(SCRIPTS, checkout / "scripts")
    machine.python("python3.13", "3.13.1")
    line = machine.error(f"exec {checkout}/scripts/bootstrap.sh", VLA_PYTHON="python3.13")
    assert "VLA_PYTHON=python3.13 is not a working Python 3.11 or 3.12" in line


def test_check_runs_every_part_and_names_what_failed(machine: Machine) -> None:
    machine.command("ruff", "exit 1")
    machine.command("mypy", "echo types fine")
    machine.command("lint-imports", "exit 1")
    machine.command("python", "")
    result = machine.shell(f"exec {SCRIPTS}/check.sh lint")
    assert result.returncode == 1
    assert "types fine" in result.stdout
    assert result.stdout.splitlines()[-1] == "== FAILED: ruff import-linter"
