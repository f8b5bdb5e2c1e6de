#!/bin/sh
# check_examples.sh: each example is built by the command in its head comment, without a warning, into
# build/examples/, and run, against the example collector where it sends; what arrives or is printed
# is what it says it does. `make examples` builds the collector first.
set -u
D=build/check_examples X=build/examples
COLLECTOR=$X/collector
passed=0 failed=0
[ "${1:-}" = build ] || rm -rf "$D"
mkdir -p "$D/bin" "$X"
. tests/lib.sh

# ---- build ---------------------------------------------------------------------------------------

qt=Qt6Core
pkg-config --exists Qt6Core 2>/dev/null || qt=Qt5Core

command_of() { # file: what stands behind "Build:"; a line that does not begin with a compiler goes on
    awk '/^ *Build: / { on = 1; sub(/^ *Build: /, "") }
        on && (/^$/ || /^   [A-Z]/) { exit }
        on { last = sub(/ *\*\/$/, ""); sub(/^ */, "")
             printf "%s%s", !n++ ? "" : /^(cc|c\+\+) / ? " &&\n" : " ", $0; if (last) exit }' "$1" |
        sed "s/Qt6Core/$qt/g"
}
build() { # file
    name=$(basename "$1")
    name=${name%.*}
    command=$(command_of "$1")
    [ "$name" != hello ] || command='cc -I. examples/hello.c -o hello -pthread -lcurl' # README.md's
    [ -n "$command" ] || { echo "no command" >"$D/$name.build"; return; }
    (cd $X && PATH="$PWD/../check_examples/bin:$PATH" sh -c "$command") >"$D/$name.build" 2>&1 &&
        [ ! -s "$D/$name.build" ] && echo built >"$D/$name.build"
}
if [ "${1:-}" = build ]; then
    build "$2"
    exit 0
fi

# cc and c++ of the commands: with warnings, system headers by -isystem; the administrator of this
# machine is no matter of the test
for pair in "cc:${CC:-cc}" "c++:${CXX:-c++}"; do
    cat >"$D/bin/${pair%%:*}" <<TOOL
