#!/bin/sh
# demo.sh - the whole way of an event on one machine: a program that records, a backend that stores
#
#     make demo                                from the repository root, or, after the build,
#     sh examples/demo.sh [FILE]               FILE: the text to inspect (README.md)
#
# Everything it writes is in build/demo/. Status 0: all fifteen events of the list below are
# stored; or telemetry was refused (DO_NOT_TRACK=1 make demo) and nothing is; or the system's settings
# refuse some kinds (PARTICIPATE="no" in /etc/popularity-contest.conf), and the others are.

set -u
script=demo
folder=build/demo
. examples/programs.sh

input=${1:-README.md}
events='session.start session.end app_launch feature.toggled db.connection_attempt
db.connection_result sample_db.create_started sample_db.create_completed sample_db.create_failed
query.executed embedding.request clustering.run visualization.generated UncaughtException QtError'

stored() { cat "$folder"/events/events-*.ndjson 2>/dev/null; }

rule() { printf '\n--- %s\n' "$*"; }

[ -f "$input" ] || fail "$input: no such file"
rm -rf "$folder"

rule 'the backend'
start_collector 0 ''

# In the background, so that a signal is answered at once: wait ends for a trap, a program does not.
rule 'the program'
build/examples/inspector --endpoint "http://127.0.0.1:$port/api/v1/telemetry" \
    --data-dir "$folder/state" --dir "$PWD/$folder/db" "$input" &
inspector=$!
wait $inspector
status=$?
inspector=''
case $status in 0 | 3) ;; *) fail "the inspector ended with status $status" ;; esac

stop
# Status 0 without an event means that a gate refused: else at least the session's start came.
if [ -z "$(stored)" ]; then
    [ -z "$(ls -A "$folder/state")" ] || fail 'nothing was stored, but the state folder is not empty'
    rule 'refused: nothing was sent, nothing was stored, the state folder is empty'
    exit 0
fi

rule 'what the backend stored'
build/examples/collector --show "$folder/events"
all=$(stored) missing=''
for event in $events; do
    case $all in *"\"event_name\":\"$event\""*) ;; *) missing="$missing $event" ;; esac
done
if [ $status -eq 3 ]; then
    rule "the system's settings refuse the others:$missing"
    exit 0
fi
[ -z "$missing" ] || fail "missing:$missing"
rule "all 15 kinds of events, $(stored | awk 'END { print NR }') lines of NDJSON in $folder/events/"
echo 'to see events arrive in a browser: make dashboard'
