#!/bin/sh
# Windows by mingw-w64 and wine: every form of the header without a warning for 64 and 32 bits, C and
# C++, and the whole API by wine (tests/matrix.sh has those cells); then a process that is killed,
# files and processes, the transport by WinHTTP, and the registry's refusals. wine has 64 bits here,
# so what has 32 is built and linked only. The same programs once more as cl compiles them
# (tests/msvc.sh).
# What a program prints is looked at, not what it ends with: a program that wine cannot run ends with 0.
# QUICK=1: two forms of the header instead of ten, no https and no registry, and less of it as cl.
set -u
D=build/windows
W='-Wall -Wextra -Wpedantic -Wconversion -Wshadow -Wsign-conversion -Wundef -Wcast-qual -Wvla -Werror'
passed=0 failed=0
mkdir -p $D
rm -rf $D/data $D/tls
unset DISPLAY DO_NOT_TRACK VI_NO_TELEMETRY VITELEMETRY_OPTOUT VECTOR_INSPECTOR_TELEMETRY_OPTOUT
WINEPREFIX=$PWD/$D/wine WINEDEBUG=-all WINEDLLOVERRIDES='mscoree,mshtml=;winedbg.exe,winemenubuilder.exe=d'
export WINEPREFIX WINEDEBUG WINEDLLOVERRIDES
export LC_ALL=C.UTF-8 # else wine has no name for a file with letters beyond ASCII

pass() { passed=$((passed + 1)); printf 'ok   %s\n' "$1"; }
fail() { # name, what to show
    failed=$((failed + 1))
    printf 'FAIL %s\n' "$1"
    [ $# -lt 2 ] || head -8 "$2" | sed 's/^/     /'
}
has() { command -v "$1" >/dev/null 2>&1; }
windows() { ${apart:-} timeout 300 wine "$@" 2>$D/wine.log | tr -d '\r'; }

# ---- building ------------------------------------------------------------------------------------

libraries() { # of a test
    case $1 in winhttp) echo -lwinhttp -lws2_32 ;; *WINHTTP*) echo -lwinhttp ;; esac
}

build() { # compiler with its options, program, source, switches
    compiler=$1 program=$2 source=$3
    shift 3
    # shellcheck disable=SC2046,SC2086
    $compiler $W "$@" -O1 -static -I. "$source" -o $D/"$program".exe $(libraries "$program") >$D/log 2>&1
}

timeout 300 wine wineboot -i >$D/wine.log 2>&1

