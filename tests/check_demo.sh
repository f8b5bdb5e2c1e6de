#!/bin/sh
# check_demo.sh - are the numbers in the stored events true?
#
#     sh tests/check_demo.sh      from the repository root, when build/examples/ has collector; works in
#                                 build/check_demo/
#
# Runs the demo's programs on two texts and compares what the backend stored with what
# tests/check_demo.awk computes from the text alone; then looks for what must never be stored.

set -u
unset DO_NOT_TRACK VI_NO_TELEMETRY VECTOR_INSPECTOR_TELEMETRY_OPTOUT
LC_ALL=C
export LC_ALL
work=build/check_demo
texts=$work/kilimanjaro
keys='hwid,event_name,app_version,client_type,metadata,created_at'
events='QtError
UncaughtException
app_launch
clustering.run
db.connection_attempt
db.connection_result
embedding.request
feature.toggled
query.executed
sample_db.create_completed
sample_db.create_failed
sample_db.create_started
session.end
session.start
visualization.generated'
passed=0 failed=0 collector=''
D=$work
. tests/lib.sh

stop() {
    [ -z "$collector" ] || kill "$collector" 2>/dev/null
    [ -z "$collector" ] || wait "$collector" 2>/dev/null
    collector=''
}

trap stop EXIT
trap 'exit 130' INT
trap 'exit 143' HUP TERM

same() {
    [ "$1" = "$2" ] && return 0
    printf '%s\n' "expected: $1" "got:      $2"
    return 1
}

differ() { [ "$1" != "$2" ]; }
absent() { ! grep -Fq -e "$1" "$2"; }
absent_word() { ! grep -Fwq -e "$1" "$2"; }

# run NAME TEXT [OPTION...]: fresh backend, one run, all stored lines in $work/NAME/stored.
run() {
    folder=$work/$1 text=$2
    shift 2
    mkdir -p "$folder/events" "$folder/state"
    build/examples/collector --port 0 --port-file "$folder/port" --dir "$folder/events" \
        >"$folder/collector.out" 2>&1 &
    collector=$!
    wait_for [ -s "$folder/port" ]
    "$work/inspector" --endpoint "http://127.0.0.1:$(cat "$folder/port")/api/v1/telemetry" \
        --data-dir "$folder/state" --dir "$PWD/$folder/db" "$@" "$text" >"$folder/out" 2>&1
    status=$?
    [ $status -eq 0 ] || cat "$folder/out"
    stop
    cat "$folder"/events/events-*.ndjson >"$folder/stored" 2>/dev/null
    awk -v mode=stored -f tests/check_demo.awk "$folder/stored" >"$folder/values"
    awk -v mode=model -v bytes="$(wc -c <"$text")" -f tests/check_demo.awk "$text" \
        >"$folder/model"
}

first() { awk -v name="$2" '$1 == name { print $2; exit }' "$work/$1/$3"; }

# Each number of the model is the stored one.
check_values() {
    while read -r name expected; do
        check "$1: $name = $expected" same "$expected" "$(first "$1" "$name" values)"
    done <"$work/$1/model"
}

check_run() {
    folder=$work/$1
    check "$1: the inspector ends with status 0" same 0 "$status"
    check "$1: 17 lines are stored" same 17 "$(awk 'END { print NR }' "$folder/stored")"
    check "$1: all 15 kinds of events, no other" same "$events" \
        "$(awk '$1 == "event" { print $2 }' "$folder/values" | sort -u)"
    check "$1: each line has the six keys" same "keys $keys" \
        "$(grep '^keys ' "$folder/values" | sort -u)"
    check "$1: the model has 11 numbers" same 11 "$(awk 'END { print NR }' "$folder/model")"
    check_values "$1"
}

