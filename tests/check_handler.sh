#!/bin/sh
# What the crash handler does, looked at from outside:
#   - strace: between a crash and the end of the process it makes no call of the system beyond the
#     bookkeeping of signals;
#   - the call graph, by gcc at -O0 and -O2, and of a plugin: nothing is reached from it that a signal
#     handler may not call.
# Both must find what is planted into a copy of the header.
set -u
passed=0 failed=0
B=build/handler
CC=${CC:-cc}
mkdir -p $B
check() { # text, status, what to show
    if [ "$2" = 0 ]; then passed=$((passed + 1)); echo "ok   $1"; else failed=$((failed + 1)); echo "FAIL $1"; [ -z "${3:-}" ] || echo "$3" | head -12; fi
}

plant() { # file, text of C: stands at the first line of vitp_crash_touched
    awk -v text="$2" '{ print } /^static uint32_t vitp_crash_touched/ { own = 1 }
        own && /^{/ { print "    " text; own = 0; n++ } END { exit n != 1 }' vitelemetry.h >"$1"
}

build() { # folder of the header, program
    sed 's,"../vitelemetry.h","vitelemetry.h",' tests/crashes.c >$B/crashes.c
    $CC -std=c99 -O2 -g -I"$1" -Itests $B/crashes.c -o "$2" -pthread -ldl >$B/cc.log 2>&1
}

# ---- calls of the system ------------------------------------------------------------------------

SIGNALS='rt_sigprocmask|rt_sigaction|rt_sigreturn|sigreturn|sigprocmask|sigaction|tgkill|tkill|gettid|getpid'
calls() { # program, way: the calls behind the crash that are no bookkeeping
    strace -o $B/strace.log "$1" one "$2" >/dev/null 2>&1
    awk -v own="^($SIGNALS)[(]" '/^--- SIG/ { behind = 1; next } /^[+][+][+] killed by/ { killed = 1 }
        behind && /^[a-z_0-9]+[(]/ && $0 !~ own { print } END { if (!behind || !killed) print "there was no crash" }' $B/strace.log
}

if command -v strace >/dev/null 2>&1 && strace -o /dev/null true 2>/dev/null; then
    build . $B/crashes; check "built" $? "$(cat $B/cc.log)"
    for way in $($B/crashes ways); do
        [ "$way" = seccomp ] && continue # its call of the system is the crash
        found=$(calls $B/crashes "$way")
        [ -z "$found" ]; check "strace: $way" $? "$found"
    done
    mkdir -p $B/planted
    if plant $B/planted/vitelemetry.h '(void)syscall(SYS_getppid);' && build $B/planted $B/crashes_planted; then
        found=$(calls $B/crashes_planted null_read)
        case $found in *getppid*) true ;; *) false ;; esac
    else
        found=$(cat $B/cc.log)
        false
    fi
    check "strace finds a planted call" $? "$found"
else
    echo "not looked at: calls of the system (strace is missing, or may not trace here)"
fi

# ---- the call graph -----------------------------------------------------------------------------

ROOTS='vitp_os_on_signal vitp_crash_write vitp_crash_withdraw'
# async-signal-safe by POSIX, or as good as: memory, errno, the clock
ALLOWED='sigaction raise sigprocmask sigemptyset sigaddset clock_gettime getpid memcpy memset __errno_location'

graph() { # header's folder, switches: what is reached, one function a line
    printf '#define VITELEMETRY_IMPLEMENTATION\n#include "vitelemetry.h"\nint main(void) { return 0; }\n' >$B/graph.c
    rm -f $B/graph.ci
    # shellcheck disable=SC2086
    $GCC -std=c99 $2 -fcallgraph-info -I"$1" -c $B/graph.c -o $B/graph.o >$B/cc.log 2>&1 || { cat $B/cc.log; return; }
    tr -d '{}"' <$B/graph.ci | awk -v roots="$ROOTS" '
        function name(s) { sub(/^.*:/, "", s); sub(/[.](isra|constprop|part|cold)[.].*$/, "", s); return s }
        $1 == "edge:" {
            for (i = 2; i < NF; i++) { if ($i == "sourcename:") from = name($(i + 1)); if ($i == "targetname:") to = name($(i + 1)) }
            edges[from] = edges[from] " " to
        }
        $1 == "node:" { known[name($3)] = 1 }
        END {
            n = split(roots, todo, " ")
            for (k = 1; k <= n; k++) { if (todo[k] in known) seen[todo[k]] = 1; else todo[k] = "" }
            for (k = 1; k <= n; k++) {
                m = split(edges[todo[k]], to_all, " ")
                for (i = 1; i <= m; i++) if (!(to_all[i] in seen)) { seen[to_all[i]] = 1; todo[++n] = to_all[i] }
            }
            if (!("vitp_os_on_signal" in seen)) print "no_root"
            for (f in seen) print f
        }' | LC_ALL=C sort
}

beyond() { # of what is reached: neither ours nor allowed. An indirect call is the host's handler or a root
    echo "$1" | grep -vE '^(vitp?_|__indirect_call$)' | grep -vxF "$(echo $ALLOWED | tr ' ' '\n')"
}

GCC=
for c in "$CC" gcc gcc-12 gcc-13 gcc-14; do
    [ -n "$GCC" ] || { echo 'int main(void) { return 0; }' | $c -fcallgraph-info -x c -c - -o $B/none.o 2>/dev/null && GCC=$c; }
done
if [ -n "$GCC" ]; then
    for o in -O0 -O2 '-O2 -fPIC'; do
        reached=$(graph . "$o")
        echo "reached at $o:" $reached
        found=$(beyond "$reached")
        [ -z "$found" ]; check "call graph at $o: nothing but what a handler may call" $? "$found"
        mkdir -p $B/planted
        plant $B/planted/vitelemetry.h '(void)puts(fault->type);' && found=$(beyond "$(graph $B/planted "$o")")
        case $found in *puts*) true ;; *) false ;; esac
        check "call graph at $o finds a planted call" $? "$found"
    done
else
    echo "not looked at: the call graph (it takes gcc 10 or newer)"
fi
echo "$passed passed, $failed failed"
[ $failed = 0 ] && [ $passed -gt 0 ]
