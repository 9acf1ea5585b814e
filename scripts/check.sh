#!/usr/bin/env bash
# Runs the checks named, all of them even after a failure, and sums up in one line.
# Usage, inside the environment: scripts/check.sh [lint] [pytest]
set -uo pipefail
cd "$(dirname "$0")/.."
failed=()
check() { # check NAME COMMAND...
    printf '== %s\n' "$1"
    "${@:2}" || failed+=("$1")
}

for part in "$@"; do
    case $part in
    lint)
        check ruff ruff check .
        check mypy mypy
        check import-linter lint-imports
        check "reference pages" python -m vla_driving.reference --check
        ;;
    pytest) check pytest python -m pytest ;;
    *)
        echo "check.sh: unknown part '$part': lint or pytest" >&2
        exit 2
        ;;
    esac
done

if [ ${#failed[@]} != 0 ]; then
    printf '== FAILED: %s\n' "${failed[*]}"
    exit 1
fi
printf '== passed: %s\n' "$*"
