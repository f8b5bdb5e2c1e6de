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
# servers (servers), fails calls by itself (curl, faults, platform), or plays what else happens
# (crash, races).
ALL=$(for f in tests/test_*.c; do basename "$f" .c; done | sed 's/^test_//' | grep -vxE 'collector|plugin|servers|faults|platform|curl|races|crash')
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

# ---- planted -------------------------------------------------------------------------------------

live() { # folder of the header: a life of a client, again and again
    rm -rf "$D/planted.data"
    # shellcheck disable=SC2086
    "$CC" -std=gnu99 -w -O1 -g $SAN -DVITP_OS_ETC='"/nonexistent"' -I"$1" -Itests -iquote "$1/tests" "$1/tests/torture_live.c" \
        -o "$1/live" -pthread && XDG_RUNTIME_DIR=$PWD/$D/planted.run timeout 600 "$1/live" "$D/planted.data" 5 1 1 >"$1/log" 2>&1
}

plant() { # name, what is said of it, sed
    folder=$D/planted
    rm -rf $folder
    mkdir -p $folder/tests
    cp tests/torture.h tests/options.h tests/torture_live.c $folder/tests/
    sed "$3" vitelemetry.h >$folder/vitelemetry.h
    if cmp -s vitelemetry.h $folder/vitelemetry.h; then
        echo "FAIL $1: nothing to plant it in"
        failed=$((failed + 1))
    elif live $folder; then
        echo "FAIL $1: not found"
        failed=$((failed + 1))
    elif ! grep -qE "$2" $folder/log; then
        echo "FAIL $1: ended otherwise"
        tail -5 $folder/log
        failed=$((failed + 1))
    else
        echo "ok   $1: $(grep -m1 -oE "$2" $folder/log)"
        passed=$((passed + 1))
    fi
}

if [ "${1:-}" = planted ]; then
    mkdir -p "$D/planted.run"
    chmod 700 "$D/planted.run"
    plant 'a descriptor that stays open' 'kind 1 of line [0-9]*' \
        '/^static vitp_os_read vitp_os_read_file/,/^}/s/^        how = VITP_OS_READ_LATER;/        return VITP_OS_READ_LATER;/'
    plant 'memory that was not given' 'AddressSanitizer: SEGV|runtime error: [a-z ]*' \
        '/^static vit_client \*vitp_client_take_memory/,/^}/s/if (!block) return NULL;//'
    plant 'a lock that is left' 'kind 5 of line [0-9]*' '/^static bool vitp_client_take_system/,/^}/s/vitp_os_mutex_free(&t->lock);//'
    plant 'a mapping that is left' 'kind 3 of line [0-9]*' \
        '/^static bool vitp_client_take_system/,/^}/s/vitp_os_page_free(&r->page);//'
    plant 'an event that is counted twice' 'books' \
        '/^static .*vitp_spool_count(/,/^}/s/(uintptr_t)n)/(uintptr_t)n + 1u)/'
    echo "$passed passed, $failed failed"
    [ $failed = 0 ] && [ $passed -gt 0 ]
    exit
fi

# ---- every test ----------------------------------------------------------------------------------

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
