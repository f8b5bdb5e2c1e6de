#!/bin/sh
# coverage.sh LINES BRANCHES MCDC: which lines, branches and conditions of vitelemetry.h the tests
# reach; fails below these percentages.
#   ROUNDS   of each program that is killed or crashes again and again (24)
#   TORTURE  seconds for each test while calls of the system fail (1); 0: none
#   KEEP=1   builds and runs nothing, reports again on what was there
#
# How the figures come about. Each program is built by clang-19 without optimisation. Its counters
# lie in memory that it shares with the children it forks (coverage.c), so that what a child did
# counts however it ended: by _exit, by a crash, by SIGKILL. What the program itself writes when
# it exits is merged into one profile. All programs are compiled under one name of the source, so
# that a static function of the header is one function in that profile (clang tells them apart by
# file and name, and by a hash of their shape): its counters are added up, its MC/DC bitmaps (one
# bit a path through a decision that was taken) or-ed. llvm-cov-19 then shows each program by that
# profile, and coverage.awk unites by place what the programs show, for functions that differ
# between them: a line is covered when it was run in one, a branch when it was taken in one, and a
# condition when one shows a pair of paths in which it alone decides. A macro's branches count at
# each place of its use. What was preprocessed away in all programs does not count. What clang
# derives from counters of a function that a crash or kill left half-way may be off by that call.
#
# coverage_excluded.txt lists what no test can reach, with the reason. An entry that is covered,
# or matches nothing, is a failure. Decisions with another decision inside of them are beyond
# clang-19: their branches count, and unmeasured.txt lists them.
set -u
D=build/coverage ROUNDS=${ROUNDS:-24} TORTURE=${TORTURE:-1}
here=$(pwd) lines=${1:-100} branches=${2:-97} mcdc=${3:-90}
FLAGS="-O0 -g -fprofile-instr-generate -fcoverage-mapping -fcoverage-mcdc -fprofile-update=atomic"
FLAGS="$FLAGS -Xclang -main-file-name -Xclang test.c"
FLAGS="$FLAGS -Wl,-T,$here/tests/coverage.ld $here/$D/share.o"
ETC=-DVITP_OS_ETC='"/nonexistent"'
failed=0

# ---- build ---------------------------------------------------------------------------------------

names=$(grep -l 'vitelemetry\.h\|clocks\.h\|played\.h' tests/test_*.c | sed 's,.*/test_\(.*\)\.c$,\1,')
programs=$(for n in $names; do echo "$D/tests/test_$n"; done)
loops="$D/tests/crash_loop $D/tests/chaos $D/tests/crashes"
others="$D/tests/smoke $D/tests/privacy $D/tests/fuzz_all"

form() { # switch, programs: built with it
    switch=$1
    shift
    for n; do
        clang-19 -std=c99 $FLAGS "$ETC" -DVITELEMETRY_$switch -I. tests/$n.c \
            -o $D/tests/${n}_$switch -lcmocka -pthread -lm || return 1
    done
}

build() {
    rm -rf $D
    mkdir -p $D/tests $D/torture $D/raw
    clang-19 -std=c99 -O1 -fPIC -c tests/coverage.c -o $D/share.o &&
        ${MAKE:-make} -k -j2 --no-print-directory B=$D CC=clang-19 CFLAGS="$FLAGS" TFLAGS="$FLAGS" \
            $programs $loops $others $D/examples/collector &&
        clang-19 -std=c99 $FLAGS "$ETC" -I. tests/survive.c -o $D/tests/survive -pthread &&
        form NO_THREADS smoke test_events test_errors test_sampling test_backoff &&
        form NO_FILES smoke test_events test_sampling test_backoff &&
        form OS_SETTINGS smoke &&
        clang-19 -std=c99 $FLAGS "$ETC" '-DVITP_OS_HAS_SHA256()=false' -I. tests/test_sha256.c \
            -o $D/tests/test_sha256_NO_INSTRUCTIONS -lcmocka -pthread &&
        clang++-19 -std=c++17 -w $FLAGS "$ETC" -DALONE -I. tests/test_cpp.cpp \
            -o $D/tests/test_cpp -pthread &&
        clang++-19 -std=c++17 -w $FLAGS "$ETC" -I. -x c++ tests/smoke.c \
            -o $D/tests/smoke_cpp -pthread
}

# ---- run -----------------------------------------------------------------------------------------

# what a program of several runs prints at its end counts as in run.sh
run() { # log, command ...
    log=$D/$1.log
    shift
    "$@" >"$log" 2>&1
    status=$?
    line=$(grep -E '^[0-9]+ passed, [0-9]+ failed' "$log" | tail -1)
    printf '%-28s %s\n' "${log##*/}" "${line:-status $status}"
    [ $status = 0 ] || [ "${log##*/}" = torture.log ] || { failed=$((failed + 1)); tail -20 "$log" | sed 's/^/    /'; }
}

