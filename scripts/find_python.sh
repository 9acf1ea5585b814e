# Sourced by bootstrap.sh. Which ROS and which Python the virtual environment is made from.

# The ROS distribution's root, or nothing where there is none: then ROS comes as wheels.
ros_distribution() {
    local root=${VLA_ROS_ROOT:-/opt/ros/jazzy}
    [ -f "$root/setup.bash" ] && echo "$root"
    return 0
}

supported_python() {
    "$1" -c 'import sys; sys.exit(sys.version_info[:2] not in ((3, 11), (3, 12)))' 2>/dev/null
}

# Prints the interpreter to use; fails where there is none. $1: the distribution's root or nothing.
# $VLA_PYTHON decides where it is set. The distribution's modules fit the system's Python only.
find_python() {
    local candidates=(python3 python3.11 python3.12 /usr/bin/python3) candidate
    [ -z "$1" ] || candidates=(/usr/bin/python3)
    [ -z "${VLA_PYTHON:-}" ] || candidates=("$VLA_PYTHON")
    for candidate in "${candidates[@]}"; do
        if supported_python "$candidate"; then
            # The interpreter itself: a pyenv shim may mean another version tomorrow.
            "$candidate" -c 'import os, sys; print(os.path.realpath(sys.executable))'
            return 0
        fi
    done
    return 1
}
