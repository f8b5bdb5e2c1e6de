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
    run windows 'x86_64-w64-mingw32-gcc -static' 'timeout 300 wine' gate
    registry
}

# Keys of the registry, one at a time, and what a client makes of each.
key() { # what gate.c prints, key, name, type and value
    timeout 300 wine reg add "$2" /v "$3" /t "$4" /d "$5" /f /reg:64 >/dev/null 2>&1
    got=$(timeout 300 wine build/emulate/gate-windows.exe 2>/dev/null | tr -d '\r')
    timeout 300 wine reg delete "$2" /v "$3" /f /reg:64 >/dev/null 2>&1
    if [ "$got" = "$1" ]; then passed=$((passed + 1)); printf 'ok   windows: %s\n' "$2 $3 $4 $5"; else
        failed=$((failed + 1))
        printf 'FAIL windows: %s\n' "$2 $3 $4 $5: $got, not $1"
    fi
}

registry() {
    all='consent 2 gate 0 usage 0 errors 0' none_by_admin='consent 1 gate 2 usage 2 errors 2'
    no_usage='consent 2 gate 5 usage 2 errors 0' no_errors='consent 2 gate 5 usage 0 errors 2'
    none_by_system='consent 1 gate 5 usage 2 errors 2'
    own='HKLM\SOFTWARE\Policies\vector-inspector'
    windows='Microsoft\Windows' error='Windows Error Reporting'
    key "$all" "$own" AllowTelemetry REG_DWORD 3
    key "$none_by_admin" "$own" AllowTelemetry REG_DWORD 0
    key "$none_by_admin" "$own" AllowTelemetry REG_DWORD 4
    key "$none_by_admin" "$own" AllowTelemetry REG_SZ 3
    key "$none_by_admin" "$own" AllowTelemetry REG_SZ a-long-text
    key "$all" 'HKLM\SOFTWARE\Policies\other' AllowTelemetry REG_DWORD 0
    for k in "HKLM\\SOFTWARE\\Policies\\$windows\\DataCollection" \
        "HKLM\\SOFTWARE\\$windows\\CurrentVersion\\Policies\\DataCollection"; do
        key "$all" "$k" AllowTelemetry REG_DWORD 3
        key "$no_usage" "$k" AllowTelemetry REG_DWORD 1
        key "$none_by_system" "$k" AllowTelemetry REG_DWORD 0
        key "$all" "$k" AllowTelemetry REG_SZ 0
    done
    key "$no_usage" "HKLM\\SOFTWARE\\$windows\\CurrentVersion\\Policies\\DataCollection" MaxTelemetryAllowed REG_DWORD 2
    for k in "HKCU\\SOFTWARE\\$windows\\$error" "HKLM\\SOFTWARE\\$windows\\$error" \
        "HKCU\\SOFTWARE\\Policies\\$windows\\$error" "HKLM\\SOFTWARE\\Policies\\$windows\\$error"; do
        key "$no_errors" "$k" Disabled REG_DWORD 1
        key "$all" "$k" Disabled REG_DWORD 0
    done
}

# A program that is to be killed.
dies() { ! "$@"; }

windows
echo "$passed passed, $failed failed"
[ $failed = 0 ] && [ $passed -gt 0 ]
