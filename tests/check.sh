#!/bin/sh
# What CI runs: `make test`, every compiler and standard, the sanitizers, the explorer, programs that
# are killed and that crash, the queue under load, other machines by emulation, Windows by wine, lint.
# Counts add up.
set -u
passed=0 failed=0
MAKE="${MAKE:-make} --no-print-directory"
mkdir -p build

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

step 'make test' $MAKE -j2 test
step 'compilers, standards, switches and machines' env QUICK=1 $MAKE matrix
step 'AddressSanitizer, UndefinedBehaviorSanitizer' $MAKE asan
step 'ThreadSanitizer' $MAKE tsan
step 'fuzzing' $MAKE fuzz TIME=4
step 'explorer of the queue' sh tests/explore.sh
step 'explorer of the protocols' sh tests/explore_protocols.sh
step 'killed, again and again' $MAKE crash-loop N=250
step 'crashed, again and again' $MAKE crashes N=150
step 'what the crash handler calls' $MAKE crash-handler
step 'killed while they share a spool' $MAKE chaos N=125
step 'the queue under load' $MAKE stress RECORDS=50000000
step 'forked and unloaded, again and again' $MAKE rounds
step 'protections taken out' $MAKE failures-planted
step 'other machines' $MAKE emulate
step 'Windows' env QUICK=1 $MAKE windows
step 'lint' $MAKE lint
echo "$passed passed, $failed failed"
[ $failed = 0 ]