#!/bin/sh
for arg; do
    shift
    case \$arg in -I/*) arg="-isystem\${arg#-I}" ;; esac
    set -- "\$@" "\$arg"
done
exec $(command -v "${pair#*:}" || echo false) -Wall -Wextra -Wpedantic -Wconversion -Wshadow -Werror \\
    '-DVITP_OS_ETC="/nonexistent"' "\$@"
TOOL
done
chmod +x "$D/bin/"*
# parts of others, and those that `make` builds
PARTS='examples/http.c examples/curl_multi.c' BIG='examples/collector.c examples/inspector.c'
all() { ls examples/*.c examples/*.cpp; }
small() { all | grep -vxF "$(printf '%s\n' $PARTS $BIG)"; }
ln -sfn ../../examples $X/examples
ln -sf ../../vitelemetry.h $X/vitelemetry.h
# the ones of Qt need Qt
qt_here=1
pkg-config --exists $qt 2>/dev/null || qt_here=
for f in $(small); do
    [ "$f$qt_here" = examples/qt_app.cpp ] || echo "$f"
done >"$D/list"
built() { cat "$D/$1.build"; grep -qx built "$D/$1.build"; }

# ---- run -----------------------------------------------------------------------------------------

HOME_=$PWD/$D/home
mkdir -p "$HOME_"
chmod 700 "$HOME_"
URL=
run() { # [NAME=VALUE ...] program, arguments: in an environment of its own, core dumps off, not for ever
    env -i PATH="$PATH" HOME="$HOME_" XDG_STATE_HOME="$HOME_" XDG_RUNTIME_DIR="$HOME_" \
        QT_QPA_PLATFORM=offscreen timeout 120 sh -c 'ulimit -c 0; exec env "$@"' sh "$@"
}
# what arrived from the program of that client_type, and matches
arrived() { cat "$D"/data/events-*.ndjson | grep "\"client_type\":\"$1\"" | grep -e "$2"; }
several() { # how many, command: that many lines
    n=$1
    shift
    "$@" >"$D/lines"
    cat "$D/lines"
    [ "$(wc -l <"$D/lines")" -eq "$n" ]
}
said() { cat "$D/out"; grep -q -e "$1" "$D/out"; }

hello() { run $X/hello "$URL" && several 1 arrived vector-inspector '"feature_name":"dark_mode"'; }

own_events() {
    run $X/own_events "$URL" &&
        several 1 arrived own-events-example '"file.opened".*"format":"csv","path_hash":"[0-9a-f]\{16\}","size_kb":12' &&
        several 3 arrived own-events-example '"edit.undo".*"command":"paste","depth":[123]' &&
        several 1 arrived own-events-example '"export.finished".*"file":"report.pdf","scale":1.5' &&
        several 0 arrived own-events-example 'home\|salaries'
}
operations() {
    run $X/operations "$URL" >"$D/out" && said '^correlation_id [0-9a-f-]*$' || return 1
    id=$(sed 's/.* //' "$D/out")
    several 3 arrived operations-example "\"query.executed\".*\"latency_ms\":[0-9]*,.*$id" &&
        several 1 arrived operations-example "\"db.connection_attempt\".*$id"
}
consent_yes() {
    echo y | run $X/consent "$URL" >"$D/out" && said 'telemetry is on' && said 'May this program' || return 1
    line=$(sed -n 's/^    {\("hwid":"[^"]*","event_name":"app_launch"\).*/\1/p' "$D/out")
    [ -n "$line" ] && several 1 arrived consent-example "$line"
}
consent_again() { # it was stored
    run $X/consent "$URL" </dev/null >"$D/out" && said 'telemetry is on' && ! said 'May this program' &&
        several 2 arrived consent-example '"app_launch"'
}
consent_switch() {
    run DO_NOT_TRACK=1 $X/consent "$URL" </dev/null >"$D/out" && said 'off: the environment' && ! said 'May this program' &&
        several 2 arrived consent-example '"app_launch"'
}
consent_no() { # another user: asked until he answers
    mkdir "$HOME_/other"
    for answer in maybe n ''; do
        echo "$answer" | run XDG_STATE_HOME="$HOME_/other" $X/consent "$URL" >"$D/out.$answer" || return 1
    done
    grep 'May this program' "$D/out.maybe" && grep 'off: the user' "$D/out.maybe" && grep 'May this program' "$D/out.n" &&
        grep 'off: the user' "$D/out." && ! grep 'May this program' "$D/out." &&
        several 2 arrived consent-example '"app_launch"'
}
curl() {
    run $X/curl "$URL" >"$D/out" && said '^delivered 10$' && said '^POST .* status 201$' &&
        [ "$(grep -c '^POST' "$D/out")" -lt 10 ] && several 10 arrived curl-example '"feature.toggled"'
}
pump() {
    run $X/pump "$URL" >"$D/out" && said '^[1-9][0-9]* of 10 events were delivered while the game ran' &&
        several 10 arrived pump-example '"feature_name":"pause"'
}
offline() {
    run $X/offline http://127.0.0.1:9/ >"$D/out" && said 'delivered 0, waiting 1' &&
        run $X/offline "$URL" >"$D/out" && said 'found 1, delivered 2, waiting 0' &&
        several 2 arrived offline-example '"feature.toggled"'
}
cxx98() {
    run "$X/c++98" "$URL" >"$D/out" && said '^2 events$' &&
        several 1 arrived cxx98-example '"success":true,"db_type":"chroma"' &&
        several 1 arrived cxx98-example '"success":false,"db_type":"qdrant"'
}
plugins() {
    run $X/plugin_host $X/plugin.so "$URL" >"$D/out" && said 'used and unloaded three times' &&
        several 3 arrived plugin-example '"visualization.generated".*"method":"umap"' &&
        several 1 arrived plugin-host-example '"feature_name":"plugins","new_value":true' || return 1
    hwids=$(arrived 'plugin-\(host-\)\?example' . | sed 's/.*"hwid":"\([^"]*\)".*/\1/' | sort | uniq -c | awk '{ print $1 }' | sort | tr '\n' ' ')
    [ "$hwids" = '1 3 ' ] || { echo "installations: $hwids"; return 1; }
}
plugin_symbols() { # nothing but what the host looks up
    nm -D --defined-only $X/plugin.so | awk '{ print $NF }' | sort >"$D/symbols"
    cat "$D/symbols"
    [ "$(tr '\n' ' ' <"$D/symbols")" = 'plugin_begin plugin_end plugin_work ' ]
}
errors() {
    (run $X/errors crash) >"$D/out" 2>&1
    [ $? = 139 ] && run $X/errors >"$D/out" && said '^the last run crashed' &&
        said '"UncaughtException".*"exception_type":"SIGSEGV"' && said '"DataImportError".*"error_code":"ENOENT"' &&
        said '"occurrences":99999,'
}
file_sink() {
    run $X/file_sink "$D/sink.ndjson" && run $X/file_sink "$D/sink.ndjson" &&
        several 2 grep '^{"hwid":".*"event_name":"feature.toggled".*}}$' "$D/sink.ndjson"
}
cpp17() {
    run $X/cpp17 >"$D/out" 2>"$D/err" && grep 'not imported: line 3' "$D/err" &&
        several 1 grep '"feature.toggled".*"dark_mode"' "$D/out" &&
        several 1 grep '"import.run".*"success":true' "$D/out" && several 2 grep '"import.run".*"success":false' "$D/out" &&
        several 1 grep '"ImportError".*"exception_type":"std::runtime_error"' "$D/out" || return 1
    id=$(sed -n 's/.*"ImportError".*"correlation_id":"\([^"]*\)".*/\1/p' "$D/out")
    several 1 grep "\"import.run\".*$id" "$D/out"
}
privacy() {
    run $X/privacy >"$D/out" && said '^query.executed, rate 0.05$' && said '^Consent: not asked yet (the user)' &&
        said '"event_name":"db.connection_attempt".*"host_hash":"[0-9a-f]\{16\}"'
}
queue() { run $X/queue >"$D/out" && said '^200000 records, sum 10000100000$'; }
qt_app() { run $X/qt_app >"$D/out" 2>"$D/err" && several 1 grep '"QtError".*"message":"table 3 cannot be read"' "$D/out"; }
demo() { run CI= sh examples/demo.sh >"$D/out" 2>&1 && said 'all 15 kinds of events'; }

