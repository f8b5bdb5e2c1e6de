#!/bin/sh
# memcheck.sh PROGRAM ...: each test program under valgrind: no wrong access, nothing left, no
# descriptor open at the end that was not there at the beginning. It is 20 to 50 times as slow, so a
# test that waits 20 s for something else may end earlier: then the one program is named.
set -u
passed=0 failed=0
for program; do
    log=build/memcheck-$(basename "$program").log
    valgrind -q --leak-check=full --errors-for-leak-kinds=definite --error-exitcode=9 --trace-children=no \
        --child-silent-after-fork=yes "$program" >"$log" 2>&1
    status=$?
    p=$(grep -c '^\[       OK \]' "$log")
    if [ $status = 0 ] && [ "$p" -gt 0 ]; then
        passed=$((passed + p))
        printf 'ok   %s: %d tests\n' "$(basename "$program")" "$p"
    else
        failed=$((failed + 1))
        printf 'FAIL %s: ended with %d\n' "$(basename "$program")" $status
        grep -vE '^\[ (RUN|      OK)' "$log" | head -40
    fi
done
echo "$passed passed, $failed failed"
[ $failed = 0 ] && [ $passed -gt 0 ]
