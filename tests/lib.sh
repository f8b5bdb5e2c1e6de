# lib.sh: what scripts that build and run in many forms share. They set D, a folder of their own, and
# count in passed and failed.

# check NAME COMMAND ...: passes when the command does; shows what it said when it does not
check() {
    name=$1
    shift
    if "$@" >"$D/log" 2>&1; then
        passed=$((passed + 1))
        echo "ok    $name"
    else
        failed=$((failed + 1))
        echo "FAIL  $name"
        grep -v '^ok' "$D/log" | head -12 | sed 's/^/      /'
    fi
}

# wait_for COMMAND ...: ten seconds at most, until it passes
wait_for() {
    tries=0
    until "$@" || [ $tries -ge 100 ]; do
        tries=$((tries + 1))
        sleep 0.1
    done
}

skip() { echo "skip  $1"; }
has() { command -v "$1" >/dev/null 2>&1; }
empty() { ! grep . "$1"; }
