#!/bin/sh
# events.sh PROGRAM: runs bench/events with a session of LTTng-UST where one can run. A daemon is
# started where none runs, and ended. Whether all events arrive is counted in a short session before.
# Its channel blocks where it would discard; what it discards in the long one all the same (some
# thousand of millions, where the machine is busy) is told.
set -u
B=build/bench
S=vit-bench-$$
COUNT=100000
daemon='' session='' passed=0 failed=0
export LTTNG_UST_ALLOW_BLOCKING=1 LTTNG_UST_REGISTER_TIMEOUT=5000

lttng_end() {
    [ -z "$session" ] || lttng destroy "$S" >/dev/null 2>&1
    rm -rf "$B/lttng"
    session=''
}
finish() {
    lttng_end
    [ -z "$daemon" ] || { kill "$daemon" && wait "$daemon"; } 2>/dev/null
    daemon=''
}
trap finish EXIT
trap 'exit 1' INT TERM

check() { # text, status
    if [ "$2" = 0 ]; then passed=$((passed + 1)); else failed=$((failed + 1)); echo "FAIL  $1"; fi
}

lttng_daemon() {
    command -v lttng >/dev/null 2>&1 && command -v lttng-sessiond >/dev/null 2>&1 || return 1
    lttng --no-sessiond list >/dev/null 2>&1 && return 0
    lttng-sessiond --no-kernel >$B/lttng.log 2>&1 &
    daemon=$!
    for i in 1 2 3 4 5 6 7 8 9 10; do
        lttng --no-sessiond list >/dev/null 2>&1 && return 0
        sleep 0.5
    done
    return 1
}

lttng_begin() {
    {
        lttng --no-sessiond create "$S" --output="$PWD/$B/lttng" || return 1
        session=1
        lttng enable-channel -s "$S" --userspace --blocking-timeout=inf --subbuf-size=1M \
            --num-subbuf=8 events &&
            lttng enable-event -s "$S" --userspace --channel=events vit_bench:query &&
            lttng start "$S"
    } >>$B/lttng.log 2>&1
}

mkdir -p $B
if ! lttng_daemon || ! lttng_begin; then
    echo "LTTng-UST: no session can run here"
elif ! "$1" lttng $COUNT; then
    lttng_end
elif command -v babeltrace2 >/dev/null 2>&1; then
    lttng stop "$S" >/dev/null 2>&1
    n=$(babeltrace2 $B/lttng 2>/dev/null | grep -c 'vit_bench:query.*query_type = "similarity"')
    [ "$n" = $COUNT ]
    check "LTTng-UST: $n of $COUNT events arrived" $?
    lttng_end
    lttng_begin
fi
"$1" >$B/events.out
if [ -n "$session" ]; then
    lttng stop "$S" >$B/lttng.stop 2>&1
    if grep -i discarded $B/lttng.stop >>$B/events.out; then
        echo 'LTTng-UST: so much are its figures too good' >>$B/events.out
    fi
fi
# the last line is this script's
awk '/^[0-9]+ passed, [0-9]+ failed$/ { next } { print }' $B/events.out
awk -v p=$passed -v f=$failed '/^[0-9]+ passed, [0-9]+ failed$/ { p += $1; f += $3; seen = 1 }
    END { printf "%d passed, %d failed\n", p, f + !seen; exit f + !seen > 0 }' $B/events.out