# ---- all of them ---------------------------------------------------------------------------------

# shape: short, with a head comment that tells its name, and in README.md's table
short() { ! small | xargs wc -l | awk '$2 != "total" && $1 >= 60' | grep .; }
headed() { ! small | grep -vx examples/hello.c | while read -r f; do
    head -1 "$f" | grep -q "^/\\* $(basename "$f"): " || echo "$f"; done | grep .; }
tabled() { ! all | while read -r f; do grep -qF "]($f)" README.md || echo "$f"; done | grep .; }

seen=
try() { # file, what, command
    file=$1 what=$2
    shift 2
    seen="$seen $file"
    check "$file: $what" "$@"
}
unseen() { ! while read -r f; do case "$seen " in *" $f "*) ;; *) echo "$f is not run" ;; esac; done <"$D/list" | grep .; }

check 'examples are under 60 lines, but for collector and inspector' short
check 'each begins with its name and what it shows' headed
check 'each stands in README.md' tabled

xargs -n 1 -P 2 sh "$0" build <"$D/list"
while read -r f; do
    name=$(basename "$f")
    check "$f: built without a warning by its head comment" built "${name%.*}"
done <"$D/list"

$COLLECTOR --port 0 --port-file "$D/port" --dir "$D/data" >"$D/collector.log" 2>&1 &
pid=$!
trap 'kill $pid 2>/dev/null' EXIT
for i in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20; do [ -s "$D/port" ] && break; sleep 0.1; done
URL=http://127.0.0.1:$(cat "$D/port")/api/v1/telemetry

try examples/hello.c 'its event arrives' hello
try examples/own_events.c 'declared, sampled and built events arrive, without what is personal' own_events
try examples/operations.c 'events of three threads have one correlation id' operations
try examples/consent.c 'yes: what waited arrives, as it was shown' consent_yes
try examples/consent.c 'the next run does not ask' consent_again
try examples/consent.c 'DO_NOT_TRACK: nobody is asked, nothing arrives' consent_switch
try examples/consent.c 'no answer: asked again; no: never, and nothing arrives' consent_no
try examples/curl.c 'ten events in fewer requests' curl
try examples/pump.c 'events are delivered between the frames' pump
try examples/offline.c 'what waited on the disk arrives' offline
try examples/c++98.cpp 'its events arrive' cxx98
try examples/plugin_host.c 'the plugin is used and unloaded, also while it is loaded twice; two installations' plugins
try examples/plugin.c 'its copy of the library is not seen' plugin_symbols
try examples/errors.c 'the next run tells of the crash' errors
try examples/file_sink.c 'a line an event' file_sink
try examples/cpp17.cpp 'scopes, exceptions, correlation' cpp17
try examples/privacy.c 'what can be sent, what waits, who decides' privacy
try examples/queue.c 'every record arrives' queue
if [ -n "$qt_here" ]; then try examples/qt_app.cpp 'the critical message is an event' qt_app; else skip 'examples/qt_app.cpp: no Qt here'; fi
check 'examples/demo.sh: the inspector sends every kind of event' demo
check 'each example is run' unseen
echo "$passed passed, $failed failed"
[ $failed = 0 ]
