#!/bin/sh
# plant_sanitizers.sh: each sanitizer, and valgrind, must find a bug that is planted into a copy of the
# header, by a test that passes there without it (QUICK=1: which is not looked at again).
set -u
D=build/planted-sanitizers
passed=0 failed=0
rm -rf $D
mkdir -p $D/plain/tests
cp tests/*.h tests/msan.c tests/test_*.c $D/plain/tests/
cp vitelemetry.h $D/plain/

# name | compiler and switches | run by | test | what it says | what is planted, by sed
table() {
    cat <<'END'
an overflow by one|gcc -fsanitize=address||scrub|AddressSanitizer: |s/^    if (out_size) out\[sink.kept\] = /    if (out_size) out[out_size] = /
memory that is left|gcc -fsanitize=address||audit|LeakSanitizer: |/^static void vitp_client_free/,/^}/s/VITP_OS(free)(memory)/(void)memory/
a shift beyond the width|gcc -fsanitize=undefined -fno-sanitize-recover=all||sha256|runtime error: shift exponent|/vitp_sha256_rotate(uint32_t/s/32u - n/64u - n/
a relaxed publish, gcc|gcc -fsanitize=thread||queue|ThreadSanitizer: data race|/vitp_queue_commit_own(/,/^}/s/STORE_RELEASE(&c->word/STORE(\&c->word/
a relaxed publish, clang|clang -fsanitize=thread||queue|ThreadSanitizer: data race|/vitp_queue_commit_own(/,/^}/s/STORE_RELEASE(&c->word/STORE(\&c->word/
bytes that nobody wrote|clang-19 -fsanitize=memory -Dsyscall=msan_syscall tests/msan.c||ids|MemorySanitizer: use-of-uninitialized|/^static bool vitp_os_random/,/^}/s/SYS_getrandom, out, size, 0u) == (long)size/SYS_getrandom, out, size - 1u, 0u) > 0/
memory that is left, valgrind|gcc|valgrind -q --leak-check=full --errors-for-leak-kinds=definite --error-exitcode=9|audit|definitely lost|/^static void vitp_client_free/,/^}/s/VITP_OS(free)(memory)/(void)memory/
END
}

build() { # folder, compiler and switches, test
    compiler=${2%% *} switches=$(echo "$2 " | cut -d' ' -f2- | sed "s,tests/msan.c,$1/&,")
    # shellcheck disable=SC2086
    $compiler -std=c99 -O1 -g -w -DVITP_OS_ETC='"/nonexistent"' $switches "$1/tests/test_$3.c" -o "$1/test" -lcmocka -pthread -lm >"$1/log" 2>&1
}
runs() { # folder, run by
    # shellcheck disable=SC2086
    timeout 300 $2 "$1/test" >"$1/log" 2>&1
}
bad() {
    failed=$((failed + 1))
    echo "FAIL $1"
    tail -5 "$2"
}

one() { # name, compiler and switches, run by, test, says, sed
    with=$D/plain without=$D/planted
    command -v "${2%% *}" >/dev/null 2>&1 || { echo "not here: ${2%% *}"; return; }
    [ -z "$3" ] || command -v "${3%% *}" >/dev/null 2>&1 || { echo "not here: ${3%% *}"; return; }
    if [ -z "${QUICK:-}" ] && { ! build $with "$2" "$4" || ! runs $with "$3"; }; then bad "$1: test_$4 does not pass as it is" $with/log; return; fi
    rm -rf $without
    cp -r $with $without
    sed "$6" vitelemetry.h >$without/vitelemetry.h
    if cmp -s vitelemetry.h $without/vitelemetry.h; then bad "$1: nothing to plant it in" /dev/null; return; fi
    if ! build $without "$2" "$4"; then bad "$1: is not built" $without/log; return; fi
    runs $without "$3"
    status=$?
    if [ $status != 0 ] && grep -q "$5" $without/log; then
        passed=$((passed + 1))
        echo "ok   $1: found by ${3:-$2}" | cut -c1-100
    else
        bad "$1: not found, ended with $status" $without/log
    fi
}

table >$D/table
while IFS='|' read -r name compiler by test says edit; do
    one "$name" "$compiler" "$by" "$test" "$says" "$edit"
done <$D/table
echo "$passed passed, $failed failed"
[ $failed = 0 ] && [ $passed -gt 0 ]
