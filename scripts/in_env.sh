#!/usr/bin/env bash
# Runs a command with the virtual environment first in PATH. Usage: scripts/in_env.sh COMMAND...
# With the ROS wheels .venv/bin/COMMAND alone does as well; beside a distribution this sources it.
set -euo pipefail
venv=$(cd "$(dirname "$0")/.." && pwd)/.venv
. "$(dirname "$0")/find_python.sh"
ros=$(ros_distribution)
if [ -n "$ros" ]; then
    set +u
    . "$ros/setup.bash"
    set -u
    export LD_LIBRARY_PATH="$venv/lib${LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH}"
    export AMENT_PREFIX_PATH="$venv${AMENT_PREFIX_PATH:+:$AMENT_PREFIX_PATH}"
fi
export PATH="$venv/bin:$PATH"
exec "$@"
