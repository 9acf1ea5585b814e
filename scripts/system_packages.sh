# Sourced by bootstrap.sh. System packages: what is missing, and its installation.

# Prints the Debian and Ubuntu packages that python $1 and this machine lack, one a line.
missing_system_packages() {
    local python=$1 version libraries
    version=$("$python" -c 'import sys; print("%d.%d" % sys.version_info[:2])')
    libraries=$(PATH=$PATH:/sbin:/usr/sbin ldconfig -p)
    has_library() { grep -q "^[[:space:]]*$1 " <<<"$libraries"; }
    "$python" -c 'import ensurepip, venv' 2>/dev/null || echo "python$version-venv"
    # The messages' generated bindings are C and C++.
    "$python" -c 'import os, sysconfig as s; os.stat(s.get_path("include") + "/Python.h")' \
        2>/dev/null || echo "python$version-dev"
    command -v g++ >/dev/null || echo g++
    # The simulator draws with Mesa's software renderer through EGL: no screen, no GPU.
    has_library libEGL.so.1 || echo libegl1
    has_library libGL.so.1 || echo libgl1
    compgen -G '/usr/lib/*/dri/*swrast*' >/dev/null || echo libgl1-mesa-dri
}

# Installs the packages named, as root or through sudo where that asks no password; else says how.
install_system_packages() {
    local sudo=() log=$1
    shift
    local command="apt-get install -y --no-install-recommends $*"
    command -v apt-get >/dev/null ||
        fail "missing on this system: $* (the names Debian and Ubuntu give them); install them and run this again"
    if [ "$(id -u)" != 0 ]; then
        sudo -n true 2>/dev/null ||
            fail "missing system packages; run this once, then make again: sudo apt-get update && sudo $command"
        sudo=(sudo -n)
    fi
    note "system packages: $*"
    { "${sudo[@]}" apt-get update && "${sudo[@]}" env DEBIAN_FRONTEND=noninteractive $command; } \
        >>"$log" 2>&1 || fail_from_log "$log" "apt-get could not install $*"
}
