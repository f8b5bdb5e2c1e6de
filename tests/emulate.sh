#!/bin/sh
# Other machines: 32 bits, big-endian and both, built by cross compilers and run by qemu. On each
# runs the queue under load, a program that is killed again and again, one whose calls of the system
# fail (each STEP-th, 97), and one that crashes; and each finds what another has left. (tests/matrix.sh runs the whole API on these and more.)
# The emulator keeps the order of this machine's memory: it shows wrong sizes and byte orders, not
# weak ones. It has no membarrier either, so the ways without one are tried.
set -u
passed=0 failed=0
mkdir -p build/emulate
. tests/machines.sh
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

# ---- what one machine leaves, and another finds --------------------------------------------------
#
# A pool and a spool say the byte order of their writer, a pool the size of its ledger too. Who has
# another order or size leaves them alone: nothing is sent of them, and whoever wrote them may come
# back and finds all. Else they are read: what was recorded is delivered, once.

order_of() { # machine
    case $1 in
    s390x | mips) echo big ;;
    i386 | aarch64) echo little ;;
    *) if [ "$(printf '\001\000' | od -An -td2 | tr -d ' ')" = 1 ]; then echo little; else echo big; fi ;;
    esac
}

readable() { # die or leave, writer, reader
    [ "$(order_of "$2")" = "$(order_of "$3")" ] || return 1
    # i386 alone aligns what has 64 bits to 4 bytes: its ledger has another size
    case $1:$2:$3 in die:i386:i386 | leave:*) ;; die:i386:* | die:*:i386) return 1 ;; esac
}

lives() { # machine, how: die, leave or next; prints what it sends
    machine_of "$1"
    [ "$1" != this ] || machine_run=
    # shellcheck disable=SC2086
    XDG_RUNTIME_DIR=$PWD/build/emulate/run timeout 300 $machine_run \
        build/emulate/survive-"$1" build/emulate/finds "$2"
}

sends() { # machine, how many events that are the writer's
    lives "$1" next >build/emulate/found 2>&1 || return 1
    [ "$(awk 'END { print NR }' build/emulate/found)" = "$2" ] &&
        [ "$(grep -c "\"app_version\":\"$how\".*\"session_id\":\"first\"" build/emulate/found)" = "$2" ]
}

finds() { # how it ends, writer, reader
    how=$1
    rm -rf build/emulate/finds build/emulate/run
    mkdir -p build/emulate/run
    chmod 700 build/emulate/run
    { lives "$2" "$how"; } >build/emulate/found 2>/dev/null
    case $how:$? in die:137) ;; leave:0) ls build/emulate/finds/*.spool >/dev/null 2>&1 || return 1 ;; *) return 1 ;; esac
    [ ! -s build/emulate/found ] || return 1
    case $how in die) events=4 ;; *) events=3 ;; esac
    if readable "$how" "$2" "$3"; then
        sends "$3" $events && sends "$3" 0 && sends "$2" 0
    else
        sends "$3" 0 && sends "$3" 0 && sends "$2" $events && sends "$2" 0
    fi
}

find_all() { # machines
    for writer; do for reader; do for how in die leave; do
        case $how in die) what=pool ;; *) what=spool ;; esac
        what="a $what of $writer is $(readable $how "$writer" "$reader" || echo 'not ')read on $reader"
        if finds $how "$writer" "$reader"; then
            passed=$((passed + 1))
            echo "ok   $what"
        else
            failed=$((failed + 1))
            echo "FAIL $what"
            cut -c1-300 build/emulate/found
        fi
    done; done; done
}

# ---- run -----------------------------------------------------------------------------------------

here=this # machines whose compiler is here, and this one
machine() { # name
    machine_of "$1"
    cc=$machine_cc how="timeout 300 $machine_run"
    command -v "${cc%% *}" >/dev/null 2>&1 || { echo "not here: ${cc%% *}"; return; }
    run "$1" "$cc" "$how" stress "${RECORDS:-200000}" 3
    run "$1" "$cc" "$how" crash_loop "${ROUNDS:-15}" 1
    rm -rf build/emulate/torture.data
    run "$1" "$cc" "$how" torture_live build/emulate/torture.data "${STEP:-97}"
    run "$1" "$cc" "$how" survive build/emulate/survive-"$1".none next
    crashes "$1" "$how"
    here="$here $1"
}

for m in i386 s390x mips aarch64; do machine $m; done
run this "${CC:-cc}" '' survive build/emulate/survive-this.none next
# shellcheck disable=SC2086
find_all $here

echo "$passed passed, $failed failed"
[ $failed = 0 ] && [ $passed -gt 0 ]
