#!/usr/bin/env bash
# Sets this checkout up: virtual environment, pinned packages, messages, simulator models.
# Usage: scripts/bootstrap.sh [demo|train|test|mutation]   (demo is the default; each has more than
# the one before)
#
# What is done is stamped with a hash of what it was made from, under .venv/stamps, and skipped
# the next time. Variables: VLA_PYTHON, the interpreter to use; VLA_ROS_ROOT, the ROS distribution
# (/opt/ros/jazzy), whose rclpy, launch and rosbag2 are used where it is installed.
set -euo pipefail
cd "$(dirname "$0")/.."
venv=$PWD/.venv
log=$venv/bootstrap.log
started=$SECONDS
did=

. scripts/report.sh
. scripts/find_python.sh
. scripts/system_packages.sh

# step NAME STAMP COMMAND...: runs the command unless it was run with the same stamp before.
step() {
    local name=$1 stamp=$2 file=$venv/stamps/$1 begun=$SECONDS
    shift 2
    [ "$(cat "$file" 2>/dev/null)" = "$stamp" ] && return
    note "$name ..."
    did=1
    printf '== %s\n' "$name" >"$log"
    "$@" >>"$log" 2>&1 || fail_from_log "$log" "$name failed"
    mkdir -p "$venv/stamps"
    printf '%s\n' "$stamp" >"$file"
    note "$name: $((SECONDS - begun)) s"
}
hash_of() { cat "$@" | sha256sum | cut -c1-16; }

case ${1:-demo} in
demo) groups=(simulation) need_mb=2500 ;;
train) groups=(simulation learning) need_mb=8000 ;;
test) groups=(simulation learning test tensorrt_rtx large_models) need_mb=8000 ;;
mutation) groups=(simulation learning test tensorrt_rtx large_models mutation) need_mb=8000 ;;
*) fail "unknown target '$1': use demo, train, test or mutation" ;;
esac

# One bootstrap at a time: two would write the same files.
mkdir -p "$venv" || fail "cannot write to $PWD"
exec 9>"$PWD/.venv/lock"
flock 9

ros=$(ros_distribution)
python=$(find_python "$ros") || {
    [ -z "${VLA_PYTHON:-}" ] || fail "VLA_PYTHON=$VLA_PYTHON is not a working Python 3.11 or 3.12"
    command -v python3 >/dev/null || install_system_packages "$log" python3 python3-venv
    python=$(find_python "$ros") ||
        fail "no Python 3.11 or 3.12 found (python3 is $(python3 -V 2>&1 | cut -d' ' -f2)): install one, or name it with VLA_PYTHON=/path/to/python3.12"
}
missing=$(missing_system_packages "$python")
[ -z "$missing" ] || install_system_packages "$log" $missing

make_venv() {
    find "$venv" -mindepth 1 -maxdepth 1 ! -name lock ! -name bootstrap.log -exec rm -rf {} +
    "$python" -m venv ${ros:+--system-site-packages} "$venv"
}
install() { # install FILE OPTION...: the group's packages
    "$venv/bin/pip" install --disable-pip-version-check --no-input --progress-bar off "${@:2}" -r "$1"
}

venv_stamp="$python $("$python" -V) $venv ros=${ros:-wheels}"
if [ "$(cat "$venv/stamps/virtual environment" 2>/dev/null)" != "$venv_stamp" ]; then
    free_mb=$(df -Pm . | awk 'NR == 2 {print $4}')
    [ "$free_mb" -ge "$need_mb" ] || fail "the disk has $free_mb MB free at $PWD, set-up needs about $need_mb MB: free some room and run this again"
fi
step "virtual environment" "$venv_stamp" make_venv

if [ -n "$ros" ]; then
    set +u
    . "$ros/setup.bash"
    set -u
fi
[ -n "$ros" ] || groups=(ros "${groups[@]}")
for group in build run language "${groups[@]}"; do
    file=requirements/$group.txt
    # MetaDrive's metadata shuts out the Python 3.12 on which it runs.
    options=(--no-deps --ignore-requires-python)
    [ "$group" = learning ] && options=()
    step "packages: $group" "$(hash_of "$file")" install "$file" "${options[@]}"
done

step "messages" "$(hash_of msg/* scripts/build_messages.sh requirements/ros.txt requirements/build.txt)" \
    scripts/build_messages.sh "$venv"
step "vla_driving" "$(hash_of setup.py setup.cfg)" \
    "$venv/bin/pip" install --disable-pip-version-check --no-input --no-deps --no-build-isolation -e .
step "compiled checks" "$(hash_of requirements/run.txt vla_driving/contract/trajectory.py vla_driving/safety/*.py vla_driving/safety/checks/*.py)" \
    "$venv/bin/python" -c "import vla_driving.safety.monitor"
if [ -f vla_driving/simulation/assets.py ]; then
    step "simulator models" "$(hash_of vla_driving/simulation/assets.py requirements/simulation.txt)" \
        "$venv/bin/python" -m vla_driving.simulation.assets
fi
[ -z "$did" ] || note "ready in $((SECONDS - started)) s"
