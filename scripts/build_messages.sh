#!/usr/bin/env bash
# Builds vla_driving_msgs (C and Python only) into the virtual environment.
# Usage: scripts/build_messages.sh VENV; ROS is the distribution whose setup.bash was sourced, else
# the wheels in VENV. C++ users build the whole with colcon.
set -euo pipefail
cd "$(dirname "$0")/.."
venv=$1
package=vla_driving_msgs
site=$("$venv/bin/python" -c 'import sysconfig; print(sysconfig.get_path("purelib"))')

export AMENT_PREFIX_PATH="$venv${AMENT_PREFIX_PATH:+:$AMENT_PREFIX_PATH}"
export PATH="$venv/bin:$PATH"
cmake -S msg -B build/msg -G Ninja \
    -DC_AND_PYTHON_ONLY=ON -DBUILD_TESTING=OFF \
    -DCMAKE_C_FLAGS=-O0 -DCMAKE_CXX_FLAGS=-O0 \
    -DPython3_EXECUTABLE="$venv/bin/python" -DPython3_FIND_VIRTUALENV=ONLY \
    -DPYTHON_INSTALL_DIR="${site#"$venv"/}" \
    -DCMAKE_PREFIX_PATH="$venv${CMAKE_PREFIX_PATH:+;${CMAKE_PREFIX_PATH//:/;}}" \
    -DCMAKE_INSTALL_PREFIX="$venv"
cmake --build build/msg
# A message taken away must not live on from the installation before.
rm -rf "$site/$package" "$venv/share/$package" "$venv/include/$package" "$venv"/lib/lib"$package"__*
cmake --install build/msg >/dev/null
"$venv/bin/python" -c "import $package.msg"