# Nothing of this machine is in the stored lines. Short names are left out: they occur in words.
check_private() {
    stored=$work/$1/stored user=$(id -un) host=$(uname -n)
    [ ${#HOME} -le 5 ] || check "$1: no home folder" absent "$HOME" "$stored"
    [ ${#host} -lt 4 ] || check "$1: no host name" absent_word "$host" "$stored"
    for name in "$user" "${USER:-}"; do
        [ ${#name} -lt 4 ] || [ "$name" = root ] ||
            check "$1: no user name" absent_word "$name" "$stored"
    done
    [ ${#PWD} -le 5 ] || check "$1: no working folder" absent "$PWD" "$stored"
    check "$1: no folder of the text" absent kilimanjaro "$stored"
    check "$1: no folder of the database" absent check_demo "$stored"
}

# would TARGET WORD...: what make would run for it.
would() { env -u MAKEFLAGS make -ns "$@" 2>&1; }
takes_port() { PORT=8081 would dashboard | grep -q '^PORT=8081 sh'; }
takes_blanks() { would demo FILE='a text.txt' | grep -q '^sh examples/demo.sh "a text.txt"$'; }

[ -x build/examples/collector ] || {
    echo 'check_demo: build/examples/collector is not there' >&2
    exit 2
}
rm -rf "$work"
mkdir -p "$texts" "$work/etc" "$work/here/build/examples"
# what the machine refuses is no matter of the test
${CC:-cc} -std=c99 -O2 -DVITP_OS_ETC="\"$PWD/$work/etc\"" -I. examples/inspector.c examples/http.c \
    -o "$work/inspector" -pthread -lm || exit 2

check 'PORT=8081 make dashboard, as its message says when the port is taken' takes_port
check 'make demo FILE="a text.txt"' takes_blanks

# Real prose; then a made text: letters at random in lines of 0 to 22, each twentieth the same,
# one like these but the longest, and at last two bytes, one of them no ASCII, without a line end.
head -n 120 README.md >"$texts/prose.txt"
awk 'BEGIN {
    for (i = 1; i <= 60; i++) {
        line = ""
        for (j = (i * 7) % 23; j > 0; j--) {
            x = (x * 1103 + 377) % 65537
            line = line sprintf("%c", 97 + int(x / 11) % 26)
        }
        if (i % 20 == 0) line = "equal parts"
        if (i == 30) line = "equal parts of one line that is longer than all"
        print line
    }
    printf "\377x"
}' >"$texts/made.txt"

run prose "$PWD/$texts/prose.txt"
check_run prose
check_private prose
run made "$PWD/$texts/made.txt" --wire ndjson
check_run made
check_private made
for name in rows_created estimated_rows batch_size similarity vector metadata params \
    dataset_size points_rendered; do
    check "the two texts differ in $name" differ "$(first prose "$name" values)" \
        "$(first made "$name" values)"
done
check 'the two installations have different ids' differ \
    "$(awk -F '"' 'NR == 1 { print $4 }' "$work/prose/stored")" \
    "$(awk -F '"' 'NR == 1 { print $4 }' "$work/made/stored")"

# What Debian's installer asks, and has No for an answer.
demo() { (cd "$work/here" && sh examples/demo.sh) >"$work/demo.out" 2>&1; }
ln -s "$PWD/examples" "$PWD/README.md" "$work/here"
ln "$work/inspector" build/examples/collector "$work/here/build/examples"
check 'the demo shows all events' demo
echo 'PARTICIPATE="no"' >"$work/etc/popularity-contest.conf"
check 'where the system refuses usage, the demo shows errors' demo
check 'and says that the system refuses' \
    grep -q 'refuse the others: session.start .*visualization.generated$' "$work/demo.out"
check 'errors are stored' grep -q 'in 1 file' "$work/demo.out"
run part "$texts/made.txt"
check 'and the inspector ends with status 3' same 3 "$status"
rm "$work/etc/popularity-contest.conf"

DO_NOT_TRACK=1
export DO_NOT_TRACK
run refused "$texts/made.txt"
check 'DO_NOT_TRACK=1: the inspector ends with status 0' same 0 "$status"
check 'DO_NOT_TRACK=1: nothing is stored' same '' "$(cat "$work/refused/stored")"
check 'DO_NOT_TRACK=1: the state folder is empty' same '' "$(ls -A "$work/refused/state")"
check 'DO_NOT_TRACK=1: the gate is named' grep -q 'refused by the environment' "$work/refused/out"

echo "$passed passed, $failed failed"
[ $failed -eq 0 ]
