#!/bin/sh
# The complete program is one text in three places: examples/hello.c, the head comment, README.md. It
# compiles as it stands in README.md and delivers its event.
set -u
passed=0 failed=0
check() {
    if [ "$2" = 0 ]; then passed=$((passed + 1)); echo "ok   $1"; else failed=$((failed + 1)); echo "FAIL $1"; fi
}
dir=build/check_hello
rm -rf $dir && mkdir -p $dir
# the first C block of README.md that has a main
awk '/^```c$/ { on = 1; text = ""; next } /^```$/ { if (on && text ~ /int main/) { printf "%s", text; exit } on = 0 }
     on { text = text $0 "\n" }' README.md >$dir/readme.c
awk '/^A COMPLETE PROGRAM/ { on = 1; next } on && /^[A-Z]/ { exit } on { sub(/^        /, ""); print }' vitelemetry.h |
    sed '/./,$!d' | awk '{ line[NR] = $0 } /./ { last = NR } END { for (i = 1; i <= last; i++) print line[i] }' >$dir/head.c
diff examples/hello.c $dir/readme.c; check "README.md has examples/hello.c" $?
diff examples/hello.c $dir/head.c; check "the head comment has examples/hello.c" $?
# what the machine refuses is no matter of the test
ETC=-DVITP_OS_ETC='"/nonexistent"'
${CC:-cc} -std=c99 -pedantic-errors "$ETC" -I. $dir/readme.c -o $dir/hello -pthread -lcurl
check "README's program compiles as it stands" $?
cp $dir/readme.c $dir/readme.cpp
${CXX:-c++} -std=c++17 -pedantic-errors "$ETC" -I. $dir/readme.cpp -o $dir/hello_cpp -pthread -lcurl
check "and as C++17" $?
build/examples/collector --port 0 --port-file $dir/port --dir $dir/data >$dir/log 2>&1 &
pid=$!
trap 'kill $pid 2>/dev/null' EXIT
for i in 1 2 3 4 5 6 7 8 9 10; do [ -s $dir/port ] && break; sleep 0.2; done
for program in hello hello_cpp; do
    env -u CI -u TF_BUILD -u GITHUB_ACTIONS -u GITLAB_CI -u DO_NOT_TRACK XDG_STATE_HOME="$PWD/$dir/state" XDG_CONFIG_HOME=/nonexistent \
        $dir/$program "http://127.0.0.1:$(cat $dir/port)/api/v1/telemetry"
    check "$program ends with 0" $?
done
[ "$(cat $dir/data/events-*.ndjson | grep -c '"event_name":"feature.toggled"')" = 2 ]
check "their events arrived" $?
echo "$passed passed, $failed failed"
[ $failed = 0 ]
