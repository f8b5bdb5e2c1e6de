#!/bin/sh
# demo.sh - the whole way of an event on one machine: a program that records, a backend that stores
#
#     make demo                                from the repository root, or, after the build,
#     sh examples/demo.sh [FILE]               FILE: the text to inspect (README.md)
#
# Everything it writes is in build/demo/. Status 0: all fifteen events of the list below are
# stored; or telemetry was refused (DO_NOT_TRACK=1 make demo) and nothing is.

set -u
demo=build/demo
input=${1:-README.md}
events='session.start session.end app_launch feature.toggled db.connection_attempt
db.connection_result sample_db.create_started sample_db.create_completed sample_db.create_failed
query.executed embedding.request clustering.run visualization.generated UncaughtException QtError'
collector='' inspector=''

stop() {
    for process in $inspector $collector; do
        kill "$process" 2>/dev/null && wait "$process" 2>/dev/null
    done
    inspector='' collector=''
}

fail() {
    echo "demo: $*" >&2
    exit 1
}

stored() { cat "$demo"/events/events-*.ndjson 2>/dev/null; }

rule() { printf '\n--- %s\n' "$*"; }

trap stop EXIT
trap 'exit 130' INT
trap 'exit 143' HUP TERM

for program in collector inspector; do
    [ -x "build/examples/$program" ] || fail "build/examples/$program is not there: make demo"
done
[ -f "$input" ] || fail "$input: no such file"
rm -rf "$demo"
mkdir -p "$demo/events" "$demo/state" || fail "cannot make $demo"

rule 'the backend'
build/examples/collector --port 0 --port-file "$demo/port" --dir "$demo/events" &
collector=$!
tries=0
until [ -s "$demo/port" ]; do
    tries=$((tries + 1))
    if [ $tries -gt 100 ] || ! kill -0 $collector 2>/dev/null; then
        fail 'the collector did not start'
    fi
    sleep 0.1
done
port=$(cat "$demo/port")

# In the background, so that a signal is answered at once: wait ends for a trap, a program does not.
rule 'the program'
build/examples/inspector --endpoint "http://127.0.0.1:$port/api/v1/telemetry" \
    --data-dir "$demo/state" --dir "$PWD/$demo/db" "$input" &
inspector=$!
wait $inspector
status=$?
inspector=''
[ $status -eq 0 ] || fail "the inspector ended with status $status"

stop
# Status 0 without an event means that a gate refused: else at least the session's start came.
if [ -z "$(stored)" ]; then
    [ -z "$(ls -A "$demo/state")" ] || fail 'nothing was stored, but the state folder is not empty'
    rule 'refused: nothing was sent, nothing was stored, the state folder is empty'
    exit 0
fi

rule 'what the backend stored'
build/examples/collector --show "$demo/events"
all=$(stored) missing=''
for event in $events; do
    case $all in *"\"event_name\":\"$event\""*) ;; *) missing="$missing $event" ;; esac
done
[ -z "$missing" ] || fail "missing:$missing"
rule "all 15 kinds of events, $(stored | awk 'END { print NR }') lines of NDJSON in $demo/events/"
echo 'to see events arrive in a browser: make dashboard'
