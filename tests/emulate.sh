#!/bin/sh
# Other machines: 32 bits, big-endian and both, built by cross compilers and run by qemu. On each
# runs smoke.c (the whole API), the queue under load, and a program that is killed again and again.
# The emulator keeps the order of this machine's memory: it shows wrong sizes and byte orders, not
# weak ones. It has no membarrier either, so the ways without one are tried.
set -u
passed=0 failed=0
mkdir -p build/emulate
W='-Wall -Wextra -Wpedantic -Wconversion -Wshadow -Wsign-conversion -Werror'

run() { # name, compiler, how to run, program and its arguments
    name=$1 cc=$2 how=$3 source=$4
    shift 4
    out=build/emulate/$source-$name libs=-pthread
    case $name in windows) out=$out.exe libs=-lbcrypt ;; esac
    if $cc -std=c99 $W -O1 -I. tests/"$source".c -o "$out" $libs >"$out.log" 2>&1 &&
        $how "$out" "$@" >>"$out.log" 2>&1; then
        passed=$((passed + 1))
        echo "ok   $name: $source"
    else
        failed=$((failed + 1))
        echo "FAIL $name: $source"
        tail -5 "$out.log"
    fi
}

machine() { # name, compiler, how to run
    command -v "${2%% *}" >/dev/null 2>&1 || { echo "not here: $2"; return; }
    run "$1" "$2" "timeout 300 $3" smoke
    run "$1" "$2" "timeout 300 $3" stress "${RECORDS:-200000}" 3
    run "$1" "$2" "timeout 300 $3" crash_loop "${ROUNDS:-15}" 1
}

machine i386 'gcc-12 -m32 -isystem /usr/include/x86_64-linux-gnu' qemu-i386
machine s390x s390x-linux-gnu-gcc 'qemu-s390x -L /usr/s390x-linux-gnu'
machine mips mips-linux-gnu-gcc 'qemu-mips -L /usr/mips-linux-gnu'
machine aarch64 aarch64-linux-gnu-gcc 'qemu-aarch64 -L /usr/aarch64-linux-gnu'

# Windows, where wine is: the whole API, and a process that is killed.
windows() {
    command -v x86_64-w64-mingw32-gcc >/dev/null 2>&1 && command -v wine >/dev/null 2>&1 || {
        echo "not here: mingw-w64 and wine"
        return
    }
    WINEPREFIX=$PWD/build/emulate/wine WINEDEBUG=-all WINEDLLOVERRIDES='mscoree,mshtml=;winedbg.exe=d'
    export WINEPREFIX WINEDEBUG WINEDLLOVERRIDES
    unset DISPLAY
    run windows 'x86_64-w64-mingw32-gcc -static' 'timeout 300 wine' smoke
    rm -rf build/emulate/windata
    run windows 'x86_64-w64-mingw32-gcc -static' 'dies timeout 300 wine' survive build/emulate/windata die
    run windows 'x86_64-w64-mingw32-gcc -static' 'timeout 300 wine' survive build/emulate/windata next
}

# A program that is to be killed.
dies() { ! "$@"; }

windows
echo "$passed passed, $failed failed"
[ $failed = 0 ] && [ $passed -gt 0 ]
