#!/bin/sh
# dashboard.sh - the collector's page, and a program that records events again and again
#
#     make dashboard                           from the repository root, or, after the build,
#     PORT=8080 sh examples/dashboard.sh       PORT=0: any that is free
#
# Then open the address that it prints. It goes on until it is interrupted (Ctrl-C). Everything it
# writes is in build/dashboard/; the next time the page shows the events of before, too.

set -u
script=dashboard
folder=build/dashboard
. examples/programs.sh

start_collector "${PORT:-8080}" '; another port by PORT=8081 make dashboard'
url=http://127.0.0.1:$port
printf '\n    open %s/ in a browser; Ctrl-C ends it\n\n' "$url"

# A program does its work on one text after the other. In the background, so that a signal is
# answered at once: wait ends for a trap, a program does not.
told=''
while :; do
    for text in README.md Makefile examples/*.c examples/*.sh; do
        build/examples/inspector --endpoint "$url/api/v1/telemetry" --data-dir "$folder/state" \
            --dir "$PWD/$folder/db" "$text" >"$folder/inspector.out" 2>&1 &
        inspector=$!
        wait $inspector
        case $? in
        0) ;;
        3) [ -n "$told" ] || tail -n 1 "$folder/inspector.out" >&2
            told=1 ;;
        *) echo "dashboard: the inspector failed: see $folder/inspector.out" >&2 ;;
        esac
        inspector=''
        gate=$(sed -n 's/^telemetry   refused by \(.*\): nothing was sent$/\1/p' "$folder/inspector.out")
        [ -z "$gate" ] || fail "$gate refuses telemetry, so there is nothing to show"
        kill -0 $collector 2>/dev/null || fail 'the collector ended'
        sleep 2 &
        pause=$!
        wait $pause
        pause=''
    done
done
