#!/bin/sh
# What CI runs: `make test`, every compiler and standard, the sanitizers, the explorers, the fuzz targets,
# failing calls, programs that are killed and that crash, the queue under load, other machines by
# emulation, Windows by wine, protections taken out, lint. Counts add up.
# After `make test` three lanes share the steps, each taking the next: many of them wait for most of their
# time. ONLY=NAME: steps that begin so.
set -u
MAKE="${MAKE:-make} --no-print-directory"
D=build/check
rm -rf $D
mkdir -p $D

step() { # name, command: its last line `N passed, N failed` is kept for the sum
    name=$1 log=$D/$(echo "$1" | tr -c 'A-Za-z0-9\n' _) start=$(date +%s)
    shift
    case $name in "${ONLY:-}"*) ;; *) return ;; esac
    mkdir "$log.taken" 2>/dev/null || return # another lane has it
    "$@" >"$log.log" 2>&1
    status=$?
    line=$(grep -E '^[0-9]+ passed, [0-9]+ failed' "$log.log" | tail -1)
    p=${line%% passed*} f=${line#*, } f=${f%% failed*}
    [ -n "$line" ] || p=0 f=0
    [ $status != 0 ] && [ "$f" = 0 ] && f=1
    echo "$p $f" >"$log.count"
    { # in one piece, as other lanes write, too
        echo "== $name: $(($(date +%s) - start)) s"
        if [ "$f" = 0 ]; then
            grep -vE '^(ok|cc|gcc|clang|c\+\+|make|installing|skip)|^ ' "$log.log" | tail -40
        else
            tail -80 "$log.log"
        fi
    } >"$log.out"
    cat "$log.out"
}

group() { mkdir "$D/$1.group" 2>/dev/null; } # its steps are one lane's, one after the other

# Those that take longest first. The sanitizers run the same tests, which write the same files.
steps() {
    if group sanitizers; then
        step 'AddressSanitizer, UndefinedBehaviorSanitizer' $MAKE asan
        step 'ThreadSanitizer' $MAKE tsan
        step 'sanitizers find what is planted' env QUICK=1 $MAKE sanitizers-planted
    fi
    step 'explorer of the protocols' env QUICK=1 sh tests/explore_protocols.sh
    step 'MemorySanitizer' $MAKE msan
    step 'Windows' env QUICK=1 $MAKE windows
    step 'compilers, standards, switches and machines' env QUICK=1 $MAKE matrix
    step 'explorer of the queue' sh tests/explore.sh
    step 'other machines' $MAKE emulate
    step 'lint' $MAKE lint
    step 'protections taken out' $MAKE failures-planted COUNT=4
    step 'fuzzing' $MAKE fuzz TIME=4
    step 'failing calls' env ONLY=pool $MAKE torture TIME=1
    step 'killed, again and again' $MAKE crash-loop N=250
    step 'crashed, again and again' $MAKE crashes N=150
    step 'what the crash handler calls' $MAKE crash-handler
    step 'killed while they share a spool' $MAKE chaos N=125
    step 'the queue under load' $MAKE stress RECORDS=30000000
    step 'forked and unloaded, again and again' $MAKE rounds
    step 'everything now and then' $MAKE soak MINUTES=0.5
    step 'examples' $MAKE examples
    step 'packaging' $MAKE packaging
    step 'what newcomers do wrong' $MAKE misuse
    ! command -v chromium >/dev/null 2>&1 || step "the collector's page" env QUICK=1 $MAKE test-web
}

begin=$(date +%s)
step 'make test' $MAKE -j2 test
steps &
steps &
steps
wait
echo "check: $(($(date +%s) - begin)) s"
cat $D/*.count | awk '{ p += $1; f += $2 } END { printf "%d passed, %d failed\n", p, f; exit p == 0 || f != 0 }'