survive() { # way
    rm -rf "$D/survive"
    mkdir -m 700 "$D/survive"
    $D/tests/survive "$D/survive" "$1" >/dev/null 2>&1
    $D/tests/survive "$D/survive" next
}

run_all() {
    LLVM_PROFILE_FILE=$here/$D/raw/%m-%p.profraw
    COLLECTOR=$D/examples/collector
    export LLVM_PROFILE_FILE COLLECTOR
    sh tests/run.sh $programs $D/tests/*_NO_* $D/tests/*_OS_* $D/tests/test_cpp $D/tests/smoke \
        $D/tests/smoke_cpp ||
        failed=$((failed + 1))
    run privacy $D/tests/privacy --test tests/data/scrub_positive.tsv tests/data/scrub_negative.tsv
    run fuzz_all $D/tests/fuzz_all tests/fuzz/seeds/*/* tests/data/scrub_positive.tsv \
        tests/data/scrub_negative.tsv
    for way in null stack abort leave; do run survive_$way survive $way; done
    # for what it reaches; what it finds is the matter of torture.sh under sanitizers
    [ "$TORTURE" = 0 ] || { run torture env CC=clang-19 SAN="$FLAGS" D=$D/torture TIME="$TORTURE" \
        ONLY="audit consent pool spool" sh tests/torture.sh || true; }
    run crashes $D/tests/crashes "$ROUNDS" 1
    for seed in 1 2; do run crash_loop_$seed $D/tests/crash_loop "$ROUNDS" $seed; done
    for mode in 1 2 '3 cap' '4 cap'; do run "chaos_${mode% *}" $D/tests/chaos "$ROUNDS" $mode; done
}

# ---- report --------------------------------------------------------------------------------------

show() { # program: what it shows by the profile of all
    x=$D/show/$(echo "$1" | tr / _)
    llvm-cov-19 export "$1" -instr-profile=$D/all.profdata vitelemetry.h >"$x.json" &&
        llvm-cov-19 export "$1" -instr-profile=$D/all.profdata -format=lcov vitelemetry.h \
            >"$x.lcov" &&
        llvm-cov-19 show "$1" -instr-profile=$D/all.profdata --show-branches=count vitelemetry.h |
        sed -n 's/.*Branch (\([0-9:]*\)): \[Folded.*/\1/p' >"$x.folded" || return 1
    echo - >>"$x.folded"
}

objects() { find $D/tests $D/torture -type f -perm -100 -exec grep -l __llvm_covmap {} + | sort; }

report() {
    [ -d $D/raw ] && find $D/raw -size +0 -name '*.profraw' >$D/raws
    [ -s $D/raws ] || { echo 'no program wrote a profile'; return 1; }
    llvm-profdata-19 merge -sparse -f $D/raws -o $D/all.profdata 2>$D/merge.log || {
        tail -5 $D/merge.log
        return 1
    }
    rm -rf $D/show
    mkdir $D/show
    set -- vitelemetry.h tests/coverage_excluded.txt
    for o in $(objects); do
        show "$o" 2>>$D/merge.log || { echo "llvm-cov-19: $o"; return 1; }
        set -- "$@" "$x.folded" "$x.lcov" 'RS=[{]"branches":' "$x.json" 'RS=\n'
    done
    awk -v lines="$lines" -v branches="$branches" -v mcdc="$mcdc" -v table=$D/table.txt \
        -v missing=$D/missing.txt -f tests/coverage.awk "$@" >$D/report || {
        cat $D/report
        return 1
    }
    sed -n 's/.*vitelemetry.h:\([0-9]*\):[0-9]*: warning: \(.*MC\/DC.*\)/\1 \2/p' $D/build.log |
        sort -un >$D/unmeasured.txt
}

if [ -z "${KEEP:-}" ]; then
    mkdir -p "${D%/*}"
    build >$D.log 2>&1 || {
        grep -E 'error|Error' $D.log | head -20
        echo '0 passed, 1 failed'
        exit 1
    }
    mv $D.log $D/build.log
    run_all
fi
report || { echo '0 passed, 1 failed'; exit 1; }
grep -v '^coverage:' $D/report
awk -F'\t' '$2 != "missing" { print "excluded: " $1 " " $3 ": " substr($2, 11) }' $D/missing.txt
echo "see $D/missing.txt: $(grep -c 'missing' $D/missing.txt) lines with something not covered;" \
    "$D/unmeasured.txt: $(wc -l <$D/unmeasured.txt) decisions of which clang-19 cannot tell MC/DC"
grep '^coverage:' $D/report
read -r p f <$D/table.txt.count
echo "$p passed, $((f + failed)) failed"
[ $((f + failed)) = 0 ]