ONLY='windows msvc' sh tests/matrix.sh >$D/matrix.log
grep -v ' passed, ' $D/matrix.log
line=$(grep -E '^[0-9]+ passed, [0-9]+ failed$' $D/matrix.log) # says so where no cell was there
p=${line%% passed*} f=${line#*, } f=${f%% failed*}
[ "${p:-0}" -gt 0 ] || f=1
passed=$((passed + ${p:-0})) failed=$((failed + f))

for machine in x86_64 i686; do
    for t in survive gate windows winhttp torture_live; do
        if build "$machine-w64-mingw32-gcc -std=c99 -Wstrict-prototypes" $t tests/$t.c; then
            pass "$machine: $t.c builds without a warning"
        else
            fail "$machine: $t.c builds" $D/log
        fi
        mv -f $D/$t.exe $D/$t-$machine.exe 2>/dev/null
    done
done

if build 'x86_64-w64-mingw32-gcc -std=c99 -DPLUGIN_AUTO -shared' plugin tests/plugin.c &&
    mv -f $D/plugin.exe $D/plugin.dll; then pass 'plugin.c builds without a warning'; else
    fail 'plugin.c builds' $D/log
fi

cl=
if has clang-19 && has lld-link-19 && [ -d /usr/include/wine/wine ]; then
    cl=cl
    for t in survive gate windows winhttp torture_live stress; do
        # shellcheck disable=SC2086
        if tests/msvc.sh x86_64 -U__clang__ $W -Wno-cast-qual -Wno-unused-function -std=c11 -O2 -I. \
            tests/$t.c -o $D/$t-cl.exe >$D/log 2>&1; then
            pass "cl: $t.c builds without a warning"
        else
            fail "cl: $t.c builds" $D/log
        fi
    done
else
    echo 'skip cl: needs clang-19, lld-19 and libwine-dev'
fi

# a host that names the transport by WinHTTP, and is disabled
printf '%s\n' '#include "vitelemetry.h"' 'int main(void)' '{' '    vit_options o = { .endpoint = "x" };' \
    '    o.transport.send_fn = vit_winhttp_send;' '    return vit_create(&o) != NULL;' '}' >$D/disabled.c
if build 'x86_64-w64-mingw32-gcc -std=c99' disabled $D/disabled.c -DVITELEMETRY_DISABLE -DVITELEMETRY_WINHTTP &&
    ! x86_64-w64-mingw32-nm $D/disabled.exe | grep -qi winhttp_; then pass 'disabled: vit_winhttp_send is nothing'; else
    fail 'disabled: vit_winhttp_send is nothing' $D/log
fi

# ---- running -------------------------------------------------------------------------------------

counted() { # name, program and arguments: one that prints `N passed, N failed`
    name=$1
    shift
    echo "== $name"
    windows "$@" >$D/out
    cat $D/out
    line=$(grep -E '^[0-9]+ passed, [0-9]+ failed$' $D/out | tail -1)
    if [ -z "$line" ]; then
        fail "$name: it did not end" $D/wine.log
        return
    fi
    p=${line%% passed*} f=${line#*, } f=${f%% failed*}
    passed=$((passed + p)) failed=$((failed + f))
}

# how it ended, what its session's end says, the crash that is told and its message
ended() {
    rm -rf $D/data/"$1"
    windows $D/survive-$machine.exe $D/data/"$1" "$1" >$D/out
    case $1 in
    die) n=0 && [ ! -s $D/out ] ;;
    repair) n=0 && [ "$(cat $D/out)" = 'host repair' ] ;;
    abort) n=1 ;; # it says that it was called
    raise) n=1 && [ ! -s $D/out ] ;;
    returns) n=1 && grep -q 'host handler' $D/out ;;
    filter) n=1 && grep -q 'host filter' $D/out ;; # and so does this one
    *) n=1 && [ "$(cat $D/out)" = 'host filter' ] ;;
    esac
    if [ $? = 0 ] && ls $D/data/"$1"/*.pool >/dev/null 2>&1; then pass "$1: what the host does, and a pool is left"; else
        fail "$1: what the host does, and a pool is left" $D/out
    fi
    windows $D/survive-$machine.exe $D/data/"$1" next >$D/out
    all=$((4 + n))
    if [ "$(grep -c "\"app_version\":\"$1\".*\"session_id\":\"first\"" $D/out)" = $all ] && [ "$(wc -l <$D/out)" = $all ]; then
        pass "$1: the next one delivers its $all events"
    else fail "$1: the next one delivers its $all events" $D/out; fi
    if grep '"session.end"' $D/out | grep -q "\"exit_reason\":\"$2\""; then pass "$1: $2"; else fail "$1: $2" $D/out; fi
    [ $n = 0 ] || if grep '"UncaughtException"' $D/out | grep -q "$3"; then pass "$1: $3"; else fail "$1: $3" $D/out; fi
    windows $D/survive-$machine.exe $D/data/"$1" next >$D/out
    if [ ! -s $D/out ]; then pass "$1: and nothing twice"; else fail "$1: and nothing twice" $D/out; fi
}

survives() { # machine
    machine=$1
    echo "== processes that are killed, and that crash: $machine"
    rm -rf $D/data/left
    ended die forced_close
    ended null crash '"message":"null address","exception_type":"EXCEPTION_ACCESS_VIOLATION"'
    ended stack crash '"message":"stack address","exception_type":"EXCEPTION_STACK_OVERFLOW"'
    ended abort crash '"exception_type":"SIGABRT"'
    ended raise crash '"exception_type":"SIGABRT"'
    ended returns crash '"exception_type":"SIGABRT"'
    ended filter crash '"exception_type":"EXCEPTION_ACCESS_VIOLATION"'
    ended repair forced_close
    windows $D/survive-$machine.exe $D/data/left leave >$D/out
    if [ ! -s $D/out ] && ls $D/data/left/*.spool >/dev/null 2>&1; then pass 'one that ends without a server leaves a spool'; else
        fail 'one that ends without a server leaves a spool' $D/out
    fi
    windows $D/survive-$machine.exe $D/data/left next >$D/out
    n=$(grep -c '"app_version":"leave".*"session_id":"first"' $D/out)
    if [ "$n" = 3 ] && ! ls $D/data/left/*.spool >/dev/null 2>&1; then pass 'which the next one delivers'; else
        fail "which the next one delivers: $n" $D/out
    fi
}

# A system of its own: its resolver is 127.0.0.2, and it trusts our certificate alone.
on_its_own() {
    unshare -m sh -c 'mount --bind $0/resolv.conf /etc/resolv.conf &&
        mount --bind $0/tls/cert.pem /etc/ssl/certs/ca-certificates.crt && exec "$@"' $D "$@"
}

certificate() {
    has openssl && has python3 && mkdir -p $D/tls && openssl req -x509 -newkey rsa:2048 -nodes -days 2 \
        -keyout $D/tls/key.pem -out $D/tls/cert.pem -subj /CN=localhost -addext subjectAltName=DNS:localhost \
        -addext keyUsage=digitalSignature,keyCertSign,keyEncipherment >$D/log 2>&1
}

# The transport where the machine must be arranged for it.
arranged() {
    if ! certificate; then
        echo 'skip https: needs openssl and python3'
        return
    fi
    mkfifo $D/tls/stop
    python3 tests/tls_server.py $D/tls/cert.pem $D/tls/key.pem <$D/tls/stop >$D/tls/port 2>$D/tls/log &
    exec 3>$D/tls/stop
    for _ in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20; do [ -s $D/tls/port ] || sleep 0.5; done
    port=$(cat $D/tls/port)
    counted 'WinHTTP: https' $D/winhttp-x86_64.exe tls "$port"
    echo 'nameserver 127.0.0.2' >$D/resolv.conf
    if has unshare && on_its_own true 2>$D/log; then
        wineserver -k # it lives in the system where it was started
        apart=on_its_own
        counted 'WinHTTP: https, trusted' $D/winhttp-x86_64.exe tls "$port" trusted
        counted 'WinHTTP: a resolver that hangs' $D/winhttp-x86_64.exe resolver
        apart=
        wineserver -k
    else
        echo 'skip https with a trusted certificate, a resolver that hangs: need root and unshare'
    fi
    exec 3>&-
}

# Keys of the registry, one at a time, and what a client makes of each.
key() { # what gate.c prints, key, name, type and value
    timeout 300 wine reg add "$2" /v "$3" /t "$4" /d "$5" /f /reg:64 >/dev/null 2>&1
    got=$(windows $D/gate-x86_64.exe)
    timeout 300 wine reg delete "$2" /v "$3" /f /reg:64 >/dev/null 2>&1
    if [ "$got" = "$1" ]; then pass "$2 $3 $4 $5"; else fail "$2 $3 $4 $5: $got, not $1"; fi
}

registry() {
    echo '== the registry'
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

for machine in x86_64 $cl; do
    rm -rf $D/data/files $D/data/failing
    survives $machine
    counted "files and processes: $machine" $D/windows-$machine.exe $D/data/files
    case ${QUICK:-}:$machine in 1:cl) continue ;; esac
    counted "failing calls: $machine" $D/torture_live-$machine.exe $D/data/failing ${QUICK:+31}
    counted "WinHTTP: $machine" $D/winhttp-$machine.exe
done
[ -z "$cl" ] || counted 'the queue under load: cl' $D/stress-cl.exe 5000000
[ -n "${QUICK:-}" ] || arranged
[ -n "${QUICK:-}" ] || registry
wineserver -k 2>/dev/null
echo "$passed passed, $failed failed"
[ $failed = 0 ] && [ $passed -gt 0 ]
