#!/bin/sh
# What CI runs: `make test`, every compiler and standard, the sanitizers, the explorer, programs that
# are killed and that crash, the queue under load, other machines by emulation, Windows by wine, lint.
# Counts add up.
set -u
passed=0 failed=0
MAKE="${MAKE:-make} --no-print-directory"
mkdir -p build/matrix

step() { # name, command: its last line `N passed, N failed` is added
    name=$1
    shift
    echo "== $name"
    "$@" >build/check-step.log 2>&1
    status=$?
    line=$(grep -E '^[0-9]+ passed, [0-9]+ failed' build/check-step.log | tail -1)
    p=${line%% passed*} f=${line#*, } f=${f%% failed*}
    [ -n "$line" ] || p=0 f=0
    [ $status != 0 ] && [ "$f" = 0 ] && f=1
    if [ "$f" = 0 ]; then grep -vE '^(ok|cc|gcc|clang|make|installing)' build/check-step.log | tail -40; else tail -80 build/check-step.log; fi
    passed=$((passed + p)) failed=$((failed + f))
}

# one cell: compiler, standard, switches; builds smoke.c without a warning and runs it
cell() {
    compiler=$1 std=$2
    shift 2
    case $std in c++*) source=build/matrix/smoke.cpp warn= ;; *) source=tests/smoke.c warn=-Wstrict-prototypes ;; esac
    if $compiler -std="$std" -Werror $W $warn "$@" -Itests -I. $source -o build/matrix/smoke -pthread >build/matrix/log 2>&1 &&
        build/matrix/smoke >build/matrix/out 2>>build/matrix/log && grep -q 'smoke: ok' build/matrix/out; then
        passed=$((passed + 1))
    else
        failed=$((failed + 1))
        echo "FAIL $compiler -std=$std $*"
        head -5 build/matrix/log
    fi
}

W='-Wall -Wextra -Wpedantic -Wconversion -Wshadow -Wsign-conversion -Wundef -Wcast-qual -Wvla'

matrix() {
    echo "== compilers and standards"
    before=$((passed + failed))
    cp tests/smoke.c build/matrix/smoke.cpp
    for c in gcc clang clang-19; do
        command -v $c >/dev/null 2>&1 || { echo "not here: $c"; continue; }
        for std in c99 c11 c2x; do
            cell $c $std -O2
            # the switches with the oldest and the newest standard, by two compilers
            case $c:$std in clang:* | *:c11) continue ;; esac
            cell $c $std -O0
            for s in STATIC NO_THREADS NO_FILES NO_CRASH OS_SETTINGS; do cell $c $std -O1 -DVITELEMETRY_$s; done
        done
    done
    for c in g++ clang++ clang++-19; do
        command -v $c >/dev/null 2>&1 || { echo "not here: $c"; continue; }
        for std in c++11 c++14 c++17 c++20; do
            cell $c $std -O2
            case $c:$std in clang++:* | *:c++14 | *:c++17) continue ;; esac
            cell $c $std -O0
            cell $c $std -O1 -fno-exceptions -fno-rtti
            for s in STATIC NO_THREADS NO_FILES NO_CRASH OS_SETTINGS; do cell $c $std -O1 -DVITELEMETRY_$s; done
        done
    done
    echo "$((passed + failed - before)) cells"
}

step 'make test' $MAKE -j2 test
matrix
step 'AddressSanitizer, UndefinedBehaviorSanitizer' $MAKE asan
step 'ThreadSanitizer' $MAKE tsan
step 'fuzzing' $MAKE fuzz TIME=4
step 'explorer of the queue' $MAKE explore
step 'killed, again and again' $MAKE crash-loop N=250
step 'crashed, again and again' $MAKE crashes N=150
step 'what the crash handler calls' $MAKE crash-handler
step 'killed while they share a spool' $MAKE chaos N=125
step 'the queue under load' $MAKE stress RECORDS=50000000
step 'forked and unloaded, again and again' $MAKE rounds
step 'other machines' $MAKE emulate
step 'Windows' env QUICK=1 $MAKE windows
step 'lint' sh tests/lint.sh tools
echo "$passed passed, $failed failed"
[ $failed = 0 ]
