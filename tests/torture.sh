#!/bin/sh
# torture.sh: each unit test again while the n-th call of the system fails, once and from then on, for
# n = 1, 2, ... until a run is untouched; under AddressSanitizer and UndefinedBehaviorSanitizer. What
# is looked at stands in tests/torture.c.
#   TIME   seconds a test at most (20): where every call would take longer, each k-th fails; 0: all
#   SEED   another choice
#   ONLY   names of test programs, without test_
#   SAN    other sanitizers, or none (SAN=-g)
#   D      another folder than build/torture
# `planted` takes the answer to a failure out of copies of the header, which must be found.
set -u
D=${D:-build/torture} TIME=${TIME:-20} SEED=${SEED:-0}
CC=${CC:-cc}
SAN=${SAN:--fsanitize=address,undefined -fno-sanitize-recover=all -fno-omit-frame-pointer}
mkdir -p "$D"
. tests/lib.sh

# All but what has no client of its own in the program (collector, plugin), measures times with real
# servers (servers), or fails calls by itself (faults).
ALL=$(for f in tests/test_*.c; do basename "$f" .c; done | sed 's/^test_//' | grep -vxE 'collector|plugin|servers|faults')
ONLY=${ONLY:-$ALL}

build() { # folder of the header, folder of the programs, test
    [ "$3" = e2e ] && curl='-DWITH_CURL -lcurl' || curl=
    [ "$3" = gates ] && etc= || etc=-DVITP_OS_ETC='"/nonexistent"'
    # shellcheck disable=SC2086
    "$CC" -std=gnu99 -w -O1 -g $SAN -include tests/torture.h -D_cmocka_run_group_tests=torture_group \
        ${etc:+"$etc"} -I"$1" -iquote "$1/tests" "$1/tests/test_$3.c" "$D/torture.o" -o "$2/test_$3" -lcmocka -pthread -lm $curl
}

# shellcheck disable=SC2086
"$CC" -std=gnu99 -Wall -Wextra -O1 -g $SAN -I. -c tests/torture.c -o "$D/torture.o" || exit 1

passed=0 failed=0 injected=0 runs=0
one() { # test: builds and runs; $D/NAME.log
    build . "$D" "$1" && TORTURE_TIME=$TIME TORTURE_SEED=$SEED "$D/test_$1"
}

sum() { # test: adds what its log says
    log=$D/$1.log
    line=$(grep -E '^[0-9]+ passed, [0-9]+ failed' "$log" | tail -1)
    p=${line%% passed*} f=${line#*, } f=${f%% failed*}
    [ -n "$line" ] || p=0 f=1
    n=$(sed -n 's/^\([0-9]*\) failures injected.*/\1/p' "$log" | tail -1)
    r=$(sed -n 's/^[0-9]* failures injected in \([0-9]*\) runs.*/\1/p' "$log" | tail -1)
    printf '%-20s %3d passed %3d failed %7d failures injected\n' "test_$1" "$p" "$f" "${n:-0}"
    [ "$f" = 0 ] || grep -vE '^ok|passed, |injected' "$log" | head -60
    passed=$((passed + p)) failed=$((failed + f)) injected=$((injected + ${n:-0})) runs=$((runs + ${r:-0}))
}

# two at a time
start=$(date +%s)
set -f
# shellcheck disable=SC2086
set -- $ONLY
while [ $# -gt 0 ]; do
    one "$1" >"$D/$1.log" 2>&1 &
    first=$1
    shift
    if [ $# -gt 0 ]; then
        one "$1" >"$D/$1.log" 2>&1
        wait
        sum "$first"
        sum "$1"
        shift
    else
        wait
        sum "$first"
    fi
done
echo "torture: $injected failures injected in $runs runs, $failed tests with a crash, a leak, a hang or books that do not balance, $(($(date +%s) - start)) s"
echo "$passed passed, $failed failed"
[ $failed = 0 ] && [ $passed -gt 0 ]
