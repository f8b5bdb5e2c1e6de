#!/bin/sh
# check_qt.sh: install_qt_handler with Qt 5 and Qt 6, whichever is here (one is installed when none
# is): examples/qt_app.cpp and tests/test_qt.cpp are built without a warning and run.
set -u
D=build/qt
W='-Wall -Wextra -Wpedantic -Wconversion -Wshadow -Wsign-conversion -Wundef -Wcast-qual -Wvla -Werror'
ETC=-DVITP_OS_ETC='"/nonexistent"'
passed=0 failed=0
rm -rf "$D"
mkdir -p "$D"

check() { # text, status, what to show
    if [ "$2" = 0 ]; then passed=$((passed + 1)); echo "ok    $1"; else
        failed=$((failed + 1))
        echo "FAIL  $1"
        [ -z "${3:-}" ] || head -12 "$3" | sed 's/^/      /'
    fi
}

sh tests/need.sh pkg-config:pkg-config || exit 1
if ! pkg-config --exists Qt6Core && ! pkg-config --exists Qt5Core; then
    sh tests/need.sh dpkg:qtbase5-dev || exit 1
fi

build() { # source, program, other flags
    source=$1 program=$2
    shift 2
    "$cxx" -std="$std" $W -O1 -fPIC "$ETC" -I. $flags "$@" "$source" -o "$D/$program" $libs -pthread >"$D/log" 2>&1
}

# qt_app in an environment of its own: status in $status, events in $D/out, what its handler saw in $D/err
app() {
    env -i PATH="$PATH" HOME="$home" XDG_STATE_HOME="$home" XDG_RUNTIME_DIR="$home" QT_QPA_PLATFORM=offscreen \
        sh -c 'ulimit -c 0; exec "$@"' sh "$D/qt_app" "$@" >"$D/out" 2>"$D/err"
    status=$?
}
count() { grep -c "$@" "$D/out"; }
seen() { # lines that the program's own handler must have seen, and no others
    grep '^log: ' "$D/err" >"$D/seen"
    printf '%s\n' "log: loading $D/qt_app" 'log: 3 tables' 'log: table 2 is empty' 'log: table 3 cannot be read' "$@" |
        diff - "$D/seen" >"$D/log"
}

example() { # $1: for the messages
    home=$PWD/$D/home
    rm -rf "$home"
    mkdir -p "$home"
    chmod 700 "$home"
    build examples/qt_app.cpp qt_app
    check "$1: qt_app builds without a warning" $? "$D/log"
    app
    check "$1: it ends with 0" $status "$D/err"
    seen
    check "$1: its own handler saw each message once" $? "$D/log"
    [ "$(count .)" = 1 ] && [ "$(count '"event_name":"QtError".*"message":"table 3 cannot be read","msg_type":"critical","file":"qt_app.cpp"')" = 1 ]
    check "$1: the critical one is sent, and nothing else" $? "$D/out"
    app fatal
    [ $status = 134 ]
    check "$1: fatal: it ends by SIGABRT" $? "$D/err"
    seen 'log: no table is left'
    check "$1: fatal: its own handler saw each message once" $? "$D/log"
    cat "$D/out" >"$D/first"
    app
    check "$1: the next run ends with 0" $status "$D/err"
    cat "$D/first" >>"$D/out"
    [ "$(count '"message":"no table is left","msg_type":"fatal"')" = 1 ]
    check "$1: the fatal one is sent by the next run" $? "$D/out"
    [ "$(count '"msg_type":"critical"')" = 2 ] && [ "$(count .)" = 3 ]
    check "$1: both critical ones too, and nothing else" $? "$D/out"
}

suite() { # name, program: its counts are added
    QT_QPA_PLATFORM=offscreen "$D/$2" >"$D/log" 2>&1
    status=$?
    line=$(tail -1 "$D/log")
    case $line in
    *' passed, '*' failed') passed=$((passed + ${line%% passed*})) ;;
    *) status=1 ;;
    esac
    grep -v '^ok' "$D/log" >"$D/rest"
    check "$1" $status "$D/rest"
}

printf '#define VITELEMETRY_IMPLEMENTATION\n#include "vitelemetry.h"\n' >"$D/impl.c"
for pair in Qt5Core:c++11 Qt6Core:c++17; do
    qt=${pair%:*} std=${pair#*:}
    pkg-config --exists "$qt" || { echo "skip  $qt: not here"; continue; }
    flags=$(pkg-config --cflags "$qt" | sed 's/-I/-isystem /g') libs=$(pkg-config --libs "$qt")
    for compilers in gcc:g++ clang:clang++; do
        cc=${compilers%:*} cxx=${compilers#*:}
        command -v "$cxx" >/dev/null 2>&1 || { echo "skip  $cxx: not here"; continue; }
        name="$qt $(pkg-config --modversion "$qt"), $cxx"
        example "$name"
        build tests/test_qt.cpp alone -DALONE
        check "$name: test_qt builds" $? "$D/log"
        suite "$name: test_qt" alone
        "$cc" -std=c99 -O1 "$ETC" -I. -c "$D/impl.c" -o "$D/impl.o" && build tests/test_qt.cpp user "$D/impl.o"
        check "$name: test_qt builds, the implementation in C" $? "$D/log"
        suite "$name: test_qt, the implementation in C" user
        build tests/test_qt.cpp static -DALONE -DVITELEMETRY_STATIC -fno-rtti -fno-exceptions
        check "$name: test_qt builds, static, no exceptions" $? "$D/log"
        suite "$name: test_qt, static, no exceptions" static
        (libs= && build tests/test_qt.cpp off.o -DVITELEMETRY_DISABLE -c)
        check "$name: disabled, it compiles" $? "$D/log"
    done
done
echo "$passed passed, $failed failed"
[ $failed = 0 ]
