#!/bin/sh
# Other machines: 32 bits, big-endian and both, built by cross compilers and run by qemu. On each
# runs smoke.c (the whole API), the queue under load, a program that is killed again and again, and
# one that crashes.
# The emulator keeps the order of this machine's memory: it shows wrong sizes and byte orders, not
# weak ones. It has no membarrier either, so the ways without one are tried.
set -u
passed=0 failed=0
mkdir -p build/emulate
W='-Wall -Wextra -Wpedantic -Wconversion -Wshadow -Wsign-conversion -Werror'

run() { # name, compiler, how to run, program and its arguments
    name=$1 cc=$2 how=$3 source=$4
    shift 4
    out=build/emulate/$source-$name
    if $cc -std=c99 $W -O1 -I. tests/"$source".c -o "$out" -pthread >"$out.log" 2>&1 &&
        $how "$out" "$@" >>"$out.log" 2>&1; then
        passed=$((passed + 1))
        echo "ok   $name: $source"
    else
        failed=$((failed + 1))
        echo "FAIL $name: $source"
        tail -5 "$out.log"
    fi
}

# how it crashes, what the next run tells
crashes() { # name, how to run
    folder=build/emulate/survive-$1.data
    rm -rf "$folder"
    for crash in 'null null address' 'stack stack address'; do
        # shellcheck disable=SC2086
        $2 build/emulate/survive-"$1" "$folder" "${crash%% *}" >/dev/null 2>&1
        status=$?
        # shellcheck disable=SC2086
        $2 build/emulate/survive-"$1" "$folder" next >"$folder.out" 2>&1
        if [ $status = 139 ] && grep '"UncaughtException"' "$folder.out" | grep '"exception_type":"SIGSEGV"' |
            grep -q "\"message\":\"${crash#* }\""; then
            passed=$((passed + 1))
            echo "ok   $1: a crash, ${crash#* }"
        else
            failed=$((failed + 1))
            echo "FAIL $1: a crash, ${crash#* }: ended with $status"
            cut -c1-300 "$folder.out"
        fi
    done
}

machine() { # name, compiler, how to run
    command -v "${2%% *}" >/dev/null 2>&1 || { echo "not here: $2"; return; }
    run "$1" "$2" "timeout 300 $3" smoke
    run "$1" "$2" "timeout 300 $3" stress "${RECORDS:-200000}" 3
    run "$1" "$2" "timeout 300 $3" crash_loop "${ROUNDS:-15}" 1
    run "$1" "$2" "timeout 300 $3" survive build/emulate/survive-"$1".none next
    crashes "$1" "timeout 300 $3"
}

machine i386 'gcc-12 -m32 -isystem /usr/include/x86_64-linux-gnu' qemu-i386
machine s390x s390x-linux-gnu-gcc 'qemu-s390x -L /usr/s390x-linux-gnu'
machine mips mips-linux-gnu-gcc 'qemu-mips -L /usr/mips-linux-gnu'
machine aarch64 aarch64-linux-gnu-gcc 'qemu-aarch64 -L /usr/aarch64-linux-gnu'

echo "$passed passed, $failed failed"
[ $failed = 0 ] && [ $passed -gt 0 ]
