# Sourced by bootstrap.sh. What it says: progress, and one clear line where something fails.

note() { printf 'bootstrap: %s\n' "$*"; }

fail() {
    printf 'bootstrap: error: %s\n' "$*" >&2
    exit 1
}

# Fails with the reason that the log of a command shows. $1: log, $2: what failed.
fail_from_log() {
    local disk network
    disk='No space left on device'
    network='NewConnectionError|Max retries|[Nn]ame resolution|Could not resolve|Failed to fetch'
    network+='|Network is unreachable|ConnectTimeout|ReadTimeout|ProxyError|Temporary failure'
    if grep -q "$disk" "$1"; then
        fail "$2: the disk is full ($(df -Ph "$(dirname "$1")" | awk 'NR == 2 {print $4 " free on " $6}')); free some room and run this again"
    elif grep -qE "$network" "$1"; then
        fail "$2: the network cannot be reached; connect, or point pip and apt at a mirror, and run this again (log: $1)"
    fi
    fail "$2; the end of $1: $(tail -n 3 "$1" | tr '\n' ' ')"
}
