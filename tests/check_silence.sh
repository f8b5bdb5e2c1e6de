#!/bin/sh
# check_silence.sh - without consent a client makes no file and no socket: counted by strace, and by
# looking at the folders. With consent it makes both, which shows that the counting works.
set -u
passed=0 failed=0
check() { # text, status, what to show
    if [ "$2" = 0 ]; then passed=$((passed + 1)); echo "ok    $1"; else
        failed=$((failed + 1))
        echo "FAIL  $1"
        [ -z "${3:-}" ] || head -8 "$3" | sed 's/^/      /'
    fi
}
work=$PWD/build/check_silence
rm -rf "$work" && mkdir -p "$work" || exit 1
URL=http://127.0.0.1:9/api/v1/telemetry
${CC:-cc} -std=c99 -O1 -I. ${ETC--DVITP_OS_ETC='"/nonexistent"'} tests/silence.c examples/http.c -o "$work/silence" -pthread || {
    echo "0 passed, 1 failed"
    exit 1
}
sh tests/need.sh strace:strace >/dev/null 2>&1
trace='strace -f -qq -e trace=file,desc,network,memfd_create'
if ! $trace -o "$work/probe" true 2>/dev/null; then
    echo "skip  strace is not here, or may not trace: the folders are looked at only"
    trace=
fi

# what makes a file or gives it a name; a thing that was tried and failed counts
made() {
    grep -E 'O_CREAT|O_TMPFILE|^[0-9]+ +(creat|mkdir|mkdirat|mknod|mknodat|link|linkat|symlink|symlinkat|rename|renameat|renameat2|memfd_create|truncate|ftruncate|fallocate)\(' "$1"
}
sockets() { grep -E '^[0-9]+ +(socket|socketpair|connect|bind|listen|accept|accept4|send|sendto|sendmsg)\(' "$1"; }

run() { # name, consent; uses and makes $work/name
    home=$work/$1
    mkdir -p "$home/home" "$home/run" "$home/config"
    chmod 700 "$home/run"
    : >"$home/log"
    env -i PATH="$PATH" HOME="$home/home" XDG_RUNTIME_DIR="$home/run" XDG_CONFIG_HOME="$home/config" \
        ${trace:+$trace -o "$home/log"} "$work/silence" "$2" "$home/data" "$URL" >"$home/out" 2>&1
    status=$?
    made "$home/log" >"$home/made"
    sockets "$home/log" >"$home/sockets"
    find "$home/data" "$home/home" "$home/run" "$home/config" -mindepth 0 ! -path "$home/home" ! -path "$home/run" \
        ! -path "$home/config" 2>/dev/null >"$home/found"
    return $status
}

silent() { # name, consent, the number that vit_get_consent gives
    run "$1" "$2"
    check "$1: it ends with 0" $? "$work/$1/out"
    grep -qx "consent $3" "$work/$1/out"
    check "$1: its consent is $3" $? "$work/$1/out"
    [ ! -s "$work/$1/found" ]
    check "$1: nothing lies in its folders" $? "$work/$1/found"
    [ -z "$trace" ] && return
    grep -q execve "$work/$1/log"
    check "$1: it was traced" $?
    [ ! -s "$work/$1/made" ]
    check "$1: $(wc -l <"$work/$1/made") files made" $? "$work/$1/made"
    [ ! -s "$work/$1/sockets" ]
    check "$1: $(wc -l <"$work/$1/sockets") sockets" $? "$work/$1/sockets"
}

silent unknown unknown 0
silent denied denied 1

# a refusal that is stored: it stays as it is, byte for byte
mkdir -p "$work/stored/data" && chmod 700 "$work/stored/data"
printf 'consent = denied\n' >"$work/stored/data/telemetry.conf"
chmod 600 "$work/stored/data/telemetry.conf"
run stored stored
check "stored: it ends with 0" $? "$work/stored/out"
[ "$(cat "$work/stored/data/telemetry.conf")" = 'consent = denied' ] && [ "$(ls -A "$work/stored/data")" = telemetry.conf ]
check "stored: the refusal is as it was, and alone" $? "$work/stored/found"
if [ -n "$trace" ]; then
    [ ! -s "$work/stored/made" ]
    check "stored: $(wc -l <"$work/stored/made") files made" $? "$work/stored/made"
    [ ! -s "$work/stored/sockets" ]
    check "stored: $(wc -l <"$work/stored/sockets") sockets" $? "$work/stored/sockets"
fi

run granted granted
check "granted: it ends with 0" $? "$work/granted/out"
[ -s "$work/granted/data/telemetry.conf" ]
check "granted: there are settings" $? "$work/granted/out"
if [ -n "$trace" ]; then
    [ "$(wc -l <"$work/granted/made")" -gt 2 ]
    check "granted: $(wc -l <"$work/granted/made") files made, which is seen" $?
    [ -s "$work/granted/sockets" ]
    check "granted: $(wc -l <"$work/granted/sockets") calls of sockets, which are seen" $?
fi
echo "$passed passed, $failed failed"
[ $failed = 0 ]
