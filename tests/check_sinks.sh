#!/bin/sh
# examples/file_sink.c writes its events into a file, examples/offline.c keeps them on the disk until
# there is a server, and examples/errors.c tells of the crash of its last run.
set -u
passed=0 failed=0
check() {
    if [ "$2" = 0 ]; then passed=$((passed + 1)); echo "ok   $1"; else failed=$((failed + 1)); echo "FAIL $1"; fi
}
dir=build/check_sinks
rm -rf $dir && mkdir -p $dir/state
# what the machine refuses is no matter of the test
for program in file_sink offline errors; do
    ${CC:-cc} -std=c99 '-DVITP_OS_ETC="/nonexistent"' -I. examples/$program.c examples/http.c -o $dir/$program -pthread
done
run() { env -u CI -u TF_BUILD -u GITHUB_ACTIONS -u GITLAB_CI -u DO_NOT_TRACK XDG_STATE_HOME="$PWD/$dir/state" XDG_CONFIG_HOME=/nonexistent "$@"; }

run $dir/file_sink $dir/events.ndjson && run $dir/file_sink $dir/events.ndjson
check "file_sink ends with 0" $?
[ "$(grep -c '^{"hwid":".*"event_name":"feature.toggled".*}}$' $dir/events.ndjson)" = 2 ]
check "one line an event, two runs behind each other" $?
[ "$(run $dir/file_sink | grep -c '^{"hwid"')" -ge 1 ]; check "without a file they go to the standard output" $?

for i in 1 2 3; do run $dir/offline http://127.0.0.1:9/ >$dir/out || break; done
[ "$(cat $dir/out)" = 'found 2, delivered 0, waiting 3' ]; check "three runs without a server: $(cat $dir/out)" $?
build/examples/collector --port 0 --port-file $dir/port --dir $dir/data >$dir/log 2>&1 &
pid=$!
trap 'kill $pid 2>/dev/null' EXIT
for i in 1 2 3 4 5 6 7 8 9 10; do [ -s $dir/port ] && break; sleep 0.2; done
run $dir/offline "http://127.0.0.1:$(cat $dir/port)/api/v1/telemetry" >$dir/out
[ "$(cat $dir/out)" = 'found 3, delivered 4, waiting 0' ]; check "one with a server: $(cat $dir/out)" $?
[ "$(cat $dir/data/events-*.ndjson | grep -c '"event_name":"feature.toggled"')" = 4 ]; check "all four arrived" $?
[ -z "$(find $dir/state -name '*.spool*')" ]; check "nothing is left on the disk" $?

(run $dir/errors crash) >$dir/out 2>/dev/null
[ $? = 139 ]; check "errors crash ends by SIGSEGV" $?
run $dir/errors >$dir/out; check "and the next run ends with 0" $?
grep -q '^the last run crashed' $dir/out; check "which knows of the crash" $?
[ "$(grep -c '"UncaughtException".*"exception_type":"SIGSEGV"' $dir/out)" = 1 ]; check "and tells of it" $?
[ "$(grep -c '"occurrences":99999,' $dir/out)" = 2 ]; check "each run counts its failures" $?
[ "$(grep -c '"exit_reason":"crash"' $dir/out):$(grep -c '"exit_reason":"normal"' $dir/out)" = 1:1 ]
check "and how each session ended" $?
echo "$passed passed, $failed failed"
[ $failed = 0 ]
